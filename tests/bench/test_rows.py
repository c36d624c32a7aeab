"""`python -m ltsm.bench.rows`: a line of Markdown for each case, with the engine that is chosen."""

from __future__ import annotations

import pytest
import torch

from ltsm.bench import rows
from ltsm.core.engine import ENGINES


@pytest.mark.parametrize("kind", rows.KINDS, ids=lambda kind: kind.name)
def test_made_up_rows_have_the_share_of_values_that_are_not_0(kind: rows.Rows, monkeypatch) -> None:
    monkeypatch.setattr(rows, "IMAGES", 600)
    data = rows.made_up(kind)
    assert data.train_images.shape == (600, kind.inputs)
    assert data.train_images.count_nonzero() / data.train_images.numel() == pytest.approx(
        kind.share, abs=0.02
    )


def test_the_table_is_markdown_with_every_cpu_engine(monkeypatch, capsys) -> None:
    monkeypatch.setattr(rows, "IMAGES", 120)
    monkeypatch.setattr(rows, "KINDS", (rows.Rows("few", 20, 0.3),))
    threads = torch.get_num_threads()
    rows.main(["--seconds", "0.0001", "--rounds", "1"])
    torch.set_num_threads(threads)
    head, rule, *lines = capsys.readouterr().out.splitlines()
    engines = [kind.name for kind in ENGINES if kind.name != "cuda"]
    assert [cell.strip() for cell in head.split("|")[5:-1]] == [f"{name}, µs a step" for name in engines]
    assert [line.split("|")[2].strip() for line in lines] == ["file", "shuffled", "shuffled"]
    assert {line.split("|")[4].strip() for line in lines} <= set(engines)
    assert {line.count("|") for line in (head, rule, *lines)} == {5 + len(engines)}
