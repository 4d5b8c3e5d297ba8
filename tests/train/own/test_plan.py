from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from streamseg.models.palette import Palette
from train.data.prepare import PIXELS, Prepared
from train.errors import UsageError
from train.own.plan import choose_start, recipe_text, shipped, video_size, wanted_steps
from train.recipe import recipe_from_dict


def classes(*names: str) -> Palette:
    return Palette(names=names, colours=tuple((i, i, i) for i in range(len(names))))


def test_it_starts_from_what_knows_the_classes() -> None:
    assert choose_start(None, classes("_background_", "Road", "tree", "car")).name == "mbv2"
    assert choose_start(None, classes("background", "cat", "sofa")).name == "mbv2-voc"
    assert choose_start(None, classes("left shoe")).name == "mbv2"
    path = shipped()["mbv2-voc"]
    assert choose_start(str(path), classes("road")).path == path
    with pytest.raises(
        UsageError, match=r"--from nothing: .* shipped are mbv2, mbv2-ade32, mbv2-voc"
    ):
        choose_start("nothing", classes("road"))


@pytest.mark.parametrize("pictures", [1, 2, 5, 40, 1000])
@pytest.mark.parametrize("start", ["mbv2", "mbv2-voc", "mbv2-ade32"])
def test_the_recipe_is_one_and_its_epochs_are_no_single_steps(pictures: int, start: str) -> None:
    prepared = Prepared(
        root=Path("p"),
        classes=classes("road", "sky"),
        unused=(),
        train=pictures,
        val=1,
        sizes=((270, 480),),
    )
    begin = choose_start(start, prepared.classes)
    text = recipe_text('my "own"', begin, prepared, wanted_steps(pictures))
    recipe = recipe_from_dict(tomllib.loads(text), "own.toml")
    assert recipe.name == 'my "own"'
    assert recipe.data.repeat * pictures >= 10 * recipe.train.batch
    assert recipe.data.crop == 256
    spec = begin.checkpoint.recipe.model
    assert {k: v for k, v in recipe.as_dict()["model"].items() if k != "classes"} == {
        k: v for k, v in begin.checkpoint.recipe.as_dict()["model"].items() if k != "classes"
    }
    assert spec.classes > 0


@pytest.mark.parametrize(
    ("shape", "size"),
    [((360, 480), (352, 480)), ((1080, 1920), (288, 512)), ((800, 400), (576, 288))],
)
def test_a_video_is_seen_at_the_shape_of_the_pictures(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    assert video_size(*shape, PIXELS) == size
