"""A ticket as one file: safetensors, the mask in bits, no pickle.

The initial values are regenerated from seed and stream where that gives the very same bits, so that the paper's
network takes about 20 kB; else the kept ones are in the file. A JSON text describes the network and holds a
SHA-256 over itself and all tensors, since safetensors would not notice a flipped bit.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, astuple, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import safetensors
import torch
from safetensors.torch import load, save

from ltsm import regular
from ltsm.core.actions import KEPT, Case
from ltsm.core.mask_training import rescaled
from ltsm.core.masking import covered_by, pack_bits, unpack_bits
from ltsm.core.network import ACTIVATIONS, Network, initial_values
from ltsm.core.state import digest, metadata
from ltsm.errors import StoreError, explained
from ltsm.library.chains import Chain
from ltsm.library.tickets import Recipe, Ticket, TrainingRecord, checked_ticket
from ltsm.library.weights import masked_state
from ltsm.notation import plain
from ltsm.paths import read_path
from ltsm.store import artifacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from ltsm.library.weights import State

FORMAT = 1
"""Version of the files."""
_BITS = "mask"
REGENERABLE = ("initial", "signed_constant")
"""What kept values may have become that a recipe makes again: it depends on no mask."""
_FEW = 2**20
_PER_BIT = 4
"""As many values as are drawn in any case, and for each bit of the mask: a few bytes must not ask for all memory."""
_BROKEN = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    safetensors.SafetensorError,
)
_HINT = "ltsm ticket export writes it anew"
ELSEWHERE = "--out FILE elsewhere"
_Entry = tuple[str, tuple[int, ...], str, bool]
"""One tensor of the state dict: name, shape, type, whether the mask covers it."""


def save_ticket(ticket: Ticket, path: Path | str) -> None:
    """Write the ticket, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
        UsageError: it is no ticket, or the path no path.
    """
    artifacts.save(read_path(path), ticket_bytes(checked_ticket(ticket)), ELSEWHERE)


def load_ticket(path: Path | str) -> Ticket:
    """The ticket that `save_ticket` wrote.

    Raises:
        StoreError: the file is missing, damaged, of another version, or something else.
    """
    path = read_path(path)
    with explained(StoreError, f"cannot read {path}", "ltsm ticket export"):
        content = regular.read(path)
    try:
        return ticket_from_bytes(content)
    except StoreError as error:
        raise StoreError(f"{path}: {error.message}", error.hint) from error


def ticket_bytes(ticket: Ticket) -> bytes:
    """The file's content, the same bytes for the same ticket."""
    entries = [
        (name, tuple(t.shape), str(t.dtype).removeprefix("torch."), name in ticket.mask)
        for name, t in ticket.initial.items()
    ]
    regenerated = _regenerates(ticket)
    tensors = {_BITS: _packed([ticket.mask[name] for name, _, _, covered in entries if covered])}
    sparse = {} if _frozen_values(ticket) else ticket.mask
    if not regenerated:
        tensors |= _stored("initial", ticket.initial, sparse)
    if ticket.trained is not None:
        tensors |= _stored("trained", ticket.trained, sparse)
    description = _description(ticket, entries, regenerated=regenerated, trained=ticket.trained is not None)
    description["sha256"] = digest(description, tensors)
    return save(tensors, {"ltsm_ticket": json.dumps(description, sort_keys=True, separators=(",", ":"))})


def ticket_from_bytes(content: bytes) -> Ticket:
    """The ticket in a file's content.

    Raises:
        StoreError: it is damaged, of another version, or something else.
    """
    try:
        description = json.loads(metadata(content)["ltsm_ticket"])
        if (version := description["format"]) != FORMAT:
            raise StoreError(
                f"this is a ticket file of version {version!r}, not {FORMAT}.",
                "the ltsm that wrote it reads it",
            )
        tensors = load(content)
        expected = description.pop("sha256")
        if digest(description, tensors) != expected:
            raise StoreError("its contents differ from its own SHA-256: it is damaged.", _HINT)
        return _ticket(description, tensors)
    except _BROKEN as error:
        raise StoreError("this is no ticket file, or only a part of one.", _HINT) from error


def _description(
    ticket: Ticket, entries: Sequence[_Entry], *, regenerated: bool, trained: bool
) -> dict[str, Any]:
    chain, recipe = ticket.chain, ticket.recipe
    # left out where there is nothing to say, so that all other files have the bytes that they always had
    shared = {"shared": dict(ticket.shared)} if ticket.shared else {}
    frozen = {"frozen": True} if _frozen_values(ticket) else {}
    return {
        **shared,
        **frozen,
        "format": FORMAT,
        "entries": entries,
        "network": chain
        and {"sizes": chain.network.sizes, "activation": chain.network.activation, "layers": chain.layers},
        "recipe": _recipe_values(recipe) if recipe and regenerated else None,
        "trained": trained,
        "records": plain([astuple(record) for record in ticket.records]),
        "about": dict(ticket.about),
    }


def _recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe without what is as it mostly is, so that such files have the bytes that they always had."""
    usual = {field.name: field.default for field in fields(recipe)}
    return {name: value for name, value in asdict(recipe).items() if value != usual[name]}


def _regenerates(ticket: Ticket) -> bool:
    """Whether the recipe gives the very bits of the initial values that the mask keeps."""
    if ticket.chain is None or ticket.recipe is None:
        return False
    if ticket.recipe.kept not in REGENERABLE:
        return False
    if ticket.chain.network.parameters > _regenerable(sum(kept.numel() for kept in ticket.mask.values())):
        return False
    made = _regenerated(ticket.chain, ticket.recipe)
    masked = masked_state(made, ticket.mask)
    return made.keys() == ticket.initial.keys() and all(_same(masked[n], ticket.initial[n]) for n in masked)


def _regenerable(bits: int) -> int:
    """How many values a file with so many bits of mask may ask to be drawn."""
    return max(_FEW, _PER_BIT * bits)


def _fits(chain: Chain, entries: Sequence[_Entry], bits: Tensor) -> bool:
    """Whether the network is the entries', and no larger than the file's own mask speaks for."""
    size = sum(math.prod(shape) for _, shape, _, _ in entries)
    return chain.network.parameters == size <= _regenerable(8 * bits.numel())


def _regenerated(chain: Chain, recipe: Recipe) -> State:
    """The initial values; ValueError where the recipe says something that is not known here."""
    network = chain.network
    if recipe.kept not in REGENERABLE or len(recipe.factors) not in {0, len(network.layers)}:
        raise ValueError(recipe)
    fresh = partial(initial_values, network, weights=recipe.weights, biases=recipe.biases)
    values = fresh(recipe.seed, *recipe.purpose)
    covered = covered_by(network, recipe.covers)
    values = KEPT[recipe.kept](Case(network.layers, values, covered, covered, fresh, recipe.seed))
    return chain.views(rescaled(network, values, recipe.factors))


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def _frozen_values(ticket: Ticket) -> bool:
    """Whether something that is pruned is frozen at another value than 0; then all values are in the file."""
    return any(bool(ticket.initial[name][~kept].any()) for name, kept in ticket.mask.items())


def _packed(masks: Sequence[Tensor]) -> Tensor:
    bits = pack_bits(torch.cat([m.reshape(-1) for m in masks]))
    return torch.frombuffer(bytearray(bits), dtype=torch.uint8)


def _stored(which: str, state: State, mask: Mapping[str, Tensor]) -> State:
    """Kept values alone, one after the other; whole tensors where the mask does not reach."""
    return {
        f"{which}/{name}": (t[mask[name]] if name in mask else t).contiguous() for name, t in state.items()
    }


def _ticket(description: dict[str, Any], tensors: State) -> Ticket:
    """The ticket of a description whose digest was right; ValueError where its parts do not fit together."""
    entries = [(str(n), tuple(s), str(d), bool(c)) for n, s, d, c in description["entries"]]
    mask = _masks(entries, tensors[_BITS])
    chain, recipe = _chain(description["network"], entries), _recipe(description["recipe"])
    sparse = {} if description.get("frozen") else mask
    if recipe is None:
        initial = _restored("initial", entries, tensors, sparse)
    elif chain is not None and _fits(chain, entries, tensors[_BITS]):
        made = _regenerated(chain, recipe)
        initial = masked_state({name: made[name] for name, *_ in entries}, mask)
    else:
        raise ValueError(description["network"])
    return Ticket(
        mask=mask,
        initial=initial,
        trained=_restored("trained", entries, tensors, sparse) if description["trained"] else None,
        records=tuple(_record(r) for r in description["records"]),
        chain=chain,
        recipe=recipe,
        shared=_shared(description.get("shared", {}), entries),
        about=description["about"],
    )


def _shared(values: dict[str, str], entries: Sequence[_Entry]) -> dict[str, str]:
    """Further names of parameters; all of them have to be the entries'."""
    if not {*values, *values.values()} <= {name for name, *_ in entries}:
        raise ValueError(values)
    return values


def _record(values: list[Any]) -> TrainingRecord:
    iteration, *numbers = values
    return TrainingRecord(iteration, *(math.nan if v is None else v for v in numbers))


def _masks(entries: Sequence[_Entry], bits: Tensor) -> State:
    covered = [(name, shape) for name, shape, _, is_covered in entries if is_covered]
    counts = [math.prod(shape) for _, shape in covered]
    flat = torch.split(unpack_bits(bits.numpy().tobytes(), sum(counts)), counts)
    return {name: flags.view(shape).clone() for (name, shape), flags in zip(covered, flat, strict=True)}


def _chain(values: dict[str, Any] | None, entries: Sequence[_Entry]) -> Chain | None:
    """The network of ours, if it is one; its layers have to be the entries."""
    if values is None:
        return None
    chain = Chain(Network(tuple(values["sizes"]), values["activation"]), tuple(values["layers"]))
    shapes = {name: shape for name, shape, _, _ in entries}
    if chain.network.activation not in ACTIVATIONS or chain.shapes() != shapes:
        raise ValueError(values)
    return chain


def _recipe(values: dict[str, Any] | None) -> Recipe | None:
    if values is None:
        return None
    lists = {name: tuple(values.get(name, ())) for name in ("purpose", "factors")}
    return Recipe(**{**values, **lists})


def _restored(which: str, entries: Sequence[_Entry], tensors: State, mask: Mapping[str, Tensor]) -> State:
    return {name: _spread(tensors[f"{which}/{name}"], shape, mask.get(name)) for name, shape, _, _ in entries}


def _spread(values: Tensor, shape: tuple[int, ...], kept: Tensor | None) -> Tensor:
    """Kept values back in their places; a whole tensor as it is."""
    if kept is None:
        return values.view(shape)
    whole = values.new_zeros(shape)
    whole[kept] = values
    return whole
