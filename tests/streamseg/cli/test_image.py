"""`streamseg image`: files and folders of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg.cli.image import plan
from streamseg.errors import UsageError
from streamseg.video.picture import read_picture
from tests.streamseg.clips import paint, scene
from tests.streamseg.conftest import Cli


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, name in enumerate(("a.png", "b.webp", "c.tif")):
        flags = [cv2.IMWRITE_WEBP_QUALITY, 101] if name.endswith("webp") else []
        bgr = np.ascontiguousarray(paint(scene(index))[..., ::-1])
        assert cv2.imwrite(str(folder / name), bgr, flags)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_picture_becomes_a_drawing(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    result = cli("image", pictures / "a.png", out, "--model", "MODEL", "--mode", "mask")
    assert result.returncode == 0, result.stderr
    assert read_picture(out).shape == (64, 96, 3)
    assert result.stdout.startswith(f"{out}: ")
    assert "green" in result.stdout


def test_a_folder_becomes_a_folder_of_exact_maps(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    result = cli("image", pictures, out, "--labels", "--model", "MODEL", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.png"]
    for index, name in enumerate(("a", "b", "c")):
        labels = cv2.imread(str(out / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(np.asarray(labels), scene(index))
    report = json.loads(result.stdout)
    assert report["failed"] == 0
    assert sum(report["files"][0]["shares"].values()) == pytest.approx(1)


def test_one_bad_picture_does_not_stop_the_others(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    (pictures / "aa.jpg").write_bytes(b"no picture")
    result = cli("image", pictures, tmp_path / "out", "--model", "MODEL")
    assert result.returncode == 1
    assert "aa.jpg: is no picture" in result.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.webp", "c.png"]


def test_an_input_is_never_written_over(cli: Cli, pictures: Path) -> None:
    before = (pictures / "a.png").read_bytes()
    result = cli("image", pictures / "a.png", pictures, "--model", "MODEL", "--overwrite")
    assert result.returncode == 2
    assert "same file" in result.stderr
    assert (pictures / "a.png").read_bytes() == before


def test_places(pictures: Path, tmp_path: Path) -> None:
    one = str(pictures / "a.png")
    assert plan([one, "x.jpg"], None) == [(Path(one), Path("x.jpg"))]
    assert plan([one, str(tmp_path / "dir")], None)[0][1] == tmp_path / "dir" / "a.png"
    assert plan([one, str(tmp_path / "dir")], ".png")[0][1] == tmp_path / "dir" / "a.png"
    with pytest.raises(UsageError, match="image takes IN and OUT"):
        plan([one], None)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="no picture in this folder"):
        plan([str(empty), str(tmp_path / "dir")], None)
    with pytest.raises(UsageError, match="would both become"):
        plan([one, one, str(tmp_path / "dir")], None)
