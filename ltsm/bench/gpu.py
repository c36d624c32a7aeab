"""`python -m ltsm.bench.gpu`: what the CUDA engine does on this machine's GPU, as lines of JSON, within eight minutes.

It needs torch, numpy and safetensors alone, so that it runs on a bare machine with a copy of this source. Each part
is a process of its own with a limit of time: one that fails, hangs or leaves the GPU unusable loses no other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = {
    "agreement": 60,
    "ten": 60,
    "whole_ten": 60,
    "rivals": 60,
    "kernels": 40,
    "hundred": 80,
    "together": 45,
    "whole_hundred": 120,
}
"""Seconds that each part may take, in this order; what is in `ltsm.bench.gpu_parts.PARTS`."""
TOTAL = 465
FAILED, LATE = "failed", "out of time"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts asked for, one process after the other; 1 where one of them failed or took too long."""
    options = parsed(arguments)
    if options.part:
        return _part(options)
    given, end = list(sys.argv[1:] if arguments is None else arguments), time.monotonic() + options.total
    outcomes = [_outcome(name, given, options, end) for name in options.parts]
    return int(any(outcome != "done" for outcome in outcomes))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; an unknown part ends the program with a sentence."""
    parser = argparse.ArgumentParser(prog="python -m ltsm.bench.gpu", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="where MNIST lies, as for ltsm; else data of its shape is made up"
    )
    parser.add_argument("--device", default="cuda", help="where to compute (default: cuda)")
    parser.add_argument("--out", type=Path, help="a file that gets every line, too")
    parser.add_argument(
        "--parts", nargs="+", choices=LIMITS, default=list(LIMITS), metavar="PART", help=", ".join(LIMITS)
    )
    parser.add_argument(
        "--total", type=float, default=TOTAL, metavar="S", help="seconds for all parts together"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, metavar="S", help="seconds for each measurement"
    )
    parser.add_argument(
        "--rehearsal", action="store_true", help="tiny networks and made-up data: does it run at all?"
    )
    parser.add_argument("--part", choices=LIMITS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _outcome(name: str, given: list[str], options: argparse.Namespace, end: float) -> str:
    """Run one part in a process of its own, and say how it ended."""
    began = time.monotonic()
    limit = min(float(LIMITS[name]), end - began)
    try:
        command = [sys.executable, "-m", "ltsm.bench.gpu", *given, "--part", name]
        code = subprocess.run(command, timeout=max(limit, 0.0), check=False).returncode  # noqa: S603 - this program
        outcome = FAILED if code else "done"
    except subprocess.TimeoutExpired:
        outcome = LATE
    _say(options.out, {"part": name, "outcome": outcome, "seconds": time.monotonic() - began})
    return outcome


def _part(options: argparse.Namespace) -> int:
    """One part, here; its error becomes a line with the traceback."""
    try:
        from ltsm.bench import gpu_case, gpu_parts

        bench = gpu_case.prepared(options.device, options.data, options.seconds, rehearsal=options.rehearsal)
        for line in gpu_parts.PARTS[options.part](bench):
            _say(options.out, {"part": options.part} | line)
    except Exception:  # noqa: BLE001 - whatever it was, the other parts go on
        _say(options.out, {"part": options.part, "error": traceback.format_exc().splitlines()[-12:]})
        return 1
    return 0


def _say(out: Path | None, line: dict[str, Any]) -> None:
    """One line of JSON, at once."""
    text = json.dumps(_short(line))
    print(text, flush=True)  # noqa: T201 - this module is a program
    if out:
        with out.open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")


def _short(value: Any) -> Any:
    """Four digits of every float: whoever pays for the output by the letter gets all of it."""
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
