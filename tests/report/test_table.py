"""The table and the comparisons of any study, on stores whose every number is known."""

import math
import statistics

import own_study
import pytest

from ltsm.protocol import PAPER
from ltsm.report import evaluation as evaluations_
from ltsm.report import measure
from ltsm.report.all import contents, table
from ltsm.report.evaluation import load
from ltsm.store import schema
from ltsm.studies import all as studies
from ltsm.studies import controls

SIZE, UNTRAINED, UNTRAINED_LOSS, FINAL, MINIMAL, ITERATION, ACCURACY = range(7)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """An evaluation of the study of one's own; arguments as `own_study.store`."""
    monkeypatch.setitem(studies.STUDIES, "widths", own_study.study)

    def evaluated(**how):
        store = schema.open_for_reading(own_study.store(tmp_path / "own.db", **how))
        found = load(store, None, "widths")
        store.close()
        return found

    return evaluated


def cells(evaluation, label, column):
    row = next(row for row in table(evaluation).rows if row.group.label == label)
    value = row.cells[column].ours
    return value.n, value.mean, value.sd


def test_a_group_of_one_recipe_has_its_mean_and_deviation_over_seeds(own):
    evaluation = own()
    mean, sd = statistics.mean(own_study.LOSSES["narrow"]), statistics.stdev(own_study.LOSSES["narrow"])
    assert cells(evaluation, "narrow ones", FINAL) == pytest.approx((5, mean, sd))
    assert cells(evaluation, "narrow ones", MINIMAL) == pytest.approx((5, mean - 0.05, sd))
    assert cells(evaluation, "narrow ones", ITERATION) == pytest.approx((5, 100, 0))
    assert cells(evaluation, "narrow ones", UNTRAINED) == pytest.approx((5, 10, 0))
    assert cells(evaluation, "narrow ones", ACCURACY) == pytest.approx((5, 60, 0))


def test_a_group_of_several_recipes_is_averaged_for_each_seed_before_the_deviation(own):
    """0.15 to 0.19 over five seeds; pooled it would be ten runs with a deviation thrice as large."""
    of_seeds = [(0.2 + loss) / 2 for loss in own_study.LOSSES["wider"]]
    wanted = (5, statistics.mean(of_seeds), statistics.stdev(of_seeds))
    assert cells(own(), "wide ones", FINAL) == pytest.approx(wanted)


def test_a_seed_that_lacks_a_recipe_of_its_group_is_left_out(own):
    curves = own_study.curves()
    del curves["wider", 4]
    evaluation = own(curves=curves)
    assert cells(evaluation, "wide ones", FINAL)[0] == 4
    row = next(row for row in table(evaluation).rows if row.group.label == "wide ones")
    assert table(evaluation).label(row) == "Wide ones (n = 4)"
    assert "Rows with an n of their own have fewer finished runs." in table(evaluation).caption


def test_a_group_with_until_is_measured_there(own):
    """From the longer training's records up to there: its later minimum is not its own."""
    curves = own_study.curves()
    curves["wide", 0] = [(0, 2.3, 0.1), (50, 0.12, 0.4), (100, 0.15, 0.5), (200, 0.01, 0.6)]
    evaluation = own(curves=curves)
    n, mean, _ = cells(evaluation, "wide, half-way", FINAL)
    assert (n, mean) == (5, pytest.approx(0.15))
    assert cells(evaluation, "wide, half-way", MINIMAL)[1] == pytest.approx((0.12 + 4 * 0.15) / 5)
    assert cells(evaluation, "wide, half-way", ITERATION)[1] == pytest.approx((50 + 4 * 100) / 5)
    assert cells(evaluation, "wide, half-way", ACCURACY)[1] == pytest.approx(50)
    assert "“Wide, half-way” is measured at iteration 100 of wide." in table(evaluation).caption


@pytest.mark.parametrize(
    ("records", "state", "n", "diverged"),
    [
        ([(0, 2.3, 0.1), (100, 0.15, 0.5), (200, math.nan, 0.1)], "diverged", 5, ()),
        ([(0, 2.3, 0.1), (50, math.nan, 0.1)], "diverged", 4, (0,)),
        ([(0, 2.3, 0.1), (100, 0.15, 0.5)], "running", 5, ()),
        ([(0, 2.3, 0.1), (50, 0.2, 0.1)], "running", 4, ()),
    ],
)
def test_until_asks_only_for_what_came_before(own, records, state, n, diverged):
    """A training that failed later, or goes on, has been there all the same."""
    evaluation = own(curves=own_study.curves() | {("wide", 0): records}, states={("wide", 0): state})
    row = next(row for row in table(evaluation).rows if row.group.until)
    assert (row.n, row.diverged) == (n, diverged)


def test_a_search_has_the_numbers_of_the_mask_that_it_chose(own):
    evaluation = own()
    size = pytest.approx((5, 50, math.nan), nan_ok=True)  # the same for every seed: it has no spread
    assert cells(evaluation, "masked", SIZE) == size
    assert cells(evaluation, "masked", UNTRAINED) == pytest.approx(
        (5, 32, statistics.stdev([30, 31, 32, 33, 34]))
    )
    assert cells(evaluation, "masked", UNTRAINED_LOSS)[1] == pytest.approx(1.5)
    assert cells(evaluation, "masked", FINAL)[0] == 0
    assert table(evaluation).notes == ()


def test_a_dense_networks_size_has_no_deviation(own):
    n, mean, sd = cells(own(), "narrow ones", SIZE)
    assert (n, mean) == (5, 100)
    assert math.isnan(sd)


def test_what_diverged_failed_or_is_missing_is_said(own):
    curves = {key: records for key, records in own_study.curves().items() if key[0] != "narrow"}
    curves["wider", 1] = [(0, 2.3, 0.1), (100, math.nan, 0.1)]
    found = table(own(curves=curves, states={("wider", 1): "diverged", ("wide", 2): "failed"}))
    assert found.notes == (
        "Wide ones diverged for seed 1: left out of its means.",
        "Seed 2 wide failed.",
        "No run is finished of: Narrow ones.",
    )


def test_the_reference_is_compared_with_every_other_group(own):
    """By hand: the wide ones' mean for each seed minus the other's, over the seeds that have both."""
    final, untrained = contents(own()).comparisons
    assert final.heading == untrained.heading == "Wide ones minus …"
    pairs = {pair.label: pair for pair in final.pairs}
    by_hand = [
        (0.2 + w) / 2 - n for w, n in zip(own_study.LOSSES["wider"], own_study.LOSSES["narrow"], strict=True)
    ]
    found = pairs["Narrow ones"]
    assert (found.difference.n, found.difference.mean) == (5, pytest.approx(statistics.mean(by_hand)))
    assert (found.lower, found.higher, found.direction) == (5, 0, -1)
    assert pairs["Masked"].difference.n == 0
    assert math.isnan(pairs["Masked"].corrected_p)
    assert {pair.label for pair in untrained.pairs} == {"Narrow ones", "Wide, half-way", "Masked"}


def test_the_words_name_the_groups_that_differ(own):
    final, untrained = contents(own()).claims
    assert final.answer == "yes"
    assert "final validation loss is lower than that of Narrow ones" in final.sentence
    assert untrained.answer == "yes"
    assert (
        "is lower than that of Masked; it is not shown to differ from that of Narrow ones"
        in untrained.sentence
    )


def test_four_pairs_are_not_enough(own):
    four = {key: records for key, records in own_study.curves().items() if key[1] < 4}
    found = contents(own(curves=four, masks={}))
    assert all(
        math.isnan(pair.corrected_p) and not pair.direction for c in found.comparisons for pair in c.pairs
    )
    assert {claim.answer for claim in found.claims} == {"not enough seeds"}


def test_runs_of_other_studies_are_not_this_ones(own, tmp_path):
    """A store may hold runs of several; each is called as the study calls it, and others are named where none is its own."""
    own()
    store = schema.open_for_reading(tmp_path / "own.db")
    found = load(store, None, controls.NAME)
    store.close()
    assert (found.runs, found.results, found.masks) == ((), (), ())
    assert found.others == ("narrow", "search", "wide", "wider")
    assert table(found).notes[-1] == (
        "The store has no run of the study controls yet; it has runs of other studies: narrow, search, wide, wider."
    )


def test_a_store_without_protocols_is_the_papers_without_runs(tmp_path):
    schema.open_for_writing(tmp_path / "new.db").close()
    store = schema.open_for_reading(tmp_path / "new.db")
    found = load(store, None, controls.NAME)
    store.close()
    assert (found.protocol, found.study.name, found.runs) == (PAPER, "controls", ())
    assert [row.n for row in table(found).rows] == [0] * len(found.study.groups)


def test_only_runs_that_are_cut_short_have_their_records_read(own):
    """A table of ten seeds reads no record that it does not need."""
    evaluation = own()
    ids = {run.id for run in evaluation.runs if run.recipe == "wide"}
    assert set(evaluation.records) == ids == set(evaluations_.cut_short(evaluation.study, evaluation.runs))


@pytest.mark.parametrize("name", ["full", "controls", "mixed", "one", "none"])
def test_by_accuracy_the_rows_are_the_same_and_the_numbers_accuracies(evaluations, name):
    evaluation = evaluations(name)
    by_loss, by_accuracy = (table(evaluation, of) for of in measure.MEASURES.values())
    assert [row.label for row in by_accuracy.rows] == [row.label for row in by_loss.rows]
    assert [column.name for column in by_accuracy.columns] == [
        "relative_size_percent",
        "untrained_validation_accuracy_percent",
        "final_validation_accuracy_percent",
    ]
    for row in by_accuracy.rows:
        found = [
            100 * r.final_val_accuracy for results in evaluation.whole(row.group).values() for r in results
        ]
        assert row.cells[2].ours.n == len(found)
        assert not found or row.cells[2].ours.mean == pytest.approx(sum(found) / len(found))


def test_by_accuracy_groups_are_compared_in_accuracy(evaluations):
    found = contents(evaluations("full"), measure.ACCURACY)
    assert [c.column.heading for c in found.comparisons] == [
        "Untrained validation accuracy",
        "Final validation accuracy",
    ]
    assert all("accuracy" in claim.sentence for claim in found.claims)
    assert not found.numbers
