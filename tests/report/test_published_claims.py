"""Published claims beside numbers by seed, each verdict on numbers that decide it; and the claims on criteria."""

import dataclasses
import json
import math
from datetime import UTC, datetime

import pytest

from ltsm.protocol import FRANKLE, PAPER
from ltsm.report import all as report
from ltsm.report import criteria_claims as criteria
from ltsm.report import document, measure
from ltsm.report.evaluation import Evaluation
from ltsm.report.figures.draw import draw
from ltsm.report.published_claims import as_json, ordering, value
from ltsm.store.values import MaskRow, ResultRow, RunRow
from ltsm.studies import all as studies

SEEDS = range(5)


def claim(kind, published=80.0, rounding=0.5):
    return {"id": "x", "quantity": "a number", "kind": kind, "published": published, "rounding": rounding}


@pytest.mark.parametrize(
    ("kind", "found", "verdict"),
    [
        ("equal", [79, 80, 81, 80, 80], "reproduced"),
        # interval 81.12 … 82.88: half a unit of the printed digit reaches no farther than 80.62
        ("equal", [81, 82, 83, 82, 82], "differs"),
        # interval 80.12 … 81.88: here it does
        ("equal", [80, 81, 82, 81, 81], "reproduced"),
        ("at least", [90, 91, 92, 90, 91], "reproduced"),
        ("at least", [79.4, 79.6, 79.5, 79.5, 79.5], "reproduced"),
        ("at least", [70, 71, 72, 70, 71], "differs"),
        ("at least", [60, 100, 60, 70, 80], "reproduced"),
        ("at most", [70, 71, 72, 70, 71], "reproduced"),
        ("at most", [90, 91, 92, 90, 91], "differs"),
        ("equal", [80, 80, 80, 80], "not enough seeds"),
        ("equal", [math.nan], "not run"),
        ("equal", [], "not run"),
    ],
    ids=str,
)
def test_values_and_bounds(kind, found, verdict):
    judged = value(claim(kind), found, "ltsm sweep criteria")
    assert judged.verdict == verdict
    assert judged.evidence == ("ltsm sweep criteria" if verdict == "not run" else "")


def by_seed(*values):
    return dict(enumerate(values))


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ([(by_seed(5, 6, 5, 6, 5), by_seed(1, 2, 2, 1, 1))], "reproduced"),
        ([(by_seed(5, 6, 5, 6, 5), by_seed(1, 2, 2, 1, 1)), (by_seed(5, 6, 1, 6, 5), by_seed(4, 7, 2, 5, 6))], "not shown"),
        ([(by_seed(5, 6, 5, 6, 5), by_seed(1, 2, 2, 1, 1)), (by_seed(1, 2, 2, 1, 1), by_seed(5, 6, 5, 6, 5))], "differs"),
        ([(by_seed(5, 6), by_seed(1, 2))], "not enough seeds"),
        ([(by_seed(5, 6, 5, 6, 5), {})], "not run"),
        ([], "not run"),
    ],
    ids=["shown", "one is not", "one is the other way", "two seeds", "one never ran", "nothing"],
)  # fmt: skip
def test_orderings(pairs, verdict):
    found = ordering("x", "a before b", [(f"{i}", *pair) for i, pair in enumerate(pairs)], "ltsm sweep")
    assert found.verdict == verdict


ACCURACY = {("large_final_same_sign", "signed_constant"): 0.86, ("large_final_same_sign", "initial"): 0.81}
AMOUNTS = tuple(round(0.8**k, 12) for k in range(1, 21))


def evaluation(protocol=FRANKLE, name="criteria", accuracy=None, seeds=SEEDS):
    """Made up: each criterion is as accurate at all sizes, a bit different for each seed; biases are 410."""
    study, accuracy = studies.study(name, protocol), ACCURACY if accuracy is None else accuracy
    runs, masks, results = [], [], []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for recipe_name, recipe in study.recipes.items():
        for seed in seeds:
            run_id, trained = len(runs) + 1, recipe.trains == "weights"
            common = (run_id, 1, seed, recipe_name, study.fingerprints()[recipe_name], (300, 100), "done")
            runs.append(
                RunRow(*common, 0, 0, None, 266_610, 1.0, 784, 10, (), "x", 0.0, now, now, now, None, {})
            )
            base = accuracy.get((getattr(recipe.mask, "criterion", ""), recipe.kept), 0.1)
            number = base + 0.004 * (seed - 2)
            results.append(
                ResultRow(run_id, seed, recipe_name, (300, 100), "done", 0.2, math.nan, math.nan,
                          0.1 if trained else math.nan, 0.9, 0.1, 100.0, minimal_test_accuracy=number)
            )  # fmt: skip
            for k, amount in enumerate(getattr(recipe.mask, "amounts", ()), 1):
                layers = (
                    round(235_200 * 0.8**k) + 300,
                    round(30_000 * 0.8**k) + 100,
                    round(1_000 * 0.9**k) + 10,
                )
                masks.append(
                    MaskRow(run_id, seed, amount, sum(layers) / 266_610, layers, 2.0, number, k == 7,
                            amount_by="fraction", test_loss=2.0, test_accuracy=number)
                )  # fmt: skip
    return Evaluation(
        protocol=protocol,
        study=study,
        runs=tuple(runs),
        results=tuple(results),
        masks=tuple(masks),
        records={},
    )


def verdicts(found):
    return {line.name: line.verdict for line in criteria.verify(found).lines}


def test_what_is_published_of_untrained_masks_is_judged():
    """The best size, chosen on the validation set, on the test set; the ordering at each of nine sizes."""
    found = criteria.verify(evaluation())
    assert {line.name: line.verdict for line in found.lines} == {
        "same-sign-constant": "reproduced",
        "same-sign-initial": "reproduced",
        "random-at-chance": "reproduced",
        "same-sign-beats-large": "reproduced",
        "trained-beat-random": "not run",
        "small-final-is-worst": "not run",
        "signs-matter": "not run",
    }
    assert "9 of 9 shown" in next(
        line.evidence for line in found.lines if line.name == "same-sign-beats-large"
    )
    assert found.compared
    assert found.reproduced
    assert found.summary.endswith(": 4 reproduced, 3 not run.")
    assert json.loads(json.dumps(as_json(found)))["reproduced"] is True


def test_numbers_that_are_others_differ():
    other = {**ACCURACY, ("large_final_same_sign", "initial"): 0.6, ("large_final", "initial"): 0.7}
    found = verdicts(evaluation(accuracy=other))
    assert found["same-sign-initial"] == "differs"
    assert found["same-sign-beats-large"] == "differs"
    assert not criteria.verify(evaluation(accuracy=other)).reproduced


def test_trained_tickets_are_compared_at_their_minimum():
    name = "criteria/criterion=large_final,magnitude_increase,random,small_final"
    name += "/kept=initial,reinitialised,reinitialised_same_sign/train=0.2"
    accuracy = {("large_final", "initial"): 0.98, ("magnitude_increase", "initial"): 0.979, ("random", "initial"): 0.96,
                ("small_final", "initial"): 0.5, ("large_final", "reinitialised_same_sign"): 0.97,
                ("large_final", "reinitialised"): 0.95}  # fmt: skip
    found = verdicts(evaluation(name=name, accuracy=accuracy))
    assert [found[n] for n in ("trained-beat-random", "small-final-is-worst", "signs-matter")] == [
        "reproduced"
    ] * 3
    assert found["same-sign-initial"] == "not run"


@pytest.mark.parametrize(
    "protocol", [PAPER, FRANKLE.changed(dataset="digits"), FRANKLE.changed(held_out=None)]
)
def test_on_other_data_or_without_a_test_set_nothing_is_compared(protocol):
    found = criteria.verify(evaluation(protocol))
    assert not found.compared
    assert found.summary.startswith("Nothing is compared: it is published for MNIST")
    assert as_json(found)["reproduced"] is None


def test_figures_have_a_panel_for_each_action_and_a_curve_for_each_criterion():
    """Against the share of weights that is kept, biases not counted: the published sizes to the printed digit."""
    found = report.figures(evaluation())
    assert [figure.number for figure in found] == [1, 2]
    curves, layers = found
    assert len(curves.panels) == 2
    names = [layer.label for layer in curves.panels[0].layers if getattr(layer, "label", "")]
    assert set(names) == {*studies.criteria.CRITERIA, "chance"}
    x = next(layer.x for layer in curves.panels[0].layers if getattr(layer, "label", "") == "large_final")
    printed = {7: 21.1, 9: 13.5, 15: 3.6, 18: 1.9, 20: 1.2}
    assert {k: round(sorted(x, reverse=True)[k - 1], 1) for k in printed} == printed
    assert curves.panels[0].x.log
    output = next(layer for layer in layers.panels[0].layers if getattr(layer, "label", "") == "layer 3")
    assert output.y[-1] == pytest.approx(90.0)
    assert all(draw(figure, "svg").startswith(b"<?xml") for figure in found)


def test_tables_show_test_accuracies_and_no_column_without_a_number():
    made = report.table(evaluation())
    names = [column.name for column in made.columns]
    assert "untrained_test_accuracy_percent" in names
    assert "iteration_of_minimal_validation_loss" in names  # made up results have one
    bare = evaluation()
    untrained = dataclasses.replace(
        bare,
        results=tuple(
            r._replace(final_val_loss=math.nan, final_val_accuracy=math.nan, minimal_val_loss=math.nan,
                                minimal_iteration=math.nan, minimal_test_accuracy=math.nan)
            for r in bare.results
        ),
    )  # fmt: skip
    assert [column.result for column in report.table(untrained).columns] == [
        "relative_size", "untrained_val_accuracy", "untrained_val_loss", "untrained_test_accuracy",
    ]  # fmt: skip
    text = document.WRITERS["markdown"](untrained, False)
    assert "86.0% ± 0.6" in text


def test_a_reference_that_is_never_trained_is_compared_untrained_alone():
    """Taken out: the columns that it has; "Not enough seeds to say in whose final validation accuracy …: 0 finished"."""
    found = evaluation(name="criteria/train=best")
    never = {name for name, recipe in found.study.recipes.items() if recipe.trains == "nothing"}
    own = dict.fromkeys(("final_val_accuracy", "minimal_test_accuracy"), math.nan)
    results = tuple(r._replace(**own) if r.recipe in never else r for r in found.results)
    said = report.contents(dataclasses.replace(found, results=results), measure.ACCURACY)
    assert {c.column.result for c in said.comparisons} == {
        "untrained_val_accuracy",
        "untrained_test_accuracy",
    }
    assert not [c for c in said.claims if c.answer == "not enough seeds"]
    begun = report.contents(evaluation(name="criteria/train=best", seeds=()), measure.ACCURACY)
    assert {c.answer for c in begun.claims} == {"not enough seeds"}
