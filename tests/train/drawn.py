"""A street of coloured blocks in CamVid's layout: what it shows can be learned in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamseg.models.palette import CAMVID
from train.recipe import Recipe, recipe_from_dict

Picture = NDArray[np.uint8]

SKY, BUILDING, POLE, ROAD, CAR = (
    CAMVID.names.index(name) for name in ("sky", "building", "pole", "road", "car")
)
VOID = 11


def draw_street(index: int, height: int = 64, width: int = 96) -> tuple[Picture, Picture]:
    """A picture ``[H, W, 3]`` in the classes' own colours with noise, and its labels ``[H, W]``."""
    rng = np.random.default_rng(index)
    labels = np.full((height, width), SKY, dtype=np.uint8)
    labels[height // 4 : height // 2, : int(rng.integers(width // 4, width))] = BUILDING
    labels[height // 2 :] = ROAD
    left = int(rng.integers(0, width - 24))
    labels[height // 2 + 4 : height // 2 + 20, left : left + 24] = CAR
    labels[-2:] = VOID
    colours = np.array([*CAMVID.colours, (0, 0, 0)], dtype=np.int64)
    noisy = colours[labels] + rng.integers(-20, 21, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def draw_dataset(
    root: Path,
    *,
    train: int = 4,
    val: int = 2,
    suffix: str = "png",
    size: tuple[int, int] = (64, 96),
) -> Path:
    """Write a data folder; returns `root`."""
    for split, count, first in (("train", train, 0), ("val", val, 1000)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for index in range(count):
            picture, labels = draw_street(first + index, *size)
            options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
            Image.fromarray(picture).save(root / split / f"{index:03d}.{suffix}", **options)
            Image.fromarray(labels).save(root / f"{split}annot" / f"{index:03d}.png")
    return root


def tiny_recipe(**tables: dict[str, object]) -> Recipe:
    """A recipe that trains in seconds; each table's keys replace the defaults."""
    values: dict[str, dict[str, object]] = {
        "model": {
            "classes": len(CAMVID),
            "head_channels": 16,
            "head_kernel": 3,
            "decoder": "skip",
            "decoder_channels": 16,
            "label_stride": 2,
        },
        "data": {"crop": 64, "workers": 0},
        "optim": {"warmup_steps": 2},
        "loss": {},
        "train": {"epochs": 2, "batch": 2},
    }
    for table, replaced in tables.items():
        values[table] |= replaced
    return recipe_from_dict({"name": "tiny", **values}, "tiny.toml")
