"""How runs are called: on the screen, in the store, and in the names of files. The one place that says so."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ltsm.studies.study import RunKey


def sizes(hidden: tuple[int, ...]) -> str:
    """`(200, 30)` as the paper writes it."""
    return f"({', '.join(map(str, hidden))})"


def kind(recipe: str) -> str:
    """The word by which a recipe's runs are found: the first of its name."""
    return recipe.split(maxsplit=1)[0].rstrip(",:")


def run_name(recipe: str, seed: int) -> str:
    """`seed 3 hyperop (200, 30)`."""
    return f"seed {seed} {recipe}"


def named(key: RunKey) -> str:
    """As `run_name`, of a key."""
    return run_name(key.recipe, key.seed)


def title(recipe: str) -> str:
    """The name at the beginning of a sentence or a row."""
    return recipe[:1].upper() + recipe[1:]


def file_name(recipe: str) -> str:
    """The name as part of a file's: `hyperop-200-30`."""
    return re.sub(r"[^a-z0-9]+", "-", recipe.lower()).strip("-") or "run"


def files_folder(fingerprint: str, created_at: datetime) -> str:
    """The folders for a store's files of a protocol: not those of another store beside it.

    Args:
        fingerprint: of the protocol.
        created_at: when it came into this store.
    """
    moment = hashlib.sha256(created_at.isoformat().encode()).hexdigest()
    return f"{fingerprint[:12]}-{moment[:12]}"


def run_folder(files: str, recipe: str, fingerprint: str, seed: int) -> str:
    """Where a run's weights lie, relative to the store; `files` as `files_folder` names it."""
    return f"weights/{files}/seed-{seed}/{file_name(recipe)}-{fingerprint[:8]}"
