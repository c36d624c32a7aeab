"""Masks through torch.nn.utils.prune: applied, read back, made permanent, counted."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import ltsm
from ltsm.errors import UsageError


@pytest.fixture
def found(trained, images):
    _, initial, model = trained
    return ltsm.find_supermask(initial, model, images)


def test_what_is_applied_is_read_back(trained, found, images):
    """And the pruned module computes what the masked weights do."""
    untrained, *_ = trained
    expected = torch.func.functional_call(
        untrained, {n: t.clone() for n, t in found.state.items()}, (images[0],)
    )
    ltsm.apply_mask(untrained, found.mask)
    assert prune.is_pruned(untrained)
    assert torch.allclose(untrained(images[0]), expected)
    back = ltsm.read_mask(untrained)
    assert back.keys() == found.mask.keys()
    assert all(torch.equal(back[name], found.mask[name]) for name in back)


def test_count_says_what_is_left(trained, found):
    """Before and after it is made permanent."""
    untrained, *_ = trained
    kept, total = found.selected.kept, sum(p.numel() for p in untrained.parameters())
    ltsm.apply_mask(untrained, found.mask)
    assert ltsm.count_parameters(untrained) == (sum(kept.values()), total)
    ltsm.make_permanent(untrained)
    assert not prune.is_pruned(untrained)
    assert ltsm.count_parameters(untrained) == (sum(kept.values()), total)
    assert untrained.state_dict().keys() == found.state.keys()
    assert ltsm.read_mask(untrained) == {}


def test_torchs_own_pruning_is_read(trained):
    """Also what our functions did not make."""
    model = nn.Sequential(nn.Linear(4, 4))
    prune.l1_unstructured(model[0], "weight", amount=0.25)
    assert int(ltsm.read_mask(model)["0.weight"].sum()) == 12
    assert ltsm.count_parameters(model) == (12 + 4, 20)


def test_a_mask_of_another_network_changes_nothing(trained, found):
    """The first parameter that does not fit is named."""
    model = nn.Sequential(nn.Linear(2, 2))
    for wrong in (found.mask, {"0.weight": torch.ones(3, 3, dtype=torch.bool)}, {"0": torch.ones(1)}):
        with pytest.raises(UsageError, match="another network"):
            ltsm.apply_mask(model, wrong)
    assert not prune.is_pruned(model)
