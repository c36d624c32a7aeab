"""`python -m ltsm.bench.gpu`, rehearsed on the CPU: every part runs, on a machine with next to nothing installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ltsm.bench import gpu, gpu_parts

ABSENT = (
    "sqlalchemy alembic typer textual rich jinja2 matplotlib scipy sklearn torchvision PIL".split()  # noqa: SIM905
)
REHEARSAL = ["--rehearsal", "--device", "cpu", "--seconds", "0.001"]
WITHOUT = f"""
import sys
for name in {ABSENT!r}:
    sys.modules[name] = None
from ltsm.bench import gpu
for part in sys.argv[1:]:
    assert gpu.main([*{REHEARSAL!r}, "--part", part]) == 0, part
"""


def run(*arguments: str) -> list[dict[str, object]]:
    found = subprocess.run(
        arguments, capture_output=True, text=True, check=True, cwd=gpu.__file__[: -len("ltsm/bench/gpu.py")]
    )
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_every_part_has_a_limit_and_runs_with_torch_numpy_and_safetensors_alone() -> None:
    """In one process for speed; that each has one of its own is another test's."""
    assert list(gpu_parts.PARTS) == list(gpu.LIMITS)
    lines = run(sys.executable, "-c", WITHOUT, *gpu.LIMITS)
    assert {line["part"] for line in lines} == set(gpu.LIMITS)
    agreements = [line["holds"] for line in lines if "holds" in line]
    assert agreements == [True] * 8


def test_a_part_that_fails_says_where_and_the_next_one_runs(capfd, tmp_path) -> None:
    """There is no such device: each process prints its traceback, and the file has what the screen has."""
    out = tmp_path / "lines.json"
    code = gpu.main(["--rehearsal", "--device", "nowhere", "--parts", "ten", "hundred", "--out", str(out)])
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert code == 1
    assert [(line["part"], line.get("outcome")) for line in lines] == [
        ("ten", None), ("ten", "failed"), ("hundred", None), ("hundred", "failed"),
    ]  # fmt: skip
    assert "nowhere" in " ".join(lines[0]["error"])
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines


def test_a_part_that_hangs_is_ended_at_its_limit(monkeypatch, capfd) -> None:
    """And where no time is left at all, the rest are not waited for."""
    monkeypatch.setitem(gpu.LIMITS, "ten", 0.05)
    assert gpu.main(["--rehearsal", "--device", "cpu", "--parts", "ten"]) == 1
    assert gpu.main(["--rehearsal", "--device", "cpu", "--parts", "rivals", "--total", "0"]) == 1
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["part"], line["outcome"]) for line in lines] == [("ten", gpu.LATE), ("rivals", gpu.LATE)]


def test_all_limits_and_the_eight_minutes() -> None:
    """Whatever the parts take, the whole ends before a lent machine is taken away."""
    assert gpu.TOTAL < 480
    assert gpu.parsed([]).total == gpu.TOTAL


def test_an_unknown_part_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--parts", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err
