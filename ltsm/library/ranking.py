"""Scores by parameter name, which of them are ranked together, and the masks that amounts make of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ltsm.core.criteria import CRITERIA, Values
from ltsm.core.masking import AMOUNTS
from ltsm.core.streams import uniform
from ltsm.errors import UsageError
from ltsm.library.foreign import theirs
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from ltsm.library.coverage import Coverage
    from ltsm.library.weights import State

    Scoring = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """Scores, and what is made of them.

    Attributes:
        scores: by parameter name, a shared parameter's under all its names.
        together: names of parameters of which a fraction is kept: all, or each layer's; a shared one's first name.
        by: what an amount is: a threshold of the score, or the fraction kept.
        shared: further names of parameters, each with the first.
        within: by parameter name, True for what alone is ranked, the rest being pruned already; empty: everything is.
        keeps: what an amount makes of scores; None: what `ltsm.core.masking` makes of it.
    """

    scores: State
    together: tuple[tuple[str, ...], ...]
    by: str
    shared: Mapping[str, str]
    within: State = field(default_factory=dict)
    keeps: Callable[[Tensor, float], Tensor] | None = None

    def mask(self, amount: float, last: float | None = None) -> State:
        """True for what an amount keeps, by parameter name; `last` is the amount of the last that are ranked together."""
        # A threshold is rounded to each parameter's own type; a fraction is of all that are ranked together.
        parts = (
            self.together if self.by == "fraction" else [(name,) for names in self.together for name in names]
        )
        keeps, found = self.keeps or AMOUNTS[self.by], dict[str, "Tensor"]()
        for names in parts:
            scores, among = [self.scores[name] for name in names], _among(names, self.within)
            ranked, own = pooled(scores), amount if last is None or names is not parts[-1] else last
            kept = torch.zeros_like(ranked, dtype=torch.bool)
            kept[among] = keeps(ranked[among], own)
            found |= dict(zip(names, split(kept, scores), strict=True))
        return {name: found[self.shared.get(name, name)] for name in self.scores}


def ranked(
    initial: State | None,
    trained: State,
    covered: Coverage,
    criterion: str | Scoring,
    *,
    by: str,
    scope: str,
    seed: int,
    within: State | None = None,
) -> Ranking:
    """Score what a mask covers, or what of that an earlier mask keeps.

    A criterion of ours sees what is ranked together as one vector, which a percentile of both magnitudes needs; a
    function of the caller's sees one parameter after the other, in its own shape.

    Raises:
        UsageError: there is no such criterion, it needs initial values and has none, or gives something else than scores.
        RunError: the caller's function failed.
    """
    together = ranked_together(covered, scope)
    names = [name for group in together for name in group]
    if isinstance(criterion, str):
        scores = _ours(initial, trained, together, criterion, seed, within or {})
    else:
        scores = {name: _theirs(criterion, name, initial, trained) for name in names}
    return Ranking(
        scores={name: scores[covered.shared.get(name, name)] for name in covered.masked},
        together=together,
        by=by,
        shared=covered.shared,
        within=within or {},
    )


def checked_criterion(criterion: Any) -> None:
    """Nothing, for a name of ours and for a function.

    Raises:
        UsageError: it is neither.
    """
    if not callable(criterion) and (not isinstance(criterion, str) or criterion not in CRITERIA):
        raise UsageError(
            f"there is no criterion {quoted(criterion)}: there are {', '.join(CRITERIA)}.",
            "or a function of initial and trained values that gives scores",
        )


def pooled(tensors: Iterable[Tensor]) -> Tensor:
    """All their values as one vector, in the type that holds them all."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def split(values: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The vector in parts of these tensors' shapes; the inverse of `pooled`."""
    parts = torch.split(values, [tensor.numel() for tensor in like])
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


def layer_of(name: str) -> str:
    """The layer that a parameter belongs to."""
    return name.rpartition(".")[0]


def ranked_together(covered: Coverage, scope: str) -> tuple[tuple[str, ...], ...]:
    """The names of the parameters that a mask covers, each once, layer by layer, or all in one."""
    groups: dict[str, list[str]] = {}
    for name in covered.masked:
        if name not in covered.shared:
            groups.setdefault(layer_of(name) if scope == "layer" else "", []).append(name)
    return tuple(map(tuple, groups.values()))


def _among(names: Iterable[str], within: State) -> Tensor | slice:
    """Where in the vector of these parameters something may be kept."""
    return pooled(within[name] for name in names) if within else slice(None)


def _ours(
    initial: State | None,
    trained: State,
    together: Sequence[Sequence[str]],
    criterion: str,
    seed: int,
    within: State,
) -> State:
    found: State = {}
    counts = [sum(trained[name].numel() for name in names) for names in together]
    draws = torch.split(torch.from_numpy(uniform(seed, "random criterion", count=sum(counts))), counts)
    for names, drawn in zip(together, draws, strict=True):
        after = [trained[name] for name in names]
        before = None if initial is None else pooled(initial[name] for name in names)
        values, among = Values(pooled(after), before, drawn), _among(names, within)
        ranked = CRITERIA[criterion](values.of(among))
        scores = ranked.new_full((len(values.trained),), -math.inf)
        scores[among] = ranked
        mixed = len({tensor.dtype for tensor in after}) > 1
        for name, part, tensor in zip(names, split(scores, after), after, strict=True):
            found[name] = part.to(tensor.dtype) if mixed else part
    return found


def _theirs(criterion: Scoring, name: str, initial: State | None, trained: State) -> Tensor:
    values = Values(trained[name], None if initial is None else initial[name])
    before = values.initial.clone()
    with theirs("the criterion"):
        scores: Any = criterion(before, trained[name].clone())
    if not isinstance(scores, torch.Tensor) or scores.shape != trained[name].shape:
        what = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise UsageError(
            f"the criterion gives {what} for {name!r}, not a score for each of {tuple(trained[name].shape)}."
        )
    return (
        scores.detach().to("cpu", torch.float32) if not scores.is_floating_point() else scores.detach().cpu()
    )
