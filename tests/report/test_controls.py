"""The finding of `controls` in words, on made-up data in which the truth is known."""

import re

import made_up
import pytest

from ltsm.protocol import PAPER
from ltsm.report.all import contents
from ltsm.report.evaluation import load
from ltsm.store import schema
from ltsm.studies import controls, paper

NOISE = (-0.004, -0.002, 0.0, 0.002, 0.004, 0.001, -0.001, 0.003, -0.003, 0.0)
PARTS = ("advantage", "mask", "signs", "values", "random_mask")


def found(path, losses, accuracies, seeds=10, without=()):
    """The contents of a store in which each network has this final loss and untrained accuracy, and seeds differ a little.

    `without` are runs that are not there, by name and seed.
    """
    study = controls.study(PAPER)
    (dense,) = next(group for group in study.groups if group.label == controls.DENSE).recipes
    curves = {}
    for i, (label, loss) in enumerate(losses.items()):
        name = dense if label == controls.DENSE else label
        for seed in range(seeds):
            noise = NOISE[(seed * (i + 1) + i) % len(NOISE)]
            start = accuracies.get(label, 0.1) + noise
            curves[name, seed] = [(0, 2.3, start), (PAPER.iterations, loss + noise, 0.97)]
            if label == controls.DENSE:
                curves[name, seed].append((PAPER.initial_iterations, 9.0, 0.5))
    for key in without:
        del curves[key]
    store = schema.open_for_reading(made_up.exact(path, study, curves))
    evaluation = load(store, None, controls.NAME)
    store.close()
    return contents(evaluation)


def losses(dense, redrawn, same_signs, ticket, random_mask):
    return {
        controls.DENSE: dense,
        controls.REDRAWN: redrawn,
        controls.SAME_SIGNS: same_signs,
        controls.TICKET: ticket,
        controls.RANDOM_MASK: random_mask,
    }


def answers(found, column="final_validation_loss"):
    claims = {claim.name: claim.answer for claim in found.claims}
    return tuple(claims[f"{part}_in_{column}"] for part in PARTS)


@pytest.mark.parametrize(
    ("truth", "wanted"),
    [
        (losses(0.12, 0.10, 0.10, 0.10, 0.12), ("yes", "yes", "not shown", "not shown", "yes")),
        (losses(0.12, 0.12, 0.10, 0.10, 0.10), ("yes", "not shown", "yes", "not shown", "not shown")),
        (losses(0.12, 0.12, 0.12, 0.10, 0.12), ("yes", "not shown", "not shown", "yes", "yes")),
        (losses(0.10, 0.14, 0.12, 0.11, 0.13), ("no", "no", "yes", "yes", "yes")),
        (losses(0.12, 0.12, 0.12, 0.12, 0.12), ("not shown",) * 5),
    ],
    ids=["the mask", "the signs", "the values", "none of the dense network's loss", "nothing"],
)
def test_the_finding_says_what_the_advantage_is_made_of(tmp_path, truth, wanted):
    assert answers(found(tmp_path / "x.db", truth, {})) == wanted


def test_the_sentences_are_right_about_their_numbers(tmp_path):
    """The mean that a sentence says is the difference of the means of the networks that it names."""
    truth = losses(0.12, 0.11, 0.105, 0.10, 0.13)
    claims = {c.name: c.sentence for c in found(tmp_path / "x.db", truth, {}).claims}
    said = {
        name: re.search(r": ([+−]\d\.\d{3}) \(95% interval", sentence) for name, sentence in claims.items()
    }
    wanted = {"advantage": -0.02, "mask": -0.01, "signs": -0.005, "values": -0.005, "random_mask": -0.03}
    for part, mean in wanted.items():
        assert float(said[f"{part}_in_final_validation_loss"][1].replace("−", "-")) == pytest.approx(
            mean, abs=0.0015
        )
    assert "is lower than the dense network's" in claims["advantage_in_final_validation_loss"]
    assert "corrected for 5 comparisons" in claims["advantage_in_final_validation_loss"]


def test_the_steps_add_up_to_the_whole(tmp_path):
    """Over the seeds that have all four networks, in either outcome; what is not one of them asks only for its own two."""
    missing = {(controls.REDRAWN, 3), (controls.SAME_SIGNS, 7)}
    made = found(tmp_path / "x.db", losses(0.12, 0.11, 0.105, 0.1, 0.13), {}, without=missing)
    for comparison in made.comparisons[:2]:
        whole, *steps, random = (pair.difference for pair in comparison.pairs)
        assert {step.n for step in steps} == {8} == {whole.n}
        assert random.n == 10
        assert sum(step.mean for step in steps) == pytest.approx(whole.mean, abs=1e-12)


def test_more_accuracy_is_an_advantage_and_less_is_none(tmp_path):
    truth = losses(0.12, 0.12, 0.12, 0.12, 0.12)
    accuracies = {controls.TICKET: 0.4, controls.SAME_SIGNS: 0.3, controls.REDRAWN: 0.05}
    contents_ = found(tmp_path / "x.db", truth, accuracies)
    assert answers(contents_, "untrained_validation_accuracy_percent") == ("yes", "no", "yes", "yes", "yes")
    sentence = next(c.sentence for c in contents_.claims if c.name.startswith("signs_in_untrained"))
    assert "is higher than" in sentence
    assert re.search(r"higher than .*: \+2[45]\.\d percentage points", sentence)


def test_few_seeds_claim_nothing(tmp_path):
    few = found(tmp_path / "x.db", losses(0.12, 0.1, 0.1, 0.1, 0.12), {}, seeds=4)
    assert {claim.answer for claim in few.claims} == {"not enough seeds"}
    assert all(claim.sentence.startswith("Not enough seeds to say") for claim in few.claims)


def test_the_dense_network_is_the_beginning_of_the_initial_training(evaluations):
    """It is not trained twice: at iteration 5000 of 20 000, not at its end."""
    evaluation = evaluations("controls")
    group = next(group for group in evaluation.study.groups if group.label == controls.DENSE)
    assert group.recipes == (paper.INITIAL,)
    at_5000 = {
        run.seed: next(m.val_loss for m in evaluation.records[run.id] if m.iteration == 5000)
        for run in evaluation.runs
        if run.recipe == paper.INITIAL
    }
    assert evaluation.by_seed(group, "final_val_loss") == at_5000
