"""Stores, names and files made by somebody else: nothing outside is read, written or run, and no screen is steered."""

import hashlib
import os
import pickle
import shutil
import sqlite3

import pytest
from small import SMALL, execution
from torture.oracle import refused

from ltsm.cli import db, dropping, say
from ltsm.errors import StoreError
from ltsm.notation import visible
from ltsm.store import artifacts, claim, read, schema, seal
from ltsm.store.values import Artifact
from ltsm.studies import paper
from ltsm.studies.study import RunKey

PROTOCOL = SMALL.changed(seeds=(0,), hyperops=((4, 3),))
NAMES = {
    "above": "../outside",
    "far above": "weights/../../outside",
    "absolute": "/etc/passwd",
    "the store": "ltsm.db",
    "its lock": "ltsm.db.lock",
    "the folder": "weights",
    "nothing": "",
    "here": ".",
    "a link out": "weights/out/outside",
    "a linked file": "weights/passwd",
    "a circle": "weights/circle",
    "a NUL": "weights/a\0b",
    "too long": "weights/" + "a" * 5000,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "ltsm.db"
    store = schema.open_for_writing(path)
    execution(store, PROTOCOL).run()
    store.close()
    return path


@pytest.fixture
def hostile(made, tmp_path):
    """A copy of a store that anybody may have changed, beside a file that is none of its."""
    folder = tmp_path / "store"
    shutil.copytree(made.parent, folder)
    (tmp_path / "outside").write_text("mine")
    (folder / "weights" / "out").symlink_to(tmp_path)
    (folder / "weights" / "passwd").symlink_to(tmp_path / "outside")
    (folder / "weights" / "circle").symlink_to(folder / "weights" / "circle")
    return folder / "ltsm.db"


def change(path, statement, *values):
    """Change a store by hand, and seal it: its maker knows how."""
    database = sqlite3.connect(path)
    database.execute(statement, values)
    database.commit()
    database.close()
    store = schema.open_for_writing(path, unchecked=True)
    with store.engine.begin() as connection:
        seal.seal_all(connection)
    store.close()


@pytest.mark.parametrize("name", NAMES)
def test_names_lead_to_no_other_file(hostile, tmp_path, name):
    """Read, write, delete and check: whatever the row says.

    Taken out: `artifacts.FOLDERS`; "the store" was deleted by --force. Links followed by `resolve`: "a link out" was read.
    """
    of = "run_id = (SELECT id FROM run WHERE kind = 'hyperop')"
    change(hostile, f"UPDATE file SET path = ? WHERE {of}", NAMES[name])  # noqa: S608
    artifact = Artifact(NAMES[name], "00")
    folder = hostile.parent
    for use in (
        lambda: artifacts.read(folder, artifact),
        lambda: artifacts.write(folder, artifact.path, b"theirs"),
        lambda: artifacts.remove(folder, artifact),
    ):
        if name != "too long":
            with pytest.raises(StoreError, match="outside its folder"):
                use()
    store = schema.open_for_writing(hostile)
    assert list(db.damage(store))
    with pytest.raises(StoreError):
        drop(store, RunKey(paper.hyperop((4, 3)), 0))
    store.close()
    assert (tmp_path / "outside").read_text() == "mine"
    schema.open_for_reading(hostile).close()


def drop(store, run):
    """As --force does it."""
    found = dropping.built_on(store, 1, paper.study(PROTOCOL), [run])
    dropping.drop(store, found, read_now(), yes=True)


@pytest.mark.parametrize("companion", ["-wal", "-shm", "-journal", ".lock"])
def test_links_beside_the_store_are_not_followed(hostile, tmp_path, companion):
    """Taken out: O_NOFOLLOW in `claim`; the other file was emptied. Taken out: the look at companions in `schema`;
    SQLite, which does not follow them either, found other words.
    """
    for old in ("-wal", "-shm", ".lock"):
        hostile.with_name(hostile.name + old).unlink(missing_ok=True)
    hostile.with_name(hostile.name + companion).symlink_to(tmp_path / "outside")
    words = "cannot write to" if companion == ".lock" else "is a link, which SQLite never makes"
    with pytest.raises(StoreError, match=words), schema.writer(hostile, "ltsm sweep", read_now()):
        pass
    assert (tmp_path / "outside").read_text() == "mine"


def read_now():
    from ltsm.cli.running import now

    return now()


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path):
    """Taken out: unlink and "x" in `artifacts.write`; the other file was overwritten."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "weights" / ".a.partial").symlink_to(tmp_path / "outside")
    written = artifacts.write(tmp_path, "weights/a", b"ours")
    assert artifacts.read(tmp_path, written) == b"ours"
    assert (tmp_path / "outside").read_text() == "mine"


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("ltsm-was-here",))


def test_weights_are_never_unpickled(hostile, tmp_path, monkeypatch):
    """A pickle with the right SHA-256 is refused as weights. There is nothing to take out: no code calls pickle."""
    monkeypatch.chdir(tmp_path)
    store = schema.open_for_reading(hostile)
    (initial,) = [run.initial for run in read.runs(store) if run.recipe == paper.INITIAL]
    store.close()
    content = pickle.dumps(Bomb())
    (hostile.parent / initial.path).write_bytes(content)
    change(
        hostile,
        "UPDATE file SET sha256 = ? WHERE path = ?",
        hashlib.sha256(content).hexdigest(),
        initial.path,
    )
    change(hostile, "DELETE FROM mask")
    change(hostile, "UPDATE run SET state = 'pending' WHERE kind IN ('supermask', 'ticket')")
    store = schema.open_for_writing(hostile)
    outcome = execution(store, PROTOCOL, keep_going=True)
    with pytest.raises(Exception, match=r"safetensors|header|Header|deseriali"):
        outcome.run()
    store.close()
    assert not (tmp_path / "ltsm-was-here").exists()


ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m[bold red]x[/] \u202etxt.exe \x9b31m\r"


@pytest.fixture
def steering(hostile):
    """Every text in the store steers terminals."""
    for column in ("run SET error", "run SET device", "recipe SET name"):
        change(hostile, f"UPDATE {column} = ?", ESCAPES)
    change(hostile, "UPDATE run SET state = 'failed' WHERE kind = 'hyperop'")
    return hostile


COMMANDS = [
    ["status"], ["status", "--json"], ["report"], ["report", "--markdown"], ["report", "--csv"], ["report", "--json"],
    ["verify"], ["db", "check"], ["doctor"], ["sweep", "--protocol", "small.toml"], ["report", "--protocol", ESCAPES],
]  # fmt: skip


@pytest.mark.parametrize("named", [False, True], ids=["", "named"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_text_steers_the_terminal(ltsm, steering, command, named):
    """A protocol of such a name is refused by whoever needs its settings; the other texts are shown.

    Taken out: `visible` in `say`; status wrote the escape sequences as they were.
    """
    if named:
        change(steering, "UPDATE protocol SET name = ?", ESCAPES)
    run = ltsm.start(*command, "--store", steering)
    assert run.ended() in ({0, 2, 3, 4, 5} if named or ESCAPES in command else {0, 3, 4, 5}), run.words
    assert "Traceback" not in run.words
    raw = run._words.read_bytes()
    for control in (b"\x1b", b"\x07", b"\r", "\u202e".encode(), "\x9b".encode()):
        assert control not in raw, command


def test_the_holders_words_are_harmless_too(ltsm):
    assert ltsm.start("init").ended() == 0
    with claim.claim(ltsm.store, ESCAPES, read_now()):
        words = refused(ltsm.sweep(), 3)
    assert "\x1b" not in words
    assert "owned" in words


def test_what_is_visible():
    assert visible("plain – ×\n\ttext") == "plain – ×\n\ttext"
    assert visible("\x1b[31m") == "␛[31m"
    assert visible("\u202e\x9b") == "\\u202e\\u009b"


def test_words_are_harmless(capsys):
    """Taken out: `visible` in `say.note`, `say.warn` or `say.error`; the escape sequences went out as they were."""
    say.note(ESCAPES)
    say.warn(ESCAPES)
    say.error(StoreError(ESCAPES, ESCAPES))
    said = capsys.readouterr().err
    assert said.count("owned") == 4
    assert "\x1b" not in said


def test_the_log_is_harmless():
    import logging

    record = logging.LogRecord("ltsm", logging.WARNING, "", 0, "%s", (ESCAPES,), None)
    assert "\x1b" not in say.handler().format(record)


def test_triggers_and_views_of_a_strange_store_call_nothing(hostile):
    """A view that loads a library: refused, as the definitions are sealed; and SQLite would not run it."""
    database = sqlite3.connect(hostile)
    database.execute("DROP VIEW result")
    database.execute("CREATE VIEW result AS SELECT load_extension('x') AS run_id")
    database.commit()
    database.close()
    with pytest.raises(StoreError, match="not as they were written"):
        schema.open_for_reading(hostile)


@pytest.mark.parametrize(
    "column",
    [
        *(
            "run.seed",
            "run.hidden",
            "run.provenance",
            "run.started_at",
            "run.best_iteration",
            "run.iterations",
        ),
        *("file.sha256", "file.iteration", "file.role", "recipe.settings", "recipe.name", "mask.layer_sizes"),
    ],
)
def test_values_of_another_type_are_a_sentence(hostile, column):
    """SQLite keeps any value in any column. Taken out: ValueError in `read._reading`; tracebacks."""
    table, _, name = column.partition(".")
    change(hostile, f"UPDATE {table} SET {name} = 'x{{' WHERE rowid = 1")  # noqa: S608
    try:
        store = schema.open_for_reading(hostile)
        for run in read.runs(store):
            read.recipe(store, run.id)
            read.selected_mask(store, run.id)
        read.results(store, 1)
        read.masks(store, 1)
        store.close()
    except StoreError as error:
        assert "damaged" in error.message


def test_nothing_is_written_outside_the_stores_folder(ltsm):
    """A whole sweep, its reports aside, leaves files in the store's folder alone."""
    there = set(ltsm.folder.rglob("*"))
    run = ltsm.sweep()
    assert run.ended() == 0
    new = set(ltsm.folder.rglob("*")) - there - {run._words, ltsm.folder / "workers"}
    assert all(path.is_relative_to(ltsm.store.parent) for path in new)
