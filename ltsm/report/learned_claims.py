"""The published claims on learned masks (Zhou et al., 2019, section 5), beside a store's seeds, and how long both learned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltsm.report.paired import in_units
from ltsm.report.published_claims import Verification, held_out_mnist, ordering, published, value
from ltsm.report.table import ACHIEVED_TEST
from ltsm.studies.learned import BERNOULLI, NAME, SAME_SIGN
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ltsm.protocol import Protocol
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.published_claims import Judged
    from ltsm.studies.recipe import Recipe

    BySeed = Mapping[int, float]

RUN = f"ltsm sweep {NAME}"
IMAGES = 60_000
"""MNIST's training images, of which a protocol holds some out."""


def verify(evaluation: Evaluation) -> Verification:
    """Compare with what is published of this study, if the data is MNIST and its test set was held back."""
    document = published("zhou")
    source = str(document["source"]).partition(",")[0]
    if nothing := held_out_mnist(evaluation.protocol):
        return Verification(source, (), nothing)
    return Verification(source, tuple(_judged(evaluation, document["learned"])))


def _judged(evaluation: Evaluation, claims: list[Mapping[str, object]]) -> Iterator[Judged]:
    tested = {name: _tested(evaluation, name) for name in (BERNOULLI, SAME_SIGN)}
    for claim in claims:
        found = value(claim, [*tested[BERNOULLI].values()], RUN)
        yield _with_length(evaluation, found, float(str(claim["epochs"])))
    quantity = (
        "a learned Bernoulli mask minus the best one by a rule (same signs, constants), % of test images"
    )
    pairs = [(BERNOULLI, tested[BERNOULLI], tested[SAME_SIGN])]
    yield ordering("learned-beats-the-rule", quantity, pairs, RUN)


def _tested(evaluation: Evaluation, recipe: str) -> BySeed:
    if recipe not in evaluation.study.recipes:
        return {}
    return in_units(evaluation.by_seed(Group(recipe, (recipe,)), ACHIEVED_TEST.result), ACHIEVED_TEST)


def _with_length(evaluation: Evaluation, judged: Judged, published_epochs: float) -> Judged:
    """The claim with by how much shorter our masks were learned, where there are any."""
    recipe = evaluation.study.recipes.get(BERNOULLI)
    if recipe is None or judged.verdict == "not run":
        return judged
    return replace(judged, evidence=_length(epochs(recipe, evaluation.protocol), published_epochs))


def epochs(recipe: Recipe, protocol: Protocol) -> float:
    """How often a recipe that learns its mask sees MNIST's training images under a protocol."""
    assert recipe.learned is not None  # noqa: S101 - the recipe of that name does
    assert isinstance(recipe.iterations, int)  # noqa: S101 - as above
    images = min(IMAGES - (protocol.held_out or 0), protocol.train_size or IMAGES)
    return recipe.iterations / -(-images // recipe.learned.batch_size)


def _length(ours: float, theirs: float) -> str:
    times = theirs / ours
    said = f"{times:.0f} times shorter" if times > 1 else "no shorter"
    return f"{ours:,.0f} epochs, {said} than the published {theirs:,.0f}"
