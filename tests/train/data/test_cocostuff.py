from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.train.data.drawn_layouts import draw_cocostuff10k, draw_cocostuff164k, save
from tests.train.drawn import CAR, ROAD, SKY, VOID, draw_street
from train.data.cocostuff import COCO_STUFF, read_labels_10k, read_labels_164k
from train.data.cocostuff_names import REMOVED, TABLE
from train.data.opening import open_dataset
from train.data.pixels import IGNORE
from train.errors import TrainError


def test_171_of_182_ids_are_classes() -> None:
    assert len(TABLE) == 182
    assert len(COCO_STUFF) == 171
    assert (TABLE[1], TABLE[91], TABLE[92], TABLE[182]) == (
        "person",
        "hair brush",
        "banner",
        "wood",
    )
    assert {TABLE[number] for number in REMOVED} == {
        *("street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk"),
        *("door", "blender", "hair brush"),
    }
    assert COCO_STUFF.names[:2] == ("person", "bicycle")
    assert COCO_STUFF.names.index("stop sign") == 11  # 13, less one, less the street sign
    assert COCO_STUFF.names.index("banner") == 80
    assert COCO_STUFF.names[170] == "wood"
    assert len(set(COCO_STUFF.colours)) == 171


def test_every_number_of_both_versions(tmp_path: Path) -> None:
    used = [number for number in range(1, 183) if number not in REMOVED]
    savemat(tmp_path / "a.mat", {"S": np.array([[0, *used]], dtype=np.uint16)})
    assert read_labels_10k(tmp_path / "a.mat").tolist() == [[IGNORE, *range(171)]]
    save(tmp_path / "a.png", np.array([[255, *(n - 1 for n in used)]], dtype=np.uint8))
    assert read_labels_164k(tmp_path / "a.png").tolist() == [[IGNORE, *range(171)]]
    savemat(tmp_path / "a.mat", {"S": np.array([[0.0, 12.0, 1.0]])})
    with pytest.raises(TrainError, match=r"a\.mat: 12 is no class number; COCO-Stuff 10k has"):
        read_labels_10k(tmp_path / "a.mat")
    save(tmp_path / "a.png", np.array([[11, 182]], dtype=np.uint8))
    with pytest.raises(TrainError, match=r"a\.png: 11, 182 is no class number; COCO-Stuff 164k"):
        read_labels_164k(tmp_path / "a.png")


@pytest.mark.parametrize("layout", ["cocostuff10k", "cocostuff164k"])
def test_both_versions_read_the_same_street(tmp_path: Path, layout: str) -> None:
    draw = draw_cocostuff10k if layout == "cocostuff10k" else draw_cocostuff164k
    dataset = open_dataset(layout, draw(tmp_path / "d"), "train")
    labels, street = dataset.read(3)[1], draw_street(3)[1]
    assert len(dataset) == 4
    assert (street == VOID).any()
    assert set(labels[street == VOID]) == {IGNORE}
    for value, name in ((SKY, "sky-other"), (ROAD, "road"), (CAR, "car")):
        assert set(labels[street == value]) == {COCO_STUFF.names.index(name)}


def test_the_10k_lists(tmp_path: Path) -> None:
    root = draw_cocostuff10k(tmp_path / "d")
    lengths = [len(open_dataset("cocostuff10k", root, s)) for s in ("val", "test", "all")]
    assert lengths == [2, 2, 6]
    assert open_dataset("cocostuff10k", root, "val").items[0].picture.stem.endswith("4")
    (root / "annotations" / "COCO_train2014_000000000001.mat").unlink()
    with pytest.raises(TrainError, match=r"annotations: no label file for 1 names of .*train\.txt"):
        open_dataset("cocostuff10k", root, "train")


def test_matlab_files_that_are_none(tmp_path: Path) -> None:
    root = draw_cocostuff10k(tmp_path / "d")
    path = root / "annotations" / "COCO_train2014_000000000000.mat"
    for content, sentence in (
        ({"S": np.zeros((2, 2, 2), np.uint8)}, "S must be a matrix of integers, got uint8"),
        ({"S": np.array([[0.5]])}, "S must be a matrix of integers, got float64"),
        ({"T": np.zeros((2, 2))}, "holds no variable S"),
    ):
        savemat(path, content)
        with pytest.raises(TrainError, match=sentence):
            open_dataset("cocostuff10k", root, "train")


def test_faults_of_the_164k_folders(tmp_path: Path) -> None:
    root = draw_cocostuff164k(tmp_path / "d")
    with pytest.raises(TrainError, match="no split 'test'; known: train, val"):
        open_dataset("cocostuff164k", root, "test")
    (root / "annotations" / "val2017" / "000000001000.png").unlink()
    with pytest.raises(TrainError, match=r"val2017: no label PNG for 1 pictures \(first: 00000"):
        open_dataset("cocostuff164k", root, "val")
    (root / "annotations" / "val2017" / "000000001001.png").unlink()
    (root / "annotations" / "val2017").rmdir()
    with pytest.raises(TrainError, match=r"val2017: no such folder; unpack stuffthingmaps"):
        open_dataset("cocostuff164k", root, "val")
