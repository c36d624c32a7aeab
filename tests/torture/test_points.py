"""kill -9 at every named point between a file's write and its row's commit."""

import random
import shutil
from functools import partial

import pytest
from small import results
from torture.counts import counted, tell
from torture.oracle import check_if_any, finish
from torture.points import killed_at, noted
from torture.program import Program

from ltsm.cli import db
from ltsm.store import schema

SWEEP = ("sweep", "--protocol", "small.toml", "--jobs", "1")
REDO = ("train-baseline", "--protocol", "small.toml", "--jobs", "1", "--seed", "0", "--force", "--yes")
BACKUP = ("db", "backup", "copy/ltsm.db")
UPGRADE = ("db", "upgrade")


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
