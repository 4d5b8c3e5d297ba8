from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from rich.console import Console

from tests.train.data.drawn_layouts import (
    draw_cityscapes,
    draw_cocostuff10k,
    draw_cocostuff164k,
    draw_folder,
    draw_labelme,
    draw_voc,
    draw_voc_aug,
    draw_voc_sbd,
    save,
)
from tests.train.drawn import draw_dataset
from train.__main__ import main
from train.data.check import check
from train.data.check_report import show
from train.data.detect import recognise
from train.data.findings import DataCheck
from train.data.layouts import LAYOUTS
from train.errors import TrainError


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small data set without a fault."""
    return draw_folder(tmp_path / "d")


def wrong(found: DataCheck) -> str:
    (fault,) = found.faults
    return fault


@pytest.mark.parametrize(
    ("layout", "draw"),
    [
        ("cityscapes", draw_cityscapes),
        ("voc", draw_voc),
        ("cocostuff10k", draw_cocostuff10k),
        ("cocostuff164k", draw_cocostuff164k),
        ("camvid", draw_dataset),
        ("labelme", draw_labelme),
        ("folder", draw_folder),
    ],
)
def test_every_layout_is_recognised(
    tmp_path: Path, layout: str, draw: Callable[[Path], Path]
) -> None:
    found = check(draw(tmp_path / "d"))
    assert found.layout == layout
    assert [(split.name, split.pictures) for split in found.splits] == [("train", 4), ("val", 2)]
    assert all(split.sizes == {(96, 64): split.pictures} for split in found.splits)
    # All that is wrong with a few drawn streets: classes that are never seen.
    assert all("without a pixel in any split" in fault for fault in found.faults)


def test_the_reason_is_said_and_other_layouts_are_named(tmp_path: Path) -> None:
    for draw in (draw_voc_aug, draw_voc_sbd):
        found = recognise(draw(tmp_path / draw.__name__))
        assert [one.layout for one in found] == ["voc", "voc_aug"]
    assert "JPEGImages, SegmentationClass and ImageSets/Segmentation are there" in found[0].why
    coarse = draw_cityscapes(tmp_path / "c", coarse=2)
    shutil.rmtree(coarse / "gtFine")
    assert [one.layout for one in recognise(coarse)] == ["cityscapes_coarse"]
    found_coarse = check(coarse)
    assert [split.name for split in found_coarse.splits] == ["train_extra"]
    assert "val: " in found_coarse.faults[0]


def test_no_layout_at_all(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"none of the known layouts; looked for cityscapes: left"):
        check(tmp_path)
    result = command(tmp_path / "nowhere")
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'nowhere'}: no such folder\n"


def test_a_good_folder_is_said_to_be_good(folder: Path) -> None:
    result = command(folder)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"{folder}: layout folder (images and labels are there), 4 classes"
    assert lines[1] == "train: 4 pictures, 96x64, jpg, 3.1 % void"
    assert lines[-1] == "nothing is wrong"
    assert "\x1b" not in result.output
    shares = [line for line in lines if line.startswith("  3 car: train ")]
    assert shares == ["  3 car: train 6.45 %, val 6.45 %"]  # 16 x 24 of 62 x 96 pixels


def test_json_holds_the_counts(folder: Path) -> None:
    result = command(folder, "--json")
    content = json.loads(result.stdout)
    assert content["splits"]["val"]["pictures"] == 2
    assert content["splits"]["val"]["class_pixels"][3] == 2 * 16 * 24
    assert content["splits"]["val"]["void_pixels"] == 2 * 2 * 96
    assert content["classes"][1] == {"name": "high building", "colour": [128, 0, 0]}
    assert content["faults"] == []


def test_on_a_terminal_there_is_a_table(folder: Path) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system="truecolor")
    show(check(folder), console)
    text = stream.getvalue()
    assert "\x1b[38;2;128;64;128m" in text  # the road's colour
    assert "share of the labelled pixels" in text
    assert "3 car" in text
    assert "6.45" in text


def test_one_split_alone(folder: Path) -> None:
    (folder / "images" / "val" / "1000.jpg").write_bytes(b"broken")
    assert command(folder, "--split", "train").exit_code == 0
    assert command(folder, "--split", "val").exit_code == 1
    result = command(folder, "--split", "demo")
    assert result.exit_code == 1
    assert "images/demo: no such folder" in result.stderr


def test_a_wrong_layout_is_a_usage_error(folder: Path) -> None:
    assert command(folder, "--layout", "cocoa").exit_code == 2
    result = command(folder, "--layout", "voc")
    assert result.exit_code == 1
    assert "JPEGImages: no such folder; the layout voc has it" in result.stderr
    assert {"auto", *LAYOUTS} >= {"cityscapes", "voc"}


def test_missing_labels(folder: Path) -> None:
    (folder / "labels" / "train" / "0001.png").unlink()
    found = check(folder)
    assert "labels/train: no label PNG for 1 pictures (first: 0001.jpg)" in wrong(found)
    assert found.splits[0].pictures == 3
    assert not found.good


def test_sizes_that_differ(folder: Path) -> None:
    save(folder / "labels" / "val" / "1001.png", np.zeros((60, 90), np.uint8))
    assert wrong(check(folder)) == (
        "val: images/val/1001.jpg: the picture is (64, 96) (height, width), "
        "its labels are (60, 90); the two must be of one size"
    )


def test_numbers_that_are_no_class_are_grouped(folder: Path) -> None:
    for index in range(3):
        path = folder / "labels" / "train" / f"{index:04d}.png"
        labels = np.array(Image.open(path))
        labels[0, :2] = (9, 200)
        save(path, labels)
    assert wrong(check(folder)).startswith(
        "train: 3 files (first: labels/train/0000.png): 9, 200 is no class number; classes.txt has"
    )


def test_files_that_cannot_be_read(folder: Path) -> None:
    picture, labels = folder / "images" / "train" / "0003.jpg", folder / "labels" / "val"
    picture.write_bytes(picture.read_bytes()[:400])
    (labels / "1000.png").write_bytes(b"")
    faults = check(folder).faults
    assert len(faults) == 2
    assert faults[0].startswith("train: images/train/0003.jpg: cannot be read as a picture (")
    assert faults[1].startswith("val: labels/val/1000.png: cannot be read as a picture (")


def test_classes_that_never_occur(folder: Path) -> None:
    with (folder / "classes.txt").open("a") as file:
        file.write("unicorn\n")
    for path in (folder / "labels" / "val").iterdir():
        labels = np.array(Image.open(path))
        labels[labels == 3] = 4
        save(path, labels)
    found = check(folder)
    assert found.good
    assert found.notes == [
        "train: 1 class (unicorn) without a pixel, but with some in another split",
        "val: 1 class (car) without a pixel, but with some in another split",
    ]
    for path in (folder / "labels" / "val").iterdir():
        save(path, np.zeros((64, 96), np.uint8))
    assert wrong(check(folder)) == "1 class (unicorn) without a pixel in any split"


def test_pictures_in_two_splits_are_found_by_content(folder: Path) -> None:
    # Under another name, and in another format that keeps every pixel.
    picture = Image.open(folder / "images" / "train" / "0002.jpg")
    picture.save(folder / "images" / "val" / "9.png")
    shutil.copy(folder / "labels" / "train" / "0002.png", folder / "labels" / "val" / "9.png")
    assert wrong(check(folder)) == (
        "train and val share 1 pictures of the same content (first: 0002.jpg and 9.png)"
    )


def test_names_in_two_splits_are_worth_a_note(folder: Path) -> None:
    for kind, suffix in (("images", "jpg"), ("labels", "png")):
        (folder / kind / "val" / f"1000.{suffix}").rename(folder / kind / "val" / f"0001.{suffix}")
    found = check(folder)
    assert found.good
    assert found.notes == ["1 names are in train and in val, their pictures differ (first: 0001)"]


def test_labels_that_are_void_all_over(folder: Path) -> None:
    save(folder / "labels" / "val" / "1000.png", np.full((64, 96), 255, np.uint8))
    assert check(folder).notes == ["val: 1 label files are void all over (first: 1000.png)"]


def test_a_split_that_is_not_there(folder: Path) -> None:
    root = draw_dataset(folder.parent / "camvid", train=2, val=1)
    shutil.rmtree(root / "val")
    faults = check(root).faults
    assert faults[0].startswith(f"val: {root / 'val'}: no such folder; --data wants the SegNet")


def test_a_class_of_one_file_may_be_a_slip(tmp_path: Path) -> None:
    data = draw_labelme(tmp_path / "d", subfolders=False)
    path = data / "0002.json"
    path.write_text(path.read_text().replace('"car"', '"cra"'))
    assert check(data).notes[-1] == (
        "the class 'cra' is in one file alone (0002.json); was 'car' meant?"
    )
    path.write_text(path.read_text().replace('"cra"', '"unicorn"'))
    assert "0002.json); it is not both learned and measured" in check(data).notes[-1]
