"""The options that make a protocol, shared by every command that runs a step."""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ltsm.cli import completions, options
from ltsm.cli.stores import reading
from ltsm.errors import UsageError
from ltsm.paths import read_path
from ltsm.protocol import (
    PAPER,
    PRESETS,
    Protocol,
    from_settings,
    in_small,
    load,
    parse_seeds,
    parse_sizes,
    preset,
)
from ltsm.studies.all import with_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _setting(description: str, metavar: str, panel: str = "Protocol", **more: Any) -> Any:
    """A field that a command has as an option: called as the field is, its text or number None where it is not given."""
    option = typer.Option(help=description, metavar=metavar, rich_help_panel=panel, **more)
    return field(default=None, metadata={"option": option})


_own_option = partial(_setting, panel="The study's own options")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose: where things lie, and how the protocol differs from a preset. None: as the preset says."""

    store: options.Store = options.STORE
    data: options.Data = None
    device: options.Device = "cpu"
    protocol: options.ProtocolName = None
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke", help="The whole chain in small, within a minute.", rich_help_panel="Protocol"
        ),
    ] = False
    dataset: str | None = _setting(
        "mnist, digits, fashion-mnist, kmnist, emnist, cifar10; FILE.npz or ./FOLDER of your own; or auto: digits where MNIST cannot be had.",
        "NAME|PATH",
        autocompletion=completions.datasets,
    )
    hidden: str | None = _setting("Layer sizes, e.g. 300,100; hyperops follow.", "SIZES")
    lr: float | None = _setting("Adam's learning rate.", "RATE")
    batch_size: int | None = _setting("Images a batch.", "N")
    initial_iterations: int | None = _setting("Length of the initial training.", "N")
    iterations: int | None = _setting("Length of a ticket's or hyperop's training.", "N")
    order: str | None = _setting(
        "Of the images: file, or shuffled each epoch, as is data of your own if you do not say.", "ORDER"
    )
    pixels: str | None = _setting("raw in 0 … 1, or standardised.", "SCALE")
    activation: str | None = _setting("relu, tanh or gelu.", "NAME")
    mask: str | None = _setting("What a mask covers: all parameters, or weights.", "SCOPE")
    initialisation: str | None = _setting("Of weights: default, glorot_normal or kaiming_normal.", "LAW")
    biases: str | None = _setting("At first: default, or zero.", "LAW")
    held_out: int | None = _setting(
        "So many training images validate; the data set's own then only test.", "N"
    )

    def made_protocol(self, seeds: str | None = None, usual: str = PAPER.name) -> Protocol:
        """The protocol that these choices make, by default from the preset `usual`; its data set may still be `auto`.

        Raises:
            UsageError: a choice cannot be, or two contradict each other.
        """
        base = self._base(usual)
        chosen: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _SETTINGS}
        changes = {name: value for name, value in chosen.items() if value is not None}
        if "hidden" in changes:
            changes["hidden"] = parse_sizes(changes["hidden"])
        if seeds is not None:
            changes["seeds"] = parse_seeds(seeds)
        return base.changed(**changes)

    def _base(self, usual: str) -> Protocol:
        if not self.smoke:
            return named(self.protocol or usual, self.store)
        small = in_small(usual)
        # A flag comes before the environment, which is no contradiction.
        if self.protocol not in {None, small.name, os.environ.get("LTSM_PROTOCOL")}:
            raise UsageError("--smoke and --protocol name two protocols.", "leave one out")
        return small


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """Options that some studies have; each reaches the study's function as the keyword of its name, as text."""

    criterion: list[str] | None = _own_option(  # noqa: RUF009 - it makes a field
        "criteria: what scores a weight; may be repeated. iterative: one.", "NAME"
    )
    kept: list[str] | None = _own_option("criteria: what kept weights become; may be repeated.", "ACTION")  # noqa: RUF009
    pruned: list[str] | None = _own_option("criteria: what the others become; may be repeated.", "ACTION")  # noqa: RUF009
    by: str | None = _own_option("criteria: threshold or fraction.", "KIND")
    amounts: str | None = _own_option("criteria: how much is kept, e.g. 0.5,0.2,0.1.", "NUMBERS")
    scope: str | None = _own_option("criteria, iterative: a fraction of each layer, or global.", "SCOPE")
    covers: str | None = _own_option("criteria: a mask is over all parameters, or weights.", "SCOPE")
    train: str | None = _own_option("criteria: tickets to train: best, or amounts.", "NUMBERS")
    method: list[str] | None = _own_option("learned: bernoulli or edge_popup; may be repeated.", "NAME")  # noqa: RUF009
    keep: str | None = _own_option("learned: what edge-popup keeps, e.g. 0.3,0.5.", "NUMBERS")
    length: str | None = _own_option("learned: iterations that a mask is trained for.", "N")
    rounds: str | None = _own_option("iterative: how often it is pruned \\[default: 20].", "N")
    controls: str | None = _own_option(
        "iterative: rounds whose mask is trained from fresh values too \\[default: 7,15], all or none.",
        "ROUNDS",
    )
    one_shot: str | None = _own_option(
        "iterative: rounds whose size is reached at once too, or all.", "ROUNDS"
    )
    rewind_to: str | None = _own_option(
        "iterative: the iteration that survivors go back to \\[default: 0].", "N"
    )
    rate: str | None = _own_option("iterative: the share that a round prunes \\[default: 0.2].", "SHARE")
    output_rate: str | None = _own_option("iterative: that of the output layer \\[default: half].", "SHARE")

    def named(self, study: str) -> str:
        """What the study with these options is called."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        texts = {name: value if isinstance(value, str) else ",".join(value) for name, value in given.items()}
        return with_options(study, texts)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How runs are made: where, by what, and what becomes of those that are there already."""

    jobs: options.Jobs = None
    workers: options.Workers = None
    engine: options.Engine = None
    force: Annotated[
        bool, typer.Option("--force", help="Redo it, and drop what is built on it; says first what goes.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what --force drops may go.")] = False
    wait: options.Wait = False


def named(name: str, store: str) -> Protocol:
    """The protocol that --protocol names: a preset, a file, or one of the store's.

    Raises:
        UsageError: it is none of these, or the file holds no protocol.
        StoreError: the store cannot be read, or has several of that name.
    """
    if name not in PRESETS and ((path := read_path(name, "--protocol")).suffix == ".toml" or path.exists()):
        return load(path)
    return preset(name) if name in PRESETS else _stored(name, store)


def _stored(name: str, store: str) -> Protocol:
    """A protocol of the store by its number, name or fingerprint, for the seeds that it has runs of."""
    from ltsm.store import read
    from ltsm.store.engine import store_path

    path = store_path(store)
    if not path.exists():
        return preset(name)  # which says that there is none
    with reading(path) as opened:
        found = read.find_protocol(opened, name)
        seeds = {run.seed for run in read.runs(opened, found.id)}
    return from_settings(found.settings, found.name, tuple(sorted(seeds)) or PAPER.seeds)


_SETTINGS = frozenset(f.name for f in fields(Choices)) & frozenset(f.name for f in fields(Protocol))
_SHARED: dict[str, type[Choices | StudyOptions | RunOptions]] = {
    "how": RunOptions,
    "choices": Choices,
    "own": StudyOptions,
}


def with_choices(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of `Choices`, `StudyOptions` and `RunOptions` that it receives as `choices`, `own` and `how`.

    Typer reads a command's options off its signature, so the signature is what is made here; the alternative
    is the same parameters written out in each of these commands.
    """
    mine = inspect.signature(command, eval_str=True).parameters
    own = [p for p in mine.values() if p.name not in _SHARED]
    taken = {name: kind for name, kind in _SHARED.items() if name in mine}
    shared = [parameter for kind in taken.values() for parameter in _parameters(kind)]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        made = {
            name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in taken.items()
        }
        command(**made, **values)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take any attribute
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    return called


def _parameters(kind: type[Choices | StudyOptions | RunOptions]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for f in fields(kind):
        hint = Annotated[hints[f.name], f.metadata["option"]] if f.metadata else hints[f.name]
        yield inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hint)
