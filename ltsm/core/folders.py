"""Folders of images: which files are taken, as what, and which are not."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ltsm.core.images import Labelled, Origin, RawData
from ltsm.core.pictures import SUFFIXES, pixels
from ltsm.errors import DataError, explained

HINT = "DIR/train/CLASS/… and DIR/val/CLASS/… hold images: docs/guide.md"
TRAINING = ("train", "training")
VALIDATION = ("val", "valid", "validation", "dev")
TEST = ("test", "testing")
"""What the folders of the three sets may be called, in any case."""
_JUNK = frozenset({"@eadir", "__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"})


@dataclass(frozen=True, slots=True)
class _Set:
    """One set: its folder, and each class's image files in order."""

    path: Path
    classes: dict[str, list[Path]]


def read_folder(path: Path, size: tuple[int, int], mode: str) -> RawData:
    """Images in path/train/CLASS, path/val/CLASS and, if it is there, path/test/CLASS, resized, in order of their names.

    The validation set is called val, valid, validation or dev; where there is none, test takes its place. Hidden files
    and folders, files that are no images, links that lead nowhere, and a test set without the training set's classes
    are left out, and counted.

    Args:
        path: the folder.
        size: height and width that every image is brought to.
        mode: Pillow's name for the pixels: RGB, or L for grey.

    Raises:
        DataError: a folder is missing, empty or there twice, an image is unreadable, or val has a class that train lacks.
    """
    skipped: Counter[str] = Counter()
    folders = {entry.name.lower(): entry for entry in _listed(path, skipped) if entry.is_dir()}
    train = _set(_one(path, folders, TRAINING) or path / "train", skipped)
    last = _one(path, folders, TEST)
    below = _one(path, folders, VALIDATION)
    validation = _set(below or last or path / "val", skipped)
    names = list(train.classes)
    test = _test_set(last, names, skipped) if last and below else None
    if unknown := [name for name in validation.classes if name not in names]:
        raise DataError(f"{validation.path} has the class {unknown[0]!r}, which {train.path} lacks.", HINT)
    if len(names) < 2:  # noqa: PLR2004
        raise DataError(f"{train.path} has only one class.", HINT)
    origin = Origin(
        train=train.path.name,
        validation=validation.path.name,
        test=test.path.name if test else "",
        classes=tuple(names),
        skipped=dict(skipped),
    )
    return RawData(
        train=_read(train, names, size, mode),
        validation=_read(validation, names, size, mode),
        test=_read(test, names, size, mode) if test else None,
        classes=len(names),
        white=255,
        origin=origin,
    )


def _one(path: Path, folders: dict[str, Path], names: tuple[str, ...]) -> Path | None:
    """The folder that has one of these names; None: there is none."""
    found = [folders[name] for name in names if name in folders]
    if len(found) > 1:
        raise DataError(f"{path} has both {found[0].name} and {found[1].name}: which is meant?", HINT)
    return found[0] if found else None


def _set(path: Path, skipped: Counter[str]) -> _Set:
    """The classes of one set.

    Raises:
        DataError: there is none, or one without an image.
    """
    classes = {}
    for entry in _listed(path, skipped):
        if entry.is_dir():
            classes[entry.name] = _images(entry, skipped)
        else:
            skipped["files beside the classes' folders"] += 1
    if not classes:
        raise DataError(f"{path} is no folder of readable images: it has no folder for a class.", HINT)
    if empty := [name for name, files in classes.items() if not files]:
        raise DataError(
            f"{path} is no folder of readable images: the class {empty[0]!r} has none.",
            f"images are {' '.join(sorted(SUFFIXES))}",
        )
    return _Set(path, classes)


def _test_set(path: Path, names: list[str], skipped: Counter[str]) -> _Set | None:
    """The test set; None where it has not the training set's classes, as one without labels has."""
    left = Counter[str]()
    try:
        found = _set(path, left)
    except DataError:
        found = _Set(path, {})
    if not found.classes or not set(found.classes) <= set(names):
        skipped[f"test set without the classes of the training set ({path.name})"] += 1
        return None
    skipped.update(left)
    return found


def _listed(path: Path, skipped: Counter[str]) -> list[Path]:
    """What lies in a folder, by name, without what is hidden."""
    with explained(DataError, f"{path} is no folder of readable images", HINT):
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    shown = [entry for entry in entries if not _hidden(entry.name)]
    skipped["hidden"] += len(entries) - len(shown)
    return shown


def _images(folder: Path, skipped: Counter[str]) -> list[Path]:
    """All image files in and below a folder, as torchvision's ImageFolder orders them."""
    found: list[tuple[str, list[str]]] = []
    seen: set[Path] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        seen.add(Path(root).resolve())
        shown = [name for name in folders if not _hidden(name)]
        skipped["hidden"] += len(folders) - len(shown)
        folders[:] = [name for name in shown if Path(root, name).resolve() not in seen]
        found.append((root, sorted(files)))
    paths = [Path(root, name) for root, names in sorted(found) for name in names]
    return [path for path in paths if not _left_out(path, skipped)]


def _left_out(file: Path, skipped: Counter[str]) -> bool:
    """Whether a file is none to take, which is noted."""
    suffix = file.suffix.lower()
    if _hidden(file.name):
        reason = "hidden"
    elif suffix not in SUFFIXES:
        reason = f"{suffix or 'files without a suffix'}"
    elif not file.exists():
        reason = "links that lead nowhere"
    else:
        return False
    skipped[reason] += 1
    return True


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _read(part: _Set, names: list[str], size: tuple[int, int], mode: str) -> Labelled:
    files = [(file, names.index(name)) for name, found in part.classes.items() for file in found]
    images = np.stack([pixels(file, size, mode) for file, _ in files])
    return Labelled(images, np.array([label for _, label in files], np.int64))
