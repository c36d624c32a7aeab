"""docs/studies.md: its example runs as it stands, and its tables name what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from ltsm.core.actions import CONTROLS, KEPT
from ltsm.protocol import PAPER
from ltsm.studies import controls

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
ALONE = {"OMP_NUM_THREADS": "1", "LTSM_DATA": "", "COLUMNS": "160"}


def test_the_example_runs_as_it_stands(tmp_path):
    """Its file, and every command that is said of it; the report has a line for each of its groups."""
    example = re.search(r"```python\n# early.py\n(.*?)```", PAGE, re.DOTALL)
    assert example
    (tmp_path / "early.py").write_text(example[1], encoding="utf-8")
    commands = re.findall(r"^(ltsm .*early:study.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    for line in commands:
        command = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | ALONE, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert all(f"Ticket of {at}" in done.stdout for at in (100, 400))


def test_every_control_and_action_is_on_the_page():
    table = PAGE.partition("## `controls`")[2].partition("## ")[0]
    for group in controls.study(PAPER).groups:
        assert f"| {group.label} |" in table
    assert all(f"`{name}`" in PAGE for name in KEPT)
    assert all(f'"{name}"' in PAGE for name in CONTROLS)
