"""Two states of one network, checked and scored: what masks of a network of one's own are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from torch import nn

from ltsm.core.actions import KEPT, PRUNED
from ltsm.core.network import ACTIVATIONS
from ltsm.errors import UsageError
from ltsm.library.arguments import instance, one_of, seed_of
from ltsm.library.chains import Chain, chain_of_module, chain_of_state, obstacle
from ltsm.library.coverage import Coverage, Kinds, check_kinds, coverage, coverage_of_state
from ltsm.library.masked import TRAINED, Making
from ltsm.library.ranking import Ranking, checked_criterion, ranked
from ltsm.library.weights import (
    State,
    Weights,
    as_computed,
    check_pair,
    check_whole,
    state_of,
    under_all_names,
)
from ltsm.library.wrappers import aligned, unwrapped
from ltsm.protocol import MaskScope
from ltsm.studies.recipe import By, Scope

if TYPE_CHECKING:
    from ltsm.library.ranking import Scoring
    from ltsm.protocol import Activation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Two states of one network, scored: all that masks are made of."""

    making: Making
    ranking: Ranking
    wholes: tuple[State, State]
    """The whole network before and after training, in the types that it computes in."""

    @property
    def covered(self) -> Coverage:
        """What a mask covers."""
        return self.making.covered

    def of(self, amount: float) -> dict[str, Any]:
        """The fields of what is pruned to this amount."""
        mask = self.ranking.mask(amount)
        return {
            "mask": mask,
            "state": self.making.masked(mask),
            "left_alone": self.covered.left_alone,
            "initial": self.making.start,
            "ranking": self.ranking,
            "model": self.making.model,
            "chain": self.making.chain,
            "total": self.covered.total,
            "amount": amount,
            "shared": self.covered.shared,
        }


def prepared(making: Making, criterion: str | Scoring, *, by: By, scope: Scope) -> Prepared:
    """Score what `making_of` has checked. See `find_supermask`.

    Raises:
        UsageError: an argument cannot be.
        RunError: the caller's own code failed.
    """
    one_of("by", by, get_args(By))
    one_of("scope", scope, get_args(Scope))
    checked_criterion(criterion)
    before, after = making.before, making.trained
    known = None if making.one else before
    ranking = ranked(known, after, making.covered, criterion, by=by, scope=scope, seed=making.seed)
    wholes = (before, before | as_computed(after, making.model))
    return Prepared(making=making, ranking=ranking, wholes=wholes)


def making_of(
    initial: Weights | None,
    trained: Weights,
    *,
    model: nn.Module | None,
    mask: MaskScope,
    kept: str,
    pruned: str,
    only: Kinds | None,
    activation: Activation,
    seed: int,
) -> Making:
    """Check what is handed over, without a score: what masked networks are made of.

    Raises:
        UsageError: an argument cannot be, or these are not two states of one network.
        RunError: the caller's own code failed.
    """
    check_kinds(only)
    one_of("mask", mask, get_args(MaskScope))
    one_of("activation", activation, ACTIVATIONS)
    one_of("kept", kept, (*KEPT, TRAINED))
    one_of("pruned", pruned, PRUNED)
    module = _module(initial, trained, model)
    before, after = _named_alike(state_of(trained if initial is None else initial), state_of(trained), module)
    before = as_computed(before, module)
    chain, covered = _structure(before, module, mask, only, activation)
    one = initial is None
    before, after = _checked(before, after, covered, module, one=one)
    return Making(
        before=before,
        start=as_computed(after, module) if kept == TRAINED else before,
        trained=after,
        covered=covered,
        kept="initial" if kept == TRAINED else kept,
        pruned=pruned,
        seed=seed_of(seed),
        model=module,
        chain=chain,
        one=one,
    )


def check_fractions(name: str, values: list[float] | tuple[float, ...]) -> None:
    """Refuse what is no fraction.

    Raises:
        UsageError: naming the first.
    """
    if wrong := [value for value in values if not 0 <= value <= 1]:
        raise UsageError(f"{name} must be a fraction from 0 to 1, not {wrong[0]:g}.", "0.2 keeps a fifth")


def _module(initial: Weights | None, trained: Weights, model: nn.Module | None) -> nn.Module | None:
    """The module to evaluate with, without wrappers."""
    if model is None:
        model = next((w for w in (trained, initial) if isinstance(w, nn.Module)), None)
    return None if model is None else unwrapped(instance("model", model, nn.Module, "a torch.nn.Module"))


def _named_alike(initial: State, trained: State, model: nn.Module | None) -> tuple[State, State]:
    """Both state dicts under the module's names; without one under the initial ones', without a wrapper's prefix."""
    own = {name for name, _ in model.named_parameters(remove_duplicate=False)} if model is not None else ()
    before = aligned("initial", initial, own)
    return before, aligned("trained", aligned("trained", trained, own), own or before.keys())


def _structure(
    state: State, model: nn.Module | None, mask: MaskScope, only: Kinds | None, activation: Activation
) -> tuple[Chain | None, Coverage]:
    """The network as a chain where it is one, and what the mask covers.

    Raises:
        UsageError: there is no module, and the state dict is no chain of linear layers.
    """
    if model is not None:
        return chain_of_module(model), coverage(model, only, mask)
    chain = chain_of_state(state, activation)
    if chain is None:
        raise UsageError(
            f"these weights are not plainly those of linear layers one after the other: {obstacle(state)}.",
            "model= (on the command line --network module:function) gives the network that they belong to",
        )
    names = chain.views(chain.flat(state))
    return chain, coverage_of_state({name: state[name] for name in names}, mask)


def _checked(
    initial: State, trained: State, covered: Coverage, model: nn.Module | None, *, one: bool
) -> tuple[State, State]:
    """Both state dicts with all names of every parameter; `one`: they are of one and the same moment.

    Raises:
        UsageError: they are not two states of one network.
    """
    before = under_all_names("initial", initial, covered.shared)
    after = under_all_names("trained", trained, covered.shared)
    check_pair(before, after, covered.masked, one=one)
    check_whole(before, model)
    return before, after
