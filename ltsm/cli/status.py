"""`status`: what the store holds and what runs now."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table
from rich.text import Text

from ltsm import grammar
from ltsm.cli import options, say
from ltsm.cli.stores import reading
from ltsm.notation import duration, format_seeds
from ltsm.store.values import FINISHED
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltsm.store.engine import Store
    from ltsm.store.values import Holder, ProtocolRow, RunRow, State, Tally

HELP = """Examples:

[bold]ltsm status[/]
[bold]ltsm status --protocol 2[/]
[bold]ltsm status --json | jq .protocols[0].done[/]
[bold]watch ltsm status[/]

What the store holds of each protocol, what runs now, and what failed; of many protocols a line each.
A sweep that runs and has recorded nothing for two minutes is said to be silent. Changes nothing.
"""

COLOURS = {
    "done": "green",
    "running": "cyan",
    "failed": "bold red",
    "diverged": "red",
    "interrupted": "yellow",
}
MOST_TABLES = 5
"""Of more protocols each is a line."""
MOST_NAMED = 20
"""Of more runs that failed or diverged only so many are named."""

_STATES = ("done", "running", "waiting", "stopped", "failed")


def status(
    store: options.Store = options.STORE,
    # No variable: what LTSM_PROTOCOL or the project file names may not have begun, and hides no other.
    protocol: Annotated[
        str | None,
        options.of_store("Only this one of the store's protocols, by name, number or file."),
    ] = None,
    json: options.Json = False,
) -> None:
    """What the store holds."""
    from ltsm.store import claim, read, schema

    with reading(store, shown=schema.RUNS) as opened:
        writer = claim.holder(opened.path)
        every = read.protocols(opened) if protocol is None else [read.find_protocol(opened, protocol)]
        silent = _silent(opened, writer)
        if json:
            alive = writer is not None
            found = [_as_json(p, read.runs(opened, p.id, alive=alive)) for p in every]
            values = {"store": str(opened.path), "writer": _writer(writer, silent), "protocols": found}
            say.as_json("ltsm-status", 2, values)
            return
        say.data(f"{opened.path}: {_sentence(writer, silent)}")
        if len(every) > MOST_TABLES:
            _show_lines(opened, every, alive=writer is not None)
        for row in every if len(every) <= MOST_TABLES else ():
            _show(opened, row, alive=writer is not None)
        if not every:
            say.data(f"no runs yet: {grammar.typed(['sweep'], opened.path)}")


def _silent(store: Store, writer: Holder | None) -> float | None:
    """For how long who writes has recorded nothing, where that is unusual."""
    from ltsm.report.progress import silence
    from ltsm.store import read

    if writer is None:
        return None
    newest = max(read.last_changes(store, begun=True).values(), default=None)
    return silence(newest, writer.since, datetime.now(UTC))


def _show(store: Store, protocol: ProtocolRow, *, alive: bool) -> None:
    """A protocol's recipes, a line each, and the runs that went wrong."""
    from ltsm.store import read

    dataset, seeds = protocol.settings.get("dataset"), format_seeds(read.seeds(store, protocol.id))
    title = f"{protocol.id}: {protocol.name} on {dataset}, seeds {seeds}"
    table = Table("recipe", *_STATES, "iterations", title=title, title_justify="left")
    tallies = read.tallies(store, protocol.id, alive=alive)
    for _, group in groupby(tallies, key=attrgetter("fingerprint")):
        of = list(group)
        table.add_row(of[0].recipe, *_counts(of), f"{sum(t.iterations for t in of):,}")
    say.table(table)
    if places := Counter(run.worker for run in read.runs(store, protocol.id, states=_NOW, alive=alive)):
        _name_places(places)
    wrong = sum(t.runs for t in tallies if t.state in _WRONG)
    if wrong:
        _name(read.runs(store, protocol.id, states=_WRONG, most=MOST_NAMED, alive=alive))
    if wrong > MOST_NAMED:
        say.data(f"… and {wrong - MOST_NAMED:,} more: {grammar.typed(['status', '--json'], store.path)}")


def _name_places(running: Mapping[str, int]) -> None:
    """On which workers of a cluster how many runs are computed now."""
    found = [f"{count} on {worker}" for worker, count in running.items() if worker]
    more = f" and {len(found) - MOST_NAMED} more workers" if len(found) > MOST_NAMED else ""
    if found:
        say.data(f"running: {', '.join(found[:MOST_NAMED])}{more}")


_WRONG: tuple[State, ...] = ("failed", "diverged")
_NOW: tuple[State, ...] = ("running",)


def _name(runs: Sequence[RunRow]) -> None:
    for run in runs:
        # Of a diverged run the error says only that, and by when.
        what = run.error if run.state == "diverged" else f"failed: {run.error}"
        say.table(Text(f"{run_name(run.recipe, run.seed)} {what}", style="red"))


def _show_lines(store: Store, protocols: Sequence[ProtocolRow], *, alive: bool) -> None:
    """Every protocol in a line."""
    from ltsm.store import read

    table = Table("", "protocol", "data", *_STATES, "last change")
    tallies = read.tallies(store, alive=alive)
    of = {key: list(group) for key, group in groupby(tallies, key=attrgetter("protocol_id"))}
    newest = read.last_changes(store)
    for row in protocols:
        changed = newest.get(row.id, row.created_at)
        dataset = str(row.settings.get("dataset"))
        table.add_row(
            str(row.id), row.name, dataset, *_counts(of.get(row.id, ())), f"{changed:%Y-%m-%d %H:%M}"
        )
    say.table(table)
    more = grammar.typed(["status", "--protocol", str(protocols[-1].id)], store.path)
    say.data(f"{len(protocols)} protocols; one of them: {more}")


def _counts(tallies: Sequence[Tally]) -> list[Text]:
    """Runs by state: of how many none is left to do, and where there are any, the others."""
    every = sum(tally.runs for tally in tallies)
    done = sum(tally.runs for tally in tallies if tally.state in FINISHED)
    cells = [Text(f"{done}/{every}", style=COLOURS["done"] if done == every else "")]
    for state in ("running", "pending", "interrupted", "failed"):
        count = sum(tally.runs for tally in tallies if tally.state == state)
        cells.append(Text(str(count) if count else "", style=COLOURS.get(state, "")))
    return cells


def _sentence(writer: Holder | None, silent: float | None) -> str:
    if writer is None:
        return "nothing is running"
    since = f" since {writer.since:%Y-%m-%d %H:%M} UTC" if writer.since else ""
    running = f"{writer.command} is running{since} (process {writer.pid} on {writer.host})"
    return f"{running}, but has recorded nothing for {duration(silent)}" if silent else running


def _writer(writer: Holder | None, silent: float | None) -> dict[str, Any] | None:
    if writer is None:
        return None
    since = writer.since.isoformat() if writer.since else None
    names = {"pid": writer.pid, "host": writer.host, "since": since, "command": writer.command}
    return {**names, "silent_seconds": silent}


def _as_json(protocol: ProtocolRow, runs: Sequence[RunRow]) -> dict[str, Any]:
    finished = [run for run in runs if run.state in FINISHED]
    return {
        "id": protocol.id,
        "name": protocol.name,
        "fingerprint": protocol.fingerprint,
        "settings": protocol.settings,
        "done": len(finished),
        "total": len(runs),
        "runs": [_run_json(run) for run in runs],
    }


def _run_json(run: RunRow) -> dict[str, Any]:
    names = (
        "id",
        "seed",
        "recipe",
        "fingerprint",
        "kind",
        "state",
        "iteration",
        "iterations",
        "best_iteration",
        "relative_size",
        "device",
        "worker",
        "seconds",
        "error",
    )
    times = {
        name: value.isoformat() if value else None
        for name, value in (("started_at", run.started_at), ("finished_at", run.finished_at))
    }
    return {name: getattr(run, name) for name in names} | {"hidden": list(run.hidden)} | times
