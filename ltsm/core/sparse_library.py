"""The compiled kernel for sparse inputs: which library this processor runs, and its functions.

hatch_build.py compiles the C source beside this file at installation, once per kind of processor: with
AVX-512, with AVX2, and a baseline for all others. The bits of a result may differ between the variants,
so the variant is part of the engine's name, and a run goes on with the one that it was begun with.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltsm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


FOLDER = Path(__file__).parent
SOURCES = "_sparse*.[ch]"
VARIANTS = ("baseline", "avx2", "avx512")
"""From the least to the most that a processor must be capable of."""
CHOICE = "LTSM_KERNEL"
"""The environment variable that names a variant, in place of the best one."""
NONE = "torch"
"""In the place of a variant: no kernel, but PyTorch's own operators."""
_in_use: ContextVar[str] = ContextVar("variant", default="")

_pointer, _int, _long = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_SIGNATURES: dict[str, tuple[type | None, Sequence[type]]] = {
    "sparse_best_variant": (ctypes.c_char_p, ()),
    "sparse_source": (ctypes.c_char_p, ()),
    "sparse_images_new": (_pointer, (_pointer, _pointer, _long, _long)),
    "sparse_images_free": (None, (_pointer,)),
    "sparse_network_new": (_pointer, (_int, _pointer, _int, _int)),
    "sparse_network_free": (None, (_pointer,)),
    "sparse_network_load": (None, (_pointer, _pointer, _pointer, _pointer, _long)),
    "sparse_network_state": (None, (_pointer, _pointer, _pointer, _pointer)),
    "sparse_network_train": (
        _int,
        (_pointer, _pointer, _pointer, _int, _long, _long, _pointer, _pointer),
    ),
    "sparse_network_evaluate": (_int, (_pointer, _pointer, _pointer, _pointer)),
    "sparse_learner_new": (_pointer, (_int, _pointer, _int)),
    "sparse_learner_free": (None, (_pointer,)),
    "sparse_learner_load": (None, (_pointer, _pointer, _pointer, _pointer)),
    "sparse_learner_state": (None, (_pointer, _pointer, _pointer)),
    "sparse_learner_train": (
        _int,
        (*(_pointer,) * 3, _int, _long, _long, _int, *(_pointer,) * 5),
    ),
}


def library() -> ctypes.CDLL | None:
    """The library of the variant in use; None where `unavailable_reason` is not empty, or none is to be used."""
    name = variant()
    return _opened(name) if name in VARIANTS else None


def use(names: Sequence[str]) -> None:
    """From now on, in this thread, the first of these that this processor runs; where it runs none, the usual one."""
    _in_use.set(next((name for name in names if name in {*usable(), NONE}), ""))


def kernel_of(engines: str) -> str:
    """What of the engines that computed a run, as the store names them, the last one is for `use`."""
    last = engines.rpartition(", ")[2]
    return last.rpartition("-")[2] if "sparse" in last else last.partition("-")[0]


def variant(folder: Path = FOLDER) -> str:
    """The variant in use, by default the best that there is or what `LTSM_KERNEL` names; "": there is none.

    Raises:
        UsageError: `LTSM_KERNEL` names one that is not `usable`.
    """
    return _in_use.get() or _usual(folder)


@cache
def usable(folder: Path = FOLDER) -> tuple[str, ...]:
    """The variants that this processor runs and that were compiled, the best one last."""
    if unavailable_reason(folder):
        return ()
    able = open_variant("baseline", folder).sparse_best_variant().decode()
    return tuple(name for name in VARIANTS[: VARIANTS.index(able) + 1] if _fits(name, folder))


@cache
def _usual(folder: Path) -> str:
    names = usable(folder)
    chosen = os.environ.get(CHOICE) or (names or ("",))[-1]
    if names and chosen not in {*names, NONE}:
        raise UsageError(f"{CHOICE} is {chosen!r}: this machine has {', '.join(names)}.", f"unset {CHOICE}")
    return chosen if names else ""


@cache
def _opened(name: str) -> ctypes.CDLL:
    return open_variant(name)


def _fits(name: str, folder: Path) -> bool:
    """Whether that variant was compiled from this source: where its compilation failed, an older one may lie there."""
    try:
        return bool(open_variant(name, folder).sparse_source().decode() == source_digest(folder))
    except (OSError, AttributeError):
        return False


@cache
def unavailable_reason(folder: Path = FOLDER) -> str:
    """Why there is no kernel for sparse inputs here, as a sentence; empty where there is one."""
    path = path_of("baseline", folder)
    if not path.is_file():
        return "The CPU kernel for sparse inputs was not compiled: there was no C compiler at installation."
    try:
        compiled_from = open_variant("baseline", folder).sparse_source().decode()
    except (OSError, AttributeError) as error:
        return f"The CPU kernel for sparse inputs cannot be loaded: {error}."
    if compiled_from != source_digest(folder):
        return "The CPU kernel for sparse inputs was compiled from other source: python hatch_build.py compiles it."
    return ""


def open_variant(name: str, folder: Path = FOLDER) -> ctypes.CDLL:
    """That variant's library, its functions declared; using one that the processor lacks kills the process.

    Raises:
        OSError: it is missing, or not for this system.
        AttributeError: it lacks a function.
    """
    opened = ctypes.CDLL(str(path_of(name, folder)))
    for function, (result, arguments) in _SIGNATURES.items():
        declared = getattr(opened, function)
        declared.restype, declared.argtypes = result, arguments
    return opened


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """Where that variant's library lies if it was compiled."""
    return folder / f"_sparse-{name}.so"


def source_digest(folder: Path = FOLDER) -> str:
    """SHA-256 over the kernel's source."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob(SOURCES)))).hexdigest()


def address(values: Any, kind: str, count: int | None = None) -> int | None:
    """Where values start; None: a null pointer. The kernel takes whatever lies there for what it expects.

    Args:
        values: an array, or a tensor, or None.
        kind: the type that the kernel expects, e.g. "float32".
        count: how many it expects; None: their number is passed on.

    Raises:
        TypeError: they are of another type or number, not contiguous, or not in the processor's memory.
    """
    if values is None:
        return None
    is_array = hasattr(values, "ctypes")
    found = str(values.dtype).removeprefix("torch."), str(values.device), math.prod(values.shape)
    contiguous = values.flags.c_contiguous if is_array else values.is_contiguous()
    if found != (kind, "cpu", found[2] if count is None else count) or not contiguous:
        raise TypeError(f"the kernel expects {count or 'some'} contiguous {kind}, not {found}")
    return int(values.ctypes.data) if is_array else int(values.data_ptr())
