"""Stores of other versions: an older one is brought up to date, whole or not at all; a newer one is left alone."""

import sqlite3
from pathlib import Path

import pytest
import typer
from small import results
from torture.oracle import check, refused
from torture.program import Program

from ltsm.cli.commands import app
from ltsm.dashboard.source import Source
from ltsm.errors import StoreError
from ltsm.store import schema

DIGITS = ["--protocol", "small.toml"]
NEEDED = {
    **{
        (name,): DIGITS
        for name in ("sweep", "train-baseline", "find-supermask", "train-ticket", "train-hyperop")
    },
    ("db", "backup"): ["copy/ltsm.db"],
    ("db", "merge"): [str(Path(__file__).parents[1] / "store" / "schemas" / "0002" / "ltsm.db")],
    ("prune",): ["--initial", "a.pt", "--trained", "b.pt", "--data", "digits"],
    ("ticket", "export"): ["--seed", "0"],
    ("study", "show"): ["--protocol", "1"],
    ("compare",): ["1", "2"],
    ("export",): ["runs"],
    ("runs", "show"): ["1"],
    ("runs", "delete"): ["id:1", "--yes"],
    ("protocols", "show"): ["1"],
    ("protocols", "rename"): ["1", "another"],
    ("protocols", "delete"): ["1", "--yes"],
}
"""What a command asks for beside a store."""
WITHOUT_VERDICT = {("db", "path"), ("config", "show"), ("doctor",)}
"""The first two say where the store is, the last looks at it and says that it is newer."""


def commands():
    """Every command that takes --store, from the program itself."""
    found = []

    def add(name, command):
        for sub, below in getattr(command, "commands", {}).items():
            add((*name, sub), below)
        if any("--store" in parameter.opts for parameter in command.params) and name != ("dashboard",):
            found.append(name)

    add((), typer.main.get_command(app))
    return found


def contents(folder):
    """Every file but those that SQLite and the lock make beside a store that is looked at, which hold none of it."""
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found.pop("ltsm.db-wal", b"") == found.pop("ltsm.db.lock", b"") == b""
    found.pop("ltsm.db-shm", None)
    return found


@pytest.fixture(scope="module")
def newer(context, tmp_path_factory):
    program = Program(context, tmp_path_factory.mktemp("newer"))
    assert program.sweep().ended() == 0
    database = sqlite3.connect(program.store)
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.execute("CREATE TABLE tomorrow (what)")
    database.commit()
    database.close()
    yield program
    program.close()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_refuses_a_newer_store(newer, command):
    """In one sentence, and leaves every byte as it is. Taken out: the look for unknown versions in `schema.version`."""
    before = contents(newer.store.parent)
    run = newer.start(*command, *NEEDED.get(command, []), "--store", newer.store)
    if command in WITHOUT_VERDICT:
        assert run.ended() == 0
        assert ("newer than this ltsm" in run.words) == (command == ("doctor",)), run.words
    else:
        assert "has version 9999, newer than this ltsm" in refused(run, 3)
    assert contents(newer.store.parent) == before


def test_no_command_is_left_out(newer):
    """The dashboard, which waits for a store, says on its screen what is wrong with this one."""
    assert len(commands()) > 12
    before = contents(newer.store.parent)
    with pytest.raises(StoreError, match="newer than this ltsm"):
        Source(newer.store).look()
    assert contents(newer.store.parent) == before


@pytest.mark.parametrize("version", schema.VERSIONS[:-1])
def test_an_upgraded_store_is_what_alembic_makes_of_the_models(kept, tmp_path, version):
    """`alembic check` on a store that came from there, data and all. Taken out: a column in the migration, or its type."""
    from alembic import command
    from alembic.config import Config

    path = kept(version, tmp_path / "old")
    store = schema.open_for_writing(path)
    config = Config()
    config.set_main_option("script_location", str(schema.migrations_folder()))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.check(config)
    store.close()
    check(path)
    assert results(path)


def test_a_link_in_the_place_of_the_copy_before_an_upgrade_is_not_followed(ltsm, kept, tmp_path):
    """Taken out: the temporary name in `schema._keep`; the database that the link names was overwritten."""
    path = kept("0001", tmp_path / "old")
    other = tmp_path / "other.db"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE mine (what)")
    database.close()
    before = other.read_bytes()
    path.with_name(f"ltsm.db.before-{schema.HEAD}").symlink_to(other)
    assert ltsm.start("db", "upgrade", "--store", path).ended() == 0, ltsm.words
    assert other.read_bytes() == before
    assert results(path)
