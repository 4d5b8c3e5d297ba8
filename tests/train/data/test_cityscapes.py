from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamseg.models.classlists import CITYSCAPES
from tests.train.data.drawn_layouts import draw_cityscapes, save
from tests.train.drawn import BUILDING, CAR, ROAD, SKY, VOID, draw_street
from train.data.cityscapes import find_cityscapes, read_label_ids, read_train_ids
from train.data.opening import open_dataset
from train.data.pixels import IGNORE
from train.errors import TrainError


def test_label_ids_become_train_ids(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "d")
    dataset = open_dataset("cityscapes", root, "train")
    assert len(dataset) == 4
    assert dataset.classes.names[:3] == ("road", "sidewalk", "building")
    assert len(dataset.classes) == 19
    street = draw_street(5002)[1]
    expected = np.full(street.shape, IGNORE)
    for value, name in ((SKY, "sky"), (BUILDING, "building"), (ROAD, "road"), (CAR, "car")):
        expected[street == value] = CITYSCAPES.names.index(name)
    assert (street == VOID).any()
    assert np.array_equal(dataset.read(2)[1], expected)
    assert len(open_dataset("cityscapes", root, "val")) == 2


def test_every_label_id_as_the_official_table_says(tmp_path: Path) -> None:
    table = pytest.importorskip("cityscapesscripts.helpers.labels")
    ids = np.array([[label.id & 255 for label in table.labels]], dtype=np.uint8)
    save(tmp_path / "ids.png", ids)
    official = [min(label.trainId & 255, 255) for label in table.labels]
    assert read_label_ids(tmp_path / "ids.png").tolist() == [official]
    colours = {label.trainId: (label.name, label.color) for label in table.labels}
    for index in range(19):
        assert (CITYSCAPES.names[index], CITYSCAPES.colours[index]) == colours[index]


def test_ids_without_the_official_table(tmp_path: Path) -> None:
    save(tmp_path / "ids.png", np.append(np.arange(34), 255)[None].astype(np.uint8))
    ignored = {0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 34}
    labels = read_label_ids(tmp_path / "ids.png")[0]
    assert {i for i in range(35) if labels[i] == IGNORE} == ignored
    assert [int(v) for i, v in enumerate(labels) if i not in ignored] == list(range(19))
    save(tmp_path / "train.png", np.append(np.arange(19), 255)[None].astype(np.uint8))
    assert read_train_ids(tmp_path / "train.png").tolist() == [[*range(19), IGNORE]]
    with pytest.raises(TrainError, match=r"ids\.png: 19, 20, 21, 22, 23 and 10 more is no class"):
        read_train_ids(tmp_path / "ids.png")


def test_train_ids_serve_where_there_are_no_label_ids(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "d", train=1)
    expected = open_dataset("cityscapes", root, "train").read(0)[1]
    (label_ids,) = (root / "gtFine" / "train").glob("*/*_labelIds.png")
    Image.fromarray(expected).save(str(label_ids).replace("labelIds", "labelTrainIds"))
    label_ids.unlink()
    assert np.array_equal(open_dataset("cityscapes", root, "train").read(0)[1], expected)


def test_instances_lie_beside_the_labels(tmp_path: Path) -> None:
    items = find_cityscapes(draw_cityscapes(tmp_path / "d"), "val").items
    assert items[1].instances is not None
    assert items[1].instances.name == "munster_000000_000001_gtFine_instanceIds.png"
    assert 26_000 in np.array(Image.open(items[1].instances))
    items[1].instances.unlink()
    assert find_cityscapes(tmp_path / "d", "val").items[1].instances is None


def test_the_coarse_extra_set(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "d", coarse=3)
    extra = open_dataset("cityscapes_coarse", root, "train")
    assert [item.picture.name for item in extra.items] == [
        f"bayreuth_000000_00000{i}_leftImg8bit.png" for i in range(3)
    ]
    assert extra.items[0].labels.name == "bayreuth_000000_000000_gtCoarse_labelIds.png"
    assert len(open_dataset("cityscapes_coarse", root, "train_extra")) == 3
    val = open_dataset("cityscapes_coarse", root, "val")
    assert "gtFine" in val.items[0].labels.name


def test_coarse_labels_of_the_fine_pictures(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "d", train=2)
    for path in list((root / "gtFine" / "train").rglob("*.png")):
        coarse = Path(str(path).replace("gtFine", "gtCoarse"))
        coarse.parent.mkdir(parents=True, exist_ok=True)
        path.rename(coarse)
    for split in ("train", "train_coarse"):
        assert len(open_dataset("cityscapes_coarse", root, split)) == 2


def test_a_picture_without_labels(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "d")
    next((root / "gtFine" / "train" / "aachen").glob("*1_gtFine_labelIds.png")).unlink()
    with pytest.raises(
        TrainError, match=r"gtFine/train: no labelIds for 1 pictures \(first: aachen_000000_000001"
    ):
        open_dataset("cityscapes", root, "train")


def test_folders_that_are_not_cityscapes(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="leftImg8bit: no such folder; the layout cityscapes has"):
        open_dataset("cityscapes", tmp_path, "train")
    root = draw_cityscapes(tmp_path / "d")
    with pytest.raises(TrainError, match="gtCoarse: no such folder; the layout cityscapes_coarse"):
        open_dataset("cityscapes_coarse", root, "train")
    with pytest.raises(TrainError, match="leftImg8bit/demo: no such folder"):
        open_dataset("cityscapes", root, "demo")
    with pytest.raises(TrainError, match="nowhere: no such folder"):
        open_dataset("cityscapes", tmp_path / "nowhere", "train")


def test_a_data_set_goes_to_loader_processes(tmp_path: Path) -> None:
    dataset = open_dataset("cityscapes", draw_cityscapes(tmp_path / "d"), "val", in_memory=False)
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(again.read(1)[1], dataset.read(1)[1])
