"""The build hook: compiles the CPU kernel for sparse inputs where there is a C compiler.

It never fails an installation. Without a compiler, or with one that refuses the source, the package is
installed without the kernel, and PyTorch's operators serve every case (`ltsm doctor` says so).

`python hatch_build.py` compiles in place, for who edits the kernel in a checkout.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("ltsm", "core")
MAIN = "_sparse.c"
SOURCES = "_sparse*.[ch]"
"""In the order of their names, here and in `ltsm.core.sparse_library`."""
# No -ffast-math: the arithmetic is IEEE's, in the order that the source says.
FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-ffp-contract=fast", "-fPIC", "-shared")
AVX2 = ("-mavx2", "-mfma", "-mbmi", "-mbmi2")
AVX512 = (*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512")
X86_VARIANTS = {"avx512": AVX512, "avx2": AVX2}
"""Compiled beside "baseline", which runs on every processor of the machine's kind and knows what this one can."""


class SparseKernelHook(BuildHookInterface[Any]):
    """Puts the compiled kernel into the wheel, or beside the source of an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; a wheel with the kernel in it is one for this platform."""
        del version
        if libraries := compile_variants(Path(self.root) / FOLDER):
            build_data["artifacts"] += [f"/{FOLDER.as_posix()}/{path.name}" for path in libraries]
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform_tag()}"


def platform_tag() -> str:
    """The platform's part of a wheel's name, e.g. linux_x86_64."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def compile_variants(folder: Path) -> list[Path]:
    """The libraries that could be compiled from the source in `folder`, beside it; none without a compiler."""
    compiler = find_compiler()
    if not compiler or not (folder / MAIN).is_file():
        return []
    variants: dict[str, tuple[str, ...]] = {"baseline": ()}
    if platform.machine().lower() in {"x86_64", "amd64"}:
        variants |= X86_VARIANTS
    made = [compile_variant(compiler, folder, name, flags) for name, flags in variants.items()]
    return [path for path in made if path]


def find_compiler() -> list[str]:
    """The C compiler's command: CC, the one that Python was built with, or what is usual; empty: none."""
    candidates = [os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"]
    for candidate in filter(None, candidates):
        with contextlib.suppress(ValueError):  # an unclosed quotation
            command = shlex.split(candidate)
            if command and shutil.which(command[0]):
                return command
    return []


def compile_variant(compiler: list[str], folder: Path, name: str, flags: tuple[str, ...]) -> Path | None:
    """The library, put in place at once and whole, so that who has the old one open keeps it."""
    target = folder / f"_sparse-{name}.so"
    stamp = f'-DSOURCE="{source_digest(folder)}"'
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / target.name
        command = [*compiler, *FLAGS, *flags, stamp, "-o", str(made), str(folder / MAIN), "-lm"]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if outcome.returncode == 0:
            made.replace(target)
            return target
        sys.stderr.write(outcome.stderr)
    return None


def source_digest(folder: Path) -> str:
    """SHA-256 over the kernel's source, as `ltsm.core.sparse_library` works it out too."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob(SOURCES)))).hexdigest()


if __name__ == "__main__":
    for library in compile_variants(Path(__file__).parent / FOLDER):
        print(library)  # noqa: T201
