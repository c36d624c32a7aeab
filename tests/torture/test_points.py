"""kill -9 at every named point between a file's write and its row's commit."""

import random
import shutil
from functools import partial

import pytest
from small import results
from torture.counts import counted, tell
from torture.oracle import check, check_if_any, finish
from torture.points import killed_at, noted
from torture.program import Program

from ltsm.cli import db
from ltsm.store import read, schema

SWEEP = ("sweep", "--protocol", "small.toml", "--jobs", "1")
REDO = ("train-baseline", "--protocol", "small.toml", "--jobs", "1", "--seed", "0", "--force", "--yes")
BACKUP = ("db", "backup", "copy/ltsm.db")
UPGRADE = ("db", "upgrade")
DELETE = ("runs", "delete", "kind:baseline", "--yes")
DELETE_ALL = ("protocols", "delete", "small", "--yes")
PRUNE = ("db", "prune", "--yes")
REBUILD = ("db", "rebuild")


@pytest.fixture(scope="module")
def fresh(context, tmp_path_factory):
    """The names of the points of a sweep that begins with nothing, in order."""
    program, report = Program(context, tmp_path_factory.mktemp("fresh")), "points"
    assert program.sweep(prepare=partial(noted, report)).ended() == 0
    return (program.folder / report).read_text().splitlines()


@pytest.fixture(scope="module")
def stores(context, tmp_path_factory, fresh):
    """What each kind of trial begins with: nothing, a run without a checkpoint, one with two, a whole sweep."""
    ends = {"begun": fresh.index("begin: after the commit"), "half": third(fresh, "checkpoint: renamed")}
    found = {None: None}
    for name, end in (ends | {"whole": len(fresh)}).items():
        program = Program(context, tmp_path_factory.mktemp(name))
        run = program.sweep(prepare=partial(killed_at, end))
        assert run.ended() == (0 if name == "whole" else -9), run.words
        found[name] = program.store.parent
    return found


def third(names, name):
    return [number for number, other in enumerate(names) if other == name][2]


@pytest.fixture
def trial(context, tmp_path):
    """A program in a folder of its own that has a copy of this store."""
    programs = []

    def begun(name, store):
        programs.append(Program(context, tmp_path / str(name)))
        if store is not None:
            shutil.copytree(store, programs[-1].store.parent)
        return programs[-1]

    yield begun
    for program in programs:
        program.close()


def chosen(names, count):
    """The numbers of the points to be killed at: up to `count` of each name, among those at random."""
    draw, by_name = random.Random(count), {}
    for number, name in enumerate(names):
        by_name.setdefault(name, []).append(number)
    return sorted(n for numbers in by_name.values() for n in draw.sample(numbers, min(count, len(numbers))))


def each_point(trial, store, command, count, known=()):
    """The program killed at one point after the other, but for those known, each time in a fresh folder."""
    first, report = trial("first", store), "points"
    run = first.start(*command, prepare=partial(noted, report))
    assert run.ended() == 0, run.words
    names = (first.folder / report).read_text().splitlines()
    numbers = [n for n in chosen(names, count) if names[n] not in known]
    for number in numbers:
        program = trial(number, store)
        killed = program.start(*command, prepare=partial(killed_at, number))
        assert killed.ended() < 0, (names[number], killed.words)
        yield names[number], program
        shutil.rmtree(program.folder)
    tell("kills at named points", len(numbers))


def named_by_check(program):
    """`db check` names what a kill left beside the store, and calls none of it damage."""
    store = schema.open_for_reading(program.store)
    assert list(db.damage(store)) == []
    known = {finding["where"] for finding in db.strangers(store)}
    store.close()
    assert all(
        str(path.relative_to(program.store.parent)) in known for path in program.folder.rglob(".*.partial")
    )


@counted("kills at each named point")
@pytest.mark.parametrize(
    ("begin", "command"),
    [(None, SWEEP), ("begun", SWEEP), ("half", SWEEP), ("whole", REDO)],
    ids=["fresh", "begun", "half-way", "redone"],
)
def test_killed_at_a_named_point_a_sweep_ends_with_the_same_bits(
    trial, stores, fresh, undisturbed, begin, command, count
):
    """Before and after the temporary file, its renaming, the commit, the deletion of what is needed no more.

    In short every name once, of those that a fresh sweep has too only the initial weights': a run that was killed
    before its first checkpoint writes them again while its row names them.

    Taken out: writing the file before its row, in `jobs._commit_segment`; a row named a checkpoint that was not
    there. The temporary name in `artifacts.write`; a row named initial weights that were gone, in "begun". One
    transaction for the migration and its seals in `schema._upgrade`; the store was called damaged.
    """
    known = {name for name in fresh if not name.startswith("initial")} if count == 1 and begin else ()
    for name, program in each_point(trial, stores[begin], command, count, known):
        print(name)
        check_if_any(program.store)
        finish(program, undisturbed)
        named_by_check(program)


@counted("kills at each named point")
@pytest.mark.parametrize("version", schema.VERSIONS[:-1])
def test_killed_at_a_named_point_an_upgrade_is_whole_or_not_begun(trial, kept, tmp_path, version, count):
    """Each statement of the migration is a point too. Taken out: one transaction for the seals too;
    the store was called damaged.
    """
    kept(version, tmp_path / "kept")
    for name, program in each_point(trial, tmp_path / "kept", UPGRADE, count):
        print(name)
        found = schema._version_at(program.store, unchecked=False)
        assert found in {version, schema.HEAD}
        again = program.start(*UPGRADE)
        assert again.ended() == 0, again.words
        named_by_check(program)
        assert results(program.store) == results(tmp_path / "first" / "results" / "ltsm.db")


@counted("kills at each named point")
def test_killed_at_a_named_point_a_copy_is_whole_or_none(trial, stores, undisturbed, count):
    """Taken out: the temporary name in `backup.copy`; half a copy stood under the copy's name."""
    for name, program in each_point(trial, stores["whole"], BACKUP, count):
        print(name)
        copy = program.folder / "copy" / "ltsm.db"
        if not copy.exists():
            assert program.start(*BACKUP).ended() == 0, program.words
        check_if_any(copy)
        assert results(copy) == undisturbed


@counted("kills at each named point")
@pytest.mark.parametrize("command", [DELETE, DELETE_ALL], ids=["runs", "protocol"])
def test_killed_at_a_named_point_a_deletion_is_whole_or_not_begun(
    trial, stores, undisturbed, tmp_path, command, count
):
    """Each statement of it is a point too. What it leaves beside the store is named, is no damage and goes with
    `db prune`; what it deleted comes back by a sweep, to the same bits.

    Taken out: deleting the files after their rows, in `drop.drop_runs`; a row named a file that was gone. One
    transaction for the rows and the seals there; the store was called damaged.
    """
    for name, program in each_point(trial, stores["whole"], command, count):
        print(name)
        check(program.store)
        named_by_check(program)
        left = results(program.store)
        deleted = results(tmp_path / "first" / "results" / "ltsm.db")
        assert left in (undisturbed, deleted)
        if left != deleted:
            assert program.start(*command).ended() == 0, program.words
        without_strays(program)
        finish(program, undisturbed)


@counted("kills at each named point")
def test_killed_at_a_named_point_weights_are_dropped_or_not_yet(trial, stores, tmp_path, count):
    """The runs stay done. Taken out: deleting the files after their rows, in `drop.drop_files`; a row named a file that
    was gone.
    """
    for name, program in each_point(trial, stores["whole"], PRUNE, count):
        print(name)
        check(program.store)
        named_by_check(program)
        assert states_of(program.store) == {"done"}
        assert program.start(*PRUNE).ended() == 0, program.words
        without_strays(program)
        assert files_of(program.store.parent) == files_of(tmp_path / "first" / "results")
        assert files_of(program.store.parent).keys() < files_of(stores["whole"]).keys()


@counted("kills at each named point")
def test_killed_at_a_named_point_what_was_dropped_is_made_again_in_the_end(trial, stores, undisturbed, count):
    """The same files by the same paths. Taken out: writing a file before its row says that it is there, in
    `rebuild._write`; a row named a file that was not there.
    """
    pruned, whole = trial("pruned", stores["whole"]), files_of(stores["whole"])
    assert pruned.start(*PRUNE).ended() == 0, pruned.words
    for name, program in each_point(trial, pruned.store.parent, REBUILD, count):
        print(name)
        check(program.store)
        named_by_check(program)
        assert program.start(*REBUILD).ended() == 0, program.words
        assert files_of(program.store.parent) == whole
        assert results(program.store) == undisturbed


@counted("kills at each named point")
def test_killed_at_a_named_point_a_merge_goes_on(trial, stores, fresh, undisturbed, count):
    """Into a store with a run under way: each run is wholly what it was or what it is there, with its files.

    In short only at points that a sweep does not have, and at those of trained weights. Taken out: one transaction for a run's rows and its seal in `merge._take_rows`; the store was called damaged. Copying
    files before that; a row named a file that was not there.
    """
    command = ("db", "merge", stores["whole"] / "ltsm.db")
    known = {name for name in fresh if not name.startswith("final")} if count == 1 else ()
    for name, program in each_point(trial, stores["half"], command, count, known):
        print(name)
        check(program.store)
        named_by_check(program)
        assert program.start(*command).ended() == 0, program.words
        check(program.store)
        without_strays(program)
        assert results(program.store) == undisturbed


def without_strays(program):
    """`db prune` takes what a kill left, and then nothing is left to be named."""
    run = program.start("db", "prune", "--only", "strays", "--yes")
    assert run.ended() == 0, run.words
    store = schema.open_for_reading(program.store)
    assert list(db.strangers(store)) == []
    store.close()


def states_of(path):
    store = schema.open_for_reading(path)
    found = {run.state for run in read.runs(store)}
    store.close()
    return found


def files_of(folder):
    """What lies among the weights, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / "weights").rglob("*.safetensors")
    }
