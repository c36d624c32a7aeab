"""The report and the claims of iterative pruning, on numbers that decide them."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from ltsm.protocol import FRANKLE
from ltsm.report import all as report
from ltsm.report import iterative as claims
from ltsm.report.evaluation import Evaluation
from ltsm.report.figures.values import Band, Curve, Points
from ltsm.store.values import Metric, ResultRow, RunRow
from ltsm.studies import all as studies
from ltsm.studies.iterative import ONE_SHOT, REINITIALISED, TICKET, level

SEEDS = range(5)
WEIGHTS, BIASES = 266_200, 410


def kept(number):
    """How many weights a round keeps."""
    return round(265_200 * 0.8**number + 1_000 * 0.9**number)


def minimum(kind, number, seed):
    """The iteration of minimal loss: of the dense network 5,000 on average, of the ticket 38 % less at round 7."""
    at = {0: 5000, 7: 3100}.get(number, 4000) if kind == TICKET else 3100 * 2.51
    return at + 200 * (seed - 2)


def accuracy(kind, number, seed):
    better = {TICKET: {9: 0.004, 7: 0.003, 15: 0.0}.get(number, 0.001) * (number > 0), REINITIALISED: -0.002}
    return 0.98 + better.get(kind, -0.001) + 0.0001 * (seed - 2) * (number % 3)


def evaluation(name="iterative", protocol=FRANKLE, seeds=SEEDS, without=()):
    """Made up: every recipe's run of every seed, but those without."""
    study = studies.study(name, protocol)
    runs, results, records = [], [], {}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for recipe in study.recipes:
        for seed in seeds if recipe not in without else ():
            kind, number = level(recipe)
            run_id, size = len(runs) + 1, (kept(number) + BIASES) / (WEIGHTS + BIASES)
            common = (run_id, 1, seed, recipe, study.fingerprints()[recipe], (300, 100), "done")
            runs.append(
                RunRow(*common, 0, 0, None, 266_610, size, 784, 10, (), "x", 0.0, now, now, now, None, {})
            )
            tested = accuracy(kind, number, seed)
            results.append(
                ResultRow(run_id, seed, recipe, (300, 100), "done", size, 2.3, 0.1, 0.12, 0.98, 0.08,
                          minimum(kind, number, seed), 0.1, tested, tested)
            )  # fmt: skip
            records[run_id] = [Metric(i, 0.1, 1 / (1 + i), 0.9, 0.1, 0.9) for i in range(0, 1000, 100)]
    return Evaluation(
        protocol=protocol, study=study, runs=tuple(runs), results=tuple(results), records=records
    )


def test_sizes_are_of_weights_alone_as_they_are_published_and_exact():
    table = report.table(evaluation())
    sizes = {row.group.label: row.cells[0].text for row in table.rows}
    wanted = {"round 0": "100.0%", "round 3": "51.3%", "round 7": "21.1%", "reinitialised 15": "3.6%"}
    assert {name: sizes[name] for name in wanted} == wanted
    assert [c.heading for c in table.columns] == [
        "Weights kept",
        "Iteration of minimal validation loss",
        "Test accuracy at the minimum",
        "Final test accuracy",
    ]


def test_without_a_test_set_losses_and_validation_accuracy_are_shown():
    table = report.table(evaluation(protocol=FRANKLE.changed(held_out=None)))
    assert [c.heading for c in table.columns][1:] == [
        "Iteration of minimal validation loss",
        "Minimal validation loss",
        "Final validation loss",
        "Final validation accuracy",
    ]


def test_an_empty_store_has_a_table_figures_and_a_verdict():
    empty = evaluation(seeds=())
    assert all(cell.text == "–" for row in report.table(empty).rows for cell in row.cells)
    assert [figure.number for figure in report.figures(empty)] == [4]
    assert claims.verify(empty).summary.endswith(": 7 not run.")


def test_figures_draw_tickets_as_a_band_and_two_controls_as_markers_alone():
    found = {figure.number: figure for figure in report.figures(evaluation("iterative/one-shot=all"))}
    assert [*found] == [1, 2, 3, 4]
    for number in (1, 2, 3):
        (panel,) = found[number].panels
        labels = {type(layer): layer.label for layer in panel.layers if layer.label}
        assert {layer.label for layer in panel.layers if layer.label} == {
            "iterative",
            "reinitialised",
            "one-shot",
        }
        assert labels[Points] == "reinitialised"
        curves = [layer for layer in panel.layers if isinstance(layer, Curve)]
        assert [len(curve.x) for curve in curves] == [21, 20]
        assert panel.x.log
        assert panel.x.low < 1.2
        assert panel.x.high > 100
    ticket = next(layer for layer in found[1].panels[0].layers if isinstance(layer, Curve))
    at = min(range(21), key=lambda i: abs(ticket.x[i] - 21.1))
    assert ticket.y[at] == pytest.approx(3100)
    (panel,) = found[4].panels
    drawn = [layer.label for layer in panel.layers if isinstance(layer, Curve)]
    assert drawn[:3] == ["round 0: 100.0%", "round 3: 51.3%", "round 7: 21.1%"]
    assert all(isinstance(layer, Band | Curve) for layer in panel.layers)


def test_every_recipe_is_of_one_of_three_kinds():
    names = studies.study("iterative/controls=all/one-shot=all", FRANKLE).recipes
    assert {level(name)[0] for name in names} == {TICKET, REINITIALISED, ONE_SHOT}
    assert level("reinitialised 15") == (REINITIALISED, 15)


def verdicts(found):
    return {line.name: line.verdict for line in claims.verify(found).lines}


def test_what_is_published_is_judged():
    found = {line.name: line for line in claims.verify(evaluation()).lines}
    assert found["size-21.1"].ours.mean == pytest.approx(100 * kept(7) / WEIGHTS)
    assert found["faster-21.1"].ours.mean == pytest.approx(38)
    assert found["reinit-slower-21"].ours.mean == pytest.approx(2.51)
    assert found["better-13.5"].ours.mean == pytest.approx(0.4)
    assert found["end-better"].ours.mean == pytest.approx(0.4)
    assert {name: line.verdict for name, line in found.items()} == {
        "size-21.1": "reproduced",
        "faster-21.1": "reproduced",
        "better-13.5": "reproduced",
        "back-3.6": "reproduced",
        "reinit-slower-21": "reproduced",
        "reinit-worse-21": "reproduced",
        "end-better": "differs",
    }


def test_a_network_of_another_recipe_or_protocol_counts_for_nothing():
    other = verdicts(evaluation("iterative/criterion=movement"))
    assert set(other.values()) == {"not run"}
    longer = claims.verify(evaluation(protocol=FRANKLE.changed(lr=0.001)))
    assert not longer.lines
    assert "for the protocol frankle" in longer.summary


def test_without_its_control_two_claims_are_not_run_and_say_what_to_run():
    found = claims.verify(evaluation(without=("reinitialised 7",)))
    missing = {line.name: line.evidence for line in found.lines if line.verdict == "not run"}
    assert missing == dict.fromkeys(("reinit-slower-21", "reinit-worse-21"), "ltsm sweep iterative")


def test_with_two_seeds_nothing_is_claimed():
    assert set(verdicts(evaluation(seeds=range(2))).values()) == {"not enough seeds"}


def test_a_ratios_mean_is_that_of_the_means_and_its_spread_the_delta_methods():
    """Of 2, 4, 3 over 1, 3, 2: the variance of a ratio, worked out by hand."""
    first, second = {0: 2.0, 1: 4.0, 2: 3.0}, {0: 1.0, 1: 3.0, 2: 2.0, 9: 7.0}
    found = claims.ratio(first, second)
    assert np.mean(found) == pytest.approx(1.5)
    # ∂/∂first = 1/2, ∂/∂second = −3/4; both variances and the covariance are 1
    assert np.var(found, ddof=1) == pytest.approx((1 / 2 - 3 / 4) ** 2)
    assert claims.ratio({}, second) == []
    assert claims.ratio({0: 1.0}, {0: 0.0}) == []
    assert not math.isnan(claims.ratio({0: 1.0}, {0: 2.0})[0])
