"""Layout names and the functions ``(root, split) -> Split`` that know them. Opens no picture.

To add a layout, write its module and add one line to the dict.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from train.data.camvid import find_camvid
from train.data.cityscapes import find_cityscapes, find_cityscapes_coarse
from train.data.coco import find_coco
from train.data.cocostuff import find_cocostuff10k, find_cocostuff164k
from train.data.colourmasks import find_colours
from train.data.cvat import find_cvat
from train.data.detect import layout_of, other_layout
from train.data.folder import find_folder
from train.data.items import Split
from train.data.labelme import find_labelme
from train.data.voc import find_voc, find_voc_aug
from train.errors import TrainError

LAYOUTS: dict[str, Callable[[Path, str], Split]] = {
    "cityscapes": find_cityscapes,
    "cityscapes_coarse": find_cityscapes_coarse,
    "voc": find_voc,
    "voc_aug": find_voc_aug,
    "cocostuff10k": find_cocostuff10k,
    "cocostuff164k": find_cocostuff164k,
    "camvid": find_camvid,
    "labelme": find_labelme,
    "coco": find_coco,
    "cvat": find_cvat,
    "colours": find_colours,
    "folder": find_folder,
}


def find_split(layout: str, root: Path, split: str) -> Split:
    """What a layout, or the one that the folder has ("auto"), finds of one split.

    Raises:
        TrainError: the folder is not in that layout; it says which one it may be in.
    """
    layout = layout_of(root, layout)
    try:
        return LAYOUTS[layout](root, split)
    except TrainError as error:
        if hint := other_layout(root, layout):
            raise TrainError(f"{error}{hint}") from error
        raise
