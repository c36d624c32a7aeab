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

    def block(self, language: str, place: int = 0) -> str:
        """Its first block in a language, or a later one."""
        return re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)[place]

    def script(self, folder: Path, place: int = 0) -> str:
        """What its first Python block, or a later one, prints when it runs in the folder."""
        (folder / "script.py").write_text(self.block("python", place), encoding="utf-8")
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
