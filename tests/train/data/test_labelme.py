from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.train.data.drawn_layouts import draw_labelme
from tests.train.drawn import BUILDING, CAR, ROAD, SKY, VOID, draw_street
from train.data.labelme import ShapeLabels
from train.data.opening import open_dataset
from train.data.pixels import IGNORE
from train.errors import TrainError

Points = list[tuple[float, float]]


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def drawn(folder: Path, kind: str | None, points: Points, **more: Any) -> np.ndarray[Any, Any]:
    """What one shape of class 1 covers in a picture of 40 rows and 60 columns."""
    path = folder / "one.json"
    shape = {"label": "thing", "points": points, "shape_type": kind, **more}
    path.write_text(json.dumps({"shapes": [shape], "imageHeight": 40, "imageWidth": 60}))
    labels = ShapeLabels(("_background_", "thing"))(path)
    assert labels.shape == (40, 60)
    return np.asarray(labels == 1)


@pytest.mark.parametrize("embedded", [False, True])
def test_classes_are_found_and_shapes_drawn(tmp_path: Path, embedded: bool) -> None:
    dataset = open_dataset("labelme", draw_labelme(tmp_path, embedded=embedded), "train")
    assert dataset.classes.names == ("_background_", "building", "car", "road", "sky")
    picture, labels = dataset.read(2)
    drawn_picture, street = draw_street(2)
    assert np.array_equal(picture, drawn_picture)
    for value, index in ((VOID, 0), (BUILDING, 1), (CAR, 2), (ROAD, 3), (SKY, 4)):
        assert set(labels[street == value]) == {index}


def test_listed_classes_have_the_lists_order(tmp_path: Path) -> None:
    root = draw_labelme(tmp_path)
    (root / "classes.txt").write_text("road 1 2 3\n__ignore__\nsky\ncar\nbuilding\n")
    dataset = open_dataset("labelme", root, "val")
    assert dataset.classes.names == ("road", "sky", "car", "building")
    assert dataset.classes.colours[0] == (1, 2, 3)
    street = draw_street(1000)[1]
    labels = dataset.read(0)[1]
    assert set(labels[street == VOID]) == {IGNORE}  # no background among the classes
    assert set(labels[street == CAR]) == {2}
    (root / "classes.txt").write_text("road\nsky\nbuilding\n")
    with pytest.raises(TrainError, match=r"\.json: the label 'car' is no class; the classes are"):
        open_dataset("labelme", root, "val")


def test_ignored_shapes_are_void(tmp_path: Path) -> None:
    root = draw_labelme(tmp_path)
    path = root / "train" / "0000.json"
    shapes = json.loads(path.read_text())["shapes"]
    whole = {"label": "__ignore__", "points": [[95, 63], [0, 0]], "shape_type": "rectangle"}
    change(path, shapes=[*shapes[:3], whole, shapes[3]])
    labels = open_dataset("labelme", root, "train").read(0)[1]
    street = draw_street(0)[1]
    assert set(labels[street == CAR]) == {2}  # drawn after it
    assert set(labels[street != CAR]) == {IGNORE}


def test_every_kind_of_shape(tmp_path: Path) -> None:
    rectangle = drawn(tmp_path, "rectangle", [(20, 30), (10, 5)])
    expected = np.zeros((40, 60), dtype=bool)
    expected[5:31, 10:21] = True
    assert np.array_equal(rectangle, expected)
    corners: Points = [(10, 5), (20, 5), (20, 30), (10, 30)]
    for kind in ("polygon", None, "oriented_rectangle"):
        assert np.array_equal(drawn(tmp_path, kind, corners), expected)
    rows, columns = np.mgrid[:40, :60]
    circle = drawn(tmp_path, "circle", [(30, 20), (30, 30)])
    away = np.hypot(rows - 20, columns - 30)
    assert circle[away <= 9.5].all()
    assert not circle[away >= 11].any()
    point = drawn(tmp_path, "point", [(30, 20)])
    assert point[away <= 4.5].all()
    assert not point[away >= 6].any()
    line = drawn(tmp_path, "line", [(10, 20), (50, 20)])
    assert line[:, 30].sum() == 10
    strip = drawn(tmp_path, "linestrip", [(10, 10), (50, 10), (50, 38)])
    assert strip[10, 30]
    assert strip[30, 50]
    assert not strip[30, 10]


def test_masks_lie_where_their_box_begins(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 1], [1, 0, 1]], dtype=bool)
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    result = drawn(tmp_path, "mask", [(7, 4), (9, 5)], mask=text)
    assert np.array_equal(result[4:6, 7:10], mask)
    assert int(result.sum()) == 4
    with pytest.raises(TrainError, match=r"one\.json: embedded data is not base64"):
        drawn(tmp_path, "mask", [(7, 4), (9, 5)], mask="%%")


@pytest.mark.parametrize(
    ("kind", "points", "sentence"),
    [
        ("polygon", [(1, 1), (2, 2)], r"a polygon \(thing\) has 2 points, needs 3"),
        ("circle", [(1, 1)], r"a circle \(thing\) has 1 points, needs 2"),
        ("spiral", [(1, 1)], "shape 'spiral' is unknown; known: circle, rectangle"),
        ("point", [], "shape 0 has no label, or points that are not"),
        ("point", [(1, 2, 3)], "shape 0 has no label, or points that are not"),
    ],
)
def test_shapes_that_cannot_be_drawn(
    tmp_path: Path, kind: str, points: Points, sentence: str
) -> None:
    with pytest.raises(TrainError, match=sentence):
        drawn(tmp_path, kind, points)


def test_without_subfolders_the_names_decide(tmp_path: Path) -> None:
    root = draw_labelme(tmp_path / "d", train=20, val=5, subfolders=False)
    stems = {
        split: [item.labels.stem for item in open_dataset("labelme", root, split).items]
        for split in ("train", "val", "all")
    }
    assert len(stems["val"]) == 3  # a tenth of 25, rounded up
    assert sorted(stems["train"] + stems["val"]) == stems["all"]
    again = draw_labelme(tmp_path / "again", train=20, val=5, subfolders=False)
    assert [item.labels.stem for item in open_dataset("labelme", again, "val").items] == stems[
        "val"
    ]
    with pytest.raises(TrainError, match="no split 'test'; without subfolders: train, val, all"):
        open_dataset("labelme", root, "test")


def test_pictures_are_found_as_labelme_on_windows_writes_them(tmp_path: Path) -> None:
    root = draw_labelme(tmp_path, train=1, val=1)
    change(root / "val" / "1000.json", imagePath="..\\pictures\\1000.png")
    assert open_dataset("labelme", root, "val").items[0].picture == root / "val" / "1000.png"
    (root / "val" / "1000.png").unlink()
    with pytest.raises(TrainError, match="no picture beside or in the JSON for 1 pictures"):
        open_dataset("labelme", root, "val")


def test_pictures_are_upright_as_labelme_shows_them(tmp_path: Path) -> None:
    root = draw_labelme(tmp_path, train=1, val=1)
    path = root / "val" / "1000.png"
    upright = np.array(Image.open(path))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it
    Image.fromarray(np.rot90(upright).copy()).save(path, exif=exif)
    assert np.array_equal(open_dataset("labelme", root, "val").read(0)[0], upright)


def test_files_that_are_not_labelmes(tmp_path: Path) -> None:
    root = draw_labelme(tmp_path / "d", train=1, val=1)
    path = root / "train" / "0000.json"
    for text, sentence in (
        ("{", r"0000\.json: cannot be read as JSON"),
        ('{"annotations": []}', r"0000\.json: not a file of labelme"),
        ('{"shapes": [{"label": 3, "points": [[1, 2]]}]}', "shape 0 has no label"),
        (
            '{"shapes": [], "imagePath": "0000.png"}',
            r"0000\.json: imageWidth and imageHeight are missing",
        ),
    ):
        path.write_text(text)
        with pytest.raises(TrainError, match=sentence):
            open_dataset("labelme", root, "train")
    with pytest.raises(TrainError, match="d/test: no such folder with JSON files"):
        open_dataset("labelme", root, "test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainError, match="empty: no JSON files of labelme"):
        open_dataset("labelme", tmp_path / "empty", "train")


def test_shapes_beside_the_picture_are_refused_and_others_cut_off(tmp_path: Path) -> None:
    half = drawn(tmp_path, "polygon", [(-50, -50), (29.4, -50), (29.4, 500), (-50, 500)])
    assert half[:, :30].all()
    assert not half[:, 30:].any()
    assert drawn(tmp_path, "circle", [(-5, 20), (5, 20)]).any()
    cases: list[tuple[str, Points]] = [
        ("polygon", [(61, 0), (90, 0), (90, 30)]),
        ("rectangle", [(0, -9), (60, -2)]),
        ("circle", [(-20, 20), (-10, 20)]),
    ]
    for kind, points in cases:
        with pytest.raises(TrainError, match=r"one\.json: a .*beside the picture of 60x40; was"):
            drawn(tmp_path, kind, points)


def test_json_nested_beyond_reason(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(TrainError, match=r"deep\.json: cannot be read as JSON"):
        ShapeLabels(("a",))(tmp_path / "deep.json")
