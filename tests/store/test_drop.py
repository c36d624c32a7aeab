"""What is dropped from a store: files whose bits can be made again, and runs with all that is built on them."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import made_up
import pytest
from sqlalchemy import text

from ltsm.cli import db
from ltsm.store import artifacts, backup, drop, read, schema, seal, write
from ltsm.store.values import DROPPED
from ltsm.studies import paper

LATER = made_up.NOW + timedelta(hours=1)


@pytest.fixture
def store(tmp_path):
    """Two seeds of the paper's study, every file that a row names being there."""
    made_up.evaluation(tmp_path / "ltsm.db", seeds=(0, 1))
    opened = schema.open_for_writing(tmp_path / "ltsm.db")
    yield opened
    opened.close()


SHARED = """UPDATE file SET path = (
    SELECT other.path FROM file AS other JOIN need ON need.needs_id = other.run_id
    WHERE need.run_id = file.run_id AND need.role = 'start' AND other.role = 'initial'
) WHERE role = 'initial' AND run_id IN (SELECT run_id FROM need WHERE role = 'start')"""


def with_files(store):
    """Write each file that a row names, and let the rows say so; who starts from another's values names its file."""
    with store.engine.begin() as connection:
        connection.execute(text(SHARED))
    runs = read.runs(store)
    with store.engine.begin() as connection:
        for file in (file for run in runs for file in run.files):
            made = artifacts.write(store.folder, file.artifact.path, file.artifact.path.encode())
            values = {"sha": made.sha256, "path": made.path}
            connection.execute(text("UPDATE file SET sha256 = :sha WHERE path = :path"), values)
        seal.seal_all(connection)


@pytest.fixture
def full(store):
    with_files(store)
    assert found(store) == []
    return store


def found(store):
    """What `db check` says, strangers among it."""
    return [*db.damage(store), *db.stuck(store), *db.strangers(store)]


def run_of(store, name, seed=0):
    return next(run for run in read.runs(store) if (run.recipe, run.seed) == (name, seed))


def everything(store, *, but=()):
    """All rows of all tables but seals, without those of these runs."""
    tables = {"run": "id", "file": "run_id", "metric": "run_id", "mask": "run_id", "need": "run_id"}
    with sqlite3.connect(store.path) as raw:
        rows = {
            name: [
                row
                for row in raw.execute(f"SELECT {key}, * FROM {name} ORDER BY 1, 2, 3")  # noqa: S608 - our own words
                if row[0] not in but
            ]
            for name, key in tables.items()
        }
    raw.close()
    return rows


def test_a_dropped_file_is_gone_and_known_and_its_run_stays_done(full):
    """State, numbers and masks stay; the digest does, too, and the store is whole."""
    before = run_of(full, paper.BASELINE)
    numbers = read.results(full, before.protocol_id), read.metrics(full, [before.id])
    (final,) = (file for file in before.files if file.role == "final")
    drop.drop_files(full, {before.id: [final]}, LATER)
    after = run_of(full, paper.BASELINE)
    assert (after.state, after.final, after.dropped) == ("done", None, (final,))
    assert after.written("final") == final.artifact
    assert (read.results(full, before.protocol_id), read.metrics(full, [before.id])) == numbers
    assert not (full.folder / final.artifact.path).exists()
    assert after.updated_at == LATER
    assert found(full) == []


def test_a_file_that_another_run_names_stays(full):
    """Baseline and ticket start from the initial training's file: it goes with the last row that names it."""
    runs = [run for run in read.runs(full) if run.seed == 0 and run.initial is not None]
    sharing = [run for run in runs if run.initial == run_of(full, paper.INITIAL).initial]
    assert len(sharing) > 1
    path = full.folder / sharing[0].initial.path
    files = {run.id: [f for f in run.files if f.role == "initial"] for run in sharing}
    drop.drop_files(full, {sharing[0].id: files[sharing[0].id]}, LATER)
    assert path.exists()
    assert found(full) == []
    drop.drop_files(full, {run.id: files[run.id] for run in sharing[1:]}, LATER)
    assert not path.exists()
    assert found(full) == []


def test_a_copy_of_a_store_with_dropped_files_is_whole(full, tmp_path):
    """`db backup` copies the files that are there, and its copy is as whole as the store."""
    before = run_of(full, paper.BASELINE)
    drop.drop_files(full, {before.id: before.files}, LATER)
    backup.copy(full, tmp_path / "copy" / "ltsm.db")
    copy = schema.open_for_reading(tmp_path / "copy" / "ltsm.db")
    assert found(copy) == []
    assert run_of(copy, paper.BASELINE).dropped == run_of(full, paper.BASELINE).dropped
    copy.close()


def test_a_dropped_file_that_is_made_again_is_the_runs_once_more(full):
    """A digest that was never written changes nothing."""
    before = run_of(full, paper.BASELINE)
    (final,) = (file for file in before.files if file.role == "final")
    drop.drop_files(full, {before.id: [final]}, LATER)
    artifacts.write(full.folder, final.artifact.path, final.artifact.path.encode())
    drop.restore_files(full, [replace(final.artifact, sha256="another")], LATER)
    assert run_of(full, paper.BASELINE).dropped == (final,)
    drop.restore_files(full, [final.artifact], LATER)
    assert run_of(full, paper.BASELINE).files == before.files
    assert run_of(full, paper.BASELINE).dropped == ()
    assert found(full) == []


def test_what_is_built_on_a_run_that_is_deleted_can_go_with_it_and_nothing_else_does(full):
    """Rows, records, masks, seals and files of these runs, and no others; their empty folders too."""
    ids = read.dependents(full, [run_of(full, paper.BASELINE).id])
    files = {
        f.artifact.path for run in read.runs(full) if run.id in ids for f in run.files if f.role == "final"
    }
    kept = {f.artifact.path for run in read.runs(full) if run.id not in ids for f in run.files}
    rest = everything(full, but=ids)
    drop.drop_runs(full, ids)
    assert everything(full) == rest
    assert not any((full.folder / path).exists() for path in files)
    folders = [path for path in (full.folder / "weights").rglob("*") if path.is_dir()]
    assert all(any(folder.iterdir()) for folder in folders)
    assert all((full.folder / path).exists() for path in kept)
    with sqlite3.connect(full.path) as raw:
        seals = {name for (name,) in raw.execute("SELECT name FROM seal")}
    raw.close()
    assert not any(name.partition(":")[0] in map(str, ids) for name in seals)
    assert found(full) == []


def test_a_protocol_goes_with_all_its_runs(full):
    """The store is then as empty as one that was never swept."""
    drop.drop_runs(full, [run.id for run in read.runs(full)], [p.id for p in read.protocols(full)])
    assert read.protocols(full) == []
    assert not any(everything(full).values())
    assert not (full.folder / "weights").exists()
    assert found(full) == []
    with sqlite3.connect(full.path) as raw:
        assert raw.execute("SELECT count(*) FROM recipe").fetchone() == (0,)
    raw.close()


def test_a_run_that_is_done_again_forgets_what_was_dropped(full):
    """`--force` begins with nothing: no row of a file that was dropped stays."""
    before = run_of(full, paper.BASELINE)
    drop.drop_files(full, {before.id: [f for f in before.files if f.role == "final"]}, LATER)
    write.reset(full, [before.id], LATER)
    with sqlite3.connect(full.path) as raw:
        roles = raw.execute("SELECT role FROM file WHERE run_id = ?", (before.id,)).fetchall()
    raw.close()
    assert roles == []
    assert DROPPED.strip() not in str(roles)
