"""`doctor`: what this machine has, what would go wrong, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from rich.table import Table
from rich.text import Text

from ltsm.cli import options, say
from ltsm.errors import LtsmError
from ltsm.paths import read_path

HELP = """Examples:

[bold]ltsm doctor[/]
[bold]ltsm doctor --json[/]
[bold]ltsm doctor --workers dask://HOST:8786[/]    a cluster, too: versions, threads, processors, data

Look at the programs, the processor, the data and the store, and say what is wrong or slow.
Exit code 0 even where something is: it only looks.
"""

Verdict = Literal["ok", "note", "wrong"]
MARKS: dict[Verdict, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("!", "yellow"),
    "wrong": ("✗", "bold red"),
}
LITTLE_SPACE = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    verdict: Verdict
    text: str
    advice: str = ""


def doctor(
    store: options.Store = options.STORE,
    data: options.Data = None,
    workers: options.Workers = None,
    json: options.Json = False,
) -> None:
    """What this machine has."""
    from ltsm.store.engine import store_path

    path = store_path(store)
    folder = data or read_path(os.environ.get("LTSM_DATA") or "data")
    findings = [
        _programs(),
        _torch(),
        _torchvision(),
        _processor(),
        _engine(),
        _data(folder),
        _store(path),
        _journal(path),
        _file_system(path),
        _space(path),
        _lock(path),
        _sqlite(),
    ]
    if workers:
        from ltsm.cli import doctor_cluster

        findings += doctor_cluster.findings(workers, folder)
    if json:
        say.as_json("ltsm-doctor", 2, {"findings": [asdict(finding) for finding in findings]})
        return
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        mark, style = MARKS[finding.verdict]
        table.add_row(Text(mark, style=style), finding.topic, Text(finding.text))
        if finding.advice:
            table.add_row("", "", Text(f"→ {finding.advice}", style="dim"))
    say.table(table)


def _programs() -> Finding:
    return Finding(
        "programs", "ok", f"ltsm {version('ltsm')}, Python {platform.python_version()} on {platform.system()}"
    )


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", "wrong", f"does not import: {error}", "pip install torch")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return Finding("torch", "ok", f"{torch.__version__}, {gpu}")


def _torchvision() -> Finding:
    from ltsm.core.download import torchvision_datasets

    try:
        found = version("torchvision")
        torchvision_datasets()
    except (PackageNotFoundError, ImportError, RuntimeError) as error:
        return Finding("torchvision", "wrong", f"does not import: {error}", "pip install torchvision")
    return Finding("torchvision", "ok", found)


def _processor() -> Finding:
    from ltsm.steps import machine
    from ltsm.steps.provenance import processor

    load, cores = machine.load(), machine.cores()
    text = f"{processor()}, {cores} cores, load {load:.1f}"
    if load > cores:
        return Finding("processor", "note", text, "other programs are using it: a sweep will be slower")
    return Finding("processor", "ok", text)


def _engine() -> Finding:
    from ltsm.core import sparse_library

    if reason := sparse_library.unavailable_reason():
        advice = "install a C compiler and install ltsm again: MNIST then trains about seven times as fast"
        return Finding("engine", "note", f"torch for all data. {reason}", advice)
    kernel = sparse_library.variant()
    if kernel == sparse_library.NONE:
        return Finding("engine", "note", f"torch for all data: {sparse_library.CHOICE} says so")
    return Finding(
        "engine", "ok", f"sparse-{kernel} for images that are mostly 0, such as MNIST; torch for the rest"
    )


def _data(folder: Path) -> Finding:
    from ltsm.core import idx

    try:
        wrong = [f for f in idx.check_files(idx.MNIST, folder) if f.state != "fine"]
    except LtsmError as error:
        return Finding("data", "wrong", error.message, error.hint)
    if wrong:
        return Finding("data", "note", f"MNIST is not complete in {folder}", "ltsm data get, or --data DIR")
    return Finding("data", "ok", f"MNIST is complete in {folder}")


def _store(path: Path) -> Finding:
    from ltsm.store import schema

    if not path.exists():
        return Finding("store", "ok", f"none yet at {path}; the first command makes it")
    try:
        schema.open_for_reading(path).close()
    except LtsmError as error:
        return Finding("store", "wrong", error.message, error.hint)
    return Finding("store", "ok", f"{path}, version {schema.HEAD}")


def _journal(path: Path) -> Finding:
    from ltsm.store.engine import journal_mode, synchronous

    try:
        level = synchronous(os.environ)
        mode = journal_mode(path) if path.exists() else "wal"
    except LtsmError as error:
        return Finding("journal", "wrong", error.message, error.hint)
    text = f"{mode}, synchronous {level}" + ("" if path.exists() else ", once there is a store")
    if mode == "wal":
        return Finding("journal", "ok", text)
    return Finding(
        "journal", "note", text, "the next command that writes makes it wal, where the disk is local"
    )


def _file_system(path: Path) -> Finding:
    from ltsm.store import filesystem

    folder = _folder(path)
    kind = filesystem.kind(folder) or "unknown"
    if filesystem.is_network(folder):
        advice = "keep the store on a local disk: --store FILE; ltsm db backup copies it from there"
        return Finding("file system", "note", f"{kind}, a network's: no write-ahead log there", advice)
    return Finding("file system", "ok", kind)


def _folder(path: Path) -> Path:
    return next(p for p in (path.absolute().parent, *path.absolute().parents) if p.exists())


def _space(path: Path) -> Finding:
    folder = _folder(path)
    free = shutil.disk_usage(folder).free
    text = f"{free / 1024**3:.1f} GiB free in {folder}"
    return (
        Finding("space", "note", text, "make space") if free < LITTLE_SPACE else Finding("space", "ok", text)
    )


def _lock(path: Path) -> Finding:
    from ltsm.store.claim import holder

    writer = holder(path)
    if writer is None:
        return Finding("writer", "ok", "no command writes to the store now")
    return Finding("writer", "note", f"process {writer.pid} on {writer.host} writes to it: {writer.command}")


def _sqlite() -> Finding:
    from ltsm.store.engine import SQLITE_VERSION, sqlite_fault

    if fault := sqlite_fault():
        advice = "ltsm gives it no occasion; let no other program write to a store while ltsm does"
        return Finding("SQLite", "note", f"{SQLITE_VERSION}: {fault}", advice)
    return Finding("SQLite", "ok", SQLITE_VERSION)
