"""Filters, orders, selections and groups."""

from dataclasses import replace

import pytest
from single_runs import DONE, PENDING

from ltsm.dashboard import curve_groups, filters, selection
from ltsm.dashboard.selection import Selection
from ltsm.dashboard.sorting import in_order, next_order
from ltsm.dashboard.source import Source
from ltsm.dashboard.widgets.columns import Column
from ltsm.errors import UsageError

RUNS = [
    DONE,
    replace(DONE, id=2, seed=3, kind="ticket", hidden=(200, 30)),
    replace(PENDING, id=3, seed=3, state="failed", hidden=(100, 15)),
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [1, 2, 3]),
        ("kind:ticket", [2]),
        ("kind:t,h", [1, 2, 3]),
        ("seed:3", [2, 3]),
        ("seed:0-2", [1]),
        ("state:failed seed:3", [3]),
        ("hidden:100,15", [3]),
        ("hyperop", [1, 3]),
        ("kind:ticket state:failed", []),
    ],
)
def test_every_term_must_fit(text, ids):
    passes = filters.parse(text)
    assert [run.id for run in RUNS if passes(run)] == ids


@pytest.mark.parametrize("text", ["colour:red", "seed:x", "hidden:", "kind:", "state:asleep"])
def test_a_term_that_no_run_can_meet_is_refused_in_a_sentence(text):
    with pytest.raises(UsageError):
        filters.parse(text)


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


def test_the_groups_are_the_papers(finished, moment):
    source = Source(finished)
    source.look()
    groups = {group.key: group for group in curve_groups.groups(moment, source.table_1(moment))}
    assert list(groups)[:6] == [
        "initial",
        "baseline",
        "ticket",
        "High performer",
        "Medium performer",
        "Low performer",
    ]
    assert groups["ticket"].published == 0.078
    assert groups["hyperop (200, 30)"].published == 0.078
    assert groups["initial"].published is None
    assert sum(len(groups[f"{name} performer"].runs) for name in ("High", "Medium", "Low")) == 30
    assert groups["ticket"].started == 3


def test_first_seen_is_what_there_is(moment):
    assert selection.first_selection(moment).keys == ["ticket", "hyperop (200, 30)"]
    early = replace(moment, runs=(PENDING,))
    assert selection.first_selection(early).keys == ["initial"]
