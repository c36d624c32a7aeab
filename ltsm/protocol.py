"""The protocol: every setting that decides a result, as frozen values, and the presets."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tomllib
from dataclasses import dataclass
from itertools import product
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ltsm.errors import UsageError, explained
from ltsm.notation import format_seeds, format_sizes, parse_seeds, parse_sizes, plain, quoted
from ltsm.settings import (
    NUMBERS,
    Activation,
    Biases,
    Initialisation,
    MaskScope,
    Order,
    Pixels,
    check,
    is_sizes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "AUTO", "FRANKLE", "PAPER", "PRESETS", "SMOKE", "Activation", "MaskScope", "Order", "Pixels", "Protocol",
    "format_seeds", "format_sizes", "format_value", "from_settings", "in_small", "is_own_data", "load",
    "parse_seeds", "parse_sizes", "preset", "scaled_hyperops", "settled", "to_toml",
]  # fmt: skip

AUTO = "auto"
"""The data set MNIST where it can be had, else digits: a choice and no setting, which is settled before a run."""
SAME_FOR_EVERY_RUN = frozenset({"name", "seeds"})
"""Fields that decide no run's numbers: a label, and which replicates to make."""
ALWAYS_MEANT: dict[str, Any] = {"initialisation": "default", "biases": "default", "held_out": None}
"""Fields that came later, and what protocols without them meant: so they are left out, and no old fingerprint changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """All settings that decide a result; the defaults are the paper's (sections 3.1 to 3.5).

    Two protocols with the same `fingerprint` give the same numbers for the same seed, so their runs
    are shared. `name` is a label and `seeds` says which replicates to make; neither is part of it.
    """

    name: str = "paper"
    seeds: tuple[int, ...] = tuple(range(10))
    dataset: str = "mnist"
    train_size: int | None = None
    """Only the first so many training images; None: all of them."""
    validation_size: int | None = None
    held_out: int | None = None
    """So many of the training images, drawn by a stream of their own, are the validation set, for all seeds; the data
    set's own validation images are then the test set, which selects nothing. None: they are the validation set."""
    pixels: Pixels = "raw"
    """raw: in [0, 1]; standardised: minus the training set's mean, divided by its deviation."""
    hidden: tuple[int, ...] = (200, 30)
    activation: Activation = "relu"
    initialisation: Initialisation = "default"
    """Of weights: uniform in ± 1/√inputs as torch.nn.Linear's are, or normal by Glorot or Kaiming."""
    biases: Biases = "default"
    """At first: as torch.nn.Linear's, or 0."""
    lr: float = 0.0012
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    batch_size: int = 60
    order: Order = "file"
    """file: batch k of every epoch is the same images; shuffled: a new order each epoch."""
    initial_iterations: int = 20_000
    iterations: int = 5_000
    """Length of a ticket's and of a hyperop's training."""
    record_every: int = 100
    mask: MaskScope = "all"
    """What a mask covers: all parameters, or weights and not biases."""
    threshold_min: float = -0.1
    threshold_max: float = 0.4
    threshold_step: float = 0.01
    select_min: float = 0.0
    """Supermasks are chosen among thresholds select_min … select_max; the others are only drawn."""
    select_max: float = 0.2
    hyperops: tuple[tuple[int, ...], ...] = ((200, 30), *product((50, 100, 150), (5, 15, 25)))

    def __post_init__(self) -> None:
        check(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all deciding settings, defaults included, so that no change of a default goes unseen."""
        text = json.dumps(self.settings(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Every threshold t that is evaluated, rounded to 12 digits so that 0.1 + 0.2 is 0.3."""
        steps = math.floor((self.threshold_max - self.threshold_min) / self.threshold_step + 1e-9)
        return tuple(round(self.threshold_min + i * self.threshold_step, 12) + 0.0 for i in range(steps + 1))

    def selectable(self, threshold: float) -> bool:
        """Whether a supermask may have this threshold."""
        return self.select_min - 1e-9 <= threshold <= self.select_max + 1e-9

    def settings(self) -> dict[str, Any]:
        """The deciding settings as plain JSON values."""
        deciding = {k: v for k, v in plain(self).items() if k not in SAME_FOR_EVERY_RUN}
        return {k: v for k, v in deciding.items() if k not in ALWAYS_MEANT or v != ALWAYS_MEANT[k]}

    def changed(self, **settings: Any) -> Protocol:
        """This protocol with some settings changed and its name saying which.

        A change of `hidden` alone also scales the hyperops to it, as the paper's are to (200, 30). Of another data
        set all images are taken unless sizes are given: the first so many were counted in the old one. Data of
        one's own is reshuffled every epoch unless `order` says otherwise: a file sorted by class would ruin training.
        """
        settings = _all_images(self, settings) | settings
        if is_own_data(settings.get("dataset", "")):
            settings.setdefault("order", "shuffled")
        if "hidden" in settings and "hyperops" not in settings and settings["hidden"] != self.hidden:
            settings["hyperops"] = scaled_hyperops(settings["hidden"])
        new = dataclasses.replace(self, **settings)
        names = [k for k in settings if k not in {"name", "seeds", "hyperops"}]
        differing = [k for k in names if getattr(new, k) not in {getattr(self, k), AUTO, None}]
        if "name" in settings or not differing:
            return new
        label = " ".join([self.name, *(f"{k}={_short(getattr(new, k))}" for k in differing)])
        return dataclasses.replace(new, name=label)


def _all_images(base: Protocol, settings: Mapping[str, Any]) -> dict[str, None]:
    """The sizes of another data set than the base's; empty for the same one, or where that is not known yet."""
    same = settings.get("dataset", AUTO) in (AUTO, base.dataset)
    return {} if same else {"train_size": None, "validation_size": None}


def settled(protocol: Protocol, dataset: str) -> Protocol:
    """The protocol on the data set that its `dataset` stood for; where `auto` was not the paper's, its name says so."""
    if protocol.dataset == AUTO and dataset != PAPER.dataset:
        return protocol.changed(dataset=dataset)
    return dataclasses.replace(protocol, dataset=dataset)


def is_own_data(dataset: str) -> bool:
    """Whether a data set is named by a path: an .npz file, or a folder of images; published sets have no dot or slash.

    The name that a protocol keeps of it ends in # and its content's digest, and holds no folders: it is
    the same protocol wherever the data lies, and another one when the data changes.
    """
    return any(sign in dataset for sign in "#/\\.")


def scaled_hyperops(hidden: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The dense networks to compare with: ¼, ½, ¾ of the first layer, 1/6, ½, 5/6 of every later one.

    For (200, 30) these are the paper's (50, 100, 150) × (5, 15, 25), and the full size first (section 3.5).
    """
    first = [max(1, round(hidden[0] * f)) for f in (1 / 4, 1 / 2, 3 / 4)]
    later = [tuple(max(1, round(h * f)) for h in hidden[1:]) for f in (1 / 6, 1 / 2, 5 / 6)]
    smaller = [(a, *rest) for a in first for rest in later]
    return tuple(dict.fromkeys([hidden, *smaller]))


def from_settings(
    settings: Mapping[str, Any], name: str, seeds: tuple[int, ...] = tuple(range(10))
) -> Protocol:
    """A protocol from the JSON values that `Protocol.settings` gave.

    Raises:
        UsageError: an unknown setting, or a value of the wrong type or out of range.
    """
    return _build(PAPER, {**settings, "name": name, "seeds": list(seeds)}, "the stored protocol")


def load(path: Path) -> Protocol:
    """A protocol from a TOML file: any of the fields of `Protocol`, and `base`, the preset it starts from.

    Raises:
        UsageError: the file is missing, is no TOML, or names an unknown setting or a bad value.
    """
    try:
        with explained(UsageError, f"cannot read the protocol {path}", "ltsm init --protocol-file FILE"):
            values = tomllib.loads(path.read_text(encoding="utf-8"))
    # ValueError: also a number too long for Python, a TOMLDecodeError and a UnicodeDecodeError
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is not TOML: {error}.", "ltsm init --protocol-file FILE writes one"
        ) from error
    base = preset(values.pop("base", "paper"))
    hidden = _typed("hidden", values.get("hidden"))
    if is_sizes(hidden) and "hyperops" not in values:
        values["hyperops"] = [list(h) for h in scaled_hyperops(hidden)]
    if is_own_data(str(values.get("dataset", ""))):
        values.setdefault("order", "shuffled")
    made = _build(base, {"name": path.stem, **_all_images(base, values), **values}, str(path))
    return dataclasses.replace(made, name=_own_name(made, path))


def _own_name(protocol: Protocol, path: Path) -> str:
    """Its name, or the file's where that is a preset's and the protocol is another one."""
    known = PRESETS.get(protocol.name)
    if known is None or known.fingerprint == protocol.fingerprint:
        return protocol.name
    return path.name if path.stem in PRESETS else path.stem


def preset(name: Any) -> Protocol:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(
            f"there is no protocol {quoted(name)}: there are {', '.join(PRESETS)}.",
            "or a file: --protocol FILE.toml",
        )
    return PRESETS[name]


def to_toml(protocol: Protocol) -> str:
    """The protocol as a TOML file that `load` reads back to an equal one."""
    lines = ["# Every setting that decides a result. Leave out what should stay as in the paper."]
    for field in dataclasses.fields(protocol):
        value = getattr(protocol, field.name)
        text = format_seeds(value) if field.name == "seeds" else plain(value)
        lines.append(
            f"# {field.name}: {'all' if field.name.endswith('_size') else 'none'}"
            if value is None
            else f"{field.name} = {json.dumps(text, ensure_ascii=False)}"
        )
    return "\n".join(lines) + "\n"


def format_value(value: Any) -> str:
    """A setting as a person would write it on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _short(value: Any) -> str:
    """A setting in a label; of a path its last part."""
    return format_value(PurePath(value).name if isinstance(value, str) else value)


def _build(base: Protocol, values: Mapping[str, Any], source: str) -> Protocol:
    known = {f.name for f in dataclasses.fields(Protocol)}
    if unknown := [k for k in values if k not in known]:
        hint = f"the settings are: {', '.join(sorted(known))}"
        raise UsageError(f"{source} has the unknown setting {quoted(unknown[0])}.", hint)
    try:
        return dataclasses.replace(base, **{k: _typed(k, v) for k, v in values.items()})
    except UsageError as error:
        raise UsageError(f"{source}: {error.message}", error.hint) from error


def _typed(field: str, value: Any) -> Any:
    """A TOML or JSON value as the field's own type; anything that is left over, `check` refuses."""
    if field == "seeds":
        return parse_seeds(value) if isinstance(value, str) else _sizes(value)
    if field == "hidden":
        return parse_sizes(value) if isinstance(value, str) else _sizes(value)
    if field == "hyperops" and isinstance(value, list):
        return tuple(_sizes(v) for v in value)
    if field in NUMBERS and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**53 else value
    return value


def _sizes(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


PAPER = Protocol()
SMOKE = Protocol(
    name="smoke",
    seeds=(0, 1),
    train_size=6_000,
    initial_iterations=1_000,
    iterations=400,
)
FRANKLE = Protocol(
    name="frankle",
    seeds=tuple(range(5)),
    held_out=5_000,
    hidden=(300, 100),
    initialisation="glorot_normal",
    biases="zero",
    order="shuffled",
    initial_iterations=50_000,
    iterations=50_000,
    mask="weights",
    hyperops=scaled_hyperops((300, 100)),
)
"""Of Frankle and Carbin (2019), section 2 and appendix G, and of Zhou et al. (2019) after them."""
FRANKLE_SMOKE = dataclasses.replace(
    FRANKLE,
    name="frankle-smoke",
    seeds=SMOKE.seeds,
    train_size=SMOKE.train_size,
    held_out=500,
    initial_iterations=2_000,
    iterations=1_000,
)
PRESETS: dict[str, Protocol] = {p.name: p for p in (PAPER, SMOKE, FRANKLE, FRANKLE_SMOKE)}
IN_SMALL = {PAPER.name: SMOKE, FRANKLE.name: FRANKLE_SMOKE}


def in_small(name: str) -> Protocol:
    """The small version of a preset, which may be one itself.

    Raises:
        UsageError: it has none.
    """
    if name in IN_SMALL:
        return IN_SMALL[name]
    if name in PRESETS:
        return PRESETS[name]
    raise UsageError(f"there is no small version of {quoted(name)}: --smoke is for {', '.join(IN_SMALL)}.")
