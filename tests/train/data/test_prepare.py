from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.train.data.drawn_layouts import draw_folder, draw_labelme
from train.__main__ import main
from train.data.opening import open_dataset
from train.data.prepare import choose_validation, prepare, shrunk
from train.errors import TrainError


def test_pictures_get_the_size_that_videos_are_seen_at(tmp_path: Path) -> None:
    assert shrunk(352, 480, 480 * 352) == (352, 480)
    assert shrunk(360, 640, 480 * 352) == (360, 640)  # 1.17 times as long: left alone
    height, width = shrunk(3000, 4000, 480 * 352)
    assert abs(height * width - 480 * 352) < 1000
    assert width / height == pytest.approx(4 / 3, rel=0.01)
    data = draw_labelme(tmp_path / "d", size=(640, 960))
    done = prepare(data, tmp_path / "out", pixels=64 * 96)
    assert done.sizes == ((64, 96),)
    whole, small = (
        open_dataset("auto", root, "val").read(0)[1] for root in (data, tmp_path / "out")
    )
    assert (small == whole[5::10, 5::10]).mean() > 0.99


def test_what_is_written_is_what_was_there(tmp_path: Path) -> None:
    data = draw_folder(tmp_path / "d")
    with (data / "classes.txt").open("a") as file:
        file.write("unicorn\n")
    done = prepare(data, tmp_path / "out")
    assert (done.train, done.val, done.unused) == (4, 2, ("unicorn",))
    assert done.classes.names == ("sky", "high building", "road", "car")
    for split in ("train", "val"):
        before, after = (open_dataset("folder", root, split) for root in (data, tmp_path / "out"))
        assert after.classes == done.classes
        for one, other in zip(before.pairs(), after.pairs(), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_validation_shows_many_classes_and_takes_the_last_of_none() -> None:
    common, rare, alone = frozenset({0, 1}), frozenset({0, 1, 2}), frozenset({0, 3})
    present = [common, rare, common, rare, alone, common]
    names = [str(index) for index in range(6)]
    (chosen,) = choose_validation(present, names)
    assert present[chosen] == rare
    assert len(choose_validation(present * 2, [f"{i}" for i in range(12)])) == 2
    assert len(choose_validation([common] * 100, [f"{i}" for i in range(100)])) == 10
    with pytest.raises(ValueError, match="label another"):
        choose_validation([common], ["0"])


def test_the_command_says_what_it_wrote_and_clobbers_nothing(tmp_path: Path) -> None:
    data = draw_labelme(tmp_path / "d", train=3, val=0, subfolders=False)
    words = ["data", "prepare", str(data), str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    said = "out: 2 pictures to train on, 1 to validate on, 5 classes (_background_, building, car"
    assert said in result.output
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert again.stderr == f"error: {tmp_path / 'out'}: exists already; choose another folder\n"


def test_pictures_of_another_size_than_their_labels_stop_it(tmp_path: Path) -> None:
    data = draw_folder(tmp_path / "d", subfolders=False)
    Image.new("L", (9, 9)).save(data / "labels" / "0001.png")
    with pytest.raises(TrainError, match="the two must be of one size"):
        prepare(data, tmp_path / "out")
