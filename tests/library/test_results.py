"""`ltsm.open`: what a store holds as plain records and data frames, read only."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import made_up
import numpy as np
import pytest

import ltsm
from ltsm.errors import LtsmError, StoreError, UsageError
from ltsm.protocol import PAPER
from ltsm.report import document
from ltsm.report.evaluation import load
from ltsm.store import read, schema, write
from ltsm.studies import controls, paper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ltsm.library.results import Results

OTHER = PAPER.changed(lr=0.002, name="other")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of the controls and two of another protocol's paper, one run of which failed."""
    found = made_up.evaluation(
        tmp_path_factory.mktemp("open") / "ltsm.db", seeds=(0, 1, 2), study=controls.study
    )
    store = schema.open_for_writing(found)
    failed = {(paper.TICKET, 1): "failed"}
    made_up.fill(store, made_up.MadeUp(seeds=(0, 1), protocol=OTHER, states=failed))
    store.close()
    return found


@pytest.fixture
def results(path: Path) -> Iterator[Results]:
    with ltsm.open(path) as found:
        yield found


def test_opening_and_reading_loads_no_torch(path: Path) -> None:
    """Nor pandas, matplotlib or scipy, until somebody asks for what needs them."""
    code = (
        "import sys, ltsm; r = ltsm.open(sys.argv[1]); r.protocols(); r.runs(); r.curves(seed=0); r.masks(seed=0, bits=True)\n"
        "r.table()\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'textual', 'typer'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_protocols_say_how_much_of_them_is_done(results: Results) -> None:
    first, second = results.protocols()
    assert (first.name, first.seeds, first.finished) == ("paper", (0, 1, 2), first.runs)
    assert (second.name, second.settings["lr"], second.runs - second.finished) == ("other", 0.002, 1)
    assert "paper" in repr(results)


def test_runs_have_the_numbers_of_the_store(results: Results) -> None:
    """A training's from its records, a search's from its mask; of one that failed there are none."""
    store = schema.open_for_reading(results.path)
    stored = {result.run_id: result for result in read.results(store, 1)}
    masks = {mask.run_id: mask for mask in read.masks(store, 1, selected=True)}
    store.close()
    runs = {run.id: run for run in results.runs(protocol="paper")}
    assert runs.keys() == stored.keys()
    for run in runs.values():
        assert same(run.final_val_loss, stored[run.id].final_val_loss)
        assert same(run.minimal_val_loss, stored[run.id].minimal_val_loss)
    search = next(run for run in runs.values() if run.recipe == paper.SUPERMASK)
    assert search.untrained_val_accuracy == masks[search.id].val_accuracy
    trained = next(run for run in runs.values() if run.recipe == paper.TICKET)
    assert trained.untrained_val_loss == stored[trained.id].untrained_val_loss
    (failed,) = results.runs("state:failed")
    assert (failed.protocol, failed.seed) == ("other", 1)
    assert math.isnan(failed.final_val_loss)


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def test_curves_are_the_records_in_order(results: Results) -> None:
    store = schema.open_for_reading(results.path)
    (ticket,) = results.runs(protocol=1, recipe=paper.TICKET, seed=2)
    stored = read.metrics(store, [ticket.id])[ticket.id]
    store.close()
    curve = results.curves(protocol=1, recipe=paper.TICKET, seed=2)
    assert [(c.iteration, c.val_loss, c.val_accuracy) for c in curve] == [m[0:1] + m[2:4] for m in stored]
    assert len(results.curves()) > len(results.curves(protocol=1)) > len(curve)


def test_masks_come_with_their_bits_where_asked_for(results: Results) -> None:
    (mask,) = (m for m in results.masks(protocol=1, recipe=paper.SUPERMASK, seed=0, bits=True) if m.selected)
    assert mask.bits is not None
    kept = np.unpackbits(np.frombuffer(mask.bits, "uint8"))
    assert kept.size >= sum(mask.layer_sizes)
    assert all(m.bits is None for m in results.masks(seed=0))


def test_a_table_is_the_reports(results: Results) -> None:
    """The same labels and means as the report's CSV."""
    store = schema.open_for_reading(results.path)
    text = document.csv(load(store, "paper", controls.NAME), against_paper=False)
    store.close()
    cells = results.table(controls.NAME, protocol="paper")
    for label in {cell.row for cell in cells}:
        assert f"{label}," in text or f'"{label}",' in text
    assert all(math.isnan(cell.mean) or repr(cell.mean) in text for cell in cells)
    assert {cell.n for cell in cells if not math.isnan(cell.mean)} == {3}


@pytest.mark.parametrize("what", ["protocols", "runs", "curves", "masks", "table"])
def test_everything_is_a_data_frame_too(results: Results, what: str) -> None:
    """A row a record, a column a name, and the columns also where there is no record."""
    records = getattr(results, what)()
    frame = records.frame()
    assert len(frame) == len(records) > 0
    assert tuple(frame.columns) == records[0]._fields
    if what not in {"protocols", "table"}:
        empty = getattr(results, what)("state:interrupted").frame()
        assert tuple(empty.columns) == records[0]._fields
        assert len(empty) == 0


def test_without_pandas_a_frame_is_a_sentence(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LtsmError, match="data frames need pandas") as caught:
        results.runs().frame()
    assert "'pandas>=2.2'" in caught.value.hint


def test_filters_and_keywords_name_the_same_runs(results: Results) -> None:
    """A study's runs are called as it calls them, its ancestors among them."""
    by_words = results.runs("kind:ticket seed:0-1", protocol="paper")
    by_names = results.runs(protocol=1, recipe=paper.TICKET, seed=range(2))
    assert [run.id for run in by_words] == [run.id for run in by_names] != []
    of_paper = {run.recipe for run in results.runs(study=paper.NAME, protocol="paper")}
    assert of_paper == {name for name in paper.study(PAPER).recipes if not name.startswith("hyperop")}
    assert {run.protocol for run in results.runs(study=controls.NAME)} == {"paper", "other"}


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"where": "loss<"}, "no filter"),
        ({"where": "colour:red"}, "to filter by"),
        ({"protocol": "third"}, "no protocol"),
        ({"study": "none"}, "there is no study"),
        ({"recipe": "tickets"}, "there is no recipe"),
    ],
)
def test_what_there_is_not_is_refused(results: Results, how: dict[str, str], match: str) -> None:
    with pytest.raises((UsageError, StoreError), match=match):
        results.runs(**how)  # type: ignore[arg-type]


def test_a_store_that_is_being_written_is_read_as_it_is_then(tmp_path: Path) -> None:
    """By a writer with its claim, before, between and after its transactions."""
    with (
        schema.writer(tmp_path / "ltsm.db", "test", made_up.NOW) as store,
        ltsm.open(tmp_path / "ltsm.db") as results,
    ):
        assert (results.protocols(), results.runs(), results.curves()) == ([], [], [])
        made_up.fill(store, made_up.MadeUp(seeds=(0,)))
        before = len(results.runs())
        assert before > 0
        write.add_runs(store, 1, *planned(PAPER, (1,)), made_up.NOW)
        assert len(results.runs()) > before
        assert {run.state for run in results.runs(seed=1)} == {"pending"}


def planned(protocol: ltsm.Protocol, seeds: tuple[int, ...]):
    from ltsm.steps import plan

    study = paper.study(protocol)
    runs = plan.keys(study.recipes, seeds)
    return plan.recipe_specs(study, study.recipes), plan.run_specs(study, runs)


def test_it_refuses_what_readers_refuse_with_the_same_sentences(tmp_path: Path, path: Path) -> None:
    """No store, no store of ours, an empty one, a damaged one, a URL of another database."""
    (tmp_path / "text.db").write_text("no database")
    (tmp_path / "empty.db").write_bytes(b"")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(path.read_bytes().replace(b"initial training", b"initial trainimg"))
    for name in ("none.db", "text.db", "empty.db", "damaged.db"):
        with pytest.raises(StoreError) as by_reader:
            schema.open_for_reading(tmp_path / name)
        with pytest.raises(StoreError) as caught:
            ltsm.open(tmp_path / name)
        assert (caught.value.message, caught.value.hint) == (by_reader.value.message, by_reader.value.hint)
    with pytest.raises(StoreError, match="only SQLite"):
        ltsm.open("postgresql://localhost/ltsm")


def test_nothing_can_be_written_through_it(results: Results) -> None:
    with pytest.raises(StoreError, match="readonly"):
        write.rename_protocol(results._store, 1, "another")


def test_a_folder_stands_for_the_store_in_it(path: Path) -> None:
    with ltsm.open(path.parent) as results:
        assert results.path == path
