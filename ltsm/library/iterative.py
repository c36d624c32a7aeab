"""Iterative pruning with rewinding on a network, a training loop and data of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import nn

from ltsm.core.ambient import own_state
from ltsm.errors import UsageError
from ltsm.library.arguments import instance, number, one_of, seed_of, whole_number, whole_numbers
from ltsm.library.chains import Chain, chain_of_module
from ltsm.library.coverage import check_kinds, coverage
from ltsm.library.frozen import frozen_zeros
from ltsm.library.moments import Moment, Steps, Watch, moment_of
from ltsm.library.ranking import checked_criterion, ranked
from ltsm.library.rounds import Round
from ltsm.library.tickets import Ticket
from ltsm.library.weights import check_pair, state_of
from ltsm.library.wrappers import unwrapped
from ltsm.protocol import MaskScope
from ltsm.studies.recipe import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ltsm.library.coverage import Coverage, Kinds
    from ltsm.library.ranking import Scoring
    from ltsm.library.weights import State


def prune_iteratively(
    model: nn.Module,
    train: Callable[..., object],
    *,
    rounds: int,
    rate: float = 0.2,
    output_rate: float | None = None,
    rewind_to: int = 0,
    keep: Iterable[int] = (),
    criterion: str | Scoring = "large_final",
    scope: Scope = "layer",
    mask: MaskScope = "weights",
    only: Kinds | None = None,
    seed: int = 0,
) -> Iterator[Round]:
    """Train, prune, rewind, and again: the lottery ticket experiment of Frankle and Carbin (2019), with your own loop.

    Each round trains what is left, from the values that the network has when this is called, and is then yielded. Round 0 is
    dense; before every other one each layer loses the share `rate` of its surviving weights, those of the lowest score
    in the round before, and exactly round((1 − rate) · survivors) are kept, on a tie those that come first.

    Before each round the network is again what it was at the call, but for the zeros: parameters, buffers such as batch
    normalisation's, training modes and requires_grad; gradients are gone. While `train` runs, what is pruned is exactly 0
    at every step and every forward pass, and has no gradient, see `frozen_zeros`. **At each yield, and after the last, the
    model has the weights that the round's training ended with**, and no hook of ours: evaluate it, or write to it, as
    you like; the next round begins with values of our own. Where `train` raises, that very exception comes out; the
    model has the values that it had then, pruned ones 0, and no hook.

    Random numbers, threads and all else of torch's state are yours in `train`: seed what each round shall draw alike.

    Args:
        model: the network, which is trained in place, also on a GPU, compiled, or in DataParallel.
        train: your loop, called as `train(model)`, or `train(model, step)` with `rewind_to`. It makes its optimiser anew
            each time: one from outside would bring momentum of weights that have been rewound, which is said where it is
            noticed. What it gives back is not looked at.
        rounds: how often is pruned; `rounds` + 1 trainings, and a fraction (1 − rate)^rounds left.
        rate: the fraction of the survivors that a round prunes, from 0 to below 1.
        output_rate: of the last layer that is covered, where it is another; the experiment has half the rate.
        rewind_to: weights go back to those after so many steps of round 0, as torch's optimisers make them, and not to the
            initial ones (Frankle et al., 2020). `train` is handed the step that it begins at: 0, then this one.
        keep: steps, counted in the same way, of which each round keeps the weights, in `weights_at`.
        criterion: what scores a weight by its initial value and the one after the round's training, the largest being kept:
            a name in `ltsm.core.criteria`, or a function; see `find_supermask`.
        scope: the rate is of each layer by itself, or global.
        mask: what it covers: weights, or all parameters.
        only: the kinds of layers to cover, e.g. (nn.Linear, nn.Conv2d); needed where there are others than nn.Linear.
        seed: of the criterion random.

    Raises:
        UsageError: an argument cannot be, or the network is none that can be pruned; while rounds go on: `train` has
            changed no weight or the network's structure, has made too few steps, or a weight is no number; or none is left.
    """
    instance("train", train, Callable, "a function of the network")  # type: ignore[arg-type]  # no class to mypy
    checked_criterion(criterion)
    one_of("scope", scope, get_args(Scope))
    one_of("mask", mask, get_args(MaskScope))
    check_kinds(only)
    if output_rate is not None and scope != "layer":
        raise UsageError("output_rate is of a layer by itself.", 'scope="layer"')
    network = unwrapped(instance("model", model, nn.Module, "a torch.nn.Module"))
    with own_state():
        plan = _Plan(
            network=network,
            initial=state_of(network),
            start=moment_of(network),
            covered=coverage(network, only, mask),
            chain=chain_of_module(network),
            rounds=whole_number("rounds", rounds),
            amount=_kept("rate", rate),
            last=None if output_rate is None else _kept("output_rate", output_rate),
            rewind_to=whole_number("rewind_to", rewind_to),
            keep=frozenset(whole_numbers("keep", keep, least=1)),
            criterion=criterion,
            scope=scope,
            seed=seed_of(seed),
        )
    return _rounds(model, train, plan)


def _rounds(model: nn.Module, train: Callable[..., object], plan: _Plan) -> Iterator[Round]:
    watch = Watch(plan.network, plan.rewind_to, plan.keep)
    start, step, mask = plan.start, 0, plan.everything()
    for index in range(plan.rounds + 1):
        start.restore(plan.network)
        with frozen_zeros(model, mask), watch.round(step) as steps:
            initial = state_of(plan.network)
            train(model, step) if plan.rewind_to else train(model)
        found = plan.round(index, mask, initial, steps)
        yield found
        if index == plan.rounds:
            return
        if step < plan.rewind_to:
            start, step = steps.rewound(), plan.rewind_to
        mask = plan.next_mask(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """What rounds have in common.

    Attributes:
        network: without wrappers.
        initial: its state dict at the call, which criteria compare with.
        start: all of it at the call.
        amount: the fraction of the survivors that a round keeps.
        last: of those of the last layer; None: the same.
    """

    network: nn.Module
    initial: State
    start: Moment
    covered: Coverage
    chain: Chain | None
    rounds: int
    amount: float
    last: float | None
    rewind_to: int
    keep: frozenset[int]
    criterion: str | Scoring
    scope: Scope
    seed: int

    def everything(self) -> State:
        """The mask that prunes nothing."""
        return {name: torch.ones_like(self.initial[name], dtype=torch.bool) for name in self.covered.masked}

    def round(self, index: int, mask: State, initial: State, steps: Steps) -> Round:
        """What a round's training has made of the network."""
        ticket = Ticket(
            mask=mask,
            initial=initial,
            trained=state_of(self.network),
            chain=self.chain,
            shared=self.covered.shared,
            about={"round": index, "rewound_to": self.rewind_to if index else 0},
        )
        return Round(number=index, ticket=ticket, total=self.covered.total, weights_at=steps.weights)

    @own_state()
    def next_mask(self, found: Round) -> State:
        """What the round after this one keeps.

        Raises:
            UsageError: nothing has been trained, nothing is left, or a weight is no number.
        """
        began, after = found.ticket.initial, found.ticket.trained or {}
        check_pair(self.initial, after, self.covered.masked, one=True)
        if not found.ticket.kept:
            raise UsageError(
                f"round {found.number} keeps no weight that a mask covers: none is left to prune.",
                "fewer rounds, or a smaller rate",
            )
        if all(torch.equal(began[name], after[name]) for name in self.covered.masked):
            raise UsageError(
                f"round {found.number} has changed no weight that a mask covers.",
                "train(model) trains that very network, in place; what it gives back is not looked at",
            )
        ranking = ranked(
            self.initial,
            after,
            self.covered,
            self.criterion,
            by="fraction",
            scope=self.scope,
            seed=self.seed,
            within=found.mask,
        )
        return ranking.mask(self.amount, self.last)


def _kept(name: str, rate: Any) -> float:
    """What a rate leaves.

    Raises:
        UsageError: it is none.
    """
    if not 0 <= (value := number(name, rate)) < 1:
        raise UsageError(
            f"{name} must be a fraction from 0 to below 1, not {value:g}.", "0.2 prunes a fifth a round"
        )
    return round(1 - value, 12)
