"""What layouts share: finding pictures, matching them with labels, lists. Opens no picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from train.data.pixels import PICTURE_SUFFIXES
from train.errors import TrainError


class NoSplitError(TrainError):
    """The data set has no such split: its folder or list is not there."""


def require_folders(root: Path, names: Iterable[str], layout: str) -> None:
    """Check that the folders which make a layout are there.

    Raises:
        TrainError: `root` or one of them is missing.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    for name in names:
        if not (root / name).is_dir():
            raise TrainError(f"{root / name}: no such folder; the layout {layout} has it")


def require_split(split: str, known: Mapping[str, str]) -> str:
    """What `known` holds for a split's name.

    Raises:
        NoSplitError: nothing.
    """
    if split not in known:
        raise NoSplitError(f"no split {split!r}; known: {', '.join(known)}")
    return known[split]


def pictures_in(folder: Path) -> list[Path]:
    """Picture files of a folder by suffix, hidden files left out, sorted by name.

    Raises:
        NoSplitError: no such folder.
        TrainError: it holds no picture.
    """
    if not folder.is_dir():
        raise NoSplitError(f"{folder}: no such folder")
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and path.name[0] != "."
    )
    if not found:
        raise TrainError(f"{folder}: the folder is empty, or holds no pictures")
    return found


def read_list(path: Path) -> list[str]:
    """Stripped lines of a text file, empty ones left out.

    Raises:
        NoSplitError: no such file.
        TrainError: unreadable or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except FileNotFoundError as error:
        raise NoSplitError(f"{path}: no such list") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TrainError(f"{path}: cannot be read as a list ({error})") from error
    lines = [line for line in lines if line]
    if not lines:
        raise TrainError(f"{path}: the list is empty")
    return lines


def some(paths: list[Path], what: str) -> str:
    """``what`` with a count and the first name, for messages."""
    return f"{what} for {len(paths)} pictures (first: {paths[0].name})"


def pair_by_stem(
    pictures: list[Path], labels_dir: Path, suffix: str = ".png"
) -> tuple[list[tuple[Path, Path]], tuple[str, ...]]:
    """Pictures with the label file of the same stem, and a sentence if some have none."""
    labels = {p.stem: p for p in labels_dir.iterdir() if p.suffix.lower() == suffix}
    missing = [picture for picture in pictures if picture.stem not in labels]
    what = f"no label {suffix[1:].upper()}"
    faults = (f"{labels_dir}: {some(missing, what)}",) if missing else ()
    return [(p, labels[p.stem]) for p in pictures if p.stem in labels], faults


def pair_listed(
    names: Iterable[str], picture: Callable[[str], Path], labels: Callable[[str], Path], of: Path
) -> tuple[list[tuple[str, Path, Path]], tuple[str, ...]]:
    """Names with their picture and label file, and sentences about files that are not there.

    Args:
        names: what a list holds.
        picture: where a name's picture is.
        labels: where a name's labels are.
        of: the list, for the message.
    """
    found, no_picture, no_labels = [], [], []
    for name in names:
        pair = picture(name), labels(name)
        if not pair[0].is_file():
            no_picture.append(pair[0])
        elif not pair[1].is_file():
            no_labels.append(pair[1])
        else:
            found.append((name, *pair))
    faults = [
        f"{missing[0].parent}: no {what} for {len(missing)} names of {of} "
        f"(first: {missing[0].name})"
        for what, missing in (("picture", no_picture), ("label file", no_labels))
        if missing
    ]
    return found, tuple(faults)
