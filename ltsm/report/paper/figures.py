"""Figures 1, 2 and 5, validation losses during training, or accuracies; 6 and 7, how large networks are, and what size buys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ltsm.report.figures.curves import (
    bars_panel,
    curve_band,
    curve_panel,
    curves_panel,
    highest,
    layers,
    mean_point,
)
from ltsm.report.figures.values import Axis, Curve, Figure, Panel, Points, limits
from ltsm.report.paper.table_1 import BASELINE, CATEGORIES, INITIAL, LOTTERY_TICKET, hidden, of_category
from ltsm.report.table import FINAL_LOSS, SIZE, summary
from ltsm.report.words import averaged, left_out, nothing_yet, over_all
from ltsm.studies import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ltsm.report import bands
    from ltsm.report.evaluation import Evaluation
    from ltsm.report.figures.values import Layer, Style
    from ltsm.report.table import Row, Table
    from ltsm.store.values import ResultRow
    from ltsm.studies.study import Group

STYLES: dict[str, Style] = {
    LOTTERY_TICKET: "ticket",
    "High performer": "high",
    "Medium performer": "medium",
    "Low performer": "low",
}


def initial_training(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 1: overfitting."""
    n, measure = len(evaluation.finished(INITIAL)), table.measure
    found = curve_band(evaluation, INITIAL, measure)
    drawn = layers(found, "first", "mean", "± standard deviation") if n else []
    panel, beyond = curve_panel([found], drawn, nothing_yet(evaluation, "initial training", INITIAL), measure)
    caption = (
        f"The {measure.what} during the initial training without early stopping, "
        f"every {evaluation.protocol.record_every} iterations, {averaged(evaluation, n)} {beyond}"
    )
    return Figure(1, f"{measure.label} during initial training", caption.strip(), (panel,))


def retraining(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 2: early stopping; each run ends at an iteration of its own."""
    results, measure = evaluation.finished(BASELINE), table.measure
    found = curve_band(evaluation, BASELINE, measure)
    drawn: list[Layer] = []
    alone = ""
    if results:
        all_left = int((found.n == len(results)).sum())
        drawn = _until(found, all_left)
        lasts = sorted(evaluation.records[r.run_id][-1] for r in results if r.run_id in evaluation.records)
        x = tuple(float(m.iteration) for m in lasts)
        y = tuple(measure.scale * float(getattr(m, measure.record)) for m in lasts)
        drawn.append(Points(x, y, "third", "where each seed stopped", small=True))
        if all_left < len(found.x):
            alone = (
                f"After iteration {found.x[all_left - 1]:.0f} the mean (dashed) is taken over the seeds that are "
                "still training, fewer and fewer. "
            )
    panel, beyond = curve_panel([found], drawn, nothing_yet(evaluation, "retraining", BASELINE), measure)
    caption = (
        f"The {measure.what} during the retraining, which stops for each seed at the iteration of the initial "
        f"training's minimal validation loss, {averaged(evaluation, len(results))} {alone}{beyond}"
    )
    return Figure(2, f"{measure.label} during retraining with early stopping", caption.strip(), (panel,))


def tickets_and_hyperops(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 5: the ticket and the three groups of dense networks."""
    groups, measure = evaluation.study.groups, table.measure
    found = (
        (curve_band(evaluation, group, measure), STYLES[of], f"{of}s (n = {len(evaluation.whole(group))})")
        for of, group in categories(table)
    )
    panel, beyond = curves_panel(found, nothing_yet(evaluation, "ticket or hyperop", *groups), measure)
    caption = (
        f"The {measure.what} of lottery tickets and hyperoptimized networks, every "
        f"{evaluation.protocol.record_every} iterations: for each seed the mean over a group's networks, then mean ± "
        f"standard deviation over the n seeds that have them all; "
        f"{over_all(evaluation)} "
        f"The groups are the best least-squares split of the networks' mean final losses. {beyond}"
    ).strip() + left_out(evaluation, *groups)
    return Figure(5, f"{measure.label} of lottery tickets and hyperops", caption, (panel,))


def categories(table: Table) -> Iterator[tuple[str, Group]]:
    """The ticket and the three groups of dense networks."""
    for category in (LOTTERY_TICKET, *CATEGORIES):
        yield category, of_category(table, category)


def _until(found: bands.Band, all_left: int) -> list[Layer]:
    """Solid while every run is there, dashed from then on."""
    *band, line = layers(found, "first", "mean", "± standard deviation")
    assert isinstance(line, Curve)  # noqa: S101 - as `layers` says
    tail = max(all_left - 1, 0)
    drawn: list[Layer] = [*band, Curve(line.x[:all_left], line.y[:all_left], "first", "mean of all seeds")]
    if all_left < len(line.x):
        rest = Curve(line.x[tail:], line.y[tail:], "first", "mean of the seeds left", dashed=True)
        drawn.append(rest)
    return drawn


RELATIVE = "Relative size (%)"
LOW = "Low performer"
"""As which a network is drawn that has no group yet."""
Place = tuple[float, float]
NAME, MARKER = (0.11, 0.035), (0.062, 0.03)
"""How far the middle of a name has to be from another name's, and from a marker: shares of the picture."""
LINE = 0.037
CORNERS = tuple((right, up) for up in (1, -1, 2, -2, 3, -3) for right in (1, -1))
"""Where a name may stand at its marker: right or left, in the first, second or third line above or below it."""


def relative_sizes(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 6: the ticket and the three groups; a group's size is its networks' mean for each seed."""
    sizes = {category: summary(evaluation, group, SIZE) for category, group in categories(table)}
    found = [
        (f"{category}s\n(n = {size.n})".replace(" ", "\n", 1), STYLES[category], size)
        for category, size in sizes.items()
        if size.n
    ]
    groups, top = evaluation.study.groups, 1.05 * highest((size for *_, size in found), 100.0)
    y = Axis(RELATIVE, 0.0, max(top, 100.0))
    panel = bars_panel(found, y, nothing_yet(evaluation, "ticket or hyperop", *groups))
    caption = (
        "The relative network sizes of the lottery tickets and of the three groups of hyperoptimized networks: "
        "for each seed the mean over a group's networks, then mean ± standard deviation over the n seeds; dense "
        f"networks have one size for every seed, and no deviation; {over_all(evaluation)}{left_out(evaluation, *groups)}"
    )
    return Figure(6, "Relative sizes of lottery tickets and hyperops", caption, (panel,))


def trade_off(evaluation: Evaluation, table: Table) -> Figure:
    """Figure 7: final loss against relative size, every run and every network's mean."""
    found = [(row, evaluation.finished(row.group)) for row in table.rows]
    found = [(row, results) for row, results in found if results]
    rows = [row for row, _ in found]
    losses = [r.final_val_loss for _, results in found for r in results]
    low, high = limits((*losses, *_reach(rows)))
    high = min(high, limits((min(losses), *_reach(rows)))[1]) if losses else high
    # A name has to fit beside the largest network.
    widest = 1.14 * max((100.0, *(row.cells[0].ours.mean for row in rows)))
    means = [(row.cells[0].ours.mean / widest, row.cells[1].ours.mean / (high - low)) for row in rows]
    runs = [
        (SIZE.values([r])[0] / widest, r.final_val_loss / (high - low))
        for _, results in found
        for r in results
    ]
    panel = Panel(
        Axis(RELATIVE, 0.0, widest),
        Axis("Final validation loss", low, high),
        (*(_runs(*pair) for pair in found), *_means(evaluation, rows, _sides(means, runs))),
        missing=nothing_yet(evaluation, "ticket or hyperop", *evaluation.study.groups),
    )
    above = sorted(loss for loss in losses if loss > high)
    cut = f" Above the picture: {', '.join(f'{loss:.2f}' for loss in above)}." if above else ""
    caption = (
        "Final validation loss against relative size: each small marker is one run, each large one a network's mean "
        f"with the standard deviations of both; {over_all(evaluation)} Down and to the left is better.{cut}"
        f"{left_out(evaluation, *evaluation.study.groups)}"
    )
    return Figure(7, "Loss and size of every network", caption, (panel,))


def _reach(rows: list[Row]) -> list[float]:
    """Where the means and their deviations end above: a single run far outside must not flatten the rest."""
    losses = [row.cells[1].ours for row in rows]
    return [loss.mean + (loss.sd if math.isfinite(loss.sd) else 0) for loss in losses]


def _sides(means: list[Place], runs: list[Place]) -> list[tuple[int, int]]:
    """For each mean, in shares of the picture, the first corner where its name covers the fewest names and markers."""
    taken: list[Place] = []
    sides = []
    for mean in means:
        markers = [other for other in (*means, *runs) if other != mean]

        def covered(side: tuple[int, int], mean: Place = mean, markers: list[Place] = markers) -> int:
            place = _name_at(mean, side)
            return _near(place, taken, NAME) + _near(place, markers, MARKER)

        sides.append(min(CORNERS, key=covered))
        taken.append(_name_at(mean, sides[-1]))
    return sides


def _name_at(mean: Place, side: tuple[int, int]) -> Place:
    """The middle of a name at a corner of a marker."""
    right, up = side
    return mean[0] + right * 0.07, mean[1] + (0.022 + LINE * (abs(up) - 1)) * (1 if up > 0 else -1)


def _near(place: Place, others: list[Place], room: Place) -> int:
    """How many of the others are in the way."""
    return sum(abs(place[0] - x) <= room[0] and abs(place[1] - y) <= room[1] for x, y in others)


def _means(evaluation: Evaluation, rows: list[Row], sides: list[tuple[int, int]]) -> list[Layer]:
    """The large markers; only the first of each group names it."""
    seen: set[str | None] = set()
    layers: list[Layer] = []
    for row, side in zip(rows, sides, strict=True):
        name = "ticket" if row.label == LOTTERY_TICKET else names.sizes(hidden(evaluation, row.group))
        label, style = "" if row.category in seen else f"{row.category}s", STYLES[row.category or LOW]
        size, loss = row.cells[0].ours, row.cells[1].ours
        layers.append(mean_point(size, loss, style, label, names=(name,), side=side))
        seen.add(row.category)
    return layers


def _runs(row: Row, results: list[ResultRow]) -> Points:
    x, y = tuple(SIZE.values(results)), tuple(FINAL_LOSS.values(results))
    return Points(x, y, STYLES[row.category or LOW], small=True)
