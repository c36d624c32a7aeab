"""Every criterion on hand-made values, and that there is nothing but functions of tensors."""

import subprocess
import sys

import pytest
import torch

from ltsm.core.criteria import CRITERIA, Values
from ltsm.errors import UsageError

INITIAL = torch.tensor([0.5, -0.5, 0.5, -0.25, 0.0, 0.25])
TRAINED = torch.tensor([0.75, -0.75, -0.25, 1.0, 1.0, 0.0])
DRAWS = torch.tensor([0.1, 0.5, 0.25, 0.0, 0.75, 0.2])
"""In turn: grew, grew below 0, changed sign and shrank, changed sign and grew, started at 0, became 0."""
SCORES = {
    "sign": [0.75, 0.75, -0.25, -1.0, 0.0, 0.0],
    "large_final": [0.75, 0.75, 0.25, 1.0, 1.0, 0.0],
    "small_final": [-0.75, -0.75, -0.25, -1.0, -1.0, 0.0],
    "large_init": [0.5, 0.5, 0.5, 0.25, 0.0, 0.25],
    "small_init": [-0.5, -0.5, -0.5, -0.25, 0.0, -0.25],
    # ranks of six by initial magnitude: 6 5 4 3 1 2, by trained magnitude: 4 3 2 6 5 1
    "large_init_large_final": [4 / 6, 3 / 6, 2 / 6, 3 / 6, 1 / 6, 1 / 6],
    # of the small: 3 2 1 5 6 4 and 4 3 5 2 1 6
    "small_init_small_final": [3 / 6, 2 / 6, 1 / 6, 2 / 6, 1 / 6, 4 / 6],
    "magnitude_increase": [0.25, 0.25, -0.25, 0.75, 1.0, -0.25],
    "movement": [0.25, 0.25, 0.75, 1.25, 1.0, 0.25],
    "random": DRAWS.tolist(),
    "large_final_same_sign": [0.75, 0.75, 0.0, 0.0, 0.0, 0.0],
    "large_final_diff_sign": [0.0, 0.0, 0.25, 1.0, 0.0, 0.0],
    "magnitude_increase_same_sign": [0.25, 0.25, 0.0, 0.0, 0.0, 0.0],
    "magnitude_increase_diff_sign": [0.0, 0.0, -0.25, 0.75, 0.0, 0.0],
}
OF_TRAINED_VALUES = ("large_final", "small_final", "random")


@pytest.mark.parametrize("name", CRITERIA)
def test_scores_worked_out_by_hand(name):
    assert CRITERIA[name](Values(TRAINED, INITIAL, DRAWS)).tolist() == pytest.approx(SCORES[name], abs=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_papers_score_has_the_trained_values_type(dtype):
    """To which thresholds are rounded."""
    assert CRITERIA["sign"](Values(TRAINED.to(dtype), INITIAL.double())).dtype == dtype


@pytest.mark.parametrize("name", CRITERIA)
def test_values_stay_as_they_were(name):
    before, after, draws = INITIAL.clone(), TRAINED.clone(), DRAWS.clone()
    CRITERIA[name](Values(after, before, draws))
    assert torch.equal(before, INITIAL)
    assert torch.equal(after, TRAINED)
    assert torch.equal(draws, DRAWS)


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_that_needs_initial_values_says_so(name):
    values = Values(TRAINED, None, DRAWS)
    if name in OF_TRAINED_VALUES:
        assert CRITERIA[name](values).shape == TRAINED.shape
        return
    with pytest.raises(UsageError, match="compares trained values with initial ones, and there are none"):
        CRITERIA[name](values)


def test_ranks_of_many_equal_values_are_all_different():
    """So that a fraction of them is an exact count; who comes first ranks higher."""
    equal = torch.ones(5)
    scores = CRITERIA["large_init_large_final"](Values(equal, equal))
    assert scores.tolist() == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_names_are_listed_without_torch():
    """The command line lists them in its help, which has half a second."""
    code = "import sys; from ltsm.core import actions, criteria; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["small_init_small_final", "large_init_large_final"])
def test_a_value_that_is_no_number_ranks_last(name):
    """Below every number, negative ones too."""
    broken = torch.full_like(TRAINED, 2.0)
    broken[3] = torch.nan
    scores = CRITERIA[name](Values(broken, broken, DRAWS))
    assert scores[3] == scores.min() == pytest.approx(1 / 6)
    assert len(set(scores.tolist())) == 6
