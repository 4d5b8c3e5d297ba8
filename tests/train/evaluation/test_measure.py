from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from streamseg.models.palette import CAMVID, Palette
from tests.train.data.drawn_layouts import draw_cityscapes, draw_folder, draw_voc
from tests.train.drawn import draw_dataset
from train.data.opening import open_dataset
from train.errors import TrainError
from train.evaluation.crf import CrfConfig
from train.evaluation.measure import (
    Protocol,
    as_json,
    find_layout,
    measure,
    open_split,
    predictor,
)
from train.evaluation.subject import Subject
from train.evaluation.views import Views
from train.metrics import CityscapesInstances, ConfusionMatrix

Picture = NDArray[np.uint8]
COLOURS = torch.tensor(CAMVID.colours, dtype=torch.float32)


def nearest_colour(frames_NHWC: Picture) -> torch.Tensor:
    """A network that knows the drawn street's colours: minus the distance to each."""
    pixels = torch.from_numpy(frames_NHWC).float()
    return -torch.cdist(pixels.flatten(0, 2), COLOURS).view(*pixels.shape[:3], -1).movedim(-1, 1)


def subject(*, deployed: bool = False, classes: Palette = CAMVID) -> Subject:
    return Subject(
        name="colours",
        kind="model file" if deployed else "checkpoint",
        classes=classes,
        layout=None,
        split="val",
        size=None,
        description={"file": "colours"},
        label=lambda frames: nearest_colour(frames).argmax(dim=1).to(torch.uint8).numpy(),
        score=None if deployed else nearest_colour,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("measure") / "d", train=1, val=5, size=(70, 100))


PROTOCOLS = {
    "plain": Protocol(),
    "sized": Protocol(size=(64, 96)),
    "scales": Protocol(views=Views(scales=(1.0, 1.5), flip=True)),
    "window": Protocol(views=Views(window=50)),
    "crf": Protocol(crf=CrfConfig(iterations=2)),
}


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_protocol_labels_pictures_at_their_own_size(data: Path, protocol: Protocol) -> None:
    dataset = open_split("camvid", data, "val", subject())
    saved: dict[str, Picture] = {}
    result = measure(
        dataset,
        predictor(subject(), protocol),
        save=lambda path, labels: saved.update({path.name: labels}),
    )
    assert result.pictures == 5
    assert sorted(saved) == [f"{index:03d}.png" for index in range(5)]
    assert {labels.shape for labels in saved.values()} == {(70, 100)}
    assert result.scores.pixel_accuracy > 0.9
    assert result.ms_per_picture > 0
    expected = ConfusionMatrix(len(CAMVID))
    for (_, truth), name in zip(dataset.pairs(), sorted(saved), strict=True):
        expected.update(truth, saved[name])
    assert np.array_equal(result.counts, expected.counts)


def test_a_limit_takes_pictures_from_all_over_the_split(data: Path) -> None:
    seen: list[str] = []
    dataset = open_split("camvid", data, "val", subject())
    predict = predictor(subject(), Protocol())
    result = measure(dataset, predict, limit=3, save=lambda path, _: seen.append(path.stem))
    assert seen == ["000", "002", "004"]
    assert result.pictures == 3
    assert measure(dataset, predict, limit=99).pictures == 5


@pytest.mark.parametrize(
    ("protocol", "option"),
    [
        (Protocol(views=Views(scales=(0.5, 1.0))), "several --scales"),
        (Protocol(views=Views(flip=True)), "--flip"),
        (Protocol(views=Views(window=64)), "--slide"),
        (Protocol(crf=CrfConfig()), "--crf"),
    ],
)
def test_a_model_file_has_no_scores_to_fuse(protocol: Protocol, option: str) -> None:
    predictor(subject(), protocol)
    with pytest.raises(ValueError, match=f"{option} need.*labels only.*evaluate the checkpoint"):
        predictor(subject(deployed=True), protocol)


def test_a_model_file_may_run_at_another_scale(data: Path) -> None:
    seen: list[tuple[int, ...]] = []

    def label(frames: Picture) -> Picture:
        seen.append(frames.shape[1:3])
        return np.zeros(frames.shape[:3], np.uint8)

    deployed = subject(deployed=True)
    deployed = Subject(**{k: getattr(deployed, k) for k in deployed.__slots__} | {"label": label})
    predict = predictor(deployed, Protocol(views=Views(scales=(2.0,))))
    assert predict(np.zeros((70, 100, 3), np.uint8)).shape == (70, 100)
    assert seen == [(128, 192)]


def test_cityscapes_instances_are_weighed_where_there_are_some(tmp_path: Path) -> None:
    root = draw_cityscapes(tmp_path / "c", val=2)
    dataset = open_dataset("cityscapes", root, "val")
    names = dataset.classes.names
    truths = {item.picture.name: dataset.read(i)[1] for i, item in enumerate(dataset.items)}

    def half_right(truth: Picture) -> Picture:
        labels = np.where(truth == 255, 0, truth).astype(np.uint8)
        labels[:, : labels.shape[1] // 2] = names.index("road")
        return labels

    answers = iter(truths.values())
    result = measure(dataset, lambda _: half_right(next(answers)))
    assert result.cityscapes is not None
    by_hand = CityscapesInstances(names)
    for item, truth in zip(dataset.items, truths.values(), strict=True):
        with Image.open(item.labels.with_name(item.labels.name.replace("label", "instance"))) as f:
            by_hand.update(np.array(f).astype(np.int64), half_right(truth))
    assert result.cityscapes == by_hand.as_dict(result.counts)
    assert 0 < result.cityscapes["class_iiou"]["car"] < 1
    for path in root.rglob("*_instanceIds.png"):
        path.unlink()
    again = open_dataset("cityscapes", root, "val")
    assert measure(again, lambda p: np.zeros(p.shape[:2], np.uint8)).cityscapes is None


def test_classes_must_be_the_datas(data: Path, tmp_path: Path) -> None:
    other = Palette(
        names=(*CAMVID.names[:3], "motorway", *CAMVID.names[4:]), colours=CAMVID.colours
    )
    with pytest.raises(TrainError, match="class 3 is 'road' in the data and 'motorway' in the che"):
        open_split("camvid", data, "val", subject(classes=other))
    fewer = Palette(names=CAMVID.names[:5], colours=CAMVID.colours[:5])
    with pytest.raises(TrainError, match="11 classes are not the 5 of colours: class 5 is 'tree'"):
        open_split("camvid", data, "val", subject(classes=fewer))


@pytest.mark.parametrize(
    ("draw", "layout"),
    [(draw_cityscapes, "cityscapes"), (draw_voc, "voc"), (draw_folder, "folder")],
)
def test_a_layout_is_found_by_its_classes(
    tmp_path: Path, draw: Callable[[Path], Path], layout: str
) -> None:
    root = draw(tmp_path / "d")
    classes = open_dataset(layout, root, "val").classes
    assert find_layout(root, "val", classes) == layout
    with pytest.raises(TrainError, match="no layout has a split 'val' of the model's 11 classes"):
        find_layout(root, "val", CAMVID)
    with pytest.raises(TrainError, match="gone: no such folder"):
        find_layout(tmp_path / "gone", "val", CAMVID)


def test_the_result_is_json_that_says_everything(data: Path) -> None:
    protocol = Protocol(views=Views(scales=(0.5, 1.0), window=64), crf=CrfConfig(), size=(64, 96))
    dataset = open_split("camvid", data, "val", subject())
    result = measure(dataset, predictor(subject(), Protocol()))
    values: dict[str, Any] = json.loads(
        json.dumps(as_json(result, subject(), protocol, model="m", data="d", split="val"))
    )
    assert values["protocol"] == {
        "scales": [0.5, 1.0],
        "flip": False,
        "fuse": "mean",
        "slide": 64,
        "stride": 43,
        "size": "96x64",
        "crf": True,
    }
    assert values["crf"]["iterations"] == 10
    assert values["scores"] == result.scores.as_dict(CAMVID.names)
    assert np.array_equal(np.array(values["confusion"]), result.counts)
    assert (values["model"], values["data"], values["pictures"]) == ("m", "d", 5)
    assert not any(Protocol().as_dict().values())


def test_a_split_without_labels_is_named(data: Path, tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "void", train=1, val=1)
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save(root / "valannot" / "000.png")
    dataset = open_split("camvid", root, "val", subject())
    with pytest.raises(TrainError, match=r"valannot: no labelled pixel was compared"):
        measure(dataset, predictor(subject(), Protocol()))
