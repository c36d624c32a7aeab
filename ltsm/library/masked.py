"""Masked networks of one's own: what becomes of the values that a mask keeps, and of those that it prunes."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ltsm.core.actions import KEPT, PRUNED, Case
from ltsm.core.ambient import own_state
from ltsm.core.network import initial_values
from ltsm.errors import UsageError
from ltsm.library.ranking import layer_of, pooled, split
from ltsm.library.weights import masked_state, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from ltsm.core.streams import Purpose
    from ltsm.library.chains import Chain
    from ltsm.library.coverage import Coverage
    from ltsm.library.weights import State

TRAINED = "trained"
"""What is kept keeps its trained values; every other `kept` starts from the initial ones."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where a layer's covered weights and then its biases lie in the vector of all covered parameters.

    Attributes:
        inputs: how many inputs one of its units has.
    """

    index: int
    weight: slice
    bias: slice
    inputs: int

    @property
    def parameters(self) -> slice:
        """Both."""
        return slice(self.weight.start, self.bias.stop)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Making:
    """Start values, and what is made of them under a mask.

    Attributes:
        before: the whole state dict before training.
        start: what masked networks start from: that, or trained values.
        trained: values after training.
        covered: what a mask covers.
        kept: an action of `ltsm.core.actions`, as is pruned.
        seed: of what is drawn.
        model: the module, whose layers draw their own initial values; None: a chain's are drawn as a sweep's are.
        chain: the network as ours, where it is one.
        one: both are of one and the same moment: nobody kept the initial values.
    """

    before: State
    start: State
    trained: State
    covered: Coverage
    kept: str
    pruned: str
    seed: int
    model: nn.Module | None
    chain: Chain | None
    one: bool

    def masked(self, mask: State) -> State:
        """The whole state dict under a mask by parameter name."""
        if (self.kept, self.pruned) == ("initial", "zero"):
            return masked_state(self.start, mask)
        names, layers = self.layout()
        values = [self.start[name] for name in names]
        flags = pooled(mask[name] for name in names)
        case = Case(
            layers,
            pooled(values),
            flags,
            torch.ones_like(flags),
            lambda seed, *purpose: self._fresh(names, seed, *purpose),
            self.seed,
            trained=pooled(self.trained[name] for name in names),
        )
        made = split(KEPT[self.kept](case).where(flags, PRUNED[self.pruned](case)), values)
        found = {name: part.to(self.start[name].dtype) for name, part in zip(names, made, strict=True)}
        return {
            name: found.get(self.covered.shared.get(name, name), t).clone() for name, t in self.start.items()
        }

    def dense(self) -> State:
        """The whole state dict where everything is kept."""
        return self.masked({n: torch.ones_like(self.start[n], dtype=torch.bool) for n in self.covered.masked})

    def layout(self) -> tuple[list[str], list[Part]]:
        """The covered parameters' names layer by layer, weights before biases, and where each layer's lie."""
        layers: dict[str, list[str]] = {}
        for name in self.covered.masked:
            if name not in self.covered.shared:
                layers.setdefault(layer_of(name), []).append(name)
        names, parts, at = list[str](), list[Part](), 0
        for index, own in enumerate(layers.values()):
            weights = [name for name in own if not name.endswith("bias")]
            biases = [name for name in own if name not in weights]
            between = at + sum(self.start[name].numel() for name in weights)
            end = between + sum(self.start[name].numel() for name in biases)
            inputs = max((self.start[name][0].numel() for name in weights), default=1)
            parts.append(Part(index, slice(at, between), slice(between, end), inputs))
            names += [*weights, *biases]
            at = end
        return names, parts

    def _fresh(self, names: Sequence[str], seed: int, *purpose: Purpose) -> Tensor:
        if self.chain is not None:
            drawn = self.chain.views(initial_values(self.chain.network, seed, *purpose))
            return pooled(drawn[name] for name in names)
        if self.model is None:
            raise UsageError("there is no module whose layers could draw new values.", "model= gives it")
        state = _reset(self.model, seed, *purpose)
        return pooled(state[name] for name in names)


def _reset(model: nn.Module, seed: int, *purpose: Purpose) -> State:
    """A copy's values as its layers draw them, from a generator of this name."""
    name = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    ours = copy.deepcopy(model)
    with own_state(int.from_bytes(name[:7], "little")):
        for layer in ours.modules():
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()
    return state_of(ours)
