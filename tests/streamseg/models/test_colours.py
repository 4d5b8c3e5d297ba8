"""Palettes colour classes by what their names mean; files may say other colours."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from streamseg.drawing.options import DrawOptions
from streamseg.drawing.picture import draw_on_picture
from streamseg.errors import UsageError
from streamseg.models.classlists import CITYSCAPES, CLASS_LISTS, VOC
from streamseg.models.colours import PALETTES, colours_of, meaning, recoloured
from streamseg.models.palette import CAMVID, Palette
from tests.streamseg.conftest import Cli


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Pedestrian", "person"),
        ("traffic_sign", "sign"),
        ("dining-table", "table"),
        ("sidewalk", "pavement"),
        ("weed", "weed"),
    ],
)
def test_names_that_mean_the_same(name: str, same: str) -> None:
    assert meaning(name) == same


def test_one_thing_has_one_colour_in_all_models() -> None:
    found = [
        recoloured(palette, "bright").colours[palette.names.index(name)]
        for palette, name in ((CAMVID, "pedestrian"), (CITYSCAPES, "person"), (VOC, "person"))
    ]
    assert len(set(found)) == 1


@pytest.mark.parametrize("which", PALETTES)
@pytest.mark.parametrize("classes", CLASS_LISTS)
def test_every_palette_fits_every_list(which: str, classes: str) -> None:
    palette = recoloured(CLASS_LISTS[classes], which)
    assert palette.names == CLASS_LISTS[classes].names


def test_a_data_set_s_palette_gives_its_own_classes_their_own_colours() -> None:
    for name in ("camvid", "cityscapes", "voc"):
        assert recoloured(CLASS_LISTS[name], name) == CLASS_LISTS[name]
        assert recoloured(CLASS_LISTS[name], "model") is not None


def lightness(colour: tuple[int, int, int]) -> float:
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("which", ["bright", "colour-blind"])
def test_people_and_vehicles_stand_out_from_the_street(which: str) -> None:
    colours = PALETTES[which]
    things = ("person", "rider", "car", "sign")
    around = ("road", "pavement", "building", "wall", "fence", "sky")
    for thing in things:
        saturation = np.ptp(colours[thing])
        assert all(saturation > 2 * np.ptp(colours[other]) for other in around), thing
    for one, two in combinations(("person", "rider", "car"), 2):
        assert np.abs(np.subtract(colours[one], colours[two])).sum() > 150


def test_the_colour_blind_palette_differs_in_lightness_too() -> None:
    colours = PALETTES["colour-blind"]
    levels = sorted(lightness(colours[name]) for name in ("car", "person", "rider"))
    assert min(np.diff(levels)) > 12


@pytest.mark.parametrize(
    "text", ["car #010203\nroad 4 5 6\n", '{"car": "#010203", "road": [4, 5, 6]}']
)
def test_a_file_colours_what_it_names(text: str, tmp_path: Path) -> None:
    path = tmp_path / "colours"
    path.write_text(text)
    palette = recoloured(CAMVID, path)
    assert palette.colours[CAMVID.names.index("car")] == (1, 2, 3)
    assert palette.colours[CAMVID.names.index("road")] == (4, 5, 6)
    assert palette.colours[0] == CAMVID.colours[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("car\n", "no line has a class and its colour, as 'car #00aaff'"),
        ('{"car": "blue"}', "no line has a class and its colour"),
        ("tractor #010203", "none of its names is a class of this model: sky, building"),
        ("car 300 0 0", "must be 3 values 0..255"),
    ],
)
def test_files_that_are_no_palette(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "colours"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        recoloured(CAMVID, path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_an_unknown_palette_lists_the_known_ones() -> None:
    known = "no file, and no palette of bright, colour-blind, camvid, cityscapes, voc, model"
    with pytest.raises(UsageError, match=f"palette is 'nope': {known}"):
        DrawOptions(palette="nope")
    with pytest.raises(UsageError, match="palette is 'nope'"):
        colours_of("nope")


def test_what_is_no_thing_is_drawn_only_where_asked_for() -> None:
    palette = Palette(("background", "thing"), ((0, 0, 0), (0, 255, 0)))
    picture = np.full((32, 32, 3), 100, np.uint8)
    labels = np.repeat(np.array([[0, 1]], np.uint8), 32, axis=0).repeat(16, axis=1)
    drawn = draw_on_picture(picture, labels, palette, DrawOptions(edges="exact"))
    assert (drawn[:, :16] == 100).all()
    assert (drawn[:, 16:] != 100).any()
    both = DrawOptions(classes=["background", "thing"], edges="exact")
    assert (draw_on_picture(picture, labels, palette, both)[:, :16] == 50).all()
    alone = Palette(("background",), ((0, 0, 0),))
    assert (draw_on_picture(picture, labels * 0, alone, DrawOptions()) == 50).all()


def test_the_command_line_takes_names_and_files(clip: Path, cli: Cli, tmp_path: Path) -> None:
    colours = tmp_path / "colours.txt"
    colours.write_text("red #123456\n")
    for which in ("colour-blind", colours):
        out = tmp_path / f"{Path(which).stem}.mp4"
        assert cli("video", clip, out, "--model", "MODEL", "--palette", which).returncode == 0
    done = cli("video", clip, tmp_path / "no.mp4", "--model", "MODEL", "--palette", "nope")
    assert done.returncode == 2
    assert done.stderr.startswith("error: palette is 'nope': no file, and no palette of bright")
