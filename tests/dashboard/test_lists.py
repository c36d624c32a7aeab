"""Filters, orders, selections and groups."""

from dataclasses import replace

import made_up
import pytest
from single_runs import DONE, PENDING

from ltsm.dashboard import curve_groups, legend
from ltsm.dashboard.curve_groups import Asked
from ltsm.dashboard.legend import Selection
from ltsm.dashboard.source import Source
from ltsm.dashboard.widgets.columns import Column
from ltsm.dashboard.widgets.sorting import in_order, next_order
from ltsm.protocol import PAPER
from ltsm.report.statistics import Summary
from ltsm.store import read
from ltsm.studies import paper
from ltsm.studies.study import Group


def test_sorting_once_more_turns_round_and_then_takes_back():
    assert next_order(None, 2) == (2, False)
    assert next_order((2, False), 2) == (2, True)
    assert next_order((2, True), 2) is None
    assert next_order((2, True), 1) == (1, False)


def test_what_has_no_value_comes_last_either_way():
    column = Column(title="", width=1, value=lambda row: row, text=str)
    rows = [2, None, 1, float("nan"), 3]
    assert in_order(rows, [column], (0, False))[:3] == [1, 2, 3]
    assert in_order(rows, [column], (0, True))[:3] == [3, 2, 1]
    assert in_order(rows, [column], None) is rows


def test_a_group_keeps_its_colour_while_others_come_and_go():
    chosen = Selection(("a", "b", "c"))
    without = chosen.toggled("b")
    assert without.keys == ["a", "c"]
    assert without.tone("c") == chosen.tone("c")
    assert without.toggled("d").tone("d") == chosen.tone("b")
    assert without.tag("b") == ""


@pytest.fixture
def moment(finished):
    return Source(finished).look()


def test_the_lines_are_the_studys_groups_and_what_else_it_trains(finished, moment):
    source = Source(finished)
    source.look()
    lines = {line.key: line for line in curve_groups.lines(moment)}
    assert list(lines) == [
        "ticket",
        *(paper.hyperop(h) for h in PAPER.hyperops),
        "initial training",
        "baseline",
    ]
    assert lines["ticket"].published == 0.078
    assert lines["hyperop (200, 30)"].published == 0.078
    assert lines["initial training"].published is None
    assert lines["ticket"].started == 3


def test_curves_wait_for_no_table(finished, moment, monkeypatch):
    """Their published levels do not depend on results. Taken out: a table of nothing; one of everything was made."""
    source = Source(finished)
    expected = {row.label: row for row in source.table(moment).rows}
    monkeypatch.setattr(read, "results", None)
    drawn = curve_groups.drawing(Source(finished), moment, Asked(["ticket"]))
    published = {line.name: line.published for line in drawn.lines if line.published is not None}
    theirs = {label: row.cells[2].theirs.mean for label, row in expected.items()}
    assert sorted(published.values()) == sorted(theirs.values())
    assert len(published) == len(paper.study(PAPER).groups)


@pytest.mark.parametrize("measure", curve_groups.MEASURES)
def test_a_curve_is_one_column_of_the_records(finished, moment, measure):
    source = Source(finished)
    records = source.records(moment.runs)
    expected = {
        i: [(float(r.iteration), getattr(r, measure)) for r in of_run] for i, of_run in records.items()
    }
    assert repr(source.points(moment.runs, measure)) == repr(expected)  # NaN is no NaN


def test_first_seen_is_what_there_is(moment):
    assert legend.first_selection(moment).keys == ["ticket", "hyperop (200, 30)"]
    early = replace(moment, runs=(DONE._replace(recipe="initial training", iteration=100),))
    assert legend.first_selection(early).keys == ["initial training"]
    assert legend.first_selection(replace(moment, runs=(PENDING,))).keys == []


def test_a_group_that_ends_early_is_drawn_so_far_and_no_further(controlled):
    """The dense network of the controls is the beginning of the initial training."""
    source = Source(controlled)
    drawn = curve_groups.drawing(source, source.look(), Asked(["dense", "initial training"]))
    assert drawn.curves["dense"].band.x[-1] == 5000
    assert drawn.curves["initial training"].band.x[-1] == 20_000


def test_a_group_of_several_recipes_is_averaged_by_seed(tmp_path):
    """A deviation over a pool of networks would be one of networks, not of seeds."""
    two = [paper.hyperop((50, 5)), paper.hyperop((50, 15))]
    study = replace(paper.study(PAPER), groups=(Group("both", tuple(two)),), reference="both")
    curves = {
        (name, seed): [(0, 1.0 + i, 0.1), (100, seed + i, 0.1)]
        for i, name in enumerate(two)
        for seed in (1, 2)
    }
    source = Source(made_up.exact(tmp_path / "ltsm.db", paper.study(PAPER), curves))
    drawn = curve_groups.drawing(source, replace(source.look(), study=study), Asked(["both"]))
    assert drawn.curves["both"].band.at(100) == Summary(2, 2.0, pytest.approx(2**-0.5))
