"""`status`: what the store holds and what runs now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from ltsm import grammar
from ltsm.cli import options, say
from ltsm.notation import format_seeds
from ltsm.store.values import FINISHED
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.store.values import Holder, ProtocolRow, RunRow

HELP = """Examples:

[bold]ltsm status[/]
[bold]ltsm status --json | jq .protocols[0].done[/]
[bold]watch ltsm status[/]

What the store holds of each protocol, what runs now, and what failed. Changes nothing.
"""

COLOURS = {
    "done": "green",
    "running": "cyan",
    "failed": "bold red",
    "diverged": "red",
    "interrupted": "yellow",
}


def status(store: options.Store = options.STORE, json: options.Json = False) -> None:
    """What the store holds."""
    from ltsm.store import claim, read, schema
    from ltsm.store.engine import store_path

    opened = schema.open_for_reading(store_path(store))
    writer = claim.holder(opened.path)
    protocols = [(p, read.runs(opened, p.id)) for p in read.protocols(opened)]
    opened.close()
    if json:
        found = [_as_json(*p) for p in protocols]
        say.as_json(
            "ltsm-status", 2, {"store": str(opened.path), "writer": _writer(writer), "protocols": found}
        )
        return
    say.data(f"{opened.path}: {_sentence(writer)}")
    for protocol, runs in protocols:
        say.table(_table(protocol, runs))
        for run in runs:
            if run.state in {"failed", "diverged"}:
                # Of a diverged run the error says only that, and by when.
                what = run.error if run.state == "diverged" else f"failed: {run.error}"
                say.table(Text(f"{run_name(run.recipe, run.seed)} {what}", style="red"))
    if not protocols:
        say.data(f"no runs yet: {grammar.typed(['sweep'], opened.path)}")


def _table(protocol: ProtocolRow, runs: Sequence[RunRow]) -> Table:
    title = f"{protocol.id}: {protocol.name} on {protocol.settings.get('dataset')}, seeds {format_seeds(tuple({r.seed for r in runs}))}"
    table = Table(
        "recipe",
        "done",
        "running",
        "waiting",
        "stopped",
        "failed",
        "iterations",
        title=title,
        title_justify="left",
    )
    groups: dict[str, list[RunRow]] = {}
    for run in sorted(runs, key=lambda run: run.id):  # the order in which they were planned
        groups.setdefault(run.fingerprint, []).append(run)
    for group in groups.values():
        table.add_row(group[0].recipe, *_counts(group), f"{sum(r.iteration for r in group):,}")
    return table


def _counts(runs: Sequence[RunRow]) -> list[Text]:
    states = [run.state for run in runs]
    done = states.count("done") + states.count("diverged")
    cells = [Text(f"{done}/{len(runs)}", style=COLOURS["done"] if done == len(runs) else "")]
    for state in ("running", "pending", "interrupted", "failed"):
        count = states.count(state)
        cells.append(Text(str(count) if count else "", style=COLOURS.get(state, "")))
    return cells


def _sentence(writer: Holder | None) -> str:
    if writer is None:
        return "nothing is running"
    since = f" since {writer.since:%Y-%m-%d %H:%M} UTC" if writer.since else ""
    return f"{writer.command} is running{since} (process {writer.pid} on {writer.host})"


def _writer(writer: Holder | None) -> dict[str, Any] | None:
    if writer is None:
        return None
    since = writer.since.isoformat() if writer.since else None
    return {"pid": writer.pid, "host": writer.host, "since": since, "command": writer.command}


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
        "seconds",
        "error",
    )
    times = {
        name: value.isoformat() if value else None
        for name, value in (("started_at", run.started_at), ("finished_at", run.finished_at))
    }
    return {name: getattr(run, name) for name in names} | {"hidden": list(run.hidden)} | times
