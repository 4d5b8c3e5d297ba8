from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.train.data.drawn_layouts import draw_cityscapes
from train.data.config import DataConfig
from train.data.opening import training_set, validation_set
from train.recipe import recipe_from_dict


@pytest.mark.parametrize(
    "keys",
    [
        {"layout": "voc_aug", "crop": 321, "scales": [0.5, 0.75, 1.0, 1.25, 1.5]},
        {"layout": "cityscapes", "crop": 713, "scale": [0.5, 2.0]},
        {"layout": "voc", "resize": 256, "crop": 0, "scale": [1.0, 1.0], "flip": False},
        {"layout": "cityscapes", "resize": [512, 1024], "crop": 512, "val_crop": 512},
        {"layout": "cityscapes", "crop": [769, 769], "train_split": "train"},
    ],
)
def test_the_reports_augmentations_can_be_written(keys: dict[str, Any]) -> None:
    recipe = recipe_from_dict({"data": keys}, "r.toml")
    for key, value in keys.items():
        assert getattr(recipe.data, key) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"layout": "cityscape"}, "layout is 'cityscape'; known: "),
        ({"crop": 16}, "crop must be at least 32, or 0 for none, got 16"),
        ({"crop": (512, 0)}, "crop must be at least 32"),
        ({"resize": -4}, "resize must be at least 32"),
        ({"val_crop": 3}, "val_crop must be at least 32"),
        ({"crop": 0}, "crop = 0 needs resize"),
        ({"crop": 0, "resize": 256}, r"crop = 0 needs scale = \[1.0, 1.0\]"),
        ({"scale": (2.0, 0.5)}, "scale must be"),
        ({"scales": (0.5, 0.0)}, "scales must be positive"),
        ({"jitter": 1.0}, "jitter must be in"),
        ({"workers": -2}, r"workers must be at least -1 \(auto\), got -2"),
        ({"val_split": ""}, "train_split and val_split need names"),
    ],
)
def test_what_is_out_of_range_is_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DataConfig(**keys)


def test_both_sets_are_made_as_the_table_says(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "d", train=3, val=2, size=(128, 256))
    config = DataConfig(layout="cityscapes", resize=(64, 128), crop=(96, 48), val_crop=32)
    train = training_set(config, root, seed=3)
    assert len(train) == 3
    assert train[0][0].shape == (3, 96, 48)
    assert train.seed == 3
    val = validation_set(config, root)
    assert val.read(0)[1].shape == (32, 32)
    whole = validation_set(DataConfig(layout="cityscapes", train_split="val"), root)
    assert whole.read(0)[0].shape == (128, 256, 3)
