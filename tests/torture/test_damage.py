"""Damage at random: found and named, never believed; and what it costs."""

import random
import shutil

import pytest
from small import SMALL, Silent, execution, results
from torture.counts import counted, tell
from torture.oracle import check

from ltsm.cli import db
from ltsm.errors import InterruptedRunError, StoreError
from ltsm.store import schema


def sweep(path, stop_after=None):
    watcher = Silent()

    def stop():
        return 130 if stop_after and sum(e[0] == "advanced" for e in watcher.events) >= stop_after else 0

    store = schema.open_for_writing(path)
    try:
        execution(store, SMALL.changed(seeds=(0,)), watcher=watcher, stop=stop).run()
    except InterruptedRunError:
        pass
    finally:
        store.close()
    return watcher


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "ltsm.db"
    sweep(path)
    return path


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """A store with two checkpoints of a run under way."""
    path = tmp_path_factory.mktemp("halfway") / "ltsm.db"
    sweep(path, stop_after=2)
    assert len(list(path.parent.rglob("checkpoint*"))) == 2
    return path


def flipped(content, draw):
    """Up to eight flipped bits, somewhere."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def overwritten(content, draw):
    """A stretch of zeros or noise, as a bad block is."""
    start = draw.randrange(len(content))
    length = draw.choice([16, 512, 4096])
    noise = bytes(length) if draw.random() < 0.5 else draw.randbytes(length)
    return (content[:start] + noise + content[start + length :])[: len(content)]


def truncated(content, draw):
    return content[: draw.randrange(len(content))]


def emptied(_content, _draw):
    return b""


def lengthened(content, draw):
    return content + draw.randbytes(draw.randint(1, 5000))


KINDS = [flipped, flipped, flipped, overwritten, truncated, emptied, lengthened]


@counted("damaged stores")
def test_a_damaged_store_is_refused_or_reads_the_same(whole, tmp_path, count):
    """Whatever is changed in the database file: what is read is what was written, or nothing is.

    Taken out: `seal.broken` in `seal.faults`; flipped bits in records were read as results.
    """
    draw, content, expected = random.Random(count), whole.read_bytes(), results(whole)
    path, refusals = tmp_path / "ltsm.db", 0
    shutil.copytree(whole.parent / "weights", tmp_path / "weights")
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path.write_bytes(kind(content, draw))
        try:
            assert results(path) == expected, (number, kind)
        except StoreError as error:
            refusals += 1
            assert str(path) in error.message, error
            with pytest.raises(StoreError):
                schema.open_for_writing(path)
        for companion in ("-wal", "-shm"):
            path.with_name(path.name + companion).unlink(missing_ok=True)
    assert refusals > count / 2
    tell("damaged stores", count)


@counted("damages")
def test_a_damaged_weights_file_is_named(whole, tmp_path, count):
    """Flipped, cut, emptied, lengthened or swapped with another: `db check` names the file, and no step takes it.

    Taken out: the SHA-256 in `artifacts.read`; no damage but a missing file was found.
    """
    shutil.copytree(whole.parent, tmp_path, dirs_exist_ok=True)
    store = schema.open_for_reading(tmp_path / "ltsm.db")
    draw, files = random.Random(count), sorted((tmp_path / "weights").rglob("*.safetensors"))
    contents = {file: file.read_bytes() for file in files}
    for number in range(count):
        file = draw.choice(files)
        if number % 8 == 7:
            other = draw.choice([f for f in files if contents[f] != contents[file]])
            file.write_bytes(contents[other])
        else:
            file.write_bytes(KINDS[number % 8 % len(KINDS)](contents[file], draw))
        if file.read_bytes() == contents[file]:
            continue  # zeros over zeros
        named = [finding["where"] for finding in db.damage(store)]
        assert named, number
        assert all(str(file) in where for where in named)
        file.write_bytes(contents[file])
    assert list(db.damage(store)) == []
    store.close()
    tell("damaged weights files", count)


@counted("writes that fail")
def test_a_damaged_checkpoint_costs_the_time_since_the_one_before(halfway, whole, tmp_path, count):
    """Taken out: `write.rewind`, resetting instead; the run began again at 0."""
    draw, expected = random.Random(count), results(whole)
    for number in range(count):
        folder = tmp_path / str(number)
        shutil.copytree(halfway.parent, folder)
        damaged = draw.sample(["checkpoint-100.safetensors", "checkpoint-200.safetensors"], k=1 + number % 2)
        for name in damaged:
            (file,) = folder.rglob(name)
            file.write_bytes(draw.choice(KINDS)(content := file.read_bytes(), draw))
            if file.read_bytes() == content:
                file.write_bytes(b"")
        watcher = sweep(folder / "ltsm.db")
        latest = "checkpoint-200.safetensors" in damaged
        wanted = 200 if not latest else 100 if len(damaged) == 1 else 0
        assert watcher.events[0][2] == wanted
        check(folder / "ltsm.db")
        assert results(folder / "ltsm.db") == expected
        shutil.rmtree(folder)
    tell("damaged checkpoints", count)


def test_an_emptied_store_buries_nothing(whole, tmp_path):
    """Taken out: `schema._refuse_emptied`; a new store was begun among the old one's weights."""
    shutil.copytree(whole.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "ltsm.db"
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="is damaged: it is empty, and weights lie beside it"):
        schema.open_for_writing(path)
    assert path.read_bytes() == b""


def test_stores_that_changed_places_are_noticed(whole, halfway, tmp_path):
    """Another store's database beside these weights: each file that it names is missed or another."""
    shutil.copytree(whole.parent / "weights", tmp_path / "weights")
    shutil.copy(halfway, tmp_path / "ltsm.db")
    store = schema.open_for_reading(tmp_path / "ltsm.db")
    assert list(db.damage(store))
    assert list(db.strangers(store))
    store.close()


@counted("writes that fail")
def test_damage_to_a_killed_sweeps_log_costs_only_time(context, tmp_path, undisturbed, count):
    """SQLite drops what it cannot believe of its write-ahead log: the store is an older one, and goes on from there."""
    from torture.program import Program

    draw = random.Random(count)
    for number in range(count):
        program = Program(context, tmp_path / str(number))
        run = program.sweep()
        run.said("baseline done")
        run.kill()
        log = program.store.with_name("ltsm.db-wal")
        if log.exists() and log.stat().st_size:
            log.write_bytes(draw.choice([flipped, overwritten, truncated])(log.read_bytes(), draw))
        last = program.sweep()
        if last.ended() == 3:  # all of the store was in the log
            assert "damaged" in last.words or "not one of ltsm's" in last.words, last.words
            continue
        assert last.ended() == 0, last.words
        check(program.store)
        assert results(program.store) == undisturbed
    tell("damaged write-ahead logs", count)


def test_definitions_that_are_no_text_are_a_sentence(whole, tmp_path):
    """Python cannot decode SQLite's own message about them. Taken out: UnicodeDecodeError in `engine`; a traceback."""
    path = tmp_path / "ltsm.db"
    path.write_bytes(whole.read_bytes().replace(b"CREATE TABLE metric", b"CREATE TABL\x8a metric"))
    for opened in (schema.open_for_reading, schema.open_for_writing):
        with pytest.raises(StoreError, match="is damaged: its tables' definitions are no text"):
            opened(path)
