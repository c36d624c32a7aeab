"""Tickets out of a store: the selected mask of a seed, the initial values, and the trained weights if there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltsm.core.masking import unpack_bits
from ltsm.errors import StoreError, UsageError
from ltsm.library.chains import Chain, chain_of_state
from ltsm.library.supermasks import masked_state
from ltsm.library.tickets import Recipe, Ticket
from ltsm.report import commands
from ltsm.store import artifacts, read, schema
from ltsm.store.engine import store_path
from ltsm.store.values import FINISHED, RunSpec

if TYPE_CHECKING:
    from ltsm.library.weights import State
    from ltsm.store.engine import Store
    from ltsm.store.values import Artifact, MaskRow, ProtocolRow, RunRow


def stored_ticket(store: str, protocol: str | None, run: str | None, seed: int | None) -> Ticket:
    """The ticket of a run, by its id, or of a seed of a protocol.

    Raises:
        StoreError: there is no such run, it has no supermask yet, or its files are damaged.
        UsageError: the run is no ticket.
    """
    opened = schema.open_for_reading(store_path(store))
    try:
        baseline = _baseline(opened, protocol, run, seed)
        mask = read.selected_mask(opened, baseline.id)
        if mask is None:
            hint = _step(opened, "find-supermask", baseline.protocol_id, baseline.seed)
            raise StoreError(f"seed {baseline.seed} has no supermask yet.", hint)
        return _made(opened, _protocol(opened, baseline.protocol_id), baseline, mask)
    finally:
        opened.close()


def _baseline(store: Store, protocol: str | None, run: str | None, seed: int | None) -> RunRow:
    """The run whose masks a ticket has."""
    if run is None:
        chosen = read.find_protocol(store, protocol)
        hidden, wanted = tuple(chosen.settings["hidden"]), seed or 0
        found = read.find_run(store, chosen.id, RunSpec(wanted, "baseline", hidden))
        if found is None:
            hint = _step(store, "train-ticket", chosen.id, wanted)
            raise StoreError(f"{chosen.name} has no seed {wanted}.", hint)
        return found
    named = [row for row in read.runs(store) if str(row.id) == run]
    if not named:
        hint = commands.typed(["ticket", "export", "--seed", "0"], store.path)
        raise StoreError(f"there is no run {run!r}, and no file of that name.", hint)
    if named[0].kind == "hyperop":
        raise UsageError(f"run {run} is a hyperop: it has no mask.", "the id of a ticket, or --seed")
    found = read.find_run(store, named[0].protocol_id, RunSpec(named[0].seed, "baseline", named[0].hidden))
    if found is None:
        hint = _step(store, "find-supermask", named[0].protocol_id, named[0].seed)
        raise StoreError(f"run {run} has no supermask yet.", hint)
    return found


def _step(store: Store, name: str, protocol_id: int, seed: int) -> str:
    """The command that runs a step of a stored protocol."""
    settings = _protocol(store, protocol_id).settings
    words = commands.protocol_words(settings, read.runs(store, protocol_id))
    return commands.typed([name, "--seed", str(seed), *words], store.path)


def _protocol(store: Store, protocol_id: int) -> ProtocolRow:
    return next(p for p in read.protocols(store) if p.id == protocol_id)


def _made(store: Store, protocol: ProtocolRow, baseline: RunRow, mask: MaskRow) -> Ticket:
    initial = _weights(store, baseline.initial)
    chain = chain_of_state(initial, protocol.settings["activation"])
    if chain is None:
        hint = commands.typed(["db", "check"], store.path)
        raise StoreError(f"the initial weights of seed {baseline.seed} are of no network.", hint)
    flags = _flags(chain, mask.bits)
    run = read.find_run(store, protocol.id, RunSpec(baseline.seed, "ticket", baseline.hidden))
    done = run if run is not None and run.state in FINISHED and run.final is not None else None
    return Ticket(
        mask=flags,
        initial=masked_state(_in_order(chain, initial), flags),
        trained=None if done is None else _in_order(chain, _weights(store, done.final)),
        chain=chain,
        recipe=Recipe(baseline.seed, ("initial",)),
        about=_about(protocol, baseline, mask) | (_trained(store, done) if done else {}),
    )


def _flags(chain: Chain, bits: bytes) -> State:
    """The mask by parameter name."""
    flat = unpack_bits(bits, chain.network.parameters)
    return {name: flags.clone() for name, flags in chain.views(flat).items()}


def _in_order(chain: Chain, state: State) -> State:
    """The state dict in the order of the layers, which a safetensors file does not keep."""
    return {name: state[name].clone() for name in chain.views(chain.flat(state))}


def _weights(store: Store, artifact: Artifact | None) -> State:
    from safetensors.torch import load  # noqa: PLC0415 - torch

    if artifact is None:
        raise StoreError("the run has no weights yet.", commands.typed(["status"], store.path))
    return load(artifacts.read(store.folder, artifact))


def _about(protocol: ProtocolRow, baseline: RunRow, mask: MaskRow) -> dict[str, Any]:
    settings = protocol.settings
    return {
        "seed": baseline.seed,
        "protocol_name": protocol.name,
        "protocol_fingerprint": protocol.fingerprint,
        "threshold": mask.threshold,
        "relative_size": mask.relative_size,
        "val_accuracy": mask.val_accuracy,
        "val_loss": _number(mask.val_loss),
        "data": {
            **{name: settings[name] for name in ("dataset", "pixels", "train_size", "validation_size")},
            "sha256": baseline.provenance.get("data_sha256", ""),
        },
        "protocol": settings,
    }


def _trained(store: Store, run: RunRow) -> dict[str, Any]:
    last = read.metrics(store, [run.id])[run.id][-1]
    return {
        "iterations": run.iteration,
        "trained_val_accuracy": last.val_accuracy,
        "trained_val_loss": _number(last.val_loss),
    }


def _number(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
