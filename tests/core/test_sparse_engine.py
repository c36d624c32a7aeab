"""The sparse engine: the arithmetic of autograd, torch.optim.Adam and the torch engine, in every variant."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch import nn

from ltsm.core import sparse_engine, sparse_library
from ltsm.core.datasets import Dataset, load_dataset, missing
from ltsm.core.engine import choose_engine, refusals
from ltsm.core.network import Network, initial_values, named_tensors
from ltsm.core.sparse_engine import SparseEngine, _validation_images, training_images
from ltsm.core.sparse_network import SparseImages, SparseNetwork
from ltsm.core.state import TrainState, fresh_state, pack
from ltsm.core.streams import permutation, uniform
from ltsm.core.torch_engine import TorchEngine
from ltsm.errors import DataError, UsageError
from ltsm.protocol import PAPER, Protocol

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PIXELS, CLASSES = 37, 5

pytestmark = pytest.mark.skipif(
    bool(sparse_engine.unavailable_reason()), reason=sparse_engine.unavailable_reason() or "available"
)


def sparse_images(seed: int, count: int) -> torch.Tensor:
    """(count, 37): the first two pixels are never inked, the next seldom, the last nearly always."""
    share = (np.arange(PIXELS) / PIXELS) ** 2
    share[:2] = 0.0
    inked = uniform(seed, "inked", count=count * PIXELS).reshape(count, PIXELS) < share
    value = uniform(seed, "value", count=count * PIXELS).reshape(count, PIXELS)
    return torch.from_numpy((inked * value).astype(np.float32))


def labels(images: torch.Tensor) -> torch.Tensor:
    """Something to learn: which seventh of the image, of the last five, is brightest."""
    return images[:, 2:].view(-1, 5, 7).sum(-1).argmax(-1)


@pytest.fixture
def data() -> Dataset:
    train, validation = sparse_images(0, 250), sparse_images(1, 131)
    return Dataset(
        name="invented",
        train_images=train,
        train_labels=labels(train),
        validation_images=validation,
        validation_labels=labels(validation),
        classes=CLASSES,
        image_shape=(PIXELS,),
        digest="0" * 64,
    )


@pytest.fixture(params=sparse_library.VARIANTS)
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each variant that was compiled and that this processor runs, in place of the best one."""
    name: str = request.param
    best = sparse_library.open_variant("baseline").sparse_best_variant().decode()
    if (
        sparse_library.VARIANTS.index(name) > sparse_library.VARIANTS.index(best)
        or not sparse_library.path_of(name).is_file()
    ):
        pytest.skip(f"this processor or this installation has no {name}")
    monkeypatch.setattr(sparse_library, "library", lambda: sparse_library.open_variant(name))
    return name


def start(network: Network, masks: torch.Tensor | None = None, models: int = 1) -> TrainState:
    initial = torch.stack([initial_values(network, seed, "test") for seed in range(models)])
    return fresh_state(network, tuple(range(models)), initial, masks)


def trained(
    data: Dataset, protocol: Protocol, state: TrainState, *stops: int, kind: Any = SparseEngine
) -> TrainState:
    engine = kind(data, state.network, protocol, "cpu")
    engine.load(state)
    for stop in stops:
        engine.train(stop)
    result: TrainState = engine.state()
    return result


def protocol(**settings: Any) -> Protocol:
    return replace(PAPER, name="test", batch_size=7, **settings)


def reference(
    data: Dataset, protocol: Protocol, network: Network, steps: int
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and final tensors by autograd and torch.optim.Adam in float64."""
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[network.activation]
    pairs = [(nn.Linear(layer.inputs, layer.outputs), activation()) for layer in network.layers]
    model = nn.Sequential(*[module for pair in pairs for module in pair][:-1]).double()
    model.load_state_dict(named_tensors(network, initial_values(network, 0, "test")))
    adam = torch.optim.Adam(model.parameters(), protocol.lr)
    images = data.train_images.double().split(protocol.batch_size)
    truth = data.train_labels.split(protocol.batch_size)
    losses = []
    for step in range(steps):
        loss = nn.functional.cross_entropy(model(images[step % len(images)]), truth[step % len(images)])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses, model.state_dict()


def assert_agreement_over_100_iterations(data: Dataset, network: Network, protocol: Protocol) -> None:
    engine = SparseEngine(data, network, protocol, "cpu")
    engine.load(start(network))
    losses = [engine.train(step)[0] for step in range(1, 101)]
    expected, tensors = reference(data, protocol, network, 100)
    assert losses == pytest.approx(expected, rel=1e-4)
    for name, tensor in named_tensors(network, engine.state().parameters[0]).items():
        assert (tensor - tensors[name]).norm() <= 1e-4 * tensors[name].norm()


@pytest.mark.parametrize("hidden", [(1,), (7, 13), (17, 33), (200, 30), (129, 9, 8)])
@pytest.mark.usefixtures("variant")
def test_100_iterations_agree_with_autograd_and_adam(data: Dataset, hidden: tuple[int, ...]) -> None:
    """Widths that fill no vector, one, or several blocks of them; some pixels are touched once in 20 batches."""
    assert_agreement_over_100_iterations(data, Network((PIXELS, *hidden, CLASSES)), protocol())


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.usefixtures("variant")
def test_activations_agree_with_autograd(data: Dataset, activation: str) -> None:
    assert_agreement_over_100_iterations(data, Network((PIXELS, 17, 9, CLASSES), activation), protocol())


@pytest.mark.parametrize("batch_size", [*range(1, 10), 60, 1_000])
@pytest.mark.usefixtures("variant")
def test_batches_of_any_size_agree_with_autograd(data: Dataset, batch_size: int) -> None:
    sized = replace(protocol(), batch_size=batch_size)
    assert_agreement_over_100_iterations(data, Network((PIXELS, 13, CLASSES)), sized)


@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.usefixtures("variant")
def test_training_agrees_with_the_torch_engine(data: Dataset, order: str) -> None:
    """Masks, orders and moments included."""
    network, ordered = Network((PIXELS, 17, 9, CLASSES)), protocol(order=order)
    state = start(network, torch.arange(2 * network.parameters).view(2, -1) % 3 > 0, models=2)
    ours = trained(data, ordered, state, 100)
    theirs = trained(data, ordered, state, 100, kind=TorchEngine)
    for one, other in [
        (ours.parameters, theirs.parameters),
        (ours.first_moment, theirs.first_moment),
        (ours.second_moment, theirs.second_moment),
    ]:
        assert (one - other).norm() <= 1e-4 * other.norm()


@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.usefixtures("variant")
def test_a_pixels_postponed_steps_are_the_steps_themselves(data: Dataset, order: str) -> None:
    """Stopping after every iteration makes each pixel's row take every step at once."""
    state, ordered = start(Network((PIXELS, 130, CLASSES)), models=2), protocol(order=order)
    whole = trained(data, ordered, state, 100)
    assert pack(trained(data, ordered, state, *range(1, 101))) == pack(whole)
    for stop in (1, 2, 40, 71, 100):
        state = trained(data, ordered, state, stop)
    assert pack(state) == pack(whole)


def test_only_pixels_that_were_inked_change_their_weights(data: Dataset) -> None:
    network = Network((PIXELS, 20, CLASSES))
    weights = trained(data, protocol(), start(network), 50).parameters[0, : PIXELS * 20].view(20, PIXELS)
    initial = start(network).parameters[0, : PIXELS * 20].view(20, PIXELS)
    assert torch.equal((weights != initial).any(0), data.train_images.any(0))


@pytest.mark.parametrize("lr", [0.0012, 1e30])
@pytest.mark.usefixtures("variant")
def test_pruned_parameters_have_no_bit_set(data: Dataset, lr: float) -> None:
    """After training, after every resumption, and where training diverges."""
    network = Network((PIXELS, 17, 9, CLASSES))
    masks = torch.arange(network.parameters)[None] % 3 > 0
    state = start(network, masks)
    for stop in (20, 40):
        state = trained(data, protocol(lr=lr), state, stop)
        for tensor in (state.parameters, state.first_moment, state.second_moment):
            assert not tensor.view(torch.int32)[~masks].any()
            assert tensor[masks].count_nonzero() > masks.sum() / 2


@pytest.mark.usefixtures("variant")
def test_the_kernel_itself_moves_no_pruned_parameter_that_is_not_0(data: Dataset) -> None:
    """Pixels touched by every batch, by some and by none; a step of 0, whatever the gradient."""
    network = Network((PIXELS, 17, 9, CLASSES))
    mask = torch.arange(network.parameters) % 3 > 0
    values = initial_values(network, 0, "test")
    engine = SparseEngine(data, network, protocol(), "cpu")
    engine.load(fresh_state(network, (0,), values[None], mask[None], frozen=values[None]))
    for stop in (1, 50):
        engine.train(stop)
        now = engine._models[0].tensors()[0]
        assert torch.equal(now[~mask].view(torch.int32), values[~mask].view(torch.int32))
    assert (now[mask] != values[mask]).sum() > mask.sum() / 2
    assert engine.evaluate() == engine.evaluate_parameters(engine.state().parameters)


@pytest.mark.usefixtures("variant")
def test_a_diverged_network_has_a_loss_of_nan_and_predicts_nothing(data: Dataset) -> None:
    network = Network((PIXELS, 17, CLASSES))
    engine = SparseEngine(data, network, protocol(lr=1e30), "cpu")
    engine.load(start(network))
    assert np.isnan(engine.train(20)[0])
    assert np.isnan(engine.evaluate().loss[0])
    assert engine.evaluate().accuracy == (0.0,)


@pytest.mark.usefixtures("variant")
def test_one_parameter_that_is_no_number_makes_the_loss_no_number(data: Dataset) -> None:
    """An activation must not take it for a negative number."""
    network = Network((PIXELS, 17, CLASSES))
    parameters = start(network).parameters.clone()
    parameters[0, network.layers[0].bias.start] = torch.nan
    found = SparseEngine(data, network, protocol(), "cpu").evaluate_parameters(parameters)
    assert np.isnan(found.loss[0])
    assert found.accuracy == (0.0,)


@pytest.fixture
def wide(data: Dataset) -> Dataset:
    """148 pixels, more than the forward pass takes at a time."""
    train, validation = (
        torch.cat([images, *(sparse_images(seed + place, len(images)) for place in (2, 4, 6))], 1)
        for seed, images in enumerate((data.train_images, data.validation_images))
    )
    return replace(data, train_images=train, validation_images=validation, image_shape=(4 * PIXELS,))


@pytest.mark.parametrize("batch_size", [1, 7, 60])
@pytest.mark.usefixtures("variant")
def test_images_of_several_tiles_agree_with_autograd(wide: Dataset, batch_size: int) -> None:
    sized = replace(protocol(), batch_size=batch_size)
    assert_agreement_over_100_iterations(wide, Network((4 * PIXELS, 33, CLASSES)), sized)


@pytest.mark.parametrize("count", [*range(1, 10), 300])
@pytest.mark.usefixtures("variant")
def test_an_image_alone_has_the_bits_that_it_has_among_others(wide: Dataset, count: int) -> None:
    network = Network((4 * PIXELS, 200, 9, CLASSES))
    model, images, truth = SparseNetwork(network, 1), wide.train_images, wide.train_labels
    images, truth = torch.cat([images, images])[:count], torch.cat([truth, truth])[:count]
    model.load(start(network), 0)
    alone = [
        model.evaluate(SparseImages(image[None], label[None]))
        for image, label in zip(images, truth, strict=True)
    ]
    together = model.evaluate(SparseImages(images, truth))
    assert together == tuple(sum(found) / count for found in zip(*alone, strict=True))


@pytest.mark.usefixtures("variant")
def test_a_pixel_that_is_never_inked_changes_no_bit(data: Dataset) -> None:
    """The last of an odd number of pixels has no neighbour, and gets one here."""
    narrow, padded = Network((PIXELS, 20, CLASSES)), Network((PIXELS + 1, 20, CLASSES))
    initial, place = initial_values(narrow, 0, "test"), torch.arange(padded.parameters)
    kept = (place >= 20 * (PIXELS + 1)) | (place % (PIXELS + 1) < PIXELS)
    extended = torch.zeros(padded.parameters)
    extended[kept] = initial
    blank = replace(data, train_images=nn.functional.pad(data.train_images, (0, 1)))
    ours = trained(blank, protocol(), fresh_state(padded, (0,), extended[None], None), 50)
    theirs = trained(data, protocol(), fresh_state(narrow, (0,), initial[None], None), 50)
    assert torch.equal(ours.parameters[:, kept], theirs.parameters)
    assert torch.equal(ours.second_moment[:, kept], theirs.second_moment)


@pytest.mark.parametrize("batch_size", [1, 7, 63, 64, 65, 200, 250])
@pytest.mark.usefixtures("variant")
def test_a_shuffled_order_has_the_bits_of_the_same_images_in_file_order(
    wide: Dataset, batch_size: int
) -> None:
    """File order keeps its batches and shuffled order makes each anew; for the gradient images are handled by 64."""
    sized = replace(protocol(order="shuffled"), batch_size=batch_size)
    order = torch.from_numpy(permutation(0, "order", 0, count=250))
    sorted_so = replace(wide, train_images=wide.train_images[order], train_labels=wide.train_labels[order])
    epoch = -(-250 // batch_size)
    state = start(Network((4 * PIXELS, 40, 9, CLASSES)))
    shuffled = trained(wide, sized, state, *range(1, epoch), epoch)
    in_file_order = trained(sorted_so, replace(sized, order="file"), state, epoch)
    assert pack(shuffled) == pack(in_file_order)


def test_images_that_were_evaluated_can_be_trained_on(data: Dataset) -> None:
    """Batches of evaluation lack what the gradient needs, though they are of the same size here."""
    state, count = start(Network((PIXELS, 17, CLASSES))), 256
    pixels, truth = (torch.cat([of, of])[:count] for of in (data.train_images, data.train_labels))
    model, images = SparseNetwork(state.network, count), SparseImages(pixels, truth)
    sized = replace(protocol(), batch_size=count)
    losses = []
    for evaluated in (False, True, True):
        model.load(state, 0)
        found = model.evaluate(images) if evaluated else None
        losses.append(model.train(images, None, sized, 0, 20))
        assert found is None or model.evaluate(images) != found
    assert losses == [losses[0]] * 3


def test_batches_of_another_size_are_made_anew(data: Dataset) -> None:
    """Images that are in no particular order serve batches of every size."""
    state = start(Network((PIXELS, 17, CLASSES)))

    def loss(images: SparseImages, size: int) -> float:
        model = SparseNetwork(state.network, size)
        model.load(state, 0)
        return model.train(images, None, replace(protocol(), batch_size=size), 0, 20)

    images = SparseImages(data.train_images, data.train_labels)
    for size in (7, 11, 5):
        assert loss(images, size) == loss(SparseImages(data.train_images, data.train_labels), size)


@pytest.mark.parametrize("hidden", [(1,), (17, 33), (200, 30)])
@pytest.mark.usefixtures("variant")
def test_evaluation_is_the_torch_engines(data: Dataset, hidden: tuple[int, ...]) -> None:
    """131 images: an odd number, and no whole number of chunks."""
    network = Network((PIXELS, *hidden, CLASSES))
    parameters = 3 * start(network, models=4).parameters
    ours = SparseEngine(data, network, protocol(), "cpu").evaluate_parameters(parameters)
    theirs = TorchEngine(data, network, protocol(), "cpu").evaluate_parameters(parameters)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-6)
    assert ours.accuracy == theirs.accuracy


def test_evaluating_between_iterations_changes_nothing(data: Dataset) -> None:
    network = Network((PIXELS, 17, CLASSES))
    engine = SparseEngine(data, network, protocol(), "cpu")
    engine.load(start(network))
    for stop in range(10, 60, 10):
        engine.train(stop)
        found = engine.evaluate()
        engine.evaluate_parameters(torch.zeros(2, network.parameters))
        assert engine.evaluate() == found == engine.evaluate_parameters(engine.state().parameters)
    assert pack(engine.state()) == pack(trained(data, protocol(), start(network), 50))


def shifted(tensor: torch.Tensor, places: int) -> torch.Tensor:
    """The same values, starting at another address."""
    return torch.empty(tensor.numel() + places, dtype=tensor.dtype)[places:].view_as(tensor).copy_(tensor)


@pytest.mark.parametrize("places", [1, 3, 8])
@pytest.mark.usefixtures("variant")
def test_bits_do_not_depend_on_addresses(data: Dataset, places: int) -> None:
    network = Network((PIXELS, 33, 9, CLASSES))
    elsewhere = replace(data, train_images=shifted(data.train_images, places))
    state = start(network)
    moved = replace(state, parameters=shifted(state.parameters, places))
    assert pack(trained(elsewhere, protocol(), moved, 50)) == pack(trained(data, protocol(), state, 50))


def test_one_thread_at_a_time_uses_the_images(data: Dataset) -> None:
    """Batches are made on first use: two threads must not make them at once."""
    network = Network((PIXELS, 33, CLASSES))
    training, validation = training_images(data), _validation_images(data)
    training.lock, validation.lock = MagicMock(), MagicMock()
    engine = SparseEngine(data, network, protocol(), "cpu")
    engine.load(start(network))
    engine.train(10)
    training.lock.__enter__.assert_called_once()
    engine.evaluate()
    validation.lock.__enter__.assert_called_once()


def test_images_that_do_not_fit_the_network_are_refused(data: Dataset) -> None:
    """The kernel trusts what it is given: it would read and write anywhere."""
    few = SparseEngine(data, Network((PIXELS - 1, 9, CLASSES)), protocol(), "cpu")
    with pytest.raises(DataError, match="37 pixels"):
        few.evaluate_parameters(torch.zeros(1, few._network.parameters))
    network = Network((PIXELS, 9, CLASSES - 1))
    with pytest.raises(DataError, match="4 classes"):
        trained(data, protocol(), start(network), 1)


@pytest.mark.parametrize("variant", ["avx512", "avx2", "baseline"])
def test_it_serves_what_is_sparse_on_the_cpu(
    data: Dataset, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How dense it may be is the variant's own; with AVX-512 the kernel is faster at any density."""
    monkeypatch.setattr(sparse_library, "variant", lambda: variant)
    network = Network((PIXELS, 9, CLASSES))
    assert isinstance(choose_engine(data, network, protocol()), SparseEngine)
    dense = replace(data, train_images=data.train_images - 0.1307)
    assert isinstance(
        choose_engine(dense, network, protocol()), SparseEngine if variant == "avx512" else TorchEngine
    )
    refusal = refusals(dense, network, protocol())[SparseEngine.name]
    assert refusal.startswith("" if variant == "avx512" else "100% of the pixels are not 0")
    assert bool(refusal) == (variant != "avx512")
    assert SparseEngine.refusal(data, network, protocol(), "cuda") == "It runs on the CPU, not on cuda."


def uninked(data: Dataset, count: int, pixels: int) -> Dataset:
    """So many images, which take no memory."""
    images, labels = torch.zeros(1).expand(count, pixels), torch.zeros(count, dtype=torch.int64)
    return replace(data, train_images=images, train_labels=labels)


@pytest.mark.parametrize(
    ("sizes", "batch_size", "message"),
    [
        ((65_536, 9, 5), 7, "65,535 inputs"),
        ((PIXELS, *[9] * 66, 5), 7, "65 layers"),
        ((PIXELS, 9, 5), 70_000, "images"),
    ],
)
def test_what_its_numbers_cannot_count_goes_to_the_torch_engine(
    data: Dataset, sizes: tuple[int, ...], batch_size: int, message: str
) -> None:
    many = uninked(data, 70_000, PIXELS)
    refusal = SparseEngine.refusal(many, Network(sizes), replace(PAPER, batch_size=batch_size), "cpu")
    assert message in refusal


@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [((65_535, 9, 5), 7), ((PIXELS, *[9] * 64, 5), 7), ((PIXELS, 9, 5), 65_535)],
    ids=["inputs", "layers", "images"],
)
def test_what_they_can_just_count_it_serves(data: Dataset, sizes: tuple[int, ...], batch_size: int) -> None:
    many = uninked(data, 70_000, PIXELS)
    assert not SparseEngine.refusal(many, Network(sizes), replace(PAPER, batch_size=batch_size), "cpu")


def test_a_batch_of_too_many_pixels_goes_to_the_torch_engine(data: Dataset) -> None:
    many = uninked(data, 20_000, 60_000)
    wide = replace(PAPER, batch_size=20_000)
    assert "pixels" in SparseEngine.refusal(many, Network((60_000, 9, 5)), wide, "cpu")


@pytest.mark.parametrize(
    ("engines", "name"),
    [
        ("sparse-avx2", "avx2"),
        ("sparse-avx512, sparse-mask-avx2", "avx2"),
        ("torch", "torch"),
        ("sparse-avx2, torch-mask", "torch"),
        ("torch-mask+sparse-avx2", "avx2"),
        ("cuda", "cuda"),
    ],
)
def test_what_a_run_was_begun_with_is_read_off_its_engines(engines: str, name: str) -> None:
    assert sparse_library.kernel_of(engines) == name


def test_its_name_says_the_variant() -> None:
    assert SparseEngine.name == f"sparse-{sparse_library.variant()}"
    assert sparse_library.variant() in sparse_library.VARIANTS


@pytest.mark.usefixtures("variant")
def test_a_variant_is_forced_by_the_environment(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one that this processor runs; the engine's name, which is pinned with a run, says which."""
    monkeypatch.setenv("LTSM_KERNEL", variant)
    code = "from ltsm.core.sparse_engine import SparseEngine; print(SparseEngine.name)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == f"sparse-{variant}"


def test_a_variant_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTSM_KERNEL", "avx1024")
    sparse_library._usual.cache_clear()
    with pytest.raises(UsageError, match="'avx1024': this machine has baseline"):
        sparse_library.variant()


# ---- the compiled library ----------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the kernel's source and its compiled baseline."""
    sources = [path.name for path in sparse_library.FOLDER.glob(sparse_library.SOURCES)]
    for name in [*sources, sparse_library.path_of("baseline").name]:
        shutil.copy(sparse_library.FOLDER / name, tmp_path / name)
    return tmp_path


def test_a_compiled_kernel_is_available(installed: Path) -> None:
    assert sparse_library.unavailable_reason(installed) == ""


def test_without_a_library_the_torch_engine_serves_and_the_reason_is_given(
    installed: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse_library.path_of("baseline", installed).unlink()
    reason = sparse_library.unavailable_reason(installed)
    assert reason.endswith("there was no C compiler at installation.")
    monkeypatch.setattr(sparse_engine, "unavailable_reason", lambda: reason)
    network = Network((PIXELS, 9, CLASSES))
    assert isinstance(choose_engine(data, network, protocol()), TorchEngine)
    assert reason in refusals(data, network, protocol()).values()


def test_a_library_of_other_source_is_not_used(installed: Path) -> None:
    (installed / "_sparse_vec.h").write_text("/* edited */", encoding="utf-8")
    assert "compiled from other source" in sparse_library.unavailable_reason(installed)


def test_a_variant_of_older_source_is_not_used(installed: Path, build: ModuleType) -> None:
    best = sparse_library.variant()
    if best == "baseline":
        pytest.skip("this processor runs the baseline alone")
    shutil.copy(sparse_library.path_of(best), sparse_library.path_of(best, installed))
    assert sparse_library.variant(installed) == best
    sparse_library._usual.cache_clear()
    sparse_library.unavailable_reason.cache_clear()
    (installed / "_sparse_vec.h").write_text((installed / "_sparse_vec.h").read_text() + "/* edited */")
    assert build.compile_variant(build.find_compiler(), installed, "baseline", ())
    again = installed.parent / "again"  # an open library stays what it was under its path
    shutil.copytree(installed, again)
    assert sparse_library.variant(again) == "baseline"


def test_a_damaged_library_is_not_used(installed: Path) -> None:
    sparse_library.path_of("baseline", installed).write_bytes(b"no library")
    assert "cannot be loaded" in sparse_library.unavailable_reason(installed)


@pytest.fixture
def build() -> ModuleType:
    """hatch_build.py, which is no part of the package."""
    pytest.importorskip("hatchling")
    specification = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_without_a_compiler_nothing_is_compiled_and_nothing_fails(
    build: ModuleType, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build.compile_variants(installed) == []


def test_an_unclosed_quotation_in_cc_does_not_fail_the_installation(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "gcc '")
    assert build.find_compiler() != ["gcc '"]


def test_a_compiler_that_fails_does_not_fail_the_installation(
    build: ModuleType, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "false")
    assert build.compile_variants(installed) == []


def test_the_hook_compiles_what_the_engine_takes(
    build: ModuleType, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not build.find_compiler():
        pytest.skip("there is no C compiler")
    monkeypatch.setattr(build, "X86_VARIANTS", {})
    sparse_library.path_of("baseline", installed).unlink()
    assert build.compile_variants(installed) == [sparse_library.path_of("baseline", installed)]
    assert sparse_library.unavailable_reason(installed) == ""


# ---- the paper's network on the paper's data ----------------------------------------------------------


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    named = os.environ.get("LTSM_DATA")
    places = [Path(named)] if named else [ROOT / "data", ROOT.parent / "shared" / "data"]
    place = next((place for place in places if not missing("mnist", place)), None)
    if place is None:
        pytest.skip(f"MNIST is in none of {', '.join(map(str, places))}")
    return load_dataset("mnist", place, train_size=6_000)


@pytest.mark.mnist
@pytest.mark.usefixtures("variant")
def test_100_iterations_on_mnist_are_the_torch_engines(mnist: Dataset) -> None:
    network = Network((784, 200, 30, 10))
    engines = [kind(mnist, network, PAPER, "cpu") for kind in (SparseEngine, TorchEngine)]
    for engine in engines:
        engine.load(start(network))
    (ours,), (theirs,) = (engine.train(100) for engine in engines)
    assert ours == pytest.approx(theirs, rel=1e-4)
    one, other = (engine.state().parameters for engine in engines)
    assert (one - other).norm() <= 1e-4 * other.norm()


@pytest.mark.mnist
@pytest.mark.usefixtures("variant")
def test_evaluation_on_mnist_is_the_torch_engines(mnist: Dataset) -> None:
    network = Network((784, 200, 30, 10))
    engines = [kind(mnist, network, PAPER, "cpu") for kind in (SparseEngine, TorchEngine)]
    parameters = 2 * start(network, models=2).parameters
    ours, theirs = (engine.evaluate_parameters(parameters) for engine in engines)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-6)
    assert ours.accuracy == pytest.approx(theirs.accuracy, abs=1.01 / 10_000)


def test_what_is_pruned_by_an_infinite_moment_is_left_to_another_engine_where_moments_do_not_decay(
    data: Dataset,
) -> None:
    """0 · ∞ is no number: every ticket would diverge."""
    network, forgetful = Network((PIXELS, 9, CLASSES)), protocol(beta1=0.0, beta2=1e-60)
    assert SparseEngine.refusal(data, network, forgetful, "cpu") == "It serves no beta2 of 0."
    engine = choose_engine(data, network, forgetful)
    initial = initial_values(network, 0)[None]
    engine.load(fresh_state(network, (0,), initial, initial > 0))
    assert np.isfinite(engine.train(20)).all()
    assert np.isfinite(engine.evaluate().loss).all()


@pytest.mark.parametrize("kind", [SparseEngine, TorchEngine])
def test_what_is_made_of_a_data_set_goes_with_it(
    data: Dataset, kind: type[SparseEngine | TorchEngine]
) -> None:
    network = Network((PIXELS, 9, CLASSES))
    mine = replace(data)
    engine = kind(mine, network, protocol(), "cpu")
    engine.evaluate_parameters(initial_values(network, 0)[None])
    gone = weakref.ref(mine)
    del mine, engine
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("variant")
def test_a_pixel_whose_first_mean_has_died_away_keeps_its_second(data: Dataset) -> None:
    """After hundreds of steps without ink the first mean is 0 and the second is not: it goes on to shrink.

    Taken out: the second mean in `pair_is_active`; what a segment begins with would have decided the bits.
    """
    network = Network((PIXELS, 9, CLASSES))
    state = start(network)
    never_inked = named_tensors(network, state.second_moment[0])["0.weight"][:, :2]
    never_inked.fill_(0.5)
    after = [trained(data, protocol(), state, 6, kind=kind) for kind in (SparseEngine, TorchEngine)]
    found = [named_tensors(network, one.second_moment[0])["0.weight"][:, :2] for one in after]
    assert torch.allclose(found[0], torch.full_like(found[0], 0.5 * PAPER.beta2**6), rtol=1e-5)
    assert torch.allclose(found[0], found[1], rtol=1e-5)


@pytest.mark.parametrize("kind", [SparseEngine, TorchEngine])
@pytest.mark.usefixtures("variant")
def test_relu_has_no_slope_at_exactly_0(data: Dataset, kind: Any) -> None:
    """As in autograd: a unit whose weights are all 0 gets exactly 0, and stays as it is.

    Taken out: "greater" for "greater or equal" in the derivative; the unit began to learn.
    """
    network = Network((PIXELS, 9, CLASSES), "relu")
    state = start(network)
    tensors = named_tensors(network, state.parameters[0])
    for tensor in (tensors["0.weight"][3], tensors["0.bias"][3:4]):
        tensor.zero_()
    after = named_tensors(network, trained(data, protocol(), state, 20, kind=kind).parameters[0])
    assert not after["0.weight"][3].any()
    assert not after["0.bias"][3].any()
    assert after["0.weight"][4].any()
