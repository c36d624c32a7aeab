"""Learned masks: as autograd and torch.optim.SGD train them straight through, and functions of the state alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ltsm.core import sparse_library
from ltsm.core.datasets import Dataset
from ltsm.core.draws import draws, key, threefry
from ltsm.core.engine import choose_engine
from ltsm.core.learned import METHODS, SCHEDULES, kept_of
from ltsm.core.learning import SAMPLES_AT_THE_END, MaskRecord, learn_by
from ltsm.core.mask_engine import MASK_ENGINES
from ltsm.core.mask_sparse import SparseMaskEngine
from ltsm.core.mask_state import MaskState, fresh_mask_state, pack_mask, unpack_mask
from ltsm.core.mask_training import Course, first_scores, mask_of, masked
from ltsm.core.network import Network, initial_values
from ltsm.core.state import pack
from ltsm.errors import StoreError
from ltsm.studies.recipe import Learned

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.core.mask_engine import MaskEngine
    from ltsm.protocol import Protocol

NETWORK = Network((20, 12, 7, 4), "relu")
BERNOULLI = Learned(method="bernoulli", lr=20.0, batch_size=60)
POPUP = Learned(
    method="edge_popup", lr=0.1, batch_size=60, keep=0.3, decay=5e-4, schedule="cosine", rescale=True
)
LEARNED = {
    "bernoulli": BERNOULLI,
    "bernoulli, rescaled": replace(BERNOULLI, rescale=True),
    "edge_popup": replace(POPUP, rescale=False),
    "edge_popup, rescaled": POPUP,
}
BIASES = {f"{name}, biases": replace(learned, covers="all") for name, learned in LEARNED.items()}
ITERATIONS = 40


@pytest.fixture(params=list(LEARNED | BIASES))
def learned(request: pytest.FixtureRequest) -> Learned:
    return (LEARNED | BIASES)[request.param]


@pytest.fixture(params=MASK_ENGINES, ids=[kind.name for kind in MASK_ENGINES])
def kind(request: pytest.FixtureRequest) -> type[MaskEngine]:
    return request.param


def course_of(data: Dataset, learned: Learned) -> Course:
    return Course(learned, len(data.train_images), "shuffled", ITERATIONS)


def fresh(learned: Learned, network: Network = NETWORK, seed: int = 3) -> MaskState:
    values = initial_values(network, seed, "initial")
    return fresh_mask_state(network, seed, values, first_scores(network, learned, seed))


def engine_for(kind: type[MaskEngine], data: Dataset, network: Network, course: Course) -> MaskEngine:
    if reason := kind.refusal(data, network, course, "cpu"):
        pytest.skip(reason)
    return kind(data, network, course, "cpu")


def test_the_kernel_learns_masks_of_weights_in_networks_with_relu(data: Dataset) -> None:
    """It has no refusal for these, and one for others: the tests of each engine leave out what it refuses."""
    if sparse_library.library() is None:
        pytest.skip(sparse_library.unavailable_reason() or "no kernel is to be used")
    for learned in LEARNED.values():
        assert not SparseMaskEngine.refusal(data, NETWORK, course_of(data, learned), "cpu")
    for learned, network in (
        (BIASES["bernoulli, biases"], NETWORK),
        (BERNOULLI, replace(NETWORK, activation="tanh")),
    ):
        assert "masks of weights" in SparseMaskEngine.refusal(data, network, course_of(data, learned), "cpu")


class StraightThrough(torch.autograd.Function):
    """A mask in the forward pass, and what it stands for in the backward pass."""

    @staticmethod
    def forward(ctx, soft, hard):  # type: ignore[no-untyped-def]  # as autograd wants it
        return hard

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return gradient, None


def by_autograd(data: Dataset, course: Course, state: MaskState, iterations: int) -> list[torch.Tensor]:
    """The scores of each layer's weights and biases after so many steps: autograd, torch.optim.SGD, float64."""
    learned = course.learned
    parts = [part for layer in state.network.layers for part in (layer.weight, layer.bias)]
    values = [state.values[part].double() for part in parts]
    scores = [state.scores[part].double().requires_grad_() for part in parts]
    trained = scores if learned.covers == "all" else scores[::2]
    optimiser = torch.optim.SGD(trained, lr=learned.lr, momentum=learned.momentum, weight_decay=learned.decay)
    batches, epochs = course.batches, -(-course.iterations // course.batches.per_epoch)
    for i in range(iterations):
        drawn = draws(state.network, course.key(state.seed, i)).double()
        order = batches.epoch_order(state.seed, batches.epoch(i))
        assert order is not None
        chosen = torch.as_tensor(order[batches.places(i)])
        activations = data.train_images[chosen].double()
        for group in optimiser.param_groups:
            if learned.schedule == "cosine":
                group["lr"] = learned.lr * (1 + math.cos(math.pi * batches.epoch(i) / epochs)) / 2
        for place, layer in enumerate(state.network.layers):
            weight, bias = 2 * place, 2 * place + 1
            masks = soft_masks(learned, scores[weight], scores[bias], drawn[layer.weight], drawn[layer.bias])
            matrix = values[weight] * masks[0]
            if learned.rescale and learned.method == "bernoulli":
                matrix = matrix * (len(masks[0]) / masks[0].sum())
            elif learned.rescale:
                matrix = matrix * math.sqrt(len(masks[0]) / float(masks[0].detach().sum()))
            matrix = matrix.view(layer.outputs, layer.inputs)
            activations = activations @ matrix.T + values[bias] * masks[1]
            if place < len(state.network.layers) - 1:
                activations = activations.relu()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(activations, data.train_labels[chosen]).backward()
        optimiser.step()
    return [score.detach() for score in scores]


def soft_masks(
    learned: Learned, weight: torch.Tensor, bias: torch.Tensor, *drawn: torch.Tensor
) -> list[torch.Tensor]:
    """The masks of a layer's weight and bias; ones for biases that have no mask."""
    both = [weight, bias] if learned.covers == "all" else [weight]
    if learned.method == "bernoulli":
        made = [
            StraightThrough.apply(s.sigmoid(), (d < s.sigmoid()).double())
            for s, d in zip(both, drawn, strict=False)
        ]
    else:
        together = torch.cat(both).abs()
        kept = torch.zeros_like(together)
        kept[together.sort(descending=True, stable=True).indices[: kept_of(len(together), learned.keep)]] = 1
        made = list(StraightThrough.apply(together, kept).split([len(s) for s in both]))
    return made if len(made) == 2 else [*made, torch.ones_like(bias)]


def test_scores_are_those_of_autograd_and_sgd(
    data: Dataset, learned: Learned, kind: type[MaskEngine]
) -> None:
    """Straight-through gradients, momentum, decay and schedule, through the factor of rescaling where it is a function
    of the mask, over more than an epoch."""
    course, state = course_of(data, learned), fresh(learned)
    engine = engine_for(kind, data, NETWORK, course)
    engine.load(state)
    engine.train(12)
    expected = torch.cat(by_autograd(data, course, state, 12)).float()
    found = engine.state().scores
    assert not torch.equal(found, state.scores)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_engines_agree_on_odd_and_wide_layers(
    name: str, invented: Callable[[int, int, int], torch.Tensor]
) -> None:
    """An odd number of inputs, more outputs than fit the registers, and layers whose rows no vector divides."""
    images, validation = invented(0, 130, 37), invented(1, 10, 37)
    data = Dataset(
        name="invented",
        train_images=images,
        train_labels=images[:, :35].view(-1, 5, 7).sum(-1).argmax(-1),
        validation_images=validation,
        validation_labels=validation[:, :35].view(-1, 5, 7).sum(-1).argmax(-1),
        classes=5,
        image_shape=(37,),
        digest="0" * 64,
    )
    network, learned = Network((37, 231, 33, 5), "relu"), LEARNED[name]
    course, state = course_of(data, learned), fresh(learned, network)
    found = []
    for kind in MASK_ENGINES:
        engine = engine_for(kind, data, network, course)
        engine.load(state)
        found.append((engine.train(8), engine.state()))
    (loss, ours), (other_loss, theirs) = found
    assert loss == pytest.approx(other_loss, rel=1e-4)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(ours.momentum, theirs.momentum, rtol=1e-3, atol=1e-5)
    assert torch.equal(mask_of(network, learned, ours.scores), mask_of(network, learned, theirs.scores))


def test_no_value_is_trained(data: Dataset, learned: Learned, kind: type[MaskEngine]) -> None:
    """After training, every value is the one that was drawn, to the last bit, whether a mask keeps it or not."""
    state = fresh(learned)
    engine = engine_for(kind, data, NETWORK, course_of(data, learned))
    drawn = state.values.clone()
    engine.load(state)
    engine.train(ITERATIONS)
    after = engine.state()
    assert torch.equal(after.values, drawn)
    assert torch.equal(state.values, drawn)
    kept = mask_of(NETWORK, replace(learned, rescale=False), after.scores)
    plain = masked(NETWORK, replace(learned, rescale=False), after.values, kept)
    assert torch.equal(plain[kept], drawn[kept])
    assert not plain[~kept].any()


@pytest.mark.parametrize("stops", [[10, 20, 30, 40], [20, 40]])
def test_segments_and_packed_states_change_no_bit(
    data: Dataset, protocol: Protocol, learned: Learned, kind: type[MaskEngine], stops: list[int]
) -> None:
    """Records and state are the same however training is cut, each part from a checkpoint's bytes by a new engine."""
    course, judge = course_of(data, learned), choose_engine(data, NETWORK, protocol)

    def made(stops: list[int]) -> tuple[bytes, list[MaskRecord]]:
        state, records = pack_mask(fresh(learned)), list[MaskRecord]()
        for stop in stops:
            engine = engine_for(kind, data, NETWORK, course)
            after, more = learn_by(engine, judge, course, unpack_mask(state), stop, 10)
            state, records = pack_mask(after), records + more
        return state, records

    (state, records), (whole, all_records) = made(stops), made([40])
    assert state == whole
    assert repr(records) == repr(all_records)  # NaN is not equal to itself
    assert [record.iteration for record in records] == [0, 10, 20, 30, 40]


def test_an_engine_that_has_served_another_seed_serves_this_one_as_a_new_one_does(
    data: Dataset, kind: type[MaskEngine]
) -> None:
    """In the same epoch, whose order is another."""
    course = course_of(data, BERNOULLI)
    used, new = (engine_for(kind, data, NETWORK, course) for _ in range(2))
    used.load(fresh(BERNOULLI, seed=4))
    used.train(3)
    for engine in (used, new):
        engine.load(fresh(BERNOULLI))
        engine.train(3)
    assert torch.equal(used.state().scores, new.state().scores)


def test_a_state_stays_as_it_was_when_training_goes_on(data: Dataset, kind: type[MaskEngine]) -> None:
    engine = engine_for(kind, data, NETWORK, course_of(data, BERNOULLI))
    engine.load(fresh(BERNOULLI))
    engine.train(3)
    before = engine.state()
    scores, momentum = before.scores.clone(), before.momentum.clone()
    engine.train(6)
    assert torch.equal(before.scores, scores)
    assert torch.equal(before.momentum, momentum)
    assert not torch.equal(engine.state().scores, scores)


def test_a_mask_is_learned(data: Dataset, protocol: Protocol, kind: type[MaskEngine]) -> None:
    """The loss of drawn masks falls, and the mask that stands for them is better than chance on other images."""
    learned = replace(BERNOULLI, lr=100.0, rescale=True)
    course = replace(course_of(data, learned), iterations=400)
    network = Network((20, 32, 4), "relu")
    engine, judge = engine_for(kind, data, network, course), choose_engine(data, network, protocol)
    _, records = learn_by(engine, judge, course, fresh(learned, network), 400, 100)
    assert records[-1].train_loss < 0.7 * records[1].train_loss
    assert records[-1].val_accuracy > 0.6
    assert records[-1].sampled_accuracy > 0.6


def test_records_say_how_many_are_kept_and_what_drawn_masks_do(data: Dataset, protocol: Protocol) -> None:
    """At scores of 0 a drawn mask keeps a half and the one that stands for all keeps nothing."""
    course = course_of(data, BERNOULLI)
    engine, judge = MASK_ENGINES[-1](data, NETWORK, course, "cpu"), choose_engine(data, NETWORK, protocol)
    state = fresh(BERNOULLI)
    _, (first,) = learn_by(engine, judge, course, state, 0, 10)
    drawn = course.sample(NETWORK, state.scores, 3, 0, 0)[course.scored(NETWORK)]
    assert first.density == 0
    assert 0.4 < drawn.float().mean() < 0.6
    assert math.isnan(first.train_loss)
    assert math.isnan(first.test_accuracy)
    assert first.sampled_loss != first.val_loss


def test_the_last_record_is_of_ten_drawn_masks(data: Dataset, protocol: Protocol) -> None:
    """The mean over the masks that `Course.sample` draws."""
    course, judge = replace(course_of(data, BERNOULLI), iterations=10), choose_engine(data, NETWORK, protocol)
    engine = MASK_ENGINES[-1](data, NETWORK, course, "cpu")
    after, records = learn_by(engine, judge, course, fresh(BERNOULLI), 10, 10)
    models = [
        masked(NETWORK, BERNOULLI, after.values, course.sample(NETWORK, after.scores, 3, 10, number))
        for number in range(SAMPLES_AT_THE_END)
    ]
    found = judge.evaluate_parameters(torch.stack(models))
    assert len(set(found.accuracy)) > 1
    assert records[-1].sampled_accuracy == pytest.approx(sum(found.accuracy) / len(models))
    assert records[-1].sampled_loss == pytest.approx(sum(found.loss) / len(models))


def test_masks_are_drawn_by_the_keys_that_they_have_always_been_drawn_by(data: Dataset) -> None:
    """Of seed, iteration and draw, and none of those that draw the masks that are evaluated: never adapt these values."""
    course = course_of(data, BERNOULLI)
    other = replace(course, draw=("x",))
    assert course.key(3, 5).tolist() == [4182426079, 2250310723]
    assert other.key(3, 5).tolist() == [2046309030, 3833465108]
    assert course.key(4, 5).tolist() == key(4, "learned mask", 5).tolist() != course.key(3, 5).tolist()


def test_methods_without_chance_draw_nothing(data: Dataset, protocol: Protocol) -> None:
    course, judge = course_of(data, POPUP), choose_engine(data, NETWORK, protocol)
    engine = MASK_ENGINES[-1](data, NETWORK, course, "cpu")
    _, records = learn_by(engine, judge, course, fresh(POPUP), 10, 10)
    assert all(math.isnan(record.sampled_accuracy) for record in records)


def test_edge_popup_keeps_exactly_its_share_and_those_that_come_first() -> None:
    """⌊(1 - keep) · n⌋ are pruned in each layer, as in the authors' program; ties fall to the earlier ones."""
    mask = mask_of(NETWORK, POPUP, fresh(POPUP).scores)
    for layer in NETWORK.layers:
        count = layer.inputs * layer.outputs
        assert int(mask[layer.weight].sum()) == count - int(0.7 * count)
        assert mask[layer.bias].all()
    equal = METHODS["edge_popup"].mask(torch.tensor([1.0, -1, 1, 2, -1]), 0.6, None)
    assert equal.tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("count", [10, 1000, 235_200, 2**31 - 8])
def test_a_share_in_tenths_is_kept_exactly(count: int) -> None:
    """Also where 1 - keep is a little less than a tenth as the machine has it."""
    for tenths in range(11):
        assert kept_of(count, tenths / 10) == count - (10 - tenths) * count // 10


def test_rescaling_is_by_weights_over_ones() -> None:
    mask = mask_of(NETWORK, POPUP, fresh(POPUP).scores)
    values = torch.ones(NETWORK.parameters)
    for learned, power in ((POPUP, 0.5), (replace(BERNOULLI, rescale=True), 1.0)):
        found = masked(NETWORK, learned, values, mask)
        for layer in NETWORK.layers:
            kept = mask[layer.weight]
            expected = (len(kept) / int(kept.sum())) ** power
            assert found[layer.weight][kept] == pytest.approx(expected)
            assert found[layer.bias] == pytest.approx(1.0)


def test_the_one_weight_of_a_layer_is_rescaled_by_all_of_them() -> None:
    mask = torch.zeros(NETWORK.parameters, dtype=torch.bool)
    for layer in NETWORK.layers:
        mask[layer.weight.start] = True
    found = masked(NETWORK, replace(BERNOULLI, rescale=True), torch.ones(NETWORK.parameters), mask)
    for layer in NETWORK.layers:
        assert found[layer.weight.start] == layer.inputs * layer.outputs


def test_an_empty_layer_is_no_division_by_zero() -> None:
    learned = replace(BERNOULLI, rescale=True)
    nothing = mask_of(NETWORK, learned, torch.full((NETWORK.parameters,), -1.0))
    assert masked(NETWORK, learned, torch.ones(NETWORK.parameters), nothing).isfinite().all()


def test_a_score_that_is_no_number_shows_in_the_record(data: Dataset, protocol: Protocol) -> None:
    """Rounded, it is a mask like any other, with a finite loss: the record says that training has diverged."""
    state, course = fresh(BERNOULLI), course_of(data, BERNOULLI)
    broken = replace(state, scores=torch.full_like(state.scores, math.nan))
    engine, judge = MASK_ENGINES[-1](data, NETWORK, course, "cpu"), choose_engine(data, NETWORK, protocol)
    _, (record,) = learn_by(engine, judge, course, broken, 0, 10)
    assert math.isnan(record.val_loss)


def test_first_scores_are_the_papers() -> None:
    """0, and uniform in ± 1/√inputs."""
    assert not first_scores(NETWORK, BERNOULLI, 0).any()
    scores = first_scores(NETWORK, POPUP, 0)
    for layer in NETWORK.layers:
        bound = 1 / math.sqrt(layer.inputs)
        found = scores[layer.weight].abs().max()
        assert bound * 0.8 < found <= bound
    assert not torch.equal(scores, first_scores(NETWORK, POPUP, 1))


def test_schedules_start_at_one_and_go_by_the_epoch(data: Dataset) -> None:
    """Half a cosine over all epochs, the last one shorter where they do not come out even."""
    assert {name: schedule(0, 7) for name, schedule in SCHEDULES.items()} == dict.fromkeys(SCHEDULES, 1.0)
    course = replace(course_of(data, POPUP), iterations=13)
    per_epoch = course.batches.per_epoch
    assert course.rate(0) == course.rate(per_epoch - 1) == 0.1
    assert course.rate(per_epoch) == pytest.approx(0.05 * (1 + math.cos(math.pi / 3)))


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0xFD36D048, 0x2D17272C)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xBA3E4725, 0xF27D669E)),
    ],
)
def test_threefry_gives_the_published_words(
    key: tuple[int, int], counter: tuple[int, int], expected: tuple[int, int]
) -> None:
    """The known answers of Random123, whose authors' generator it is."""
    counters = [np.array([word], dtype=np.uint32) for word in counter]
    found = threefry(np.array(key, dtype=np.uint32), counters)
    assert tuple(int(word[0]) for word in found) == expected


def test_draws_are_uniform_and_all_their_own() -> None:
    """Of mean ½ and variance 1/12, never 0 or 1, different in every layer, iteration and seed."""
    network = Network((300, 200, 100, 3), "relu")
    drawn = draws(network, key(0, "mask", 1))
    count = network.parameters
    assert abs(float(drawn.double().mean()) - 0.5) < 4 * math.sqrt(1 / 12 / count)
    assert abs(float(drawn.double().var()) * 12 - 1) < 0.03
    assert 0 < float(drawn.min()) < float(drawn.max()) < 1
    assert len(drawn.unique()) > 0.99 * count
    for other in (key(0, "mask", 2), key(1, "mask", 1)):
        shared = float((draws(network, other) == drawn).float().mean())
        correlation = float(torch.corrcoef(torch.stack([draws(network, other), drawn]))[0, 1])
        assert shared < 1e-4
        assert abs(correlation) < 4 / math.sqrt(count)


def test_a_checkpoint_of_the_other_kind_is_none(data: Dataset, protocol: Protocol) -> None:
    """Neither is taken for the other, and a flipped bit is found."""
    from ltsm.core.state import fresh_state, unpack

    content = pack_mask(fresh(BERNOULLI))
    weights = pack(fresh_state(NETWORK, (0,), initial_values(NETWORK, 0)[None]))
    flipped = bytearray(content)
    flipped[-5] ^= 1
    for read, wrong in ((unpack, content), (unpack_mask, weights), (unpack_mask, bytes(flipped))):
        with pytest.raises(StoreError):
            read(wrong)
