from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from streamseg.models.palette import CAMVID, Palette
from tests.train.distil.teachers import colour_teacher
from tests.train.drawn import draw_dataset, draw_street, tiny_recipe
from train.data.pixels import IGNORE
from train.distil.cache import SoftCache
from train.distil.data import open_distil_splits, teacher_palette
from train.distil.frames import held_out, unlabelled_pictures
from train.errors import TrainError
from train.fit.trainer import Trainer
from train.recipe import Recipe
from train.settings.distil import DistilConfig


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve unlabelled streets, three of them from another source."""
    folder = tmp_path / "pictures" / "streets"
    folder.mkdir(parents=True)
    for index in range(12):
        source = "other" if index >= 9 else "one"
        Image.fromarray(draw_street(index)[0]).save(folder / f"{source}_{index:02d}.png")
    return folder.parent


def recipe_of(tmp_path: Path, pictures: Path, **more: object) -> Recipe:
    distil: dict[str, object] = {
        "teachers": [str(colour_teacher(tmp_path / "teacher.onnx"))],
        "unlabelled": [str(pictures)],
        "labelled": False,
        "hold_out_names": ["other_*"],
        "cache": str(tmp_path / "soft"),
        "side": 96,
        "scales": [1.0],
        "multiple": 16,
    }
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in (distil | more).items()}
    recipe = tiny_recipe(
        loss={"balance": "none"},
        optim={"name": "adamw", "lr": 5e-3, "backbone_factor": 1.0},
        train={"epochs": 6, "batch": 3, "validate_every": 6, "ema_decay": 0.0},
        data={"crop": 64, "workers": 0, "scale": (1.0, 1.0), "jitter": 0.0},
    )
    return dataclasses.replace(recipe, distil=DistilConfig(**values))  # type: ignore[arg-type]


def test_a_network_learns_from_a_teacher_alone(tmp_path: Path, pictures: Path) -> None:
    recipe = recipe_of(tmp_path, pictures)
    seen: list[tuple[int, int]] = []
    trainer = Trainer(
        recipe,
        data=None,
        out=tmp_path / "out",
        init=None,
        device=torch.device("cpu"),
        labelling=lambda done, of: seen.append((done, of)),
    )
    assert trainer.classes == CAMVID
    assert (len(trainer.train_set), len(trainer.val_set)) == (9, 3)
    assert seen[-1] == (12, 12)
    losses = []
    trainer.fit(lambda step: losses.append(step.loss))
    assert losses[-1] < 0.6 * losses[0]
    assert trainer.state.best > 0.2


def test_held_out_pictures_have_the_teachers_word_for_truth(tmp_path: Path, pictures: Path) -> None:
    _, val = open_distil_splits(recipe_of(tmp_path, pictures), None)
    for index, (picture, truth) in enumerate(val.pairs()):
        drawn, expected = draw_street(9 + index)
        assert (picture == drawn).all()
        known = expected < 11
        assert (truth[known] == expected[known]).mean() > 0.9


def test_labelled_pictures_keep_their_labels_beside_the_teachers(
    tmp_path: Path, pictures: Path
) -> None:
    data = draw_dataset(tmp_path / "d")
    train, val = open_distil_splits(recipe_of(tmp_path, pictures, labelled=True), data)
    assert (len(train), len(val)) == (4 + 12, 2)
    with_labels = [bool((train[index][1] != IGNORE).any()) for index in range(len(train))]
    assert with_labels == [True] * 4 + [False] * 12
    first, again = train[0], train[0]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], train[1, 0][0])
    assert train.class_pixels().sum() > 0


def test_soft_labels_are_computed_once_and_anew_when_they_would_differ(
    tmp_path: Path, pictures: Path
) -> None:
    recipe = recipe_of(tmp_path, pictures)
    read: list[Path] = []

    def open_picture(path: Path) -> np.ndarray:
        read.append(path)
        return np.asarray(Image.open(path))

    wanted = [(path, 96) for path in sorted(pictures.rglob("*.png"))]
    cache = SoftCache(recipe.distil, CAMVID.names)
    assert cache.fill(wanted, open_picture) == 12
    assert cache.fill(wanted, open_picture) == 0
    assert len(read) == 12
    soft = cache.read(*wanted[0])
    assert isinstance(soft, np.memmap)
    cache.file(*wanted[0]).unlink()
    assert cache.fill(wanted, open_picture) == 1
    for change in ({"scales": (1.0, 1.5)}, {"flip": False}, {"refine": False}):
        other = SoftCache(dataclasses.replace(recipe.distil, **change), CAMVID.names)
        assert other.file(*wanted[0]) != cache.file(*wanted[0])
    colour_teacher(tmp_path / "teacher.onnx", sharpness=0.02)
    assert SoftCache(recipe.distil, CAMVID.names).file(*wanted[0]) != cache.file(*wanted[0])
    same = dataclasses.replace(recipe.distil, temperature=2.0, weight=0.5)
    colour_teacher(tmp_path / "teacher.onnx")
    assert SoftCache(same, CAMVID.names).file(*wanted[0]) == cache.file(*wanted[0])
    cache.file(*wanted[0]).write_bytes(b"cut")
    with pytest.raises(TrainError, match=r"cannot be read .* remove that file"):
        cache.read(*wanted[0])


def test_frames_are_taken_from_a_video_once(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 192, 128
        for index in range(10):
            picture = draw_street(index, 128, 192)[0]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    config = DistilConfig(
        unlabelled=(str(video),), side=96, video_seconds=0.3, cache=str(tmp_path / "soft")
    )
    frames = unlabelled_pictures(config)
    assert [path.name for path in frames] == [f"v_{index:06d}.png" for index in (0, 3, 6, 9)]
    assert np.asarray(Image.open(frames[0])).shape == (64, 96, 3)
    written = frames[0].stat().st_mtime_ns
    assert unlabelled_pictures(config)[0].stat().st_mtime_ns == written
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(TrainError, match="cannot be read as a video"):
        unlabelled_pictures(dataclasses.replace(config, unlabelled=(str(broken),)))


def test_a_share_is_held_out_by_name_whatever_else_is_there() -> None:
    config = DistilConfig(hold_out=0.3)
    many = [Path(f"{index}.jpg") for index in range(300)]
    train, val = held_out(many, config)
    assert 60 < len(val) < 120
    assert set(held_out(many[:150], config)[1]) == {p for p in val if p in many[:150]}
    with pytest.raises(TrainError, match="0 are held out"):
        held_out(many[:1], DistilConfig(hold_out_names=("x*",)))
    assert not set(train) & set(val)


def test_colours_are_those_of_the_data_set_with_the_same_names(tmp_path: Path) -> None:
    config = DistilConfig(teachers=(str(colour_teacher(tmp_path / "a.onnx")),))
    assert teacher_palette(config) == CAMVID
    own = Palette(names=("b", "x"), colours=((9, 9, 9), (200, 3, 3)))
    config = DistilConfig(teachers=(str(colour_teacher(tmp_path / "b.onnx", own)),))
    assert teacher_palette(config).colours == ((0, 0, 0), (128, 0, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labelled": True}, "distil.labelled needs --data"),
        ({"unlabelled": ["nowhere"]}, "nowhere: no such folder or video"),
        ({"teachers": ["nowhere.onnx"]}, "nowhere.onnx: no such teacher file"),
        ({"stride": 8, "side": 96, "hold_out_names": ["x"]}, "0 are held out"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, pictures: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(TrainError, match=message):
        open_distil_splits(recipe_of(tmp_path, pictures, **change), None)
