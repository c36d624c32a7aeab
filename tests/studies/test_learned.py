"""The study of learned masks: what it has, what it shares with others, and what its options may be."""

import pytest

from ltsm.errors import UsageError
from ltsm.protocol import FRANKLE, FRANKLE_SMOKE, PAPER
from ltsm.steps.check import check
from ltsm.studies import all as studies
from ltsm.studies import criteria, learned, paper


def test_every_mask_is_learned_on_the_values_that_the_dense_network_starts_from():
    """And needs no other run, so that all of them can be begun at once."""
    study = learned.study(FRANKLE)
    masks = {name: recipe for name, recipe in study.recipes.items() if recipe.trains == "mask"}
    assert list(masks) == [
        "bernoulli", "bernoulli, constants", "bernoulli, constants, rescaled",
        "edge-popup 0.3", "edge-popup 0.5", "edge-popup 0.7",
    ]  # fmt: skip
    for recipe in masks.values():
        assert recipe.start == study.recipes[paper.INITIAL].start
        assert recipe.needs == {}
        assert recipe.iterations == FRANKLE.iterations


def test_it_is_run_under_frankle_and_in_small():
    assert studies.protocol_of("learned") == "frankle"
    for protocol in (FRANKLE, FRANKLE_SMOKE, PAPER):
        check(learned.study(protocol), protocol)


def test_the_rules_beside_it_are_runs_of_the_other_studies():
    ours, papers, others = (
        study(FRANKLE).fingerprints() for study in (learned.study, paper.study, criteria.study)
    )
    assert {ours[name] for name in (paper.INITIAL, paper.BASELINE, paper.SUPERMASK)} <= set(papers.values())
    assert ours[learned.SAME_SIGN] == others[learned.SAME_SIGN]


def test_each_setting_of_a_learned_mask_is_part_of_its_identity():
    """But those at their defaults are left out, so that a new one changes no old recipe's."""
    plain = learned.study(FRANKLE).settings("bernoulli")
    assert plain["mask"] == {"type": "Learned", "method": "bernoulli", "lr": 100.0, "batch_size": 250}
    prints = learned.study(FRANKLE).fingerprints()
    assert len(set(prints.values())) == len(prints)
    assert learned.study(FRANKLE, length="7").fingerprints()["bernoulli"] != prints["bernoulli"]


def test_options_choose_methods_shares_and_length():
    study = studies.study("learned/method=edge_popup/keep=0.2,1/length=70", FRANKLE)
    masks = {name: recipe for name, recipe in study.recipes.items() if recipe.trains == "mask"}
    assert list(masks) == ["edge-popup 0.2", "edge-popup 1"]
    assert [recipe.mask.keep for recipe in masks.values()] == [0.2, 1.0]
    assert {recipe.iterations for recipe in masks.values()} == {70}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "signed"}, "no method 'signed': there are bernoulli, edge_popup"),
        ({"keep": "0.5,none"}, "'none' is no share"),
        ({"keep": "0"}, "'0' is no share"),
        ({"keep": "1.1"}, "no share of a layer"),
        ({"length": "0"}, "'0' is no number of iterations"),
        ({"length": "many"}, "no number of iterations"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        learned.study(FRANKLE, **options)
