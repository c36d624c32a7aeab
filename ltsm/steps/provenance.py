"""Where a run's numbers come from: programs, machine and command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


def provenance(arguments: list[str]) -> dict[str, Any]:
    """Versions, processor, git commit and command line, as plain JSON values; torch is asked, not imported.

    Args:
        arguments: the command line as `sys.argv` has it.
    """
    found: dict[str, Any] = {name: version(name) for name in ("ltsm", "torch", "numpy")}
    found |= {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "command": shlex.join(["ltsm", *arguments[1:]]),
    }
    if commit := git_commit():
        found["git"] = commit
    return found


def processor() -> str:
    """The processor's name as the machine gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git_commit() -> str | None:
    """The commit that this program is, with `+` where it was changed since; None outside a checkout of it."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return None
    try:
        commit = _git(top, "rev-parse", "HEAD")
        return commit + ("+" if _git(top, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(top: Path, *arguments: str) -> str:
    command = ["git", "-C", str(top), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603 - fixed words
