"""docs/studies.md: its example runs as it stands, and its tables name what there is."""

from __future__ import annotations

import re

from docs_pages import Page, command

from ltsm.core.actions import CONTROLS, KEPT
from ltsm.core.learned import METHODS
from ltsm.protocol import PAPER
from ltsm.studies import controls, learned

PAGE = Page("studies").text


def test_the_example_runs_as_it_stands(tmp_path):
    """Its file, and every command that is said of it; the report has a line for each of its groups."""
    example = re.search(r"```python\n# early.py\n(.*?)```", PAGE, re.DOTALL)
    assert example
    (tmp_path / "early.py").write_text(example[1], encoding="utf-8")
    commands = re.findall(r"^(ltsm .*early:study.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    *_, report = [command(line, tmp_path) for line in commands]
    assert all(f"Ticket of {at}" in report for at in (100, 400))


def test_every_method_of_learned_masks_is_on_the_page_with_its_settings():
    table = PAGE.partition("## `learned`")[2].partition("## ")[0]
    assert all(f"`{method}`" in table for method in METHODS)
    for how in learned.OF.values():
        assert f"rate {how.lr:g}" in table
        assert f"batches of {how.batch_size}" in table
    for name in learned.study(PAPER).recipes:
        if "edge-popup" not in name and name not in {"initial training", "baseline"}:
            assert f"| {name} |" in table


def test_every_control_and_action_is_on_the_page():
    table = PAGE.partition("## `controls`")[2].partition("## ")[0]
    for group in controls.study(PAPER).groups:
        assert f"| {group.label} |" in table
    assert all(f"`{name}`" in PAGE for name in KEPT)
    assert all(f'"{name}"' in PAGE for name in CONTROLS)
