"""What a worker does first for a run: its start values, its mask, and its state before any training."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from ltsm.steps.learning import engines_of, fresh_mask
from ltsm.steps.training import dataset, engine, network, read_weights, test_set, weights_file
from ltsm.store.values import MaskRow
from ltsm.studies.recipe import Learned, Mask, Masking, Random

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ltsm.core.actions import Case
    from ltsm.core.datasets import TestSet
    from ltsm.core.engine import Engine
    from ltsm.core.network import Network
    from ltsm.steps.inputs import Inputs
    from ltsm.steps.training import Setup
    from ltsm.studies.recipe import Recipe


@dataclass(frozen=True, slots=True)
class FirstState:
    """A run before its training.

    Attributes:
        state: the bytes of its checkpoint; empty where nothing is trained.
        initial: the bytes of its start values' file; empty where another run's file holds them.
        masks: the masks that it made, in the order of their amounts, with how each does untrained.
        sizes: units from the inputs to the classes.
        relative_size: parameters kept ÷ those of the dense network with the protocol's layers; None where the mask is
            trained.
        engine: which will train it, or has evaluated its masks.
        digest: SHA-256 of the data.
    """

    state: bytes
    initial: bytes
    masks: tuple[MaskRow, ...]
    sizes: tuple[int, ...]
    parameters: int
    relative_size: float | None
    engine: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Making:
    """What a first state is made of: the recipe, whose network and start values (P,), and what may be pruned (P,).

    `trained` (P,) are the values after training that a mask is made by; `fresh` draws initial values.
    """

    recipe: Recipe
    seed: int
    network: Network
    engine: Engine
    values: Tensor
    covered: Tensor
    trained: Tensor | None
    fresh: Callable[..., Tensor]

    def case(self, mask: Tensor) -> Case:
        """What actions look at."""
        from ltsm.core.actions import Case

        layers, draw = self.network.layers, self.recipe.draw
        return Case(layers, self.values, mask, self.covered, self.fresh, self.seed, draw, self.trained)

    def masked(self, mask: Tensor) -> Tensor:
        """The parameters (P,) that the run starts from with this mask."""
        from ltsm.core.actions import KEPT, PRUNED

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
    from ltsm.core.masking import covered_by
    from ltsm.core.network import initial_values

    net = network(setup, recipe.hidden)
    chosen = engine(setup, net)
    covered = covered_by(net, inputs.covers)
    trained = read_weights(net, inputs.weights["after"]) if "after" in inputs.weights else None
    fresh = partial(initial_values, net, weights=setup.protocol.initialisation, biases=setup.protocol.biases)
    if isinstance(recipe.start, Random):
        values = fresh(seed, *recipe.start.stream)
    else:
        values = read_weights(net, inputs.weights["start"])
    making = _Making(recipe, seed, net, chosen, values, covered, trained, fresh)
    mask, rows = _mask(making, inputs, test_set(setup))
    values = making.masked(covered | ~covered if mask is None else mask)
    trains, learns = recipe.trains != "nothing", recipe.learned is not None
    state = fresh_mask(net, recipe, seed, values) if learns else _fresh(net, seed, values, mask)
    size = net.parameters if mask is None else int(mask.sum())
    return FirstState(
        state=state if trains else b"",
        initial=weights_file(net, values) if trains and recipe.owns_start else b"",
        masks=rows,
        sizes=net.sizes,
        parameters=net.parameters,
        relative_size=None if learns else size / network(setup, setup.protocol.hidden).parameters,
        engine=engines_of(setup, recipe, net) if learns else chosen.name,
        digest=dataset(setup).digest,
    )


def _fresh(net: Network, seed: int, values: Tensor, mask: Tensor | None) -> bytes:
    """The state before a training of what the mask (P,) keeps of values (P,)."""
    from ltsm.core.state import fresh_state, pack

    return pack(fresh_state(net, (seed,), values[None], None if mask is None else mask[None], values[None]))


def _mask(making: _Making, inputs: Inputs, test: TestSet | None) -> tuple[Tensor | None, tuple[MaskRow, ...]]:
    """The run's mask (P,), None where it has none, and the rows of the masks that it makes itself.

    The test set is looked at when the mask has been chosen.
    """
    from ltsm.core.masking import choose, evaluate, evaluate_masks, unpack_bits

    recipe, net = making.recipe, making.network
    if recipe.mask is None or isinstance(recipe.mask, Learned):
        return None, ()
    if isinstance(recipe.mask, Mask) and not recipe.mask.control:
        return unpack_bits(inputs.masks["mask"], net.parameters), ()
    candidates, by, selectable = _candidates(making, recipe.mask, inputs)
    found = evaluate_masks(making.engine, net, candidates, making.masked)
    best = choose([r.amount for r in found], [r.val_accuracy for r in found], selectable)
    assert best is not None  # noqa: S101 - a study has no masking without an amount to choose
    tested: list[tuple[float, float]] = [(math.nan, math.nan)] * len(found)
    if test is not None:
        on = evaluate(making.engine, lambda i: making.masked(candidates[i][1]), len(found), on=test)
        tested = list(zip(on.loss, on.accuracy, strict=True))
    rows = (
        MaskRow(
            run_id=0,
            seed=making.seed,
            selected=i == best,
            amount_by=by,
            test_loss=tested[i][0],
            test_accuracy=tested[i][1],
            **asdict(result),
        )
        for i, result in enumerate(found)
    )
    return candidates[best][1], tuple(rows)


def _candidates(
    making: _Making, mask: Mask | Masking, inputs: Inputs
) -> tuple[list[tuple[float, Tensor]], str, Callable[[float], bool]]:
    """The masks to choose from by their amounts, what an amount is, and which may be chosen."""
    from torch import from_numpy

    from ltsm.core.actions import CONTROLS
    from ltsm.core.criteria import CRITERIA, Values
    from ltsm.core.masking import masks, unpack_bits
    from ltsm.core.streams import uniform

    net = making.network
    if isinstance(mask, Mask):
        control = CONTROLS[mask.control](making.case(unpack_bits(inputs.masks["mask"], net.parameters)))
        return [(float(control.sum()) / net.parameters, control)], "fraction", lambda _: True
    assert making.trained is not None  # noqa: S101 - a masking has weights after training
    draws = from_numpy(uniform(making.seed, "random criterion", *making.recipe.draw, count=net.parameters))
    values = Values(making.trained, read_weights(net, inputs.weights["before"]), draws)
    found = masks(
        net,
        CRITERIA[mask.criterion],
        values,
        mask.amounts,
        output=mask.output,
        by=mask.by,
        scope=mask.scope,
        covers=mask.covers,
        within=unpack_bits(inputs.masks["within"], net.parameters) if mask.within else None,
    )
    return list(zip(mask.amounts, found, strict=True)), mask.by, mask.selectable
