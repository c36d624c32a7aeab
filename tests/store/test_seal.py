"""Whatever is changed in a store by another hand, its seals notice it: every value of every table."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from small import SMALL, execution

from ltsm.store import schema, seal

NOT_SEALED = {"seal"}
"""Itself the seal."""
NOTHING_TO_SEAL = {"mask.id", "alembic_version.version_num"}
"""A number that nothing refers to, and the version, which is refused in other words before a seal is looked at."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with a finished evaluation, and a run under way."""
    path = tmp_path_factory.mktemp("made") / "ltsm.db"
    store = schema.open_for_writing(path)
    execution(store, SMALL.changed(seeds=(0,))).run()
    store.close()
    return path


def tables(path):
    """Each table with its columns, and which of them are its key."""
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: {row[1]: bool(row[5]) for row in database.execute(f"PRAGMA table_info({name})")}
            for (name,) in names
            if name not in NOT_SEALED and not name.startswith("sqlite_")
        }


def other(value):
    """A value of the same type that is not this one."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return f"{value}x" if isinstance(value, str) else 0.5 if value is None else value + 1


def faults(path):
    store = schema.open_for_reading(path, unchecked=True)
    with store.engine.connect() as connection:
        found = seal.faults(connection)
    store.close()
    return found


def test_every_value_is_under_seal(made, tmp_path):
    """One value of each column, the last row's: the protocol's settings, a mask's bits, an accuracy.

    Taken out: a column from a seal's query; its values could be changed.
    """
    assert faults(made) == []
    unnoticed = []
    for table, columns in tables(made).items():
        for column in columns:
            path = shutil.copy(made, tmp_path / "changed.db")
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("PRAGMA ignore_check_constraints=ON")
                largest = f"SELECT {column} FROM {table} ORDER BY {column} DESC LIMIT 1"  # noqa: S608
                (value,) = database.execute(largest).fetchone()
                change = f"UPDATE {table} SET {column} = ? WHERE {column} IS ?"  # noqa: S608
                assert database.execute(change, (other(value), value)).rowcount
            if f"{table}.{column}" not in NOTHING_TO_SEAL and not faults(tmp_path / "changed.db"):
                unnoticed.append(f"{table}.{column}")
    assert unnoticed == []


@pytest.mark.parametrize("table", ["protocol", "run", "metric", "mask"])
def test_a_row_that_is_gone_is_noticed(made, tmp_path, table):
    path = shutil.copy(made, tmp_path / "changed.db")
    key = ", ".join(column for column, is_key in tables(made)[table].items() if is_key)
    last = f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1"  # noqa: S608
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(f"DELETE FROM {table} WHERE ({key}) IN ({last})").rowcount == 1  # noqa: S608
    assert faults(tmp_path / "changed.db")
