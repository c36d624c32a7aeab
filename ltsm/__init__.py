"""ltsm: lottery tickets and supermasks for fully connected networks.

The library, for networks, data and studies of one's own, is what is named in `__all__`; docs/guide.md and
docs/studies.md show it at work.
Importing `ltsm` imports no torch: each name is fetched when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset, load_dataset
    from ltsm.library.frozen import frozen_zeros
    from ltsm.library.iterative import prune_iteratively
    from ltsm.library.learning import LearnedSupermask, learn_supermask
    from ltsm.library.mask_learning import LearningRecord
    from ltsm.library.onnx_file import onnx_bytes
    from ltsm.library.pruned import Pruned, prune
    from ltsm.library.results import open  # noqa: A004 - ltsm.open, beside open
    from ltsm.library.rounds import Round
    from ltsm.library.supermasks import AmountResult, Supermask, find_supermask
    from ltsm.library.ticket_file import load_ticket, save_ticket
    from ltsm.library.tickets import Ticket, TrainingRecord, ticket_of
    from ltsm.library.torch_prune import Count, apply_mask, count_parameters, make_permanent, read_mask
    from ltsm.library.training import train_ticket
    from ltsm.library.weights import load_exactly
    from ltsm.protocol import Protocol
    from ltsm.studies.recipe import BestOf, Learned, Mask, Masking, Random, Recipe, Weights
    from ltsm.studies.study import Group, Study

    __version__: str

__all__ = [
    "AmountResult", "BestOf", "Count", "Dataset", "Group", "Learned", "LearnedSupermask", "LearningRecord",
    "Mask", "Masking", "Protocol", "Pruned", "Random", "Recipe", "Round", "Study", "Supermask", "Ticket",
    "TrainingRecord", "Weights", "apply_mask", "count_parameters", "find_supermask", "frozen_zeros",
    "learn_supermask", "load_dataset", "load_exactly", "load_ticket", "make_permanent", "onnx_bytes",
    "open", "prune", "prune_iteratively", "read_mask", "save_ticket", "ticket_of", "train_ticket",
]  # fmt: skip

_MODULES = {
    "core.datasets": ("Dataset", "load_dataset"),
    "library.frozen": ("frozen_zeros",),
    "library.iterative": ("prune_iteratively",),
    "library.learning": ("LearnedSupermask", "learn_supermask"),
    "library.mask_learning": ("LearningRecord",),
    "library.onnx_file": ("onnx_bytes",),
    "library.pruned": ("Pruned", "prune"),
    "library.results": ("open",),
    "library.rounds": ("Round",),
    "library.supermasks": ("AmountResult", "Supermask", "find_supermask"),
    "library.ticket_file": ("load_ticket", "save_ticket"),
    "library.tickets": ("Ticket", "TrainingRecord", "ticket_of"),
    "library.torch_prune": ("Count", "apply_mask", "count_parameters", "make_permanent", "read_mask"),
    "library.training": ("train_ticket",),
    "library.weights": ("load_exactly",),
    "protocol": ("Protocol",),
    "studies.recipe": ("BestOf", "Learned", "Mask", "Masking", "Random", "Recipe", "Weights"),
    "studies.study": ("Group", "Study"),
}


def __getattr__(name: str) -> Any:
    """A name of the library, imported now."""
    if name == "__version__":
        # It brings half of Python's email package along, which no other command needs.
        from importlib.metadata import version

        return version("ltsm")
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"ltsm.{module}"), name)
    raise AttributeError(f"module 'ltsm' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a person may ask for."""
    return [*globals(), *__all__]
