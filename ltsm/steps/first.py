"""What a worker does first for a run: its start values, its mask, and its state before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltsm.steps.training import dataset, network, read_weights, weights_file
from ltsm.store.values import MaskRow
from ltsm.studies.recipe import Mask, Random

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.core.actions import Case
    from ltsm.core.engine import Engine
    from ltsm.core.network import Network
    from ltsm.steps.inputs import Inputs
    from ltsm.steps.training import Setup
    from ltsm.studies.recipe import Masking, Recipe


@dataclass(frozen=True, slots=True)
class FirstState:
    """A run before its training.

    Attributes:
        state: the bytes of its checkpoint; empty where nothing is trained.
        initial: the bytes of its start values' file; empty where another run's file holds them.
        masks: the masks that it made, in the order of their amounts, with how each does untrained.
        sizes: units from the inputs to the classes.
        relative_size: parameters kept ÷ those of the dense network with the protocol's layers.
        engine: which will train it, or has evaluated its masks.
        digest: SHA-256 of the data.
    """

    state: bytes
    initial: bytes
    masks: tuple[MaskRow, ...]
    sizes: tuple[int, ...]
    parameters: int
    relative_size: float
    engine: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Making:
    """What a first state is made of: the recipe, whose network and start values (P,), and what may be pruned (P,)."""

    recipe: Recipe
    seed: int
    network: Network
    engine: Engine
    values: Tensor
    covered: Tensor

    def case(self, mask: Tensor) -> Case:
        """What actions look at."""
        from ltsm.core.actions import Case  # noqa: PLC0415 - brings torch, which only workers need

        return Case(self.network, self.values, mask, self.covered, self.seed, self.recipe.draw)

    def masked(self, mask: Tensor) -> Tensor:
        """The parameters (P,) that the run starts from with this mask."""
        from ltsm.core.actions import KEPT, PRUNED  # noqa: PLC0415

        case = self.case(mask)
        return KEPT[self.recipe.kept](case).where(mask, PRUNED[self.recipe.pruned](case))


def first_state(setup: Setup, recipe: Recipe, seed: int, inputs: Inputs) -> FirstState:
    """Make a run's values and its mask, and evaluate the masks that it makes.

    Args:
        setup: the protocol and its data.
        recipe: how the network comes to be.
        seed: the replicate.
        inputs: what it is made from.
    """
    from ltsm.core.engine import choose_engine  # noqa: PLC0415 - brings torch, which only workers need
    from ltsm.core.masking import covered_by  # noqa: PLC0415
    from ltsm.core.state import fresh_state, pack  # noqa: PLC0415

    net, data = network(setup, recipe.hidden), dataset(setup)
    engine = choose_engine(data, net, setup.protocol, setup.device)
    covered = covered_by(net, inputs.covers)
    making = _Making(recipe, seed, net, engine, _start(net, recipe, seed, inputs), covered)
    mask, rows = _mask(making, inputs)
    values = making.masked(covered | ~covered if mask is None else mask)
    state = fresh_state(net, (seed,), values[None], None if mask is None else mask[None])
    size = net.parameters if mask is None else int(mask.sum())
    trains = recipe.trains != "nothing"
    return FirstState(
        state=pack(state) if trains else b"",
        initial=weights_file(net, values) if trains and recipe.owns_start else b"",
        masks=rows,
        sizes=net.sizes,
        parameters=net.parameters,
        relative_size=size / network(setup, setup.protocol.hidden).parameters,
        engine=engine.name,
        digest=data.digest,
    )


def _start(net: Network, recipe: Recipe, seed: int, inputs: Inputs) -> Tensor:
    from ltsm.core.network import initial_values  # noqa: PLC0415

    if isinstance(recipe.start, Random):
        return initial_values(net, seed, *recipe.start.stream)
    return read_weights(net, inputs.weights["start"])


def _mask(making: _Making, inputs: Inputs) -> tuple[Tensor | None, tuple[MaskRow, ...]]:
    """The run's mask (P,), None where it has none, and the rows of the masks that it makes itself."""
    from ltsm.core.masking import choose, evaluate_masks, unpack_bits  # noqa: PLC0415

    recipe, net = making.recipe, making.network
    if recipe.mask is None:
        return None, ()
    if isinstance(recipe.mask, Mask) and not recipe.mask.control:
        return unpack_bits(inputs.masks["mask"], net.parameters), ()
    candidates, by, selectable = _candidates(making, recipe.mask, inputs)
    found = evaluate_masks(making.engine, net, candidates, making.masked)
    best = choose([r.amount for r in found], [r.val_accuracy for r in found], selectable)
    assert best is not None  # noqa: S101 - a study has no masking without an amount to choose
    rows = (
        MaskRow(
            0,
            making.seed,
            r.amount,
            r.relative_size,
            r.kept,
            r.val_loss,
            r.val_accuracy,
            i == best,
            r.bits,
            by,
        )
        for i, r in enumerate(found)
    )
    return candidates[best][1], tuple(rows)


def _candidates(
    making: _Making, mask: Mask | Masking, inputs: Inputs
) -> tuple[list[tuple[float, Tensor]], str, Callable[[float], bool]]:
    """The masks to choose from by their amounts, what an amount is, and which may be chosen."""
    from ltsm.core.actions import CONTROLS  # noqa: PLC0415
    from ltsm.core.criteria import CRITERIA  # noqa: PLC0415
    from ltsm.core.masking import masks, unpack_bits  # noqa: PLC0415

    net = making.network
    if isinstance(mask, Mask):
        control = CONTROLS[mask.control](making.case(unpack_bits(inputs.masks["mask"], net.parameters)))
        return [(float(control.sum()) / net.parameters, control)], "fraction", lambda _: True
    before, after = (read_weights(net, inputs.weights[role]) for role in ("before", "after"))
    within = unpack_bits(inputs.masks["within"], net.parameters) if mask.within else None
    scores = CRITERIA[mask.criterion](before, after)
    found = masks(net, scores, mask.amounts, by=mask.by, scope=mask.scope, covers=mask.covers, within=within)
    return list(zip(mask.amounts, found, strict=True)), mask.by, mask.selectable
