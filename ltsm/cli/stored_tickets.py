"""Tickets out of a store: the selected mask of a seed, the initial values, and the trained weights if there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltsm import grammar
from ltsm.cli.stores import reading
from ltsm.core.mask_training import factors, rescaled
from ltsm.core.masking import unpack_bits
from ltsm.errors import StoreError, UsageError
from ltsm.library.chains import chain_of_state
from ltsm.library.tickets import Recipe, Ticket
from ltsm.library.weights import masked_state
from ltsm.notation import plain
from ltsm.protocol import from_settings
from ltsm.store import artifacts, read
from ltsm.store.values import FINISHED
from ltsm.studies import paper
from ltsm.studies.names import run_name
from ltsm.studies.recipe import Learned

if TYPE_CHECKING:
    from torch import Tensor

    from ltsm.core.network import Network
    from ltsm.library.chains import Chain
    from ltsm.library.weights import State
    from ltsm.store.engine import Store
    from ltsm.store.values import MaskRow, ProtocolRow, Role, RunRow

MOST_DIGITS = 15
"""A longer number is no id."""


def stored_ticket(store: str, protocol: str | None, run: str | None, seed: int | None) -> Ticket:
    """The ticket of a run that has a mask, by its id, or of a seed of a protocol's paper study.

    Raises:
        StoreError: there is no such run, it has no mask yet, or its files are damaged.
        UsageError: the run never has a mask.
    """
    with reading(store) as opened:
        row = _of_seed(opened, protocol, seed or 0) if run is None else _of_id(opened, run)
        mask = read.selected_mask(opened, row.id)
        if mask is None:
            settings = read.protocol(opened, row.protocol_id).settings
            hint = grammar.again(row, settings, opened.path, force=False)
            raise StoreError(f"{run_name(row.recipe, row.seed)} has no mask yet.", hint)
        return _made(opened, row, mask)


def _of_seed(store: Store, protocol: str | None, seed: int) -> RunRow:
    """The paper's lottery ticket of a seed."""
    chosen = read.find_protocol(store, protocol)
    fingerprint = paper.study(from_settings(chosen.settings, chosen.name)).fingerprints()[paper.TICKET]
    found = read.find_run(store, chosen.id, fingerprint, seed)
    if found is None:
        words = grammar.protocol_words(chosen.id, chosen.settings["dataset"], read.runs(store, chosen.id))
        hint = grammar.typed(["train-ticket", "--seed", str(seed), *words], store.path)
        raise StoreError(f"{chosen.name} has no ticket of seed {seed}.", hint)
    return found


def _of_id(store: Store, run: str) -> RunRow:
    found = read.runs(store, ids=[int(run)]) if run.isdecimal() and len(run) < MOST_DIGITS else []
    if not found:
        hint = grammar.typed(["ticket", "export", "--seed", "0"], store.path)
        raise StoreError(f"there is no run {run!r}, and no file of that name.", hint)
    if "mask" not in read.recipe(store, found[0].id).settings:
        raise UsageError(f"run {run} is {found[0].recipe}: it has no mask.", "the id of a ticket, or --seed")
    return found[0]


def _made(store: Store, run: RunRow, mask: MaskRow) -> Ticket:
    protocol = read.protocol(store, run.protocol_id)
    initial = _weights(store, run if run.written("initial") else _start(store, run), "initial")
    chain = chain_of_state(initial, protocol.settings["activation"])
    if chain is None:
        hint = grammar.typed(["db", "check"], store.path)
        raise StoreError(f"the initial weights of {run_name(run.recipe, run.seed)} are of no network.", hint)
    kept = unpack_bits(mask.bits, chain.network.parameters)
    flags, recipe = _by_name(chain, kept), _recipe(store, run, protocol, chain.network, kept)
    values = _by_name(chain, rescaled(chain.network, chain.flat(initial), recipe.factors))
    done = run.state in FINISHED and run.final is not None and _learned(store, run) is None
    return Ticket(
        mask=flags,
        initial=values if _frozen_values(store, run) else masked_state(values, flags),
        trained=_by_name(chain, chain.flat(_weights(store, run, "final"))) if done else None,
        chain=chain,
        recipe=recipe,
        about=_about(protocol, run, mask) | (_trained(store, run) if done else {}),
    )


def _recipe(store: Store, run: RunRow, protocol: ProtocolRow, network: Network, kept: Tensor) -> Recipe:
    """What may regenerate the initial values; whoever writes the file looks whether it does."""
    learned, settings = _learned(store, run), protocol.settings
    return Recipe(
        seed=run.seed,
        purpose=("initial",),
        weights=settings.get("initialisation", "default"),
        biases=settings.get("biases", "default"),
        kept=read.recipe(store, run.id).settings.get("kept", "initial"),
        covers=learned.covers if learned else settings["mask"],
        factors=tuple(factors(network, learned, kept)) if learned and learned.rescale else (),
    )


def _learned(store: Store, run: RunRow) -> Learned | None:
    """How the run's mask was trained: then it is what training made, and no weight."""
    found = read.recipe(store, run.id).settings.get("mask", {})
    return (
        Learned(**{n: v for n, v in found.items() if n != "type"}) if found.get("type") == "Learned" else None
    )


def _frozen_values(store: Store, run: RunRow) -> bool:
    """Whether what is pruned is frozen at other values than 0: then the run's own file has them.

    Raises:
        UsageError: the run trains nothing, and no file has the values that were evaluated.
    """
    settings = read.recipe(store, run.id).settings
    changed = {name: settings[name] for name in ("kept", "pruned") if name in settings}
    if changed and run.written("initial") is None:
        raise UsageError(
            f"run {run.id} evaluated values that no file has ({', '.join(changed.values())}).",
            "the id of a run that trains them",
        )
    return "pruned" in changed


def _start(store: Store, run: RunRow) -> RunRow:
    """Whose the start values of a run are that has none of its own: it trains nothing."""
    source = read.needs(store, run.id).get("start")
    return run if source is None else read.runs(store, ids=[source])[0]


def _by_name(chain: Chain, flat: Tensor) -> State:
    """Values or flags (P,) by parameter name, in the order of the layers, which a safetensors file does not keep."""
    return {name: part.clone() for name, part in chain.views(flat).items()}


def _weights(store: Store, run: RunRow, role: Role) -> State:
    from safetensors.torch import load

    artifact = run.file(role)
    if artifact is None and run.written(role):
        name = run_name(run.recipe, run.seed)
        raise StoreError(f"the {role} weights of {name} were dropped.", grammar.rebuild(run, store.path))
    if artifact is None:
        raise StoreError("the run has no weights yet.", grammar.typed(["status"], store.path))
    return load(artifacts.read(store.folder, artifact))


def _about(protocol: ProtocolRow, run: RunRow, mask: MaskRow) -> dict[str, Any]:
    settings = protocol.settings
    return {
        "seed": run.seed,
        "protocol_name": protocol.name,
        "protocol_fingerprint": protocol.fingerprint,
        mask.amount_by: mask.amount,
        "relative_size": mask.relative_size,
        "val_accuracy": mask.val_accuracy,
        "val_loss": plain(mask.val_loss),
        "data": {
            **{name: settings[name] for name in ("dataset", "pixels", "train_size", "validation_size")},
            **({"held_out": settings["held_out"]} if "held_out" in settings else {}),
            "sha256": run.provenance.get("data_sha256", ""),
        },
        "protocol": settings,
    }


def _trained(store: Store, run: RunRow) -> dict[str, Any]:
    last = read.latest(store, [run.id])[run.id]
    return {
        "iterations": run.iteration,
        "trained_val_accuracy": last.val_accuracy,
        "trained_val_loss": plain(last.val_loss),
    }
