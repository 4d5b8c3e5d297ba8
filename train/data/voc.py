"""Pascal VOC 2012 segmentation (Everingham et al., IJCV 2010), and as augmented by SBD.

``VOCdevkit/VOC2012`` as unpacked: ``JPEGImages``, ``SegmentationClass`` (palette PNGs, 255 for
borders and difficult objects), ``ImageSets/Segmentation/{train,val,trainval}.txt``. `root` is the
folder of VOCdevkit, VOCdevkit or VOC2012 itself.

The augmented training list of 10,582 pictures adds those of SBD (Hariharan et al., ICCV 2011) that
are not in VOC's val list. Two forms are read: the PNGs ``SegmentationClassAug`` with
``train_aug.txt`` that DeepLab made, or SBD's own MATLAB files (`train.data.sbd`).
"""

from __future__ import annotations

from pathlib import Path

from streamseg.models.classlists import VOC
from train.data.files import pair_listed, read_list, require_folders, require_split
from train.data.items import Item, Split
from train.data.pixels import IndexLabels
from train.data.sbd import find_sbd, sbd_folder
from train.errors import TrainError

read_labels = IndexLabels(
    classes={index: index for index in range(len(VOC))},
    void=frozenset({255}),
    meaning="VOC has 0..20, and 255 for borders",
)

_LISTS = Path("ImageSets") / "Segmentation"
_SPLITS = {name: name for name in ("train", "val", "trainval")}


def voc_folder(root: Path) -> Path:
    """The folder VOC2012 in, above or at `root`."""
    for below in (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root):
        if (below / "JPEGImages").is_dir():
            return below
    return root


def _listed(base: Path, listing: Path, labels: str) -> Split:
    """The pictures of a list of names, or of DeepLab's lines of a picture and a label file."""
    names = [Path(line.split()[0]).stem for line in read_list(listing)]
    found, faults = pair_listed(
        names,
        lambda name: base / "JPEGImages" / f"{name}.jpg",
        lambda name: base / labels / f"{name}.png",
        listing,
    )
    items = [Item(picture=p, labels=q, read_labels=read_labels) for _, p, q in found]
    return Split(items=items, classes=VOC, faults=faults)


def find_voc(root: Path, split: str) -> Split:
    """VOC's own lists: train (1,464 pictures), val (1,449) or trainval, in the lists' order.

    Raises:
        TrainError: a folder or list is missing.
    """
    base = voc_folder(root)
    require_folders(base, ("JPEGImages", "SegmentationClass", str(_LISTS)), "voc")
    listing = base / _LISTS / f"{require_split(split, _SPLITS)}.txt"
    return _listed(base, listing, "SegmentationClass")


def find_voc_aug(root: Path, split: str) -> Split:
    """Split "train" is the augmented list of 10,582 pictures; the others are `find_voc`'s.

    Raises:
        TrainError: a folder or list is missing, or SBD is there in neither form.
    """
    if split not in ("train", "train_aug"):
        return find_voc(root, split)
    base = voc_folder(root)
    require_folders(base, ("JPEGImages", "SegmentationClass", str(_LISTS)), "voc_aug")
    for listing in (base / _LISTS / "train_aug.txt", base / _LISTS / "trainaug.txt"):
        if listing.is_file():
            require_folders(base, ("SegmentationClassAug",), "voc_aug")
            return _listed(base, listing, "SegmentationClassAug")
    sbd = sbd_folder(root, base)
    if sbd is None:
        raise TrainError(
            f"{base / _LISTS / 'train_aug.txt'}: no such list, and no SBD beside it; put "
            "train_aug.txt there and SegmentationClassAug beside SegmentationClass, or unpack "
            f"SBD's benchmark.tgz (benchmark_RELEASE/dataset) in {root} (docs/data.md says where "
            "to get them)"
        )
    own = _listed(base, base / _LISTS / "train.txt", "SegmentationClass")
    validation = frozenset(read_list(base / _LISTS / "val.txt"))
    items, faults = find_sbd(sbd, without=validation | {item.picture.stem for item in own.items})
    return Split(items=[*own.items, *items], classes=VOC, faults=own.faults + faults)
