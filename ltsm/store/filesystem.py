"""What file system a store lies on: a write-ahead log needs memory that all its processes share."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "prl_fs",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    ]
)
"""File systems that other machines may write to: there a write-ahead log may appear to work, and lose data."""
MOUNTS = Path("/proc/self/mountinfo")


def kind(folder: Path) -> str:
    """The type of the file system that holds `folder`, as `mount` names it; "" where it cannot be known."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
        device = _device(folder)
    except OSError:
        return ""
    # Fields: id, parent, major:minor, root, mount point, options, optional fields, "-", type, source, …
    found = [line.split(" - ", 1) for line in lines if " - " in line]
    types = [right.split()[0] for left, right in found if left.split()[2] == device]
    return types[-1] if types else ""


def is_network(folder: Path) -> bool:
    """Whether `folder` lies on a file system that other machines may write to."""
    return kind(folder) in NETWORK


def _device(folder: Path) -> str:
    number = folder.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"
