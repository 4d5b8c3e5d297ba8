from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamseg.models.palette import index_colour
from tests.train.data.drawn_layouts import FOLDER_IDS, draw_folder, renumber, save
from tests.train.drawn import draw_street
from train.data.folder import hash_split, read_classes
from train.data.opening import open_dataset
from train.data.pixels import IGNORE
from train.errors import TrainError


def test_classes_have_names_and_colours(tmp_path: Path) -> None:
    root = draw_folder(tmp_path)
    dataset = open_dataset("folder", root, "val")
    assert dataset.classes.names == ("sky", "high building", "road", "car")
    assert dataset.classes.colours == (
        (128, 128, 128),
        (128, 0, 0),
        (128, 64, 128),
        index_colour(4),
    )
    labels = dataset.read(1)[1]
    assert np.array_equal(labels, renumber(draw_street(1001)[1], FOLDER_IDS))
    assert (labels == IGNORE).any()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\nb\na\n", "class names must differ"),
        ("a 1 2 300\n", "must be 3 values 0..255"),
        ("\n \n", "the list is empty"),
        ("\n".join(f"c{i}" for i in range(256)), "a palette has 1..255 classes, got 256"),
    ],
)
def test_class_lists_that_are_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(TrainError, match=sentence):
        read_classes(tmp_path / "classes.txt")


def test_without_subfolders_the_names_decide(tmp_path: Path) -> None:
    root = draw_folder(tmp_path, train=9, val=3, subfolders=False)
    lengths = [len(open_dataset("folder", root, split)) for split in ("train", "val", "all")]
    assert lengths == [10, 2, 12]


def test_a_hash_split_is_the_same_everywhere_and_moves_little() -> None:
    names = [f"{index:04d}" for index in range(100)]
    val = hash_split(names, "val", str, Path("d"))
    assert val[:3] == ["0004", "0008", "0010"]  # of SHA-256, whatever machine and Python
    assert len(val) == 10
    shuffled = hash_split(names[::-1], "val", str, Path("d"))
    assert sorted(shuffled) == val
    more = hash_split([*names, "new"], "val", str, Path("d"))
    assert len(set(val) - set(more)) <= 1
    with pytest.raises(TrainError, match="one picture cannot be split"):
        hash_split(["a"], "val", str, Path("d"))
    assert hash_split(["a"], "all", str, Path("d")) == ["a"]


def test_numbers_beyond_the_list(tmp_path: Path) -> None:
    root = draw_folder(tmp_path)
    labels = np.array(Image.open(root / "labels" / "train" / "0001.png"))
    labels[0, 0] = 4
    save(root / "labels" / "train" / "0001.png", labels)
    with pytest.raises(
        TrainError, match=r"0001\.png: 4 is no class number; classes\.txt has 0\.\.3"
    ):
        open_dataset("folder", root, "train")


def test_what_is_missing(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "d")
    with pytest.raises(TrainError, match="images/test: no such folder"):
        open_dataset("folder", root, "test")
    (root / "labels" / "train" / "0002.png").unlink()
    with pytest.raises(TrainError, match=r"labels/train: no label PNG for 1 pictures"):
        open_dataset("folder", root, "train")
    (root / "labels" / "val").rename(root / "labels" / "validation")
    with pytest.raises(TrainError, match=r"labels/val: no such folder, but .*images/val is there"):
        open_dataset("folder", root, "val")
    (root / "classes.txt").unlink()
    with pytest.raises(TrainError, match=r"classes\.txt: no such file; write one class a line"):
        open_dataset("folder", root, "val")
    with pytest.raises(TrainError, match="images: no such folder; the layout folder has it"):
        open_dataset("folder", tmp_path, "val")
