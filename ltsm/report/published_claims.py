"""Published claims beside our seeds: each a test with a verdict, and what it can and cannot show.

**What is compared.** A value (`equal`) is reproduced where the published one lies within the 95 % interval of our mean,
widened by half a unit of its last printed digit; a bound (`at least`, `at most`) unless a one-sided t-test at 5 % finds
our mean beyond it; an ordering where the paired t-test, over seeds and corrected after Holm over its comparisons, finds
every one of its differences in the published direction.

**What this can show.** Few seeds find large differences alone: a value is called reproduced where it is *not found to
differ*, and with five seeds that leaves room for two to three standard deviations. An ordering asks more: it is *not
shown* where the seeds do not decide, and differs only where they decide against it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from ltsm.notation import plain
from ltsm.report.paired import ENOUGH_PAIRS, difference, holm_together
from ltsm.report.statistics import LEVEL, Interval, Summary, one_sample, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltsm.protocol import Protocol

    BySeed = Mapping[int, float]

Kind = Literal["equal", "at least", "at most", "ordering"]
Verdict = Literal["reproduced", "differs", "not shown", "not enough seeds", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A claim, our numbers, and what follows.

    `ours` is in the claim's units, of an ordering the least of its differences; `interval` is that mean's own 95 %
    interval; `evidence` says in a few words what the verdict rests on, or what has to be run.
    """

    name: str
    quantity: str
    kind: Kind
    published: float
    ours: Summary
    interval: Interval
    verdict: Verdict
    evidence: str = ""


@cache
def published(name: str) -> dict[str, Any]:
    """What is published, as the package's own copy of that name has it: `source`, and `claims`."""
    document: dict[str, Any] = json.loads(
        files("ltsm.report").joinpath(f"{name}.json").read_text(encoding="utf-8")
    )
    return document


def held_out_mnist(protocol: Protocol) -> str:
    """Why nothing is compared that is published for MNIST with a test set; empty where it is."""
    if protocol.dataset == "mnist" and protocol.held_out is not None:
        return ""
    return "it is published for MNIST, with a validation set held out of its training images."


def value(claim: Mapping[str, object], found: Sequence[float], run: str) -> Judged:
    """A published number beside ours, one a seed; `run` says what to run where there are none."""
    kind, published, rounding = str(claim["kind"]), float(claim["published"]), float(claim["rounding"])  # type: ignore[arg-type]  # numbers in the file
    values = [v for v in found if math.isfinite(v)]
    interval, _ = one_sample(values)
    if not values:
        verdict: Verdict = "not run"
    elif len(values) < ENOUGH_PAIRS:
        verdict = "not enough seeds"
    elif kind == "equal":
        inside = interval.low - rounding <= published <= interval.high + rounding
        verdict = "reproduced" if inside else "differs"
    else:
        sign = 1 if kind == "at most" else -1
        beyond = _beyond([sign * v for v in values], sign * published + rounding)
        verdict = "differs" if beyond else "reproduced"
    return Judged(
        name=str(claim["id"]),
        quantity=str(claim["quantity"]),
        kind=kind,  # type: ignore[arg-type]  # as the file has them
        published=published,
        ours=summarise(values),
        interval=interval,
        verdict=verdict,
        evidence=run if verdict == "not run" else "",
    )


def ordering(name: str, quantity: str, pairs: Sequence[tuple[str, BySeed, BySeed]], run: str) -> Judged:
    """Whether, of each pair, the first is shown to be above the second, over the seeds that have both."""
    found = holm_together([difference(label, first, second) for label, first, second in pairs])
    least = min(found, key=lambda p: p.difference.mean if p.difference.n else -math.inf, default=None)
    if least is None or not all(pair.difference.n for pair in found):
        verdict: Verdict = "not run"
    elif not all(pair.enough for pair in found):
        verdict = "not enough seeds"
    elif any(pair.direction < 0 for pair in found):
        verdict = "differs"
    else:
        verdict = "reproduced" if all(pair.direction > 0 for pair in found) else "not shown"
    shown = sum(pair.direction > 0 for pair in found)
    evidence = f"{shown} of {len(found)} shown; the least: {least.label}" if least else ""
    nothing = Summary(0, math.nan, math.nan), Interval(math.nan, math.nan)
    ours, interval = (least.difference, least.interval) if least else nothing
    return Judged(
        name=name,
        quantity=quantity,
        kind="ordering",
        published=math.nan,
        ours=ours,
        interval=interval,
        verdict=verdict,
        evidence=run if verdict == "not run" else evidence,
    )


def _beyond(values: Sequence[float], bound: float) -> bool:
    """Whether a one-sided test finds the mean above a bound."""
    _, p = one_sample(values, bound)
    return summarise(values).mean > bound and p / 2 < LEVEL


@dataclass(frozen=True, slots=True)
class Verification:
    """Every claim of a study judged; or why none is."""

    source: str
    lines: tuple[Judged, ...]
    nothing: str = ""

    @property
    def compared(self) -> bool:
        """Whether anything was compared."""
        return any(line.verdict != "not run" for line in self.lines)

    @property
    def reproduced(self) -> bool:
        """Whether all that was run is reproduced."""
        return self.compared and all(line.verdict in {"reproduced", "not run"} for line in self.lines)

    @property
    def summary(self) -> str:
        """The counts in words."""
        if self.nothing:
            return f"Nothing is compared: {self.nothing}"
        verdicts: tuple[Verdict, ...] = ("reproduced", "differs", "not shown", "not enough seeds", "not run")
        counts = [(v, sum(line.verdict == v for line in self.lines)) for v in verdicts]
        said = ", ".join(f"{n} {v}" for v, n in counts if n)
        return f"{len(self.lines)} claims of {self.source}: {said}."


def as_json(found: Verification) -> dict[str, object]:
    """The verification as plain JSON values; `reproduced` is null where nothing is compared."""
    return {
        "source": found.source,
        "reproduced": found.reproduced if found.compared else None,
        "summary": found.summary,
        "level": LEVEL,
        "lines": [plain(line) for line in found.lines],
    }
