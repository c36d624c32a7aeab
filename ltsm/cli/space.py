"""`db size|prune|rebuild`: what takes the space, giving back what can be made again, and making it again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.table import Table

from ltsm import grammar
from ltsm.cli import options, say
from ltsm.cli.stores import changing, now, reading
from ltsm.errors import UsageError
from ltsm.notation import counted
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ltsm.report.choice import Chosen
    from ltsm.steps.experiment import Experiment
    from ltsm.store.engine import Store
    from ltsm.store.values import Artifact, File, RunRow
    from ltsm.studies.study import RunKey

SIZE_HELP = """Examples:

[bold]ltsm db size[/]
[bold]ltsm db size --json | jq .weights[/]

Say what takes the space: weights by protocol, study and kind of file, and the tables of the database.
"""
PRUNE_HELP = """Examples:

[bold]ltsm db prune --dry-run[/]                       what would go, and how much
[bold]ltsm db prune[/]
[bold]ltsm db prune --only initial --protocol smoke[/]
[bold]ltsm db prune --yes[/]                           from a script

Drop files that can be made again, of finished runs that nothing planned needs: initial weights, which the seed
gives, trained weights of runs that others were made from (intermediate), and strays, which no row names.
Runs stay done, with their numbers, masks and the files' SHA-256. ltsm db rebuild makes the files again.
"""
REBUILD_HELP = """Examples:

[bold]ltsm db rebuild[/]                   all that ltsm db prune has dropped
[bold]ltsm db rebuild id:12[/]             of one run
[bold]ltsm db rebuild kind:ticket --protocol smoke[/]

Make dropped files again: initial weights from the seed, trained ones by training. They are kept only if they are the
same bits as before; nothing else changes. The data is looked for where the runs found it, unless --data says otherwise.
"""


class Kind(StrEnum):
    """What may go."""

    INITIAL = "initial"
    INTERMEDIATE = "intermediate"
    STRAYS = "strays"


_COLUMNS = ("initial", "final", "kept", "checkpoint")


def size(store: options.Store = options.STORE, json: options.Json = False) -> None:
    """Print what takes the space.

    Raises:
        StoreError: no store, or it cannot be read.
    """
    from ltsm.store import read
    from ltsm.store import space as spaces

    with reading(store) as opened:
        runs, names = read.runs(opened), {p.id: p.name for p in read.protocols(opened)}
        weights = _weights(opened, runs)
        strays = sum((opened.folder / path).stat().st_size for path in spaces.strangers(opened, runs))
        tables = spaces.tables(opened)
    if json:
        rows = [
            {"protocol_id": i, "protocol": names[i], "study": study, **its}
            for (i, study), its in weights.items()
        ]
        found = {"store": str(opened.path), "weights": rows, "strays": strays, "tables": tables}
        say.as_json("ltsm-db-size", 1, found)
        return
    table = Table(
        "protocol", "study", *_COLUMNS, "all", title=f"weights beside {opened.path}", title_justify="left"
    )
    for (i, study), its in weights.items():
        sizes = (decimal(its[role]) if its[role] else "" for role in _COLUMNS)
        table.add_row(f"{i}: {names[i]}", study or "", *sizes, decimal(sum(its.values())))
    say.table(table)
    if strays:
        say.data(f"{decimal(strays)} in files that no row names")
    title = f"{opened.path}: {decimal(sum(tables.values()))}"
    lines = ((name, decimal(number)) for name, number in tables.items())
    say.rows(lines, "table", "bytes", title=title, title_justify="left")


def _weights(store: Store, runs: Sequence[RunRow]) -> dict[tuple[int, str | None], dict[str, int]]:
    """Bytes by protocol and study, then by role; each file once, by the run that wrote it first."""
    found: dict[tuple[int, str | None], dict[str, int]] = {}
    seen = set[str]()
    for run in sorted(runs, key=lambda run: run.id):
        study = run.provenance.get("study")
        for file in run.files:
            path = store.folder / file.artifact.path
            if file.artifact.path not in seen and path.is_file():
                seen.add(file.artifact.path)
                its = found.setdefault((run.protocol_id, study), dict.fromkeys(_COLUMNS, 0))
                its[file.role] += path.stat().st_size
    return dict(sorted(found.items(), key=lambda pair: (pair[0][0], str(pair[0][1]))))


def prune(
    where: options.Where = None,
    store: options.Store = options.STORE,
    protocol: options.OneProtocol = None,
    study: options.OneStudy = None,
    only: Annotated[
        list[Kind] | None, typer.Option(help="Only these; may be repeated.", show_default=False)
    ] = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Drop files that can be made again.

    Raises:
        UsageError: the filter is none; whoever types says no, or cannot be asked.
        StoreError: no store, no such protocol, or another command writes to the store.
    """
    from ltsm.cli import dropping
    from ltsm.report.choice import Choice, chosen
    from ltsm.store import drop

    narrowed = bool(where or protocol or study)
    with changing(store, dry_run=dry_run) as opened:
        found = chosen(opened, Choice(text=" ".join(where or []), protocol=protocol, study=study))
        going = _prunable(opened, None if not narrowed else found, only or list(Kind))
        size = dropping.bytes_of(opened, going.every)
        text = f"{decimal(size)} in {counted(len(going.every), 'file')}{going.text()}"
        if going.every and not dry_run:
            dropping.agree("db prune", text, yes=yes)
            drop.drop_files(opened, going.by_run, now(), going.by_kind.get(Kind.STRAYS, ()))
    if json:
        rows = [{"kind": kind, "path": file.path} for kind, files in going.by_kind.items() for file in files]
        say.as_json("ltsm-db-prune", 1, {"dry_run": dry_run, "files": rows, "bytes": size})
        return
    say.data(f"{'would drop' if dry_run else 'dropped'} {text}" if going.every else "nothing to drop")
    if going.by_run:
        say.note(f"the same files again: {grammar.typed(['db', 'rebuild'], opened.path)}")


@dataclass(frozen=True, slots=True)
class _Going:
    """Files that may go: by kind each once, and all rows that name them by run."""

    by_kind: dict[str, list[Artifact]]
    by_run: dict[int, list[File]]

    @property
    def every(self) -> list[Artifact]:
        """All of them."""
        return [file for files in self.by_kind.values() for file in files]

    def text(self) -> str:
        """`: 4 initial, 6 intermediate, 1 strays`."""
        numbers = [f"{len(files)} {kind}" for kind, files in self.by_kind.items() if files]
        return f": {', '.join(numbers)}" if numbers else ""


def _prunable(store: Store, found: Sequence[Chosen] | None, kinds: Sequence[Kind]) -> _Going:
    """Files of these runs, or of all, that may go; strays only of a whole store that has no other beside it."""
    from ltsm.store import read
    from ltsm.store import space as spaces
    from ltsm.store.values import Artifact

    runs = read.runs(store, alive=True)
    chosen = {run.id for one in found for run in one.runs} if found is not None else {run.id for run in runs}
    named = {kind: its for kind, its in spaces.prunable(store, runs, chosen).items() if kind in kinds}
    by_kind = {kind: list(dict.fromkeys(file.artifact for _, file in its)) for kind, its in named.items()}
    by_run: dict[int, list[File]] = defaultdict(list)
    for run_id, file in (one for its in named.values() for one in its):
        by_run[run_id].append(file)
    if Kind.STRAYS in kinds and found is None and not spaces.beside(store.path):
        by_kind[Kind.STRAYS] = [Artifact(path, "") for path in spaces.strangers(store, runs)]
    return _Going(by_kind, dict(by_run))


def rebuild(
    where: options.Where = None,
    store: options.Store = options.STORE,
    data: options.Data = None,
    protocol: options.OneProtocol = None,
    study: options.OneStudy = None,
) -> None:
    """Make dropped files again.

    Raises:
        UsageError: the filter is none, or a run's study cannot be found.
        StoreError: no store, no such protocol, or another command writes to the store.
        RunError: what came out is not what was dropped.
    """
    from ltsm.report.choice import Choice, chosen
    from ltsm.steps.rebuild import Rebuilding
    from ltsm.steps.worker import WorkerProcess

    count = 0
    with changing(store) as opened, WorkerProcess() as worker:
        found = chosen(opened, Choice(text=" ".join(where or []), protocol=protocol, study=study))
        for experiment, keys in _experiments(opened, found, data):
            for key in Rebuilding(experiment, worker).runs(keys):
                count += 1
                say.note(f"{run_name(key.recipe, key.seed)}: the same bits again")
    say.data(f"made files of {count} runs again" if count else "nothing was dropped: nothing to make again")


def _experiments(
    store: Store, found: Sequence[Chosen], data: Path | None
) -> Iterator[tuple[Experiment, list[RunKey]]]:
    """The runs that have dropped files, with all that is needed to make them again, by protocol and study."""
    from ltsm.protocol import from_settings
    from ltsm.studies.all import name_for

    for one in found:
        protocol = from_settings(one.protocol.settings, one.protocol.name)
        by_study: dict[str, list[RunRow]] = defaultdict(list)
        for run in one.runs:
            if run.dropped:
                study = run.provenance.get("study") or name_for(run.fingerprint, protocol)
                by_study[study or "MODULE:FUNCTION"].append(run)
        for study, runs in by_study.items():
            yield _experiment(store, one, study, runs, data)


def _experiment(
    store: Store, one: Chosen, name: str, runs: Sequence[RunRow], data: Path | None
) -> tuple[Experiment, list[RunKey]]:
    from ltsm.cli.choices import Choices
    from ltsm.cli.running import located, with_digest
    from ltsm.protocol import from_settings
    from ltsm.report.evaluation import of_store
    from ltsm.steps.experiment import Experiment
    from ltsm.studies.study import RunKey

    settings, recorded = one.protocol.settings, runs[0].provenance
    folder = grammar.data_folder(settings["dataset"], str(recorded.get("data") or ""))
    choices = Choices(
        store=str(store.path),
        data=data or (Path(folder) if folder else None),
        device=str(recorded.get("place") or "cpu"),
    )
    setup = located(choices, from_settings(settings, one.protocol.name))
    study = of_store(name, setup.protocol, one.runs)
    keys = [RunKey(study.name_of(run.fingerprint) or "", run.seed) for run in runs]
    if any(not key.recipe for key in keys):
        raise UsageError(f"the study {name} has not all recipes of these runs any more.", "ltsm study list")
    setup = with_digest(store, one.protocol.id, setup)
    return Experiment(store, study, one.protocol.id, setup, now, {}), keys
