"""The digests over what a store holds, block by block: what was changed is found, wherever it is."""

# ruff: noqa: S608 - the statements are the tests' own

import re
import sqlite3
from datetime import UTC, datetime

import pytest

from ltsm.protocol import PAPER
from ltsm.store import read, schema, seal, write
from ltsm.store.values import Artifact, Beginning, MaskRow, Metric, RecipeSpec, RunSpec, Segment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SPEC = RecipeSpec("fingerprint", "long", {"hidden": [4]})
BLOCKS = 4
END = (BLOCKS - 1) * seal.BLOCK + 800
"""The last block has a few records only."""
SEGMENT = 3_000
RANGE = re.compile(r"BETWEEN (\d+) AND (\d+)")


def segments():
    """Every record of a run of four blocks, some at a time, with a segment that ends where a block does."""
    ends = sorted({*range(SEGMENT, END, SEGMENT), 2 * seal.BLOCK, END})
    for begin, end in zip([-100, *ends], ends, strict=False):
        first = begin // 100 * 100 + 100
        yield end, [Metric(i, 0.5, 1.0 / (1 + i), 0.25) for i in range(first, end + 1, 100)]


def begin(store, seed):
    protocol_id = write.add_protocol(store, PAPER, NOW)
    write.add_runs(store, protocol_id, [SPEC], [RunSpec(seed, SPEC.fingerprint, (4,), END, {})], NOW)
    run_id = read.find_run(store, protocol_id, SPEC.fingerprint, seed).id
    beginning = Beginning(
        iterations=END,
        initial=Artifact("initial", "00"),
        inputs=2,
        classes=2,
        parameters=22,
        relative_size=0.5,
        device="cpu",
        provenance={},
        masks=[MaskRow(run_id, seed, 0.5, 0.5, (11,), 1.0, 0.5, True, b"\xf0")],
    )
    write.begin(store, run_id, beginning, NOW)
    return run_id


def trained(store, run_id, until=END):
    for at, metrics in segments():
        if at > until:
            break
        done = at == END
        segment = Segment(
            metrics=metrics,
            iteration=at,
            state="done" if done else "running",
            seconds=1.0,
            checkpoint=None if done else Artifact(f"checkpoint-{at}", "11"),
            final=Artifact("final", "22") if done else None,
        )
        write.record(store, run_id, segment, NOW)


def seals(store):
    with store.engine.connect() as connection:
        return dict(connection.exec_driver_sql("SELECT name, sha256 FROM seal ORDER BY name").fetchall())


def anew(store):
    """What the seals are when all are taken from what stands there."""
    with store.engine.begin() as connection:
        seal.seal_all(connection)
    return seals(store)


@pytest.fixture
def store(tmp_path):
    """Two runs with records in four blocks."""
    opened = schema.open_for_writing(tmp_path / "ltsm.db")
    for seed in (0, 1):
        trained(opened, begin(opened, seed))
    yield opened
    opened.close()


def by_hand(store, *statements):
    database = sqlite3.connect(store.path)
    for statement in statements:
        assert database.execute(statement).rowcount > 0, statement
    database.commit()
    database.close()


def test_seals_that_grew_segment_by_segment_are_those_of_the_whole(store):
    """Taken out: the blocks before `since` in `seal.seal_runs`; the run's digest was another."""
    grown = seals(store)
    its = {"1", "2", *(f"{run}:{block}" for run in (1, 2) for block in range(BLOCKS))}
    assert set(grown) == {"plan", "runs:0", "results:0", *its}
    assert read.faults(store) == []
    assert anew(store) == grown


@pytest.mark.parametrize(
    "iteration", [0, 5_000, seal.BLOCK - seal.BLOCK % 100, 2 * seal.BLOCK, END - 800, END]
)
@pytest.mark.parametrize(
    "column", ["train_loss", "val_loss", "val_accuracy", "test_loss", "density", "sampled_accuracy"]
)
def test_a_changed_record_is_found_in_every_block(store, iteration, column):
    """The first, one in the middle, the last before a block ends, and the last of all."""
    nearest = iteration // 100 * 100
    by_hand(store, f"UPDATE metric SET {column} = 0.1 WHERE run_id = 1 AND iteration = {nearest}")
    assert read.faults(store) == ["the row, the records or the masks of run 1 are not as they were written"]


DAMAGES = {
    "a record gone": ["DELETE FROM metric WHERE run_id = 2 AND iteration = 8200"],
    "a record added": ["INSERT INTO metric (run_id, iteration) VALUES (2, 8250)"],
    "a block gone": [f"DELETE FROM metric WHERE run_id = 2 AND iteration / {seal.BLOCK} = 1"],
    "a block and its seal gone": [
        f"DELETE FROM metric WHERE run_id = 2 AND iteration / {seal.BLOCK} = 1",
        "DELETE FROM seal WHERE name = '2:1'",
    ],
    "the last block and its seal gone": [
        f"DELETE FROM metric WHERE run_id = 2 AND iteration / {seal.BLOCK} = {BLOCKS - 1}",
        f"DELETE FROM seal WHERE name = '2:{BLOCKS - 1}'",
    ],
    "all records and their seals gone": [
        "DELETE FROM metric WHERE run_id = 2",
        "DELETE FROM seal WHERE name LIKE '2:%'",
    ],
    "a block of another run's": [
        f"DELETE FROM metric WHERE run_id = 2 AND iteration / {seal.BLOCK} = 1",
        f"""INSERT INTO metric (run_id, iteration, train_loss, val_loss, val_accuracy)
            SELECT 2, iteration, train_loss, val_loss, val_loss FROM metric
            WHERE run_id = 1 AND iteration / {seal.BLOCK} = 1""",
    ],
    "a block's seal gone": ["DELETE FROM seal WHERE name = '2:2'"],
    "the run's seal gone": ["DELETE FROM seal WHERE name = '2'"],
    "a need": ["INSERT INTO need VALUES (2, 'start', 1)"],
    "a file": ["UPDATE file SET sha256 = '33' WHERE run_id = 2 AND role = 'final'"],
    "a file gone": ["DELETE FROM file WHERE run_id = 2 AND role = 'initial'"],
    "a mask": ["UPDATE mask SET bits = x'f1' WHERE run_id = 2"],
    "what an amount is": ["UPDATE mask SET amount_by = 'fraction' WHERE run_id = 2"],
    "the row": ["UPDATE run SET best_iteration = 100 WHERE id = 2"],
    "its recipe": [
        "INSERT INTO recipe VALUES (2, 'x', 'x', '{}')",
        "UPDATE run SET recipe_id = 2 WHERE id = 2",
    ],
}


@pytest.mark.parametrize("case", DAMAGES)
def test_whatever_is_changed_of_a_run_is_found(store, case):
    by_hand(store, *DAMAGES[case])
    assert "the row, the records or the masks of run 2 are not as they were written" in read.faults(store)


PLANS = {
    "a recipe's name": "UPDATE recipe SET name = 'short'",
    "a recipe's settings": "UPDATE recipe SET settings = '{}'",
    "a recipe's identity": "UPDATE recipe SET fingerprint = 'x'",
    "a recipe added": "INSERT INTO recipe VALUES (2, 'x', 'x', '{}')",
    "a protocol": "UPDATE protocol SET name = 'other'",
    "a run gone, with all its seals": "DELETE FROM run WHERE id = 2",
}


@pytest.mark.parametrize("case", PLANS)
def test_whatever_is_changed_of_the_plan_is_found(store, case):
    by_hand(store, PLANS[case])
    plan = "the tables, the protocols, the recipes or the list of runs are not as they were written"
    assert plan in read.faults(store)


def test_after_a_step_back_the_seals_are_those_of_what_is_left(store):
    """Records of the last block go, and its seal with them. Taken out: `_forget` in `seal.seal_runs`."""
    run_id = begin(store, 2)
    trained(store, run_id, 18_000)
    assert f"{run_id}:2" in seals(store)
    write.rewind(store, run_id, NOW)
    assert read.runs(store, ids=[run_id])[0].iteration == 2 * seal.BLOCK
    found = seals(store)
    assert f"{run_id}:2" not in found
    assert read.faults(store) == []
    assert anew(store) == found


def test_after_a_reset_no_block_has_a_seal(store):
    write.reset(store, [1], NOW)
    found = seals(store)
    assert not [name for name in found if name.startswith("1:")]
    assert {name for name in found if name.startswith("2:")} == {f"2:{block}" for block in range(BLOCKS)}
    assert read.faults(store) == []
    assert anew(store) == found


def test_a_segment_hashes_no_block_before_its_own(store, monkeypatch):
    """However many records a run has. Taken out: `since` in `write._change`; every record was read at every segment."""
    run_id = begin(store, 2)
    trained(store, run_id, 2 * seal.BLOCK)
    read_from, original = [], seal._block_digests

    def noted(connection, run_ids, since=0):
        read_from.append(since)
        return original(connection, run_ids, since)

    monkeypatch.setattr(seal, "_block_digests", noted)
    at = 2 * seal.BLOCK + 16
    segment = Segment(metrics=[Metric(at, 1.0, 1.0, 0.5)], iteration=at, state="running", seconds=1.0)
    write.record(store, run_id, segment, NOW)
    assert read_from == [2 * seal.BLOCK]


def test_ten_runs_seals_do_not_take_each_others_blocks(tmp_path):
    """Run 1's are not those of run 10: names are compared whole."""
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    for seed in range(10):
        begin(store, seed)
    trained(store, 10, seal.BLOCK)
    write.reset(store, [1], NOW)
    assert "10:0" in seals(store)
    assert read.faults(store) == []
    store.close()


def test_sealing_two_runs_reads_nothing_of_those_between(tmp_path):
    """The files of one seed belong to runs all over a store that was swept recipe by recipe."""
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    ids = [begin(store, seed) for seed in range(4)]
    asked = []
    with store.engine.begin() as connection:
        connection.connection.driver_connection.set_trace_callback(asked.append)
        seal.seal_runs(connection, [ids[3], ids[0]])
        connection.connection.driver_connection.set_trace_callback(None)
    ranges = {tuple(map(int, found)) for query in asked for found in RANGE.findall(query)}
    assert ranges == {(ids[0], ids[0]), (ids[3], ids[3])}
    assert read.faults(store) == []
    store.close()
