"""Every criterion on hand-made values, and that there is nothing but functions of tensors."""

import subprocess
import sys

import pytest
import torch

from ltsm.core.criteria import CRITERIA

INITIAL = torch.tensor([0.5, -0.5, 0.5, -0.5, 0.0, 0.25])
TRAINED = torch.tensor([0.75, -0.75, -0.25, 0.25, 1.0, 0.0])
SCORES = {"sign": [0.75, 0.75, -0.25, -0.25, 0.0, 0.0]}
"""In turn: grew, grew below 0, changed sign, changed it from below, started at 0, became 0."""


@pytest.mark.parametrize("name", CRITERIA)
def test_scores_worked_out_by_hand(name):
    assert CRITERIA[name](INITIAL, TRAINED).tolist() == SCORES[name]


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_scores_have_the_trained_values_type(name, dtype):
    """To which thresholds are rounded; and the values stay as they were."""
    before, after = INITIAL.double(), TRAINED.to(dtype)
    assert CRITERIA[name](before, after).dtype == dtype
    assert torch.equal(before, INITIAL.double())
    assert torch.equal(after, TRAINED.to(dtype))


def test_names_are_listed_without_torch():
    """The command line lists them in its help, which has half a second."""
    code = "import sys; from ltsm.core import actions, criteria; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
