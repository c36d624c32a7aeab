"""Training: as autograd and torch.optim.Adam do it, and a function of the state alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from ltsm.core import datasets
from ltsm.core.engine import choose_engine
from ltsm.core.network import Network, initial_values, named_tensors
from ltsm.core.state import TrainState, fresh_state, pack
from ltsm.core.training import advance, advance_by, record_points
from ltsm.errors import UsageError

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset
    from ltsm.core.records import Record
    from ltsm.protocol import Order, Protocol

pytestmark = pytest.mark.usefixtures("each_engine")


def one_of(state: TrainState, model: int) -> TrainState:
    """The state of one model alone."""
    part = slice(model, model + 1)
    return replace(
        state,
        seeds=state.seeds[part],
        parameters=state.parameters[part],
        first_moment=state.first_moment[part],
        second_moment=state.second_moment[part],
        masks=None if state.masks is None else state.masks[part],
    )


def assert_same_bits(one: TrainState, other: TrainState) -> None:
    assert pack(one) == pack(other)


def reference(
    data: Dataset,
    protocol: Protocol,
    network: Network,
    initial: torch.Tensor,
    iterations: int,
    mask: torch.Tensor | None = None,
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Training losses and final state dict by nn.Sequential, autograd and torch.optim.Adam, in float64.

    Where the mask (P,) prunes, gradients are 0.
    """
    flags = {} if mask is None else named_tensors(network, mask)
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[network.activation]
    modules: list[nn.Module] = []
    for layer in network.layers:
        modules += [nn.Linear(layer.inputs, layer.outputs), activation()]
    model = nn.Sequential(*modules[:-1]).double()
    model.load_state_dict(named_tensors(network, initial))
    adam = torch.optim.Adam(
        model.parameters(), protocol.lr, (protocol.beta1, protocol.beta2), protocol.epsilon
    )
    loader = list(
        zip(
            data.train_images.double().split(protocol.batch_size),
            data.train_labels.split(protocol.batch_size),
            strict=True,
        )
    )
    losses = []
    for iteration in range(iterations):
        images, labels = loader[iteration % len(loader)]
        loss = nn.functional.cross_entropy(model(images), labels)
        adam.zero_grad()
        loss.backward()
        for name, parameter in model.named_parameters():
            if name in flags and parameter.grad is not None:
                parameter.grad[~flags[name]] = 0.0
        adam.step()
        losses.append(loss.item())
    return losses, model.state_dict()


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("hidden", [(12, 7), (), (12, 9, 8, 7)])
def test_100_iterations_agree_with_autograd_and_torchs_adam(
    data: Dataset, protocol: Protocol, activation: str, hidden: tuple[int, ...]
) -> None:
    network = Network((20, *hidden, 4), activation)
    every = replace(protocol, record_every=1)
    initial = initial_values(network, 0, "test")
    trained, records = advance(data, every, fresh_state(network, (0,), initial[None]), 100)
    losses, expected = reference(data, every, network, initial, 100)
    assert [r.train_loss[0] for r in records[1:]] == pytest.approx(losses, rel=1e-4)
    for name, tensor in named_tensors(network, trained.parameters[0]).items():
        assert (tensor - expected[name]).norm() <= 1e-4 * expected[name].norm()


def test_training_learns(data: Dataset, network: Network, protocol: Protocol) -> None:
    initial = initial_values(network, 0, "test")[None]
    _, records = advance(data, protocol, fresh_state(network, (0,), initial), 600)
    assert records[0].val_accuracy[0] < 0.6
    assert records[-1].val_accuracy[0] > 0.9


def test_pruned_parameters_are_exactly_0_after_every_iteration(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    """Exactly +0.0, as their moments are: not one bit is set."""
    assert state.masks is not None
    for iteration in range(1, 30):
        state, _ = advance(data, protocol, state, iteration)
        assert state.masks is not None
        for tensor in (state.parameters, state.first_moment, state.second_moment):
            assert not tensor.view(torch.int32)[~state.masks].any()
    assert state.parameters[state.masks].all()


def test_pruned_parameters_stay_0_even_where_training_diverges(
    data: Dataset, network: Network, protocol: Protocol
) -> None:
    """A gradient of NaN times a mask's 0 would be NaN; a diverged network is recorded, not raised."""
    wild = replace(protocol, lr=1e30)
    masks = torch.arange(network.parameters)[None] % 3 > 0
    start = fresh_state(network, (0,), initial_values(network, 0, "test")[None], masks)
    diverged, records = advance(data, wild, start, 20)
    assert diverged.parameters.isnan().any()
    assert not diverged.parameters.view(torch.int32)[~masks].any()
    assert math.isnan(records[-1].val_loss[0])
    assert math.isnan(records[-1].train_loss[0])
    assert records[-1].val_accuracy == (0.0,)


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_pruned_parameters_that_are_not_0_never_move(
    data: Dataset, network: Network, protocol: Protocol, order: Order
) -> None:
    """Not one bit, however long and in however many segments, though their gradients would move them."""
    masks = torch.arange(network.parameters)[None] % 3 > 0
    values = initial_values(network, 0, "test")[None]
    values[0, 0] = -0.0
    state = fresh_state(network, (0,), values, masks, frozen=values)
    assert torch.equal(state.parameters, values)
    for stop in (1, 2, 30, 60):
        state, _ = advance(data, replace(protocol, order=order), state, stop)
        moved = state.parameters.view(torch.int32) != values.view(torch.int32)
        assert not moved[~masks].any()
        assert moved[masks].sum() > masks.sum() / 2
        for moment in (state.first_moment, state.second_moment):
            assert not moment.view(torch.int32)[~masks].any()


def test_training_beside_frozen_values_is_that_of_a_plain_loop(
    data: Dataset, network: Network, protocol: Protocol
) -> None:
    every = replace(protocol, record_every=1)
    mask = torch.arange(network.parameters) % 3 > 0
    values = initial_values(network, 0, "test")
    start = fresh_state(network, (0,), values[None], mask[None], frozen=values[None])
    trained, records = advance(data, every, start, 100)
    losses, expected = reference(data, every, network, values, 100, mask)
    assert [r.train_loss[0] for r in records[1:]] == pytest.approx(losses, rel=1e-4)
    for name, tensor in named_tensors(network, trained.parameters[0]).items():
        assert (tensor - expected[name]).norm() <= 1e-4 * expected[name].norm()


def test_frozen_values_stay_even_where_training_diverges(
    data: Dataset, network: Network, protocol: Protocol
) -> None:
    masks = torch.arange(network.parameters)[None] % 3 > 0
    values = initial_values(network, 0, "test")[None]
    start = fresh_state(network, (0,), values, masks, frozen=values)
    diverged, _ = advance(data, replace(protocol, lr=1e30), start, 20)
    assert diverged.parameters.isnan().any()
    assert torch.equal(diverged.parameters[~masks], values[~masks])


def test_a_fresh_state_is_pruned_to_plus_0(network: Network) -> None:
    values = torch.full((1, network.parameters), -0.5)
    masks = torch.zeros(1, network.parameters, dtype=torch.bool)
    assert not fresh_state(network, (0,), values, masks).parameters.view(torch.int32).any()
    assert torch.equal(fresh_state(network, (0,), values).parameters, values)


def test_a_test_set_is_recorded_and_changes_nothing_else(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    """Its numbers are those of the validation set where it holds the same images."""
    alone, records = advance(data, protocol, state, 30)
    same = datasets.TestSet(data.validation_images, data.validation_labels)
    other = datasets.TestSet(data.train_images[:50], data.train_labels[:50])
    for test in (same, other):
        tested, found = advance(data, protocol, state, 30, test=test)
        assert_same_bits(alone, tested)
        stripped = [replace(r, test_loss=(), test_accuracy=()) for r in found]
        assert repr(stripped) == repr(records)
        equal = [(r.test_loss, r.test_accuracy) == (r.val_loss, r.val_accuracy) for r in found]
        assert all(equal) if test is same else not any(equal)


@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.parametrize("stops", [[10, 60], [30, 40, 50, 60], list(range(10, 61, 10))])
def test_segments_give_the_same_bits_as_one_call(
    data: Dataset, protocol: Protocol, state: TrainState, order: str, stops: list[int]
) -> None:
    """Parameters, moments and records: a resumed run is one that was never stopped."""
    ordered = protocol.changed(order=order)
    whole, expected = advance(data, ordered, state, 60)
    records: list[Record] = []
    for stop in stops:
        state, more = advance(data, ordered, state, stop)
        records += more
    assert_same_bits(state, whole)
    assert repr(records) == repr(expected)


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_a_models_bits_do_not_depend_on_the_others_beside_it(
    data: Dataset, protocol: Protocol, state: TrainState, order: str
) -> None:
    ordered = protocol.changed(order=order)
    together, records = advance(data, ordered, state, 40)
    for model in range(3):
        alone, own = advance(data, ordered, one_of(state, model), 40)
        assert_same_bits(alone, one_of(together, model))
        assert [r.val_loss[0] for r in own] == [r.val_loss[model] for r in records]
        assert [r.train_loss[0] for r in own[1:]] == [r.train_loss[model] for r in records[1:]]


def test_a_models_bits_do_not_depend_on_where_the_data_lies_in_memory(
    data: Dataset, protocol: Protocol
) -> None:
    """Matrix products add in another order where their operands start elsewhere in a cache line."""
    wide = data.train_images.repeat(1, 3)
    room = torch.empty(wide.numel() + 1)
    shifted = room[1:].view_as(wide).copy_(wide)
    network = Network((60, 10, 4))
    start = fresh_state(network, (0,), initial_values(network, 0, "test")[None])
    engines = [
        choose_engine(replace(data, train_images=images), network, protocol) for images in (wide, shifted)
    ]
    for engine in engines:
        engine.load(start)
        engine.train(20)
    assert_same_bits(engines[0].state(), engines[1].state())


def test_in_file_order_nothing_but_the_initial_values_is_random(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    """So the retraining of section 3.3 repeats the initial training's first iterations, bit for bit."""
    initial = state.parameters[:1].expand(2, -1)
    trained, _ = advance(data, protocol, fresh_state(state.network, (0, 1), initial), 30)
    assert torch.equal(trained.parameters[0], trained.parameters[1])
    shuffled, _ = advance(
        data, protocol.changed(order="shuffled"), fresh_state(state.network, (0, 1), initial), 30
    )
    assert not torch.equal(shuffled.parameters[0], shuffled.parameters[1])


def test_advance_changes_none_of_its_arguments(data: Dataset, protocol: Protocol, state: TrainState) -> None:
    before, images = pack(state), data.train_images.clone()
    advance(data, protocol, state, 20)
    assert pack(state) == before
    assert torch.equal(data.train_images, images)


def test_records_are_made_at_0_at_every_multiple_and_at_the_end(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    state, records = advance(data, protocol, state, 25)
    assert [record.iteration for record in records] == [0, 10, 20, 25]
    assert all(math.isnan(loss) for loss in records[0].train_loss)
    assert state.iteration == 25
    assert [record.iteration for record in advance(data, protocol, state, 30)[1]] == [30]


def test_a_run_of_no_iterations_has_one_record(data: Dataset, protocol: Protocol, state: TrainState) -> None:
    same, records = advance(data, protocol, state, 0)
    assert_same_bits(same, state)
    assert [record.iteration for record in records] == [0]


@pytest.mark.parametrize(
    ("start", "until", "points"),
    [
        (0, 300, [100, 200, 300]),
        (100, 250, [200, 250]),
        (150, 200, [200]),
        (200, 200, []),
        (300, 200, []),
        (0, 50, [50]),
    ],
)
def test_record_points(start: int, until: int, points: list[int]) -> None:
    assert record_points(start, until, 100) == points


def test_training_loss_is_the_mean_since_the_last_record(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    _, every = advance(data, replace(protocol, record_every=1), state, 20)
    _, tenth = advance(data, protocol, state, 20)
    for model in range(3):
        mean = sum(record.train_loss[model] for record in every[11:]) / 10
        assert tenth[-1].train_loss[model] == pytest.approx(mean, rel=1e-12)


def test_denormal_numbers_are_counted_again_after_training(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    """Training counts them as 0, for speed; the rest of the program is not to notice."""
    advance(data, protocol, state, 10)
    assert torch.tensor(1e-38).mul(0.1).item() > 0


def test_an_unknown_device_is_refused_in_a_sentence(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    with pytest.raises(UsageError, match="no device 'abacus'"):
        advance(data, protocol, state, 10, device="abacus")


def test_an_engine_that_has_no_models_says_so(data: Dataset, protocol: Protocol, network: Network) -> None:
    with pytest.raises(RuntimeError, match="load"):
        choose_engine(data, network, protocol).state()


def test_a_segment_ends_with_the_first_record_of_a_diverged_model(
    data: Dataset, network: Network, protocol: Protocol
) -> None:
    """However long it was to be: where a run is found to have diverged is no matter of where its segments end.

    Who goes on all the same goes on recording, the test set included.
    """
    wild = replace(protocol, lr=1e30, record_every=5)
    initial = initial_values(network, 0, "test")[None]
    ends = set()
    for until in (20, 40):
        engine = choose_engine(data, network, wild, "cpu")
        after, records = advance_by(engine, fresh_state(network, (0,), initial), until, wild.record_every)
        assert [math.isfinite(r.val_loss[0]) for r in records] == [True] * (len(records) - 1) + [False]
        assert after.iteration == records[-1].iteration
        ends.add(after.iteration)
    assert len(ends) == 1
    test = datasets.TestSet(data.validation_images, data.validation_labels)
    whole, every = advance(data, wild, fresh_state(network, (0,), initial), 40, test=test)
    assert (whole.iteration, len(every)) == (40, 9)
    assert [r.test_accuracy for r in every] == [r.val_accuracy for r in every]
