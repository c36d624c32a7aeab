"""find_supermask on networks of one's own: masks worked out by hand, any form of data, nothing changed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ltsm
from ltsm.errors import DataError, UsageError

PARAMETERS = ("weight", "bias")


def by_hand(untrained, initial, model, images, threshold):
    """One threshold's mask and accuracy, one value at a time, the network evaluated with plain assignment."""
    masked = copy.deepcopy(untrained)
    masks = {}
    for name, parameter in masked.named_parameters():
        flags = [
            (1 if w > 0 else -1 if w < 0 else 0) * after >= torch.tensor(threshold)
            for w, after in zip(initial[name].flatten(), model.state_dict()[name].flatten(), strict=True)
        ]
        masks[name] = torch.tensor(flags).view(parameter.shape)
        parameter.data[~masks[name]] = 0
    with torch.no_grad():
        correct = (masked.eval()(images[0]).argmax(1) == images[1]).sum()
    return masks, int(correct) / len(images[1])


def test_every_threshold_agrees_with_masks_by_hand(trained, images):
    """Plain, deep with tanh, and with names and buffers of its own."""
    untrained, initial, model = trained
    thresholds = [-0.1, 0.0, 0.05, 0.3]
    found = ltsm.find_supermask(initial, model, images, thresholds=thresholds)
    for result in found.results:
        masks, accuracy = by_hand(untrained, initial, model, images, result.threshold)
        assert result.val_accuracy == accuracy
        assert result.kept == {name: int(flags.sum()) for name, flags in masks.items()}
        assert all(torch.equal(found.mask_at(result.threshold)[n], masks[n]) for n in masks)
    best = max(r.val_accuracy for r in found.results)
    assert found.selected == next(r for r in found.results if r.val_accuracy == best)
    masks, _ = by_hand(untrained, initial, model, images, found.selected.threshold)
    assert all(torch.equal(found.mask[name], masks[name]) for name in masks)


def test_nothing_that_was_handed_over_changes(trained, images):
    """Neither weights, buffers, mode nor gradients."""
    untrained, initial, model = trained
    before = [copy.deepcopy(w) for w in (untrained.state_dict(), initial, model.state_dict(), images)]
    model.train()
    found = ltsm.find_supermask(untrained, model, images)
    ltsm.train_ticket(found, images, images, iterations=5)
    after = [untrained.state_dict(), initial, model.state_dict()]
    assert all(torch.equal(b[n], a[n]) for b, a in zip(before, after, strict=False) for n in b)
    assert all(map(torch.equal, before[3], images))
    assert model.training
    assert all(p.grad is None for p in untrained.parameters())


def test_ours_and_the_module_agree(trained, images):
    """What is recognised is evaluated faster, to the same numbers."""
    _, initial, model = trained
    found = ltsm.find_supermask(initial, model, images)
    theirs = ltsm.find_supermask(initial, model, images, loss=nn.functional.cross_entropy)
    assert theirs.through == "module"
    assert (found.through == "module") == (not isinstance(model, nn.Sequential))
    assert [r.val_accuracy for r in found.results] == [r.val_accuracy for r in theirs.results]
    assert [r.val_loss for r in found.results] == pytest.approx(
        [r.val_loss for r in theirs.results], rel=1e-5
    )


def test_every_form_of_data_gives_the_same(trained, images):
    """Tensors, arrays, a loader that shuffles, a generator that runs once."""
    _, initial, model = trained
    loader = DataLoader(TensorDataset(*images), batch_size=50, shuffle=True)
    forms = [images, tuple(t.numpy() for t in images), loader, ((x, y) for x, y in loader)]
    found = [ltsm.find_supermask(initial, model, form) for form in forms]
    assert len({f.selected.threshold for f in found}) == 1
    assert len({tuple(r.val_accuracy for r in f.results) for f in found}) == 1


def test_state_dicts_of_linear_layers_need_no_module(trained, images):
    """Names may be in any order that the shapes and numbers make plain."""
    _, initial, model = trained
    if not isinstance(model, nn.Sequential):
        with pytest.raises(UsageError, match="not plainly"):
            ltsm.find_supermask(initial, model.state_dict(), images)
        return
    activation = "tanh" if isinstance(model[1], nn.Tanh) else "relu"
    mixed = dict(sorted(initial.items(), reverse=True))
    found = ltsm.find_supermask(mixed, model.state_dict(), images, activation=activation)
    assert found.selected == ltsm.find_supermask(initial, model, images).selected


def test_on_a_tie_the_smallest_threshold_wins():
    """Both networks below classify everything alike."""
    w = {"fc.weight": torch.tensor([[1.0], [-1.0]]), "fc.bias": torch.tensor([0.0, 0.0])}
    after = {"fc.weight": torch.tensor([[0.3], [-0.3]]), "fc.bias": torch.tensor([0.1, 0.1])}
    x, y = torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1])
    found = ltsm.find_supermask(w, after, (x, y), thresholds=[0.2, 0.1, 0.5])
    assert [r.val_accuracy for r in found.results] == [1.0, 1.0, 0.5]
    assert found.selected.threshold == 0.1


def test_only_the_papers_range_is_chosen_from_unless_told():
    """-0.1 … 0.4 are evaluated, 0 … 0.2 may be chosen."""
    w = {"fc.weight": torch.tensor([[1.0], [-1.0]]), "fc.bias": torch.tensor([0.0, 5.0])}
    after = {"fc.weight": torch.tensor([[0.9], [-0.9]]), "fc.bias": torch.tensor([0.0, 0.3])}
    data = (torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]))
    assert ltsm.find_supermask(w, after, data).selected.threshold == 0.0
    assert ltsm.find_supermask(w, after, data, select=(-1, 1)).selected.threshold == 0.31
    with pytest.raises(UsageError, match="no threshold lies in"):
        ltsm.find_supermask(w, after, data, select=(2, 3))


class Convolving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 2)
        self.norm = nn.BatchNorm2d(2)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.conv(x.view(-1, 1, 2, 3))).flatten(1))


class TestOtherLayers:
    def pair(self):
        torch.manual_seed(0)
        model = Convolving()
        trained = {
            n: t + 0.1 * torch.randn(t.shape) if t.is_floating_point() else t
            for n, t in model.state_dict().items()
        }
        return model, trained

    def test_they_are_refused_by_name(self, images):
        """Never silently mangled."""
        model, trained = self.pair()
        with pytest.raises(UsageError, match=r"does not cover conv\.weight \(Conv2d\)") as caught:
            ltsm.find_supermask(model, trained, images)
        assert "only=nn.Linear" in caught.value.hint

    def test_they_are_left_alone_by_choice_and_said_so(self, images):
        """They keep their initial values, and count as kept."""
        model, trained = self.pair()
        found = ltsm.find_supermask(model, trained, images, only=nn.Linear)
        assert found.left_alone == ("conv.weight", "conv.bias", "norm.weight", "norm.bias")
        assert set(found.mask) == {"fc.weight", "fc.bias"}
        assert torch.equal(found.state["conv.weight"], model.conv.weight)
        total = sum(p.numel() for p in model.parameters())
        assert found.selected.relative_size == (total - 15 + sum(found.selected.kept.values())) / total

    def test_a_mask_of_weights_leaves_biases(self, trained, images):
        """As the protocol's mask = weights."""
        _, initial, model = trained
        found = ltsm.find_supermask(initial, model, images, mask="weights")
        assert all(name.endswith("weight") for name in found.mask)
        assert all(name.endswith("bias") for name in found.left_alone)


def test_dropout_is_off_and_hooks_are_obeyed(images):
    """Evaluation is the module's own, in evaluation mode."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.9), nn.Linear(8, 3))
    after = {n: t * 1.5 for n, t in model.state_dict().items()}
    first, second = (ltsm.find_supermask(model, after, images) for _ in range(2))
    assert first.results == second.results
    hooked = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    hooked.register_forward_hook(lambda _module, _inputs, output: output.flip(1))
    assert (
        ltsm.find_supermask(hooked, {n: t * 1.5 for n, t in hooked.state_dict().items()}, images).through
        == "module"
    )


class TestRefusals:
    def test_weights_that_training_did_not_change(self, trained, images):
        """The state dict was not copied before training: the commonest mistake."""
        *_, model = trained
        with pytest.raises(UsageError, match="are the trained ones") as caught:
            ltsm.find_supermask(model.state_dict(), model, images)
        assert "deepcopy" in caught.value.hint

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda s: s.pop("0.bias"), "the initial weights lack '0.bias'"),
            (lambda s: s.update({"0.bias": torch.zeros(3)}), "shape (3,) before training and (8,) after"),
            (lambda s: s.update({"0.bias": torch.zeros(8, dtype=torch.int64)}), "not floats"),
        ],
    )
    def test_states_of_two_networks(self, images, change, words):
        """The first difference is named."""
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        initial = {n: t + 1 for n, t in model.state_dict().items()}
        change(initial)
        with pytest.raises(UsageError) as caught:
            ltsm.find_supermask(initial, model, images)
        assert words in caught.value.message

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ((torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64)), "an image has 5 numbers"),
            ((torch.zeros(4, 6), torch.full((4,), 3)), "there is the label 3"),
            ((torch.zeros(4, 6), torch.zeros(3, dtype=torch.int64)), "are not one for each"),
            ((torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64)), "are not one for each"),
            ((torch.zeros(4, 6), torch.zeros(4)), "labels are whole numbers"),
            ((torch.zeros(4, 6), torch.full((4,), -1)), "labels are whole numbers"),
            ((np.zeros((4, 6), np.uint8), np.zeros(4, int)), "images hold torch.uint8"),
            ([], "no image to evaluate on"),
            ([torch.zeros(3)], "a batch is a pair"),
        ],
    )
    def test_data_that_does_not_fit(self, data, words):
        """One sentence each."""
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        with pytest.raises(DataError) as caught:
            ltsm.find_supermask({n: t + 1 for n, t in model.state_dict().items()}, model, data)
        assert words in caught.value.message

    def test_things_that_are_no_weights(self, images):
        with pytest.raises(UsageError, match="not str"):
            ltsm.find_supermask("before.pt", nn.Linear(6, 3), images)
        with pytest.raises(UsageError, match="no layer that the recipe covers"):
            ltsm.find_supermask(nn.ReLU(), nn.ReLU(), images)
