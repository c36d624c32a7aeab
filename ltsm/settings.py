"""What each setting of a protocol may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from ltsm.errors import UsageError
from ltsm.notation import MAX_SEEDS, quoted

if TYPE_CHECKING:
    from ltsm.protocol import Protocol

Order = Literal["file", "shuffled"]
Pixels = Literal["raw", "standardised"]
MaskScope = Literal["all", "weights"]
Activation = Literal["relu", "tanh", "gelu"]
Initialisation = Literal["default", "glorot_normal", "kaiming_normal"]
Biases = Literal["default", "zero"]

MAX_LAYERS = 64
MAX_WIDTH = 1_000_000
MAX_THRESHOLDS = 10_000
LEAST_STEP = 1e-9
"""Thresholds are rounded to 12 digits."""
INTEGERS = (
    "train_size",
    "validation_size",
    "held_out",
    "batch_size",
    "initial_iterations",
    "iterations",
    "record_every",
)
OPTIONAL = frozenset({"train_size", "validation_size", "held_out"})
"""None stands for all of them, and none."""
NUMBERS = (
    "lr",
    "beta1",
    "beta2",
    "epsilon",
    "threshold_min",
    "threshold_max",
    "threshold_step",
    "select_min",
    "select_max",
)
CHOICES: dict[str, tuple[str, ...]] = {
    "pixels": get_args(Pixels),
    "order": get_args(Order),
    "mask": get_args(MaskScope),
    "activation": get_args(Activation),
    "initialisation": get_args(Initialisation),
    "biases": get_args(Biases),
}


def is_sizes(value: Any, low: int = 1, high: int = MAX_WIDTH) -> bool:
    """Whether this is a list of whole numbers from `low` to `high`, and not empty."""
    whole = isinstance(value, tuple | list) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in value
    )
    return whole and len(value) > 0 and all(low <= v <= high for v in value)


def check(p: Protocol) -> None:
    """Refuse what cannot be.

    Raises:
        UsageError: a sentence that names the setting.
    """
    for field in INTEGERS:
        value = getattr(p, field)
        if not (field in OPTIONAL and value is None) and (
            not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10**9
        ):
            raise UsageError(f"{field} must be a whole number of at least 1, not {quoted(value)}.")
    for field in NUMBERS:
        value = getattr(p, field)
        if not isinstance(value, float) or not math.isfinite(value):
            raise UsageError(f"{field} must be a number, not {quoted(value)}.")
    for field, choices in CHOICES.items():
        if getattr(p, field) not in choices:
            raise UsageError(f"{field} must be {' or '.join(choices)}, not {quoted(getattr(p, field))}.")
    _check_texts(p)
    _check_sizes(p)
    _check_ranges(p)


def _check_texts(p: Protocol) -> None:
    for field in ("name", "dataset"):
        value = cast("object", getattr(p, field))
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 200:  # noqa: PLR2004
            raise UsageError(f"{field} must be a short printable text, not {quoted(value)}.")
    if not is_sizes(p.seeds, 0, 10**9) or len(p.seeds) > MAX_SEEDS:
        raise UsageError(
            f"seeds must be up to {MAX_SEEDS:,} whole numbers of at least 0.", "e.g. --seeds 0-9"
        )


def _check_sizes(p: Protocol) -> None:
    if not isinstance(cast("object", p.hyperops), tuple):
        raise UsageError(
            f"hyperops must be a list of sizes, not {quoted(p.hyperops)}.",
            "e.g. hyperops = [[200, 30], [50, 5]]",
        )
    for field, sizes in [("hidden", p.hidden), *(("hyperops", h) for h in p.hyperops)]:
        check_layers(field, sizes, "e.g. --hidden 300,100")
    if len(set(p.hyperops)) != len(p.hyperops):
        raise UsageError("hyperops names the same sizes twice.")


def check_layers(name: str, sizes: Any, hint: str) -> None:
    """Refuse hidden layers that cannot be.

    Raises:
        UsageError: a layer without units, too wide a one, or too many.
    """
    if not is_sizes(sizes):
        raise UsageError(
            f"{name}: every layer needs between 1 and {MAX_WIDTH:,} units, not {quoted(sizes)}.", hint
        )
    if len(sizes) > MAX_LAYERS:
        raise UsageError(f"{name}: {len(sizes)} are more than {MAX_LAYERS} layers.", hint)


def _check_ranges(p: Protocol) -> None:
    if p.lr <= 0 or p.epsilon <= 0:
        raise UsageError(f"lr and epsilon must be above 0, not {p.lr:g} and {p.epsilon:g}.")
    if not (0 <= p.beta1 < 1 and 0 <= p.beta2 < 1):
        raise UsageError(f"beta1 and beta2 must be in [0, 1), not {p.beta1:g} and {p.beta2:g}.")
    if p.threshold_step < LEAST_STEP or p.threshold_max < p.threshold_min:
        raise UsageError(
            f"thresholds need threshold_min ≤ threshold_max and a threshold_step of at least {LEAST_STEP:g}."
        )
    if (p.threshold_max - p.threshold_min) / p.threshold_step > MAX_THRESHOLDS:
        raise UsageError(f"these are more than {MAX_THRESHOLDS:,} thresholds.", "a larger threshold_step")
    if not any(map(p.selectable, p.thresholds)):
        raise UsageError(
            f"no threshold lies in select_min … select_max ({p.select_min:g} … {p.select_max:g})."
        )
