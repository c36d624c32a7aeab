"""Getting a published data set: from the mirrors that torchvision names, or from files that are already here."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.error import URLError

from ltsm.core import transfer
from ltsm.core.idx import (
    PublishedSet,
    check_files,
    missing,
    raw_folder,
    read_file,
    write_files,
    writing_to,
)
from ltsm.core.transfer import Bounds
from ltsm.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ltsm.core.idx import PublishedFile

TIMEOUT = 20.0
"""Seconds without an answer after which a mirror is given up."""
MINUTES = 60.0
"""How long one file may take."""

Say: TypeAlias = "Callable[[str], None]"
"""Takes sentences for a person."""

_kept_alive: list[Any] = []
"""A torch.library.Library withdraws its operators when it is collected."""


def silent(_: str) -> None:
    """Say nothing."""


def download(
    files: PublishedSet,
    folder: Path,
    mirrors: Sequence[str] = (),
    *,
    force: bool = False,
    minutes: float = MINUTES,
    say: Say = silent,
) -> None:
    """Download those of the set's files that are missing or damaged in `folder`; all of them with `force`.

    Args:
        files: the set.
        folder: where it is kept; created where it is missing.
        mirrors: addresses in place of torchvision's, tried in this order for every file.
        force: whether to replace good files, too.
        minutes: how long one file may take.
        say: is told in a sentence which file comes from where.

    Raises:
        DataError: no mirror has a good copy of a file, or the folder cannot be written. What was there
            before, and every file that has come whole, stays.
    """
    fine = () if force else [found.name for found in check_files(files, folder) if found.state == "fine"]
    wanted = [file for file in files.files if file.name not in fine]
    if not wanted:
        return
    theirs, packed_md5 = _published(files)
    addresses = [m if m.endswith("/") else f"{m}/" for m in mirrors or theirs]
    with _beside(raw_folder(files, folder)) as part:
        for file in wanted:
            packed = file.name if file.packed else f"{file.name}.gz"
            _refuse_full(part, file, folder)
            bounds = Bounds(file.sent, 60 * minutes, TIMEOUT)
            if reasons := _from_first_mirror(packed, packed_md5[packed], addresses, part, bounds, say):
                raise _no_mirror(files, folder, reasons)
            write_files(files, {file.name: read_file(files, file, part)}, folder)


def copy(files: PublishedSet, source: Path, folder: Path) -> None:
    """Copy the set's files, if it has any, unpacked or .gz, from below `source` to where `folder` keeps them.

    Raises:
        DataError: one is missing, damaged or may not be read (then nothing is written), or the folder
            cannot be written.
    """
    if lacking := missing(files, source):
        raise DataError(
            f"{source} lacks {', '.join(lacking)} (or .gz) of {files.title}.",
            f"ltsm data get --from DIR, where DIR, DIR/raw or DIR/{files.title}/raw has them",
        )
    try:
        contents = {file.name: read_file(files, file, source) for file in files.files}
    except DataError as error:
        raise DataError(error.message, "ltsm data get --from DIR with a good copy") from error
    if contents:
        write_files(files, contents, folder)


def torchvision_datasets() -> Any:
    """The module torchvision.datasets, also beside a torch that its compiled operators do not fit.

    Raises:
        DataError: torchvision cannot be imported.
    """
    try:
        return importlib.import_module("torchvision.datasets")
    except RuntimeError:
        _declare_missing_operators()
    except ImportError as error:
        raise DataError(f"torchvision cannot be imported: {error}.", "ltsm data get --from DIR") from error
    return importlib.import_module("torchvision.datasets")


def _declare_missing_operators() -> None:
    """Declare, and not define, the two operators that torchvision's Python code registers shapes for.

    A torchvision built for another torch (CPU and CUDA wheels mixed) does not load its compiled operators,
    and then its import fails on "operator torchvision::nms does not exist". Reading data needs neither.
    """
    import torch

    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept_alive.append(library)


def _published(files: PublishedSet) -> tuple[list[str], dict[str, str]]:
    """The mirrors that torchvision has of a set, and the MD5 of each file that they send."""
    published = getattr(torchvision_datasets(), files.title)
    if (address := getattr(published, "url", None)) is None:
        return list(published.mirrors), dict(published.resources)
    place, _, name = address.rpartition("/")
    return [place], {name: getattr(published, "tgz_md5", None) or published.md5}


def _refuse_full(part: Path, file: PublishedFile, folder: Path) -> None:
    """Refuse to begin what would not fit on the disk, packed and unpacked.

    Raises:
        DataError: it would not.
    """
    free, needed = shutil.disk_usage(part).free, file.sent + (file.size or file.limit)
    if free < needed:
        raise DataError(
            f"{folder} has {free / 1e6:,.1f} MB free, and {file.name} may take {needed / 1e6:,.1f}.",
            "make space; or ltsm data get --data DIR for another folder",
        )


def _from_first_mirror(
    name: str, md5: str, mirrors: Sequence[str], folder: Path, bounds: Bounds, say: Say
) -> list[str]:
    """Bring one file into `folder` from the first mirror that has it whole; if none has, why not each."""
    reasons = []
    for mirror in mirrors:
        say(f"{name} from {mirror}")
        try:
            transfer.fetch(f"{mirror}{name}", folder / name, md5, bounds, say)
        except (OSError, HTTPException, ValueError) as error:
            (folder / name).unlink(missing_ok=True)
            reasons.append(f"{mirror} ({_reason(error)})")
        else:
            return []
    return reasons


def _no_mirror(files: PublishedSet, folder: Path, reasons: Sequence[str]) -> DataError:
    return DataError(
        f"{files.title} is not whole in {folder} and could not be downloaded: {'; '.join(reasons)}.",
        "ltsm data get --from DIR takes files that you have, --minutes N waits longer; --dataset digits needs none",
    )


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder in `folder`, for what is not known to be whole; gone afterwards with all it holds."""
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        part = tempfile.TemporaryDirectory(prefix=".part-", dir=folder)
    with part as name:
        yield Path(name)


def _reason(error: BaseException) -> str:
    """Why a mirror failed, in a few words."""
    cause = getattr(error, "reason", None) if type(error) is URLError else error
    text = " ".join(str(getattr(cause, "strerror", None) or cause or type(error).__name__).split())
    return text[:200]
