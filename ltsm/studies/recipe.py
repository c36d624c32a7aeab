"""Recipes: how one network comes to be, for any seed. Plain values, whose identity is a fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

By = Literal["threshold", "fraction"]
Scope = Literal["global", "layer"]
Covers = Literal["all", "weights"]
At = Literal["initial", "final"]
Trains = Literal["weights", "mask", "nothing"]
Draw = tuple[str | int, ...]
"""What tells one stream of random numbers from the others of its seed; no name or fingerprint enters one."""


@dataclass(frozen=True, slots=True)
class Random:
    """Values drawn anew, from the seed's stream of this name."""

    stream: Draw


@dataclass(frozen=True, slots=True)
class Weights:
    """Another recipe's weights: before its training, after it, or at an iteration that it keeps."""

    of: str
    at: At | int = "final"


@dataclass(frozen=True, slots=True)
class Mask:
    """The mask that another recipe's run ended with, or the control of that name made from it."""

    of: str
    control: str = ""


@dataclass(frozen=True, slots=True)
class BestOf:
    """As many iterations as that recipe's run took to its minimal validation loss."""

    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """A mask that is made from weights before and after a training, and chosen where there are several amounts.

    Attributes:
        criterion: the name of what scores a weight, the largest scores being kept.
        amounts: how much is kept, each making a mask: thresholds of the score, or fractions of the weights.
        output: the output layer's amounts, one for each, where `amounts` are of the other layers alone.
        scope: of a fraction: of the whole network, or of each layer by itself.
        covers: all parameters, or weights and not biases, which then are all kept.
        choose: the least and the largest amount that may be chosen; None: any.
        within: only what this mask keeps is scored; the rest stays pruned.
    """

    criterion: str
    before: Weights
    after: Weights
    amounts: tuple[float, ...]
    by: By = "threshold"
    scope: Scope = "global"
    covers: Covers = "all"
    choose: tuple[float, float] | None = None
    within: Mask | None = None
    output: tuple[float, ...] = ()

    def selectable(self, amount: float) -> bool:
        """Whether a mask of this amount may be the run's."""
        return self.choose is None or self.choose[0] - 1e-9 <= amount <= self.choose[1] + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A mask that is trained, by SGD on a score for each weight, while the weights stay what the recipe makes of them.

    Attributes:
        method: its name in `ltsm.core.learned`.
        lr: learning rate of the scores, at first.
        batch_size: images a step; the protocol's is of trained weights.
        momentum: of SGD.
        decay: of the scores, as SGD's weight_decay.
        schedule: the learning rate's course, by its name there.
        keep: the share kept of each layer, where the method ranks scores.
        rescale: kept weights are multiplied by a factor of the share that a layer's mask keeps.
        covers: all parameters, or weights and not biases, which then are all kept.
    """

    method: str
    lr: float
    batch_size: int
    momentum: float = 0.9
    decay: float = 0.0
    schedule: str = "constant"
    keep: float = 0.5
    rescale: bool = False
    covers: Covers = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network comes to be. It refers to others by their names in its study.

    Attributes:
        hidden: units of each hidden layer.
        start: where its values come from.
        mask: which parameters are kept; None: all.
        kept: what becomes of the start values that are kept, by its name in `ltsm.core.actions`.
        pruned: what becomes of the others.
        trains: the weights; the mask, and never a weight; or nothing: then the run ends with its mask, untrained.
        iterations: how long.
        keep: iterations at which its weights are kept for others.
        after: trained values by which `pruned` judges, where the mask is another run's.
        draw: what tells this recipe's random numbers from those of one with the same actions.
    """

    hidden: tuple[int, ...]
    start: Random | Weights
    mask: Masking | Mask | Learned | None = None
    kept: str = "initial"
    pruned: str = "zero"
    trains: Trains = "weights"
    iterations: int | BestOf = 0
    keep: tuple[int, ...] = ()
    draw: Draw = ()
    after: Weights | None = None

    @property
    def needs(self) -> dict[str, str]:
        """The names of the recipes that it refers to, by the role that each plays."""
        return dict(_references("", self))

    @property
    def learned(self) -> Learned | None:
        """Its mask, where that is trained."""
        return self.mask if isinstance(self.mask, Learned) else None

    @property
    def makes_mask(self) -> bool:
        """Whether its run has a mask of its own, and not just another's."""
        return isinstance(self.mask, Masking | Learned) or (
            isinstance(self.mask, Mask) and bool(self.mask.control)
        )

    @property
    def owns_start(self) -> bool:
        """Whether its start values are in no other run's file."""
        return isinstance(self.start, Random) or (self.kept, self.pruned) != ("initial", "zero")


_ROLES = {"iterations": "length"}


def _references(role: str, value: Any) -> Iterator[tuple[str, str]]:
    """Role and name of whatever a value refers to, in the order of its fields."""
    if not is_dataclass(value):
        return
    for field in fields(value):
        part = getattr(value, field.name)
        if field.name == "of":
            yield role, part
        elif is_dataclass(part):
            yield from _references(_ROLES.get(field.name, field.name), part)


def settings(recipe: Recipe, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """The recipe as plain JSON values, each name that it needs replaced by that recipe's fingerprint.

    Fields are left out while they have their defaults, so that a new one changes no old recipe's identity.
    """
    found = _plain(recipe, fingerprints)
    assert isinstance(found, dict)  # noqa: S101 - it was a dataclass
    return found


def fingerprint(of_settings: Mapping[str, Any]) -> str:
    """SHA-256 of what `settings` gave."""
    text = json.dumps(of_settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any, fingerprints: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        return [_plain(v, fingerprints) for v in value]
    if not is_dataclass(value):
        return value
    everything = {f.name: (getattr(value, f.name), f.default) for f in fields(value)}
    given = {name: v for name, (v, default) in everything.items() if default is MISSING or v != default}
    plain = {k: fingerprints[v] if k == "of" else _plain(v, fingerprints) for k, v in given.items()}
    return plain if isinstance(value, Recipe) else {"type": type(value).__name__, **plain}


def effort(hidden: tuple[int, ...], learned: Learned | None = None) -> float:
    """How long an iteration takes, in units of no meaning but their ratio.

    It touches each parameter, of which most are the first layer's; evaluation and the walk through the batch add a
    share of their own. Where a mask is learned, every score is drawn or ranked, and the batch is larger.
    """
    return (30 + sum(hidden)) / 1000 * (1 if learned is None else 2 + learned.batch_size / 30)
