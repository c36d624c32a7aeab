"""The study `learned`: what masks come to that are trained on weights which are not, and on the way there.

Beside a store's seeds: its published claims (Zhou et al., 2019, section 5), and how long both learned.
"""

from __future__ import annotations

from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import numpy as np

from ltsm.report import contents as general
from ltsm.report import table as general_table
from ltsm.report.figures.curves import areas_first, bars_panel, curve_band, curve_panel, layers
from ltsm.report.figures.groups import curves, styled
from ltsm.report.figures.values import Axis, Curve, Figure, Panel, limits
from ltsm.report.measure import ACCURACY, Measure
from ltsm.report.paired import in_units
from ltsm.report.published_claims import Verification, held_out_mnist, ordering, published, value
from ltsm.report.table import ACHIEVED, ACHIEVED_TEST, KEPT, SAMPLED, SAMPLED_TEST
from ltsm.report.words import averaged, left_out, nothing_yet
from ltsm.studies.learned import BERNOULLI, NAME, SAME_SIGN
from ltsm.studies.names import title
from ltsm.studies.study import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ltsm.protocol import Protocol
    from ltsm.report.bands import Band
    from ltsm.report.contents import Contents
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer, Style
    from ltsm.report.published_claims import Judged
    from ltsm.report.table import Row, Table
    from ltsm.studies.recipe import Recipe

    BySeed = Mapping[int, float]

__all__ = ["FIGURES", "NAME", "contents", "table", "verify"]

COLUMNS = (KEPT, ACHIEVED, ACHIEVED_TEST, SAMPLED, SAMPLED_TEST)
DENSITY: Final = Measure("density", "Weights kept", 100.0, "%", rises=True)
SAMPLED_ACCURACY: Final = Measure("sampled_accuracy", "Of drawn masks", 100.0, "%", rises=True)
DRAWN: Final = (ACCURACY, SAMPLED_ACCURACY, DENSITY)
"""What of the records is drawn, panel by panel."""
_A_NAME = 9
_NOTE = (
    "No weight of a mask is trained: it is as its learning ended, or of the size that is best on the validation set. "
    "The dense network is trained, and tested where its validation loss is minimal. Drawn masks are drawn by the "
    "probabilities that were learned; else what is more probable than not is kept."
)


def table(evaluation: Evaluation) -> Table:
    """A row for each mask, and the dense network's."""
    found = general_table.table(evaluation, COLUMNS)
    return replace(found, caption=f"{found.caption} {_NOTE}")


def contents(evaluation: Evaluation) -> Contents:
    """The table, and the reference against each other network in accuracy."""
    tested = evaluation.protocol.held_out is not None
    return general.contents(evaluation, table, (ACHIEVED_TEST if tested else ACHIEVED,))


def learning(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 1: how accurate each mask is, and masks drawn of it, and how much it keeps, as it is learned."""
    rows = _learned(evaluation, table)
    bands = {m: [(row, style, curve_band(evaluation, row.group, m)) for row, style in rows] for m in DRAWN}
    found = [row.group for row, _ in rows]
    missing = nothing_yet(evaluation, f"run of the study {NAME}", *found)
    accuracy, beyond = curve_panel(
        [band for *_, band in bands[ACCURACY]], _layers(bands[ACCURACY], table), missing, ACCURACY
    )
    panels = [accuracy]
    if any(np.isfinite(band.mean).any() for *_, band in bands[SAMPLED_ACCURACY]):
        y = replace(accuracy.y, label=SAMPLED_ACCURACY.axis)
        panels.append(Panel(accuracy.x, y, tuple(_layers(bands[SAMPLED_ACCURACY]))))
    density = Axis(DENSITY.axis, 0.0, 100.0)
    panels.append(Panel(accuracy.x, density, tuple(_layers(bands[DENSITY])), missing=missing))
    caption = (
        "Masks as they are learned: their validation accuracy, that of masks that are drawn by their probabilities, and "
        f"the share of the weights that they keep. {title(_about(evaluation, *found))} {beyond}"
    )
    return Figure(1, "Masks as they are learned", caption.strip(), tuple(panels))


def achieved(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 2: what each network comes to."""
    column = next((c for c in (ACHIEVED_TEST, ACHIEVED) if c in table.columns), ACHIEVED)
    place = table.columns.index(column)
    found = [(_folded(row.label), style, row.cells[place].ours) for row, style in styled(table)]
    study, y = evaluation.study.groups, Axis(f"{column.heading} (%)", 0.0, 108.0)
    missing = nothing_yet(evaluation, f"run of the study {NAME}", *study)
    panel = bars_panel([one for one in found if one[-1].n], y, missing, evaluation.classes)
    caption = f"The {column.heading.lower()} of each network: {_about(evaluation, *study)} {_NOTE}"
    return Figure(2, "What masks come to", caption, (panel,))


def probabilities(evaluation: Evaluation, table: Table) -> Figure | None:
    """Figure 3: with which probability weights are kept in the end; none where no mask is drawn."""
    found = [(row, style, _shares(evaluation, row.group)) for row, style in _learned(evaluation, table)]
    found = [(row, style, shares) for row, style, shares in found if len(shares)]
    if not found:
        return None
    drawn: list[Layer] = []
    for row, style, shares in found:
        x, y = _stairs(shares.mean(axis=0).tolist())
        drawn.append(Curve(x, y, style, table.label(row)))
    top = max(max(layer.y) for layer in drawn if isinstance(layer, Curve))
    panel = Panel(
        Axis("Probability of being kept", 0.0, 1.0),
        Axis("Share of the weights (%)", 0.0, limits((0.0, top))[1]),
        tuple(drawn),
    )
    caption = (
        "The probabilities that were learned, in twentieths: the share of the weights that have each, mean "
        f"{_about(evaluation, *(row.group for row, *_ in found)).removeprefix('mean ± standard deviation ')} "
        "Where nothing is rescaled, a weight whose input is always 0 keeps the probability that it began with, a half."
    )
    return Figure(3, "Probabilities of being kept", caption, (panel,))


FIGURES: dict[int, Callable[[Evaluation, Table], Figure | None]] = {
    1: learning,
    2: achieved,
    3: probabilities,
    4: curves,
}


def _learned(evaluation: Evaluation, table: Table) -> list[tuple[Row, Style]]:
    """The rows of masks that are trained."""
    recipes = evaluation.study.recipes
    return [
        (row, style)
        for row, style in styled(table)
        if all(recipes[name].trains == "mask" for name in row.group.recipes)
    ]


def _folded(label: str) -> str:
    """A name as it stands below a bar: in lines of a few letters, broken at blanks, dashes and underscores."""
    lines = wrap(label.replace("_", "_ "), _A_NAME, break_long_words=False)
    return "\n".join(line.replace("_ ", "_") for line in lines)


def _layers(found: Sequence[tuple[Row, Style, Band]], table: Table | None = None) -> list[Layer]:
    """Areas, then curves, named where a table says how."""
    drawn = [
        layer
        for row, style, curve in found
        if np.isfinite(curve.mean).any()
        for layer in layers(curve, style, table.label(row) if table else "", floor=0)
    ]
    return areas_first(drawn)


def _shares(evaluation: Evaluation, group: Group) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(seeds, bins) the share of the weights in each twentieth, in per cent; empty where no mask is drawn."""
    finished = {result.run_id for results in evaluation.whole(group).values() for result in results}
    counts = [m.probabilities for m in evaluation.masks if m.run_id in finished and m.probabilities]
    found = np.array(counts, dtype=np.float64)
    return 100 * found / found.sum(axis=1, keepdims=True) if len(found) else found


def _stairs(heights: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The outline of a histogram over 0 … 1."""
    edges = np.linspace(0.0, 1.0, len(heights) + 1).repeat(2)
    return tuple(edges.tolist()), (0.0, *np.repeat(heights, 2).tolist(), 0.0)


def _about(evaluation: Evaluation, *of: Group) -> str:
    return averaged(evaluation) + left_out(evaluation, *of)


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
