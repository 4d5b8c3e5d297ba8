"""COCO's, CVAT's and colour PNGs, each with what its tools really write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image

from train.data.check import check
from train.data.coco import find_coco
from train.data.colourmasks import find_colours
from train.data.cvat import find_cvat
from train.data.detect import recognise
from train.data.items import Split
from train.data.shapes import unpack_coco
from train.errors import TrainError

SQUARE = [2.0, 2.0, 7.0, 2.0, 7.0, 7.0, 2.0, 7.0]


def draw_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((10, 12, 3), 10 * number + 5, np.uint8))


def coco(names: list[str], **changed: Any) -> dict[str, Any]:
    images = [
        {"id": i, "file_name": name, "width": 12, "height": 10} for i, name in enumerate(names)
    ]
    annotations = [
        {"id": i, "image_id": i, "category_id": 7, "segmentation": [SQUARE], "bbox": [2, 2, 5, 5]}
        for i in range(len(names))
    ]
    categories = [{"id": 7, "name": "road"}, {"id": 9, "name": "car"}]
    values = {"images": images, "annotations": annotations, "categories": categories}
    return values | changed


def labels_of(split: Split, index: int = 0) -> np.ndarray[Any, Any]:
    item = split.items[index]
    return item.read_labels(item.labels)


NAMES = [f"p{i}.png" for i in range(4)]


class TestCoco:
    def test_polygons_boxes_and_run_lengths(self, tmp_path: Path) -> None:
        draw_pictures(tmp_path / "images", NAMES)
        content = coco(NAMES)
        column = [30, 10, 80]  # the fourth column, from top to bottom
        content["annotations"] += [
            {"id": 50, "image_id": 0, "category_id": 9, "segmentation": [], "bbox": [0, 0, 2, 1]},
            {
                "id": 51,
                "image_id": 1,
                "category_id": 9,
                "segmentation": {"size": [10, 12], "counts": column},
            },
        ]
        (tmp_path / "instances.json").write_text(json.dumps(content))
        split = find_coco(tmp_path, "all")
        assert split.classes.names == ("_background_", "road", "car")
        first, second = labels_of(split, 0), labels_of(split, 1)
        assert first.shape == (10, 12)
        assert first[4, 4] == 1
        assert first[0, 0] == 2
        assert first[9, 11] == 0
        assert (second[:, 3] == 2).all()  # drawn later, so over the road
        assert second[4, 2] == 1
        parts = [len(find_coco(tmp_path, name).items) for name in ("train", "val")]
        assert parts == [3, 1]
        assert recognise(tmp_path)[0].layout == "coco"
        assert check(tmp_path).layout == "coco"

    def test_compressed_run_lengths(self) -> None:
        # what pycocotools 2 encodes those runs as
        assert unpack_coco("n0:`2", Path("x")) == [30, 10, 80]
        assert unpack_coco("5\\97fFQo0d2", Path("x")) == [5, 300, 7, 2, 1000, 86]
        with pytest.raises(TrainError, match="are cut short"):
            unpack_coco("n", Path("x"))

    def test_roboflows_folders_are_splits(self, tmp_path: Path) -> None:
        for folder, names in (("train", NAMES[:3]), ("valid", NAMES[3:])):
            draw_pictures(tmp_path / folder, names)
            content = coco(names)
            content["categories"] = [
                {"id": 0, "name": "things", "supercategory": "none"},
                {"id": 7, "name": "road", "supercategory": "things"},
            ]
            (tmp_path / folder / "_annotations.coco.json").write_text(json.dumps(content))
        assert len(find_coco(tmp_path, "train").items) == 3
        assert len(find_coco(tmp_path, "val").items) == 1
        assert find_coco(tmp_path, "val").classes.names == ("_background_", "road")

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"categories": []}, "no categories"),
            ({"images": [{"id": 0}]}, "an image or annotation lacks 'file_name'"),
            ({"annotations": [{"image_id": 0, "category_id": 3}]}, "category 3, which is not list"),
            (
                {"annotations": [{"id": 4, "image_id": 0, "category_id": 7}]},
                r"annotation 4 \(road\) has neither polygons nor a mask nor a box",
            ),
            (
                {
                    "annotations": [
                        {
                            "image_id": 0,
                            "category_id": 7,
                            "segmentation": {"size": [10, 12], "counts": [3]},
                        }
                    ]
                },
                "run lengths of a mask do not fill its 120 pixels",
            ),
        ],
    )
    def test_a_broken_file_is_named(
        self, changed: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        draw_pictures(tmp_path, NAMES)
        (tmp_path / "a.json").write_text(json.dumps(coco(NAMES, **changed)))
        with pytest.raises(TrainError, match=rf"a\.json: .*{message}"):
            find_coco(tmp_path, "all")

    def test_a_picture_that_is_not_there(self, tmp_path: Path) -> None:
        draw_pictures(tmp_path, NAMES[:3])
        (tmp_path / "a.json").write_text(json.dumps(coco(NAMES)))
        assert (
            "no picture file for 1 pictures (first: p3.png)" in find_coco(tmp_path, "all").faults[0]
        )


XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>road</name></label><label><name>car</name></label></labels></task>
</meta>
<image id="0" name="p0.png" width="12" height="10">
  <box label="car" xtl="3" ytl="3" xbr="5" ybr="5" z_order="1"/>
  <polygon label="road" points="2,2;7,2;7,7;2,7" z_order="0"/>
  <mask label="car" rle="1,1,2" left="0" top="0" width="2" height="2" z_order="2"/>
</image>
<image id="1" name="p1.png" width="12" height="10"/>
</annotations>
"""


class TestCvat:
    def test_shapes_lie_in_their_order(self, tmp_path: Path) -> None:
        draw_pictures(tmp_path / "images", NAMES[:2])
        (tmp_path / "annotations.xml").write_text(XML)
        split = find_cvat(tmp_path, "all")
        assert split.classes.names == ("_background_", "road", "car")
        found = labels_of(split)
        assert (found[4, 4], found[2, 2], found[9, 9]) == (2, 1, 0)
        assert found[:2, :2].tolist() == [[0, 2], [0, 0]]
        assert not labels_of(split, 1).any()
        assert recognise(tmp_path)[0].layout == "cvat"
        assert [len(find_cvat(tmp_path, name).items) for name in ("train", "val")] == [1, 1]

    def test_folders_are_splits(self, tmp_path: Path) -> None:
        for name in ("train", "val"):
            draw_pictures(tmp_path / name, NAMES[:2])
            (tmp_path / name / "annotations.xml").write_text(XML)
        assert len(find_cvat(tmp_path, "val").items) == 2
        with pytest.raises(TrainError, match="test: no such folder with an XML file"):
            find_cvat(tmp_path, "test")

    def test_what_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        draw_pictures(tmp_path, NAMES[:2])
        path = tmp_path / "annotations.xml"
        path.write_text(XML.replace("2,2;7,2", "2;7,2"))
        with pytest.raises(TrainError, match=r"the image 'p0\.png' has a size or a shape that"):
            find_cvat(tmp_path, "all")
        path.write_text("<annotations/>")
        with pytest.raises(TrainError, match=r"export the task as 'CVAT for images 1\.1'"):
            find_cvat(tmp_path, "all")


class TestColours:
    LISTS: ClassVar = {
        "labelmap.txt": "# label:color_rgb:parts:actions\nroad:128,64,128::\nvoid:0,0,0::\n",
        "class_dict.csv": "name,r,g,b\nroad,128,64,128\nVoid,0,0,0\n",
        "classes.txt": "road 128 64 128\nvoid 0 0 0\n",
    }

    def write(self, root: Path, name: str, colour: tuple[int, int, int] = (128, 64, 128)) -> None:
        draw_pictures(root / "images", NAMES)
        (root / "masks").mkdir()
        picture = np.zeros((10, 12, 3), np.uint8)
        picture[:5] = colour
        for picture_name in NAMES:
            Image.fromarray(picture).save(root / "masks" / picture_name)
        (root / name).write_text(self.LISTS[name])

    @pytest.mark.parametrize("name", list(LISTS))
    def test_each_list_of_colours(self, name: str, tmp_path: Path) -> None:
        self.write(tmp_path, name)
        split = find_colours(tmp_path, "train")
        assert split.classes.names == ("road",)
        found = labels_of(split)
        assert (found[:5] == 0).all()
        assert (found[5:] == 255).all()
        assert recognise(tmp_path)[0].layout == "colours"

    def test_cvats_segmentation_masks(self, tmp_path: Path) -> None:
        self.write(tmp_path, "labelmap.txt")
        (tmp_path / "images").rename(tmp_path / "JPEGImages")
        (tmp_path / "masks").rename(tmp_path / "SegmentationClass")
        (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
        assert recognise(tmp_path)[0].layout == "colours"
        assert len(find_colours(tmp_path, "all").items) == 4

    def test_a_colour_that_is_no_classs(self, tmp_path: Path) -> None:
        self.write(tmp_path, "classes.txt", colour=(1, 2, 3))
        message = r"1 colours are no class's \(the commonest is \(1, 2, 3\), 60 pixels\)"
        with pytest.raises(TrainError, match=message):
            labels_of(find_colours(tmp_path, "all"))

    def test_what_is_missing_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match="needs a folder of pictures"):
            find_colours(tmp_path, "all")
        self.write(tmp_path, "classes.txt")
        (tmp_path / "classes.txt").unlink()
        with pytest.raises(TrainError, match=r"no list of colours; write classes\.txt"):
            find_colours(tmp_path, "all")
