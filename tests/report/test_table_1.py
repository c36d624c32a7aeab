"""Table 1: the paper's rows, groups, order and number format."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltsm.report.all import contents
from ltsm.report.paper import published
from ltsm.report.paper.table_1 import COLUMNS, best_cuts, groups, of_category, table_1
from ltsm.report.statistics import Summary
from ltsm.studies import paper

SIZE, FINAL, MINIMAL, ITERATION = COLUMNS


@pytest.fixture
def table(evaluations):
    return table_1(evaluations("full"))


def test_a_new_order_every_epoch_is_said(evaluations):
    """Data of one's own is reshuffled by default, and who reads the table must know."""
    full = evaluations("full")
    shuffled = replace(full, protocol=full.protocol.changed(order="shuffled"))
    assert any("reshuffled every epoch" in note for note in table_1(shuffled).notes)
    assert not any("reshuffled" in note for note in table_1(full).notes)


def test_rows_have_the_papers_labels_groups_and_order(table):
    assert [(row.label, row.category) for row in table.rows] == [
        (row.label, row.category) for row in published.table_1().values()
    ]


def test_exact_sizes_are_the_papers_to_the_printed_digit(table):
    for row in table.rows[1:]:
        assert row.cells[0].text == row.cells[0].published
        assert row.cells[0].agreement == "="


def test_the_published_losses_fall_into_the_papers_groups():
    """The computed split finds what the paper gauged by eye, from its own numbers."""
    rows = list(published.table_1().values())[1:]
    sizes = {row.label: (i,) for i, row in enumerate(rows)}
    found = groups({sizes[row.label]: row.cells["final_validation_loss"].mean for row in rows})
    assert [found[sizes[row.label]] for row in rows] == [row.category for row in rows]


def test_fewer_than_three_networks_have_fewer_groups():
    assert groups({}) == {}
    assert groups({(5,): 0.1}) == {(5,): "High performer"}
    assert groups({(5,): 0.2, (9,): 0.1}) == {(9,): "High performer", (5,): "Low performer"}


@given(st.lists(st.floats(0, 1), min_size=3, max_size=12))
def test_cuts_are_ordered_and_leave_no_part_empty(values):
    cuts = best_cuts(sorted(values), 3)
    assert cuts[0] == 0
    assert cuts[-1] == len(values)
    assert list(cuts) == sorted(set(cuts))
    assert len(cuts) == 4


def test_numbers_are_printed_as_in_the_paper():
    assert SIZE.text(Summary(10, 38.7, 17.9)) == "38.7% ± 17.9"
    assert SIZE.text(Summary(10, 100.0, math.nan)) == "100.0%"
    assert FINAL.text(Summary(10, 0.09, 0.003)) == "0.090 ± 0.003"
    assert ITERATION.text(Summary(10, 4870, 94.868)) == "4870.0 ± 94.9"
    assert MINIMAL.text(Summary(0, math.nan, math.nan)) == "–"


def test_the_caption_says_what_is_compared_and_how_a_network_is_called(evaluations, table):
    """With a letter a layer, as long as those are not too many."""
    assert table.title == "Table 1"
    assert table.caption.startswith(
        "Comparison of performance and size between the lottery tickets and the hyperoptimized networks."
        " “Hyperop (a, b)” is a dense network with hidden layers of these sizes."
        " All networks were trained for 5000 iterations."
    )
    full = evaluations("full")
    deep = replace(full, protocol=full.protocol.changed(hidden=(200, 100, 50, 30), hyperops=()))
    assert "“Hyperop (…)” is" in table_1(deep).caption


def test_the_networks_of_a_category_are_a_group_of_its_name(table):
    high = of_category(table, "High performer")
    assert high.label == "High performer"
    rows = [row for row in table.rows if row.category == "High performer"]
    assert high.recipes == tuple(name for row in rows for name in row.group.recipes)
    assert len(rows) == sum(row.category == "High performer" for row in published.table_1().values())


def test_n_stands_in_the_caption_and_beside_rows_that_have_fewer(evaluations, table):
    assert "over n = 10 seeds" in table.caption
    assert table.label(table.rows[0]) == "Lottery ticket"
    mixed = table_1(evaluations("mixed"))
    assert [mixed.label(row) for row in mixed.rows][:2] == [
        "Lottery ticket (n = 7)",
        "Hyperop (200, 30) [baseline] (n = 9)",
    ]


def test_diverged_runs_are_named_and_not_averaged(evaluations):
    table = table_1(evaluations("mixed"))
    row = next(row for row in table.rows if row.label == "Hyperop (50, 5)")
    assert (row.n, row.diverged) == (7, (2,))
    assert all(math.isfinite(cell.ours.mean) for cell in row.cells)
    assert table.notes == (
        "Hyperop (50, 5) diverged for seed 2: left out of its means.",
        "Initial training diverged for seed 0.",
        "Seed 1 ticket failed: out of memory.",
        "No run is finished of: Hyperop (50, 15).",
    )


def test_initial_training_that_never_improved_is_named(evaluations):
    full = evaluations("full")
    useless = [
        r._replace(minimal_iteration=0.0) if r.recipe == paper.INITIAL and r.seed > 7 else r
        for r in full.results
    ]
    assert table_1(full).notes == ()
    (note,) = table_1(replace(full, results=tuple(useless))).notes
    assert note.startswith("Initial training never improved on the untrained network for seeds 8, 9: ")


def test_a_missing_hyperop_keeps_its_row(evaluations):
    table = table_1(evaluations("mixed"))
    last = table.rows[-1]
    assert (last.label, last.category, last.n) == ("Hyperop (50, 15)", None, 0)


def test_one_seed_has_means_without_spread(evaluations):
    table = table_1(evaluations("one"))
    assert all("±" not in cell.text for row in table.rows for cell in row.cells)
    assert table.rows[0].cells[1].agreement == "not enough seeds"
    assert "One seed has no deviation." in table.caption


@pytest.mark.parametrize(("name", "compared"), [("full", True), ("named", False), ("digits", False)])
def test_only_results_on_the_papers_data_stand_beside_the_papers(evaluations, name, compared):
    """A loss on somebody's own images differs from MNIST's with any p, and it means nothing."""
    found = contents(evaluations(name))
    assert found.table.compared is compared
    assert any(number.published != "–" for number in found.numbers) is compared


def test_another_protocol_says_in_what_it_is_not_the_papers(evaluations):
    table = table_1(evaluations("digits"))
    assert "not MNIST" in table.caption
    assert any("dataset, hidden" in note for note in table.notes)
    assert [row.label for row in table.rows[1:]] == ["Hyperop (20, 8) [baseline]", "Hyperop (10, 4)"]
