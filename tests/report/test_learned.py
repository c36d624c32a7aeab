"""The report and the claims of learned masks, on numbers that decide them."""

import dataclasses
import json
import math
from datetime import UTC, datetime

import pytest

from ltsm.protocol import FRANKLE, PAPER
from ltsm.report import all as report
from ltsm.report import document
from ltsm.report import learned as claims
from ltsm.report.evaluation import Evaluation
from ltsm.report.figures.draw import draw
from ltsm.report.figures.values import Bars, Curve
from ltsm.store.values import MaskRow, Metric, ResultRow, RunRow
from ltsm.studies import all as studies
from ltsm.studies.learned import BERNOULLI, CONSTANTS, DENSE, RESCALED, SAME_SIGN

SEEDS = range(5)
LEARNED = {BERNOULLI: 0.953, CONSTANTS: 0.96, RESCALED: 0.977, "edge-popup 0.3": 0.97, "edge-popup 0.5": 0.97, "edge-popup 0.7": 0.96}  # fmt: skip
RULED = {"supermask": 0.80, SAME_SIGN: 0.88}
HALF = (0,) * 9 + (200, 66) + (0,) * 9
"""Of 266 weights: how many have a probability in each twentieth."""


def spread(value, seed):
    return value + 0.001 * (seed - 2)


def evaluation(name="learned", protocol=FRANKLE, seeds=SEEDS, accuracy=None, diverged=()):
    """Made up: at iteration 0 a learned mask keeps nothing; it ends with 40 % of the weights."""
    study, accuracy = studies.study(name, protocol), {**LEARNED, **RULED, **(accuracy or {})}
    runs, results, masks, records = [], [], [], {}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for recipe_name, recipe in study.recipes.items():
        for seed in seeds:
            run_id, trains = len(runs) + 1, recipe.trains
            state = "diverged" if (recipe_name, seed) in diverged else "done"
            common = (run_id, 1, seed, recipe_name, study.fingerprints()[recipe_name], (300, 100), state)
            size = 1.0 if trains == "weights" else 0.4
            runs.append(
                RunRow(*common, 0, 0, None, 266_610, size, 784, 10, (), "x", 0.0, now, now, now, None, {})
            )
            tested = spread(accuracy.get(recipe_name, 0.98), seed)
            sampled = tested - 0.01 if recipe_name.startswith(BERNOULLI) else math.nan
            ends = trains != "nothing"
            results.append(
                ResultRow(
                    run_id, seed, recipe_name, (300, 100), state, size, 2.3, 0.1,
                    0.2 if ends else math.nan, tested if ends else math.nan, 0.2 if ends else math.nan,
                    1000.0 if ends else math.nan, 0.1 if ends else math.nan, tested if ends else math.nan,
                    tested if ends else math.nan, sampled, sampled,
                )
            )  # fmt: skip
            if trains != "weights":
                drawn = HALF if sampled == sampled else ()  # noqa: PLR0124 - no NaN
                masks.append(
                    MaskRow(run_id, seed, 0.4, size, (94_380, 12_100, 410), 0.2, tested, True,
                            amount_by="fraction", test_loss=0.2, test_accuracy=tested, probabilities=drawn)
                )  # fmt: skip
            if ends:
                records[run_id] = [
                    Metric(i, 0.1, 2 / (1 + i), tested * i / 900, 0.1, tested, *((0.4 * i / 900, 0.3, sampled, sampled) if trains == "mask" else ()))
                    for i in range(0, 1000, 100)
                ]  # fmt: skip
    return Evaluation(
        protocol=protocol,
        study=study,
        runs=tuple(runs),
        results=tuple(results),
        masks=tuple(masks),
        records=records,
    )


def cells(table):
    return {row.group.label: [cell.text for cell in row.cells] for row in table.rows}


def test_a_table_has_what_each_mask_keeps_and_does_and_what_training_does():
    """No number of a mask's first iteration passes for one of the mask; sizes are of weights, without biases."""
    table = report.table(evaluation())
    assert [c.name for c in table.columns] == [
        "weights_kept_percent",
        "validation_accuracy_percent",
        "test_accuracy_percent",
        "drawn_masks_validation_accuracy_percent",
        "drawn_masks_test_accuracy_percent",
    ]
    found = cells(table)
    assert found[BERNOULLI] == ["39.9%", "95.30% ± 0.16", "95.30% ± 0.16", "94.30% ± 0.16", "94.30% ± 0.16"]
    assert found["edge-popup 0.3"][2:] == ["97.00% ± 0.16", "–", "–"]
    assert found[SAME_SIGN][2] == "88.00% ± 0.16"
    assert found[DENSE][:3] == ["100.0%", "98.00% ± 0.16", "98.00% ± 0.16"]
    assert "No weight of a mask is trained" in table.caption


def test_a_network_whose_mask_was_trained_is_an_untrained_one():
    """In every study's terms: the mask's numbers are those without training, and nothing ends."""
    found = evaluation()
    group = next(g for g in found.study.groups if g.label == BERNOULLI)
    result = found.finished(group)[0]
    assert (result.untrained_val_accuracy, result.untrained_test_accuracy) == (0.951, 0.951)
    assert math.isnan(result.final_val_loss + result.minimal_iteration + result.final_test_accuracy)


def test_diverged_learning_is_left_out_and_said():
    found = evaluation(diverged=[(BERNOULLI, 3)])
    table = report.table(found)
    row = next(row for row in table.rows if row.group.label == BERNOULLI)
    assert (row.n, row.diverged) == (4, (3,))
    assert any("Bernoulli diverged for seed 3" in note for note in table.notes)
    assert "Left out: 1 diverged run." in report.figures(found)[0].caption


def test_without_a_test_set_validation_accuracies_are_compared():
    found = report.contents(evaluation(protocol=FRANKLE.changed(held_out=None)))
    assert [c.column.name for c in found.comparisons] == ["validation_accuracy_percent"]


def test_the_finding_compares_with_the_dense_network_as_it_is_trained():
    found = report.contents(evaluation())
    assert [c.column.name for c in found.comparisons] == ["test_accuracy_percent"]
    pairs = {pair.label: pair.difference.mean for pair in found.comparisons[0].pairs}
    assert pairs["Dense, trained"] == pytest.approx(-2.7)
    assert pairs["Supermask"] == pytest.approx(15.3)
    assert found.claims[0].answer == "yes"
    assert "test accuracy is lower than that of Bernoulli, constants, Bernoulli, constants, rescaled" in found.claims[0].sentence  # fmt: skip


def test_figures_are_the_way_there_what_it_comes_to_and_the_probabilities():
    found = report.figures(evaluation())
    assert [figure.number for figure in found] == [1, 2, 3, 4]
    learning, achieved, probabilities, losses = found
    accuracy, drawn, density = learning.panels
    named = [layer.label for layer in accuracy.layers if isinstance(layer, Curve) and layer.label]
    assert named == ["Bernoulli", "Bernoulli, constants", "Bernoulli, constants, rescaled", "Edge-popup 0.3", "Edge-popup 0.5", "Edge-popup 0.7"]  # fmt: skip
    ends = {
        panel.y.label: [layer.y[-1] for layer in panel.layers if isinstance(layer, Curve)]
        for panel in learning.panels
    }
    assert ends["Weights kept (%)"] == pytest.approx([40.0] * 6)
    assert ends["Of drawn masks (%)"] == pytest.approx([94.3, 95.0, 96.7])
    assert drawn.y.low == accuracy.y.low
    assert density.y.high == 100
    bars = next(layer for layer in achieved.panels[0].layers if isinstance(layer, Bars))
    assert bars.heights == pytest.approx([100 * v for v in (*LEARNED.values(), *RULED.values(), 0.98)])
    assert achieved.panels[0].x.names[7] == "Large_\nfinal_\nsame_\nsign,\nsigned_\nconstant"
    stairs = [layer for layer in probabilities.panels[0].layers if isinstance(layer, Curve)]
    assert len(stairs) == 3
    assert max(stairs[0].y) == pytest.approx(100 * 200 / 266)
    assert stairs[0].x[stairs[0].y.index(max(stairs[0].y))] == pytest.approx(0.45)
    assert losses.title == "Validation loss during training"
    assert all(draw(figure, "svg").startswith(b"<?xml") for figure in found)


def test_nothing_is_drawn_of_what_is_not_there():
    """Before any run, and where no mask is drawn."""
    empty = Evaluation(protocol=FRANKLE, study=studies.study("learned", FRANKLE), runs=(), records={})
    assert [figure.number for figure in report.figures(empty)] == [1, 2, 4]
    assert all(draw(figure, "svg") for figure in report.figures(empty))
    popup = evaluation(name="learned/method=edge_popup")
    assert [figure.number for figure in report.figures(popup)] == [1, 2, 4]
    assert len(report.figures(popup)[0].panels) == 2
    assert claims.verify(popup).lines[0].verdict == "not run"


def verdicts(found):
    return {line.name: line.verdict for line in claims.verify(found).lines}


def test_what_is_published_is_judged_and_by_how_much_shorter_our_runs_were():
    """The published 2,000 epochs are 440,000 batches of 250 of 55,000 images."""
    assert verdicts(evaluation()) == {"learned": "reproduced", "learned-beats-the-rule": "reproduced"}
    said = claims.verify(evaluation()).lines[0].evidence
    assert said == "227 epochs, 9 times shorter than the published 2,000"
    whole = claims.verify(evaluation(name="learned/length=440000")).lines[0].evidence
    assert whole == "2,000 epochs, no shorter than the published 2,000"
    short = claims.verify(evaluation(name="learned/length=22000")).lines[0].evidence
    assert short == "100 epochs, 20 times shorter than the published 2,000"
    small = claims.verify(evaluation(protocol=FRANKLE.changed(train_size=5000))).lines[0].evidence
    assert small.startswith("2,500 epochs, no shorter")


def test_numbers_that_are_others_differ_and_still_say_how_long():
    other = evaluation(accuracy={BERNOULLI: 0.85, SAME_SIGN: 0.9})
    assert verdicts(other) == {"learned": "differs", "learned-beats-the-rule": "differs"}
    assert "times shorter" in claims.verify(other).lines[0].evidence
    assert not claims.verify(other).reproduced


@pytest.mark.parametrize(
    "protocol", [PAPER, FRANKLE.changed(dataset="digits"), FRANKLE.changed(held_out=None)]
)
def test_on_other_data_or_without_a_test_set_nothing_is_compared(protocol):
    found = claims.verify(evaluation(protocol=protocol))
    assert not found.compared
    assert found.summary.startswith("Nothing is compared: it is published for MNIST")


@pytest.mark.parametrize("form", sorted(document.WRITERS))
def test_every_document_has_the_table(form):
    text = document.WRITERS[form](evaluation(), False)
    assert "rescaled" in text
    if form == "json":
        row = json.loads(text)["table"]["rows"][0]
        assert row["test_accuracy_percent"]["mean"] == pytest.approx(95.3)
    elif form == "csv":
        assert "test_accuracy_percent_mean" in text.splitlines()[0]
    else:
        assert "95.30" in text
    if form == "html":
        assert "Probabilities of being kept" in text


def test_it_is_said_where_nothing_is_finished():
    found = dataclasses.replace(evaluation(), results=(), masks=())
    assert any("No run is finished of: Bernoulli" in note for note in report.table(found).notes)
