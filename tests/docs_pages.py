"""A page of docs/ as its reader follows it: its blocks, and its commands run."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
ALONE = {"OMP_NUM_THREADS": "1", "LTSM_DATA": "", "COLUMNS": "160"}
"""One thread: on small networks several only wait for each other."""


@dataclass(frozen=True)
class Page:
    """A page, by its name without .md."""

    name: str

    @property
    def text(self) -> str:
        return (DOCS / f"{self.name}.md").read_text(encoding="utf-8")

    def block(self, language: str, number: int = 0) -> str:
        """One of its blocks in a language, the first one being 0."""
        found = re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)
        return found[number]

    def script(self, folder: Path, number: int = 0) -> str:
        """What one of its Python blocks prints when it runs in the folder."""
        (folder / "script.py").write_text(self.block("python", number), encoding="utf-8")
        return run([sys.executable, "script.py"], folder)


def command(line: str, folder: Path) -> str:
    """What a command of ours prints."""
    program, *arguments = shlex.split(line)
    assert program == "ltsm"
    return run([sys.executable, "-m", program, *arguments], folder)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | ALONE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
