"""--device: where is computed, and what is said where nothing can be."""

import os
import subprocess
import sys

import pytest
from small import TOML, results

from ltsm.studies import paper

STEP = ["train-baseline", "--protocol", "small.toml", "--seeds", "0-1"]


@pytest.fixture
def ltsm(tmp_path):
    """Call the program in an empty folder that has the small protocol in it."""
    (tmp_path / "small.toml").write_text(TOML)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LTSM_")}

    def call(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "ltsm", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=tmp_path,
            env=kept | variables,
        )

    return call


@pytest.mark.parametrize("device", ["abacus", "meta"])
def test_a_device_that_is_not_there_is_refused_in_a_sentence(ltsm, tmp_path, device):
    """Before anything is made; meta has tensors, but no values in them.

    Taken out: the question in `running.located`; a store with pending runs stayed.
    """
    found = ltsm(*STEP, "--device", device)
    assert found.returncode == 2
    assert f"PyTorch can compute on no device {device!r} here" in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "results").exists()


def test_a_worker_process_advances_both_seeds_side_by_side(ltsm, tmp_path):
    """PyTorch's other name of the CPU is none to this program: it makes lanes there, as on a GPU."""
    found = ltsm(*STEP, "--store", "lanes.db", LTSM_DEVICE="cpu:0")
    assert found.returncode == 0, found.stderr
    states = {key: values[0] for key, values in results(tmp_path / "lanes.db").items()}
    assert states == {(seed, kind): "done" for seed in (0, 1) for kind in (paper.INITIAL, paper.BASELINE)}
