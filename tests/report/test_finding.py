"""The finding in words, and the comparison paired by seed behind it."""

import dataclasses
import math

import pytest

from ltsm.report.all import contents
from ltsm.report.paired import ENOUGH_PAIRS
from ltsm.report.paper.contents import HIGH_PERFORMERS
from ltsm.studies import paper


def both(evaluation):
    found = contents(evaluation)
    return {pair.label: pair for pair in found.comparisons[0].pairs}, {c.name: c for c in found.claims}


def losses(evaluation, recipe):
    return {r.seed: r.final_val_loss for r in evaluation.results if r.recipe == recipe}


def test_the_ticket_is_compared_with_every_dense_network_and_the_group(evaluations):
    evaluation = evaluations("full")
    pairs, _ = both(evaluation)
    assert len(pairs) == len(evaluation.protocol.hyperops) + 1
    baseline = pairs["Hyperop (200, 30) [baseline]"]
    ticket, dense = losses(evaluation, paper.TICKET), losses(evaluation, paper.hyperop((200, 30)))
    by_hand = [ticket[s] - dense[s] for s in range(10)]
    assert baseline.difference.mean == pytest.approx(sum(by_hand) / 10)
    assert baseline.lower == sum(d < 0 for d in by_hand)
    assert baseline.interval.low < baseline.difference.mean < baseline.interval.high


def test_the_finding_is_the_papers(evaluations):
    _, claims = both(evaluations("full"))
    assert {name: claim.answer for name, claim in claims.items()} == {
        "smaller": "yes",
        "lower_loss_than_baseline": "yes",
        "lower_loss_than_high_performers": "yes",
        "threshold_varied": "yes",
    }
    assert "0.049 ± 0.049, from 0 to 0.15 over 10 seeds" in claims["threshold_varied"].sentence


def test_the_high_performers_are_named(evaluations):
    """The group is computed, and has not always the paper's networks in it."""
    _, claims = both(evaluations("full"))
    sentence = claims["lower_loss_than_high_performers"].sentence
    names = "(200, 30), (100, 15), (100, 25), (150, 15) and (150, 25)"
    assert f"is lower than the mean of the high performers {names}: paired over 10 seeds" in sentence
    full = evaluations("full")
    left_out = {paper.hyperop(hidden) for hidden in full.protocol.hyperops[2:]}
    two = tuple(r for r in full.results if r.recipe not in left_out)
    sentence = both(dataclasses.replace(full, results=two))[1]["lower_loss_than_high_performers"].sentence
    assert "is lower than that of the only high performer, (200, 30): paired" in sentence


def test_only_seeds_with_both_networks_are_pairs(evaluations):
    pairs, _ = both(evaluations("mixed"))
    assert pairs["Hyperop (200, 30) [baseline]"].difference.n == 7
    assert pairs["Hyperop (50, 5)"].difference.n == 5
    assert pairs["Hyperop (50, 15)"].difference.n == 0
    assert pairs[HIGH_PERFORMERS].difference.n == 7


@pytest.mark.parametrize("name", ["one", "none", "named"])
def test_few_seeds_are_said_to_be_too_few(evaluations, name):
    pairs, claims = both(evaluations(name))
    assert all(pair.difference.n < ENOUGH_PAIRS and pair.direction == 0 for pair in pairs.values())
    for claim in list(claims.values())[:3]:
        assert claim.answer == "not enough seeds"
        assert claim.sentence.startswith("Not enough seeds")


def test_without_runs_there_is_no_number(evaluations):
    pairs, _ = both(evaluations("none"))
    assert all(math.isnan(pair.difference.mean) and math.isnan(pair.p) for pair in pairs.values())


def test_the_words_follow_the_corrected_p(evaluations):
    """Seven seeds, p = 0.022 against one network of ten: its interval leaves 0 out, and no word is said of it."""
    pairs, _ = both(evaluations("mixed"))
    pair = pairs["Hyperop (100, 25)"]
    assert pair.p < 0.05 < pair.corrected_p
    assert pair.interval.high < 0
    assert pair.direction == 0


def test_a_group_of_networks_is_averaged_for_each_seed_first(evaluations):
    """Over ten seeds, not over fifty runs."""
    evaluation = evaluations("full")
    pairs, _ = both(evaluation)
    high = [
        losses(evaluation, paper.hyperop(h)) for h in ((200, 30), (100, 15), (100, 25), (150, 15), (150, 25))
    ]
    ticket = losses(evaluation, paper.TICKET)
    by_hand = [ticket[s] - sum(found[s] for found in high) / 5 for s in range(10)]
    assert pairs[HIGH_PERFORMERS].difference.n == 10
    assert pairs[HIGH_PERFORMERS].difference.mean == pytest.approx(sum(by_hand) / 10)
