"""`db merge`: the runs of other stores brought into this one."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.filesize import decimal

from ltsm.cli import options, say
from ltsm.cli.stores import now, writing
from ltsm.errors import RunError
from ltsm.grammar import typed
from ltsm.notation import counted, format_seeds
from ltsm.paths import read_path
from ltsm.studies.names import run_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltsm.store.engine import Store
    from ltsm.store.other import Other
    from ltsm.store.values import RunRow
    from ltsm.store.verdicts import Finding, Verdict

HELP = """Examples:

[bold]ltsm db merge elsewhere/ltsm.db[/]             its runs come here
[bold]ltsm db merge elsewhere/ltsm.db --dry-run[/]   what would come
[bold]ltsm db merge a.db b.db --store all.db[/]      both into a third

Bring the runs of other stores into this one: protocols, records, masks and files, each checked before. A run that both
have is compared bit by bit: the same is left out, of one that is under way the further one counts, and one that is
different is named and stays here as it is (exit code 1). The others are only read; killed or stopped, the same command
goes on. A store that is not there yet is made. Weights that were dropped there come as dropped: ltsm db rebuild makes them again.
"""
NAMED = 10
"""So many runs that are different are named; of more their number says enough."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a store: its runs, and files; `names` are its protocols' there and here, by fingerprint."""

    other: Other
    findings: Sequence[Finding]
    names: dict[str, tuple[str, str]]
    files: int
    bytes: int

    def of(self, *verdicts: Verdict) -> list[Finding]:
        """The runs with these verdicts."""
        return [finding for finding in self.findings if finding.verdict in verdicts]


def merge(
    others: Annotated[
        list[Path],
        typer.Argument(
            parser=read_path, metavar="OTHER...", help="The files of other stores.", show_default=False
        ),
    ],
    store: options.Store = options.STORE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come, and change nothing.")
    ] = False,
    wait: options.Wait = False,
    json: options.Json = False,
) -> None:
    """Bring the runs of other stores into this one.

    Raises:
        StoreError: one is missing, damaged, foreign, newer or this one; its data is other data; or this one cannot be
            written. What came before is kept.
        RunError: runs are different here and there.
    """
    from ltsm.store import belief, other
    from ltsm.store.engine import store_path

    own = store_path(store)
    paths = [store_path(path) for path in others]
    for path in paths:
        other.refuse(path, own)
    merged = []
    # a dry run writes to a copy of the database, which is gone afterwards
    with other.tried(own) if dry_run else writing(own, wait=wait) as opened, ExitStack() as stack:
        moments = [
            stack.enter_context(other.at_this_moment(path, _copy(opened, number)))
            for number, path in enumerate(paths, 1)
        ]
        for moment in moments:
            belief.refuse_strange(moment)
        belief.refuse_other_data(opened, moments)
        for moment in moments:
            merged.append(_merged(opened, moment, dry_run=dry_run))
            if not json:
                _tell(merged[-1], dry_run=dry_run)
    if json:
        found = {"store": str(own), "dry_run": dry_run, "others": [_values(one) for one in merged]}
        say.as_json("ltsm-merge", 1, found)
    _report_different(merged, own)


def _copy(store: Store, number: int) -> Path:
    """Where another store's database is copied to: on this one's disk, and `db check` names what a kill leaves."""
    return store.folder / f".{store.path.name}.other-{number}.partial"


def _merged(store: Store, moment: Other, *, dry_run: bool) -> Merged:
    from ltsm.cli.progress import counting
    from ltsm.store import merge as merging
    from ltsm.store import read, verdicts

    findings = verdicts.verdicts(store, moment)
    coming = sum(finding.verdict in verdicts.COMING for finding in findings)
    with counting(f"checking {moment.path}", coming) as moved:
        merging.check_files(moment, findings, moved)
    bringing = merging.Merging(store, moment, copying=not dry_run)
    with counting(f"bringing {moment.path}", coming) as moved:
        bringing.bring(findings, now(), moved)
    here = {p.fingerprint: p.name for p in read.protocols(store)}
    names = {p.fingerprint: (p.name, here.get(p.fingerprint, p.name)) for p in read.protocols(moment.store)}
    return Merged(moment, findings, names, bringing.files, bringing.bytes)


def _tell(merged: Merged, *, dry_run: bool) -> None:
    """What came and what did not, in words."""
    where, came = merged.other.path, merged.of("new", "further")
    size = "" if dry_run else f", {counted(merged.files, 'file')}, {decimal(merged.bytes)}"
    what = f"{counted(len(came), 'run')}{_listed(merged, came)}{size}" if came else "nothing"
    say.data(f"{where}: {'would bring' if dry_run else 'brought'} {what}")
    counts = [
        (merged.of("further"), "of these went on from where they are here"),
        (merged.of("planned"), "to come there and now here"),
        (merged.of("same"), "the same here"),
        (merged.of("behind"), "further here"),
        (merged.of("apart"), "made from runs that are different, left out"),
    ]
    if rest := [f"{len(found):,} {words}" for found, words in counts if found]:
        say.data(f"{where}: {', '.join(rest)}")
    different = merged.of("different")
    for finding in different[:NAMED]:
        say.data(f"{where}: different, kept as it is here: {_difference(merged, finding)}")
    if len(different) > NAMED:
        say.data(f"{where}: … and {len(different) - NAMED:,} more")
    for there, here in merged.names.values():
        if there != here:
            say.note(f"{where}: its protocol {there} is called {here} here (ltsm protocols rename)")
    if merged.other.alive:
        say.note(
            f"{where} is being written: runs under way there come when they have ended, by this command again"
        )


def _listed(merged: Merged, findings: Sequence[Finding]) -> str:
    """`: smoke, seeds 5-9; wide, seed 0`."""
    seeds: dict[str, set[int]] = {}
    for finding in findings:
        seeds.setdefault(merged.names[finding.key.protocol][1], set()).add(finding.key.seed)
    parts = (f"{n}, seed{'s' * (len(its) > 1)} {format_seeds(tuple(its))}" for n, its in seeds.items())
    return f": {'; '.join(parts)}"


def _difference(merged: Merged, finding: Finding) -> str:
    """`seed 3 ticket of smoke, by the record of iteration 200 (computed here by …, there by …)`."""
    name = merged.names[finding.key.protocol][1]
    text = f"{run_name(finding.run.recipe, finding.run.seed)} of {name}, by {finding.what}"
    here, there = finding.own and finding.own.device, finding.run.device
    return text if here == there else f"{text} (computed here by {here}, there by {there})"


def _values(merged: Merged) -> dict[str, Any]:
    """What came of a store, as JSON values."""
    from ltsm.store.verdicts import Verdict

    counts = Counter(finding.verdict for finding in merged.findings)
    return {
        "store": str(merged.other.path),
        "being_written": merged.other.alive,
        "protocols": [
            {"fingerprint": fingerprint, "there": there, "here": here}
            for fingerprint, (there, here) in merged.names.items()
        ],
        "runs": {verdict: counts[verdict] for verdict in get_args(Verdict)},
        "files": merged.files,
        "bytes": merged.bytes,
        "different": [
            {
                "id": finding.own and finding.own.id,
                "protocol": merged.names[finding.key.protocol][1],
                "seed": finding.run.seed,
                "recipe": finding.run.recipe,
                "by": finding.what,
                "here": _side(finding.own),
                "there": _side(finding.run),
            }
            for finding in merged.of("different")
        ],
    }


def _side(run: RunRow | None) -> dict[str, Any]:
    return {name: getattr(run, name) for name in ("state", "iteration", "device")}


def _report_different(merged: Sequence[Merged], own: Path) -> None:
    """Say that not all could come.

    Raises:
        RunError: runs are different here and there.
    """
    different = [finding for one in merged for finding in one.of("different")]
    if not different:
        return
    there = ", ".join(str(one.other.path) for one in merged if one.of("different"))
    first = different[0].own
    assert first is not None  # noqa: S101 - it was compared with it
    raise RunError(
        f"{counted(len(different), 'run')} {'are' if len(different) > 1 else 'is'} not the same bits in {there} as here,"
        " where nothing of them was changed.",
        f"to have those in place of these: {typed(['runs', 'delete', f'id:{first.id}'], own)}, then merge again",
    )
