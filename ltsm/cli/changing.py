"""What every command shares that changes a store by hand: it must be there, and nobody else may write to it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.filesize import decimal

from ltsm.cli import dropping, say
from ltsm.cli.running import now
from ltsm.store import drop, read, schema
from ltsm.store.engine import store_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ltsm.store.engine import Store
    from ltsm.store.values import Artifact


@contextmanager
def opened(store: str, *, dry_run: bool = False) -> Iterator[Store]:
    """The store for its only writer; to look at alone where nothing will be changed.

    Raises:
        StoreError: there is none, another command writes to it, or it cannot be read.
    """
    path = store_path(store)
    if dry_run or not path.exists():  # a reader says it
        found = schema.open_for_reading(path)
        try:
            yield found
        finally:
            found.close()
        return
    with schema.writer(path, " ".join(["ltsm", *sys.argv[1:]]), now()) as found:
        yield found


def delete_runs(
    store: Store,
    ids: Collection[int],
    protocol_ids: Collection[int],
    who: str,
    *,
    yes: bool,
    dry_run: bool,
    json: bool,
) -> None:
    """Delete these runs and all that are built on them, and these protocols, all of whose runs are among them.

    Raises:
        UsageError: whoever types says no, or cannot be asked.
    """
    going = dropping.together(store, read.runs(store, alive=True), ids)
    size = bytes_of(store, going.files)
    text = f"{decimal(size)} of disk: {going.text()}"
    if not dry_run:
        dropping.agree(who, text, yes=yes)
        drop.drop_runs(store, [run.id for run in going.runs], protocol_ids)
    if json:
        found = {
            "runs": [run.id for run in going.runs],
            "protocols": list(protocol_ids),
            "files": len(going.files),
        }
        say.as_json("ltsm-deleted", 1, {"dry_run": dry_run, **found, "bytes": size})
    else:
        say.data(f"{'would drop' if dry_run else 'dropped'} {text}")


def bytes_of(store: Store, files: Collection[Artifact]) -> int:
    """What files take, those that are gone nothing."""
    paths = (store.folder / file.path for file in files)
    return sum(path.stat().st_size for path in paths if path.is_file())
