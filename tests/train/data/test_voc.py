from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from streamseg.models.classlists import VOC
from streamseg.models.palette import index_colour
from tests.train.data.drawn_layouts import VOC_IDS, draw_voc, draw_voc_aug, draw_voc_sbd, renumber
from tests.train.drawn import draw_street
from train.data.opening import open_dataset
from train.errors import TrainError

LISTS = Path("VOCdevkit") / "VOC2012" / "ImageSets" / "Segmentation"


def test_the_devkits_colours() -> None:
    assert VOC.colours[:5] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert VOC.colours[VOC.names.index("person")] == (192, 128, 128)
    assert VOC.colours[VOC.names.index("tvmonitor")] == (0, 64, 128)
    assert index_colour(255) == (224, 224, 192)
    assert len({index_colour(index) for index in range(256)}) == 256


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_lists_and_labels_from_any_of_the_three_folders(tmp_path: Path, below: str) -> None:
    root = draw_voc(tmp_path / "d") / below
    assert [len(open_dataset("voc", root, s)) for s in ("train", "val", "trainval")] == [4, 2, 6]
    dataset = open_dataset("voc", root, "val")
    labels = dataset.read(1)[1]
    assert np.array_equal(labels, renumber(draw_street(1001)[1], VOC_IDS))
    assert (labels == 255).any()
    assert dataset.items[0].picture.name == "2008_000000.jpg"


def test_the_augmented_list_as_deeplab_writes_it(tmp_path: Path) -> None:
    root = draw_voc_aug(tmp_path / "d")
    dataset = open_dataset("voc_aug", root, "train")
    assert len(dataset) == 7
    assert {item.labels.parent.name for item in dataset.items} == {"SegmentationClassAug"}
    assert len(open_dataset("voc_aug", root, "val")) == 2
    names = [item.picture.stem for item in dataset.items]
    (root / LISTS / "train_aug.txt").write_text("\n".join(names[:5]))
    assert len(open_dataset("voc_aug", root, "train")) == 5


def test_sbd_as_its_authors_pack_it(tmp_path: Path) -> None:
    root = draw_voc_sbd(tmp_path / "d")
    dataset = open_dataset("voc_aug", root, "train")
    # VOC's own labels for VOC's pictures, none of VOC's val, and SBD's for the rest.
    assert [item.picture.stem for item in dataset.items] == [
        *(f"2007_{index:06d}" for index in range(4)),
        *(f"2010_{index:06d}" for index in range(3)),
    ]
    assert [item.labels.suffix for item in dataset.items] == [".png"] * 4 + [".mat"] * 3
    expected = renumber(draw_street(2001)[1], VOC_IDS)
    expected[expected == 255] = 0
    assert np.array_equal(dataset.read(5)[1], expected)
    assert int(dataset.class_pixels()[1]) == 0


def test_neither_form_of_the_augmented_set(tmp_path: Path) -> None:
    root = draw_voc(tmp_path / "d")
    with pytest.raises(
        TrainError, match=r"train_aug\.txt: no such list, and no SBD beside it; put"
    ):
        open_dataset("voc_aug", root, "train")
    (root / LISTS / "train_aug.txt").write_text("2007_000000\n")
    with pytest.raises(TrainError, match="SegmentationClassAug: no such folder"):
        open_dataset("voc_aug", root, "train")


def test_broken_files_of_sbd(tmp_path: Path) -> None:
    root = draw_voc_sbd(tmp_path / "d")
    sbd = root / "benchmark_RELEASE" / "dataset"
    (sbd / "cls" / "2010_000001.mat").write_bytes(b"MATLAB 5.0 no more")
    dataset = open_dataset("voc_aug", root, "train", in_memory=False)
    with pytest.raises(TrainError, match=r"2010_000001\.mat: cannot be read as a MATLAB file"):
        dataset.read(5)
    savemat(sbd / "cls" / "2010_000001.mat", {"other": np.zeros((2, 2))})
    with pytest.raises(TrainError, match=r"holds no variable GTcls\.Segmentation"):
        dataset.read(5)
    (sbd / "cls" / "2010_000001.mat").unlink()
    with pytest.raises(TrainError, match=r"no label file for 1 names of .* \(first: 2010_000001"):
        open_dataset("voc_aug", root, "train")
    (sbd / "val.txt").unlink()
    with pytest.raises(TrainError, match=r"val\.txt: no such list; it comes with SBD's"):
        open_dataset("voc_aug", root, "train")


def test_faults_of_the_lists(tmp_path: Path) -> None:
    root = draw_voc(tmp_path / "d")
    with pytest.raises(TrainError, match="no split 'test'; known: train, val, trainval"):
        open_dataset("voc", root, "test")
    listing = root / LISTS / "train.txt"
    listing.write_text(listing.read_text() + "2009_000001\n\n")
    with pytest.raises(TrainError, match=r"JPEGImages: no picture for 1 names of .*train\.txt"):
        open_dataset("voc", root, "train")
    listing.write_text("\n")
    with pytest.raises(TrainError, match=r"train\.txt: the list is empty"):
        open_dataset("voc", root, "train")
    listing.unlink()
    with pytest.raises(TrainError, match=r"train\.txt: no such list"):
        open_dataset("voc", root, "train")


def test_without_scipy_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_voc_sbd(tmp_path / "d")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(TrainError, match=r"\.mat: reading MATLAB files takes scipy \(pip install"):
        list(open_dataset("voc_aug", root, "train", in_memory=False).pairs())
