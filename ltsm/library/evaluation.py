"""Loss and accuracy of masked networks, through the caller's own module or through our engines."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from ltsm.core.datasets import Dataset
from ltsm.core.engine import choose_engine
from ltsm.core.masking import evaluate
from ltsm.core.records import Evaluation
from ltsm.errors import DataError, UsageError
from ltsm.library.batches import Pair, as_pair, evaluation_batches, whole
from ltsm.library.foreign import theirs
from ltsm.library.learnable import Variety, check_learnable
from ltsm.library.outputs import check_logits, correct, default_loss, lost
from ltsm.protocol import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from torch import Tensor, nn

    from ltsm.core.network import Network
    from ltsm.library.batches import Data
    from ltsm.library.chains import Chain
    from ltsm.library.outputs import Loss
    from ltsm.library.weights import State

FORWARD = "the network's forward pass on images of shape {}"
STAND_INS = 1_000
"""So many validation images stand in for a training set where none is needed."""
MEMORY = 2**30
"""So many bytes all thresholds' masked values may take together; more, and they are made anew for every batch."""


def through_ours(
    chain: Chain,
    masked: Sequence[Callable[[], State]],
    validation: Data | Dataset,
    wholes: Sequence[State] = (),
) -> tuple[str, Evaluation]:
    """The engine's name; and every masked network, made when it is needed, then every whole one, evaluated by it.

    Raises:
        DataError: the images do not fit the network, or nothing can be learnt of them.
    """
    data = as_dataset(validation, chain.network)
    check_learnable(data.validation_images, data.validation_labels, "validation")
    engine = choose_engine(data, chain.network, PAPER.changed(activation=chain.network.activation))
    made: list[Callable[[], State]] = [*masked, *(partial(dict, whole) for whole in wholes)]
    return engine.name, evaluate(engine, lambda place: chain.flat(made[place]()), len(made))


def as_dataset(data: Data | Dataset, network: Network, training: Pair | None = None) -> Dataset:
    """The data as our engines take it: flattened, float32.

    Args:
        data: the validation set.
        network: which it has to fit.
        training: the training set; without one a few of the validation images stand in for it.

    Raises:
        DataError: images or labels do not fit the network.
    """
    if isinstance(data, Dataset):
        _check_fit(data, network)
        return data
    pair = as_pair(data) or whole(data)
    few = training or pair.part(slice(STAND_INS))
    made = Dataset(
        name="own",
        train_images=_flat(few.images),
        train_labels=few.labels.cpu(),
        validation_images=_flat(pair.images),
        validation_labels=pair.labels.cpu(),
        classes=network.sizes[-1],
        image_shape=tuple(pair.images.shape[1:]),
        digest="",
    )
    _check_fit(made, network)
    for one in (pair, few):
        check_logits(torch.empty(len(one.labels), network.sizes[-1], device="meta"), one)
    return made


def through_module(
    module: nn.Module,
    start: State,
    masked: Sequence[Callable[[], State]],
    names: Sequence[str],
    validation: Data | Dataset,
    loss: Loss | None = None,
    wholes: Sequence[State] = (),
) -> Evaluation:
    """Every masked network, then every whole one, evaluated by a copy of the module, in evaluation mode.

    A mask covers the parameters `names`; the others are those of `start`.

    The data is gone through once, each batch by all networks: they see the same images, and a loader that
    shuffles or can be used only once will do. What a forward pass writes to images, buffers or parameters
    no other one sees.

    Raises:
        UsageError: the module cannot be copied, or gives no logits.
        DataError: the validation data is no images with labels.
        RunError: the caller's own code failed.
    """
    ours = copied(module).eval()
    if isinstance(validation, Dataset):
        validation = as_taken(ours, validation, "validation")
    states = _masked_states(ours, start, masked, names)
    return evaluate_states(ours, [*states, *whole_states(ours, wholes)], validation, loss)


@torch.no_grad()
def evaluate_states(
    module: nn.Module, states: Sequence[Callable[[], State]], data: Data | Pair, loss: Loss | None = None
) -> Evaluation:
    """Mean loss and accuracy of a module with each of these states in place of its own."""
    device, variety = device_of(module), Variety("validation")
    losses, right, count = [0.0] * len(states), [0] * len(states), 0
    for batch in evaluation_batches(data):
        for i, state in enumerate(states):
            own = batch.to(device)
            with theirs(FORWARD.format(tuple(batch.images.shape))):
                logits = functional_call(module, state(), (own.images,))
            check_logits(logits, batch)
            right[i] += correct(logits, own.labels)
            losses[i] += lost(logits, own, loss or default_loss)
        count += len(batch.labels)
        variety.see(batch.images, batch.labels)
    variety.check()
    return Evaluation(tuple(v / count for v in losses), tuple(v / count for v in right))


def copied(module: nn.Module) -> nn.Module:
    """A copy to compute with, so that the caller's own module never changes.

    Raises:
        UsageError: it cannot be copied.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"the network cannot be copied: {reason}", "keep no results of a forward pass in it"
        ) from error


def device_of(module: nn.Module) -> torch.device:
    """Where the module's first parameter is."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def as_taken(module: nn.Module, data: Dataset, part: str) -> tuple[Tensor, Tensor]:
    """Images and labels of a data set's "train" or "validation" part, the images in the shape that the module takes.

    That is the one that they have in the data, or flattened. Where the module takes neither, its first parameter says
    which one its error shall be about: a matrix takes rows.

    Args:
        module: a copy of the caller's, which is called with one or two images.
        data: whose.
        part: which of its two.
    """
    flat, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
    if data.image_shape == flat.shape[1:] or math.prod(data.image_shape) != flat.shape[1]:
        return flat, labels
    whole_images = flat.reshape(-1, *data.image_shape)
    rows = next((p.ndim == 2 for p in module.parameters()), True)  # noqa: PLR2004 - a matrix
    if _takes(module, whole_images[:2]) or not (rows or _takes(module, flat[:2])):
        return whole_images, labels
    return flat, labels


@torch.no_grad()
def _takes(module: nn.Module, images: Tensor) -> bool:
    """Whether logits, or what looks like them, come out."""
    was_training, device = module.training, device_of(module)
    own = {name: t.clone() for name, t in tensors_of(module).items()}
    try:
        logits = functional_call(module.eval(), own, (images.to(device, copy=True),))
        return isinstance(logits, torch.Tensor) and logits.ndim <= 2 and len(logits) == len(images)  # noqa: PLR2004
    except Exception:  # noqa: BLE001 - their code may raise anything
        return False
    finally:
        module.train(was_training)


def _masked_states(
    module: nn.Module, start: State, masked: Sequence[Callable[[], State]], names: Sequence[str]
) -> list[Callable[[], State]]:
    """What gives each network's state, in memory of its own: masked values, worked out once where memory allows it."""
    own = tensors_of(module)
    others = {name: t for name, t in start.items() if name in own and name not in names}
    covered = own.keys() & {*names} & start.keys()
    made: list[Callable[[], State]] = [partial(_only, make, covered) for make in masked]
    if len(made) * sum(start[name].nbytes for name in covered) <= MEMORY:
        made = [partial(dict, make()) for make in made]
    return [partial(_with_copies, make, others, own) for make in made]


def _only(make: Callable[[], State], names: Container[str]) -> State:
    return {name: t for name, t in make().items() if name in names}


def whole_states(module: nn.Module, states: Sequence[State]) -> list[Callable[[], State]]:
    """What gives each of these states, in memory of its own, as far as the module has its names."""
    own = tensors_of(module)
    known = [{name: t for name, t in state.items() if name in own} for state in states]
    return [partial(_with_copies, dict, state, own) for state in known]


def tensors_of(module: nn.Module) -> State:
    """Its parameters and buffers themselves, each under its first name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _with_copies(masked: Callable[[], State], others: State, own: State) -> State:
    """Each where the module has its own, which may be on several devices."""
    return {name: t.to(own[name].device, copy=True) for name, t in {**masked(), **others}.items()}


def _flat(images: Tensor) -> Tensor:
    if not images.is_floating_point():
        raise DataError(f"images hold {images.dtype}, and the network takes floats.", "images.float() / 255")
    return images.cpu().reshape(len(images), -1).float().contiguous()


def _check_fit(data: Dataset, network: Network) -> None:
    for images in (data.validation_images, data.train_images):
        if images.shape[1] != network.sizes[0]:
            raise DataError(
                f"an image has {images.shape[1]:,} numbers, and the network takes {network.sizes[0]:,}.",
                "the data that this network was trained on",
            )
    if network.sizes[-1] == 1:
        raise UsageError("a network with one output is evaluated through its module.", "model= gives it")
    largest = int(max(data.validation_labels.max(), data.train_labels.max()))
    if largest >= network.sizes[-1]:
        raise DataError(f"there is the label {largest}, and the network has {network.sizes[-1]} outputs.")
