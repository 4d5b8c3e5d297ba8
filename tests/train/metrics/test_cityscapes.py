"""Against the benchmark's own evaluator, on drawn pictures in its official layout."""

from __future__ import annotations

import json
import math
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label, trainId2label
from numpy.typing import NDArray
from PIL import Image

from train.data.pixels import IGNORE
from train.metrics import CityscapesInstances, ConfusionMatrix, category_iou
from train.metrics.cityscapes import CATEGORIES, INSTANCES

NAMES = tuple(trainId2label[index].name for index in range(19))
Array = NDArray[Any]


def exact(value: Any) -> Any:
    """Equal to 1e-9, NaN to NaN."""
    return pytest.approx(value, rel=0, abs=1e-9, nan_ok=True)


def draw(
    seed: int, height: int = 48, width: int = 64, *, absent: tuple[int, ...] = ()
) -> tuple[Array, Array, Array]:
    """Label ids, instance ids and predicted train ids ``[H, W]`` of one picture.

    Stuff of every class, void included, under instances of all sizes, some of them groups (no
    number of their own) and some of classes that nobody evaluates.
    """
    rng = np.random.default_rng(seed)
    stuff = [i for i in range(24) if i not in absent]
    labels = np.repeat(np.repeat(rng.choice(stuff, (height // 4, width // 4)), 4, 0), 4, 1)
    instances = labels.copy()
    kinds = [i for i in (*INSTANCES, 29, 30) if i not in absent]
    for number in range(40):
        label = int(rng.choice(kinds))
        y, x = int(rng.integers(0, height - 4)), int(rng.integers(0, width - 4))
        part = np.s_[y : y + int(rng.integers(1, 12)), x : x + int(rng.integers(1, 12))]
        labels[part] = label
        instances[part] = label if number % 7 == 6 else 1000 * label + number
    train = np.array([id2label[i].trainId for i in range(34)])[labels]
    guess = rng.choice([t for t in range(19) if trainId2label[t].id not in absent], labels.shape)
    right = (rng.random(labels.shape) < 0.7) & (train < 19)
    return labels, instances, np.where(right, train, guess).astype(np.uint8)


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The evaluator, pointed at an empty data set under `tmp_path`."""
    evaluator = import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
    monkeypatch.setenv("CITYSCAPES_RESULTS", str(tmp_path / "results"))
    # NumPy 2.4 took away what the evaluator still calls.
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)
    arguments: dict[str, Any] = {"predictionPath": None, "predictionWalk": None, "quiet": True}
    arguments["exportFile"] = str(tmp_path / "evaluationResults" / "result.json")
    for key, value in arguments.items():
        monkeypatch.setattr(evaluator.args, key, value)
    return evaluator


def evaluate_both(
    official: ModuleType, root: Path, pictures: list[tuple[Array, Array, Array]]
) -> tuple[dict[str, Any], CityscapesInstances, ConfusionMatrix]:
    truth_dir, result_dir = root / "gtFine" / "val" / "aachen", root / "results"
    truth_dir.mkdir(parents=True)
    result_dir.mkdir()
    label_ids = np.array([trainId2label[t].id for t in range(19)], np.uint8)
    matrix, instances = ConfusionMatrix(19), CityscapesInstances(NAMES)
    for index, (labels, numbers, prediction) in enumerate(pictures):
        stem = f"aachen_{index:06d}_000019"
        truth = truth_dir / f"{stem}_gtFine_labelIds.png"
        Image.fromarray(labels.astype(np.uint8)).save(truth)
        Image.fromarray(numbers.astype(np.uint16)).save(
            truth_dir / f"{stem}_gtFine_instanceIds.png"
        )
        Image.fromarray(label_ids[prediction]).save(result_dir / f"{stem}_prediction.png")
        train = np.array([id2label[i].trainId for i in range(34)])[labels]
        matrix.update(np.where(train < 19, train, IGNORE).astype(np.uint8), prediction)
        instances.update(numbers, prediction)
    truths = sorted(str(p) for p in truth_dir.glob("*_gtFine_labelIds.png"))
    found = [official.getPrediction(official.args, truth) for truth in truths]
    official.evaluateImgLists(found, truths, official.args)
    result: dict[str, Any] = json.loads(Path(official.args.exportFile).read_text())
    return result, instances, matrix


@pytest.mark.parametrize("absent", [(), (27, 31, 5, 9), (28, 33, 23)])
def test_every_number_equals_the_official_evaluators(
    official: ModuleType, tmp_path: Path, absent: tuple[int, ...]
) -> None:
    pictures = [draw(seed, absent=absent) for seed in range(3)]
    result, instances, matrix = evaluate_both(official, tmp_path, pictures)
    scores = matrix.scores()
    evaluated = absent and {id2label[i].name for i in absent} & set(NAMES)
    for name, iou in zip(NAMES, scores.class_iou, strict=True):
        assert iou == exact(result["classScores"][name])
        assert math.isnan(iou) == bool(evaluated and name in evaluated)
    assert scores.miou == exact(result["averageScoreClasses"])
    extra = instances.as_dict(matrix.counts)
    for ours, theirs in (
        (instances.class_iiou(matrix.counts), "classInstScores"),
        (category_iou(matrix.counts, NAMES), "categoryScores"),
        (instances.category_iiou(matrix.counts), "categoryInstScores"),
    ):
        for name, value in ours.items():
            assert value == exact(result[theirs][name])
        assert {n for n, v in result[theirs].items() if not math.isnan(v)} <= set(ours)
    assert extra["mean_class_iiou"] == exact(result["averageScoreInstClasses"])
    assert extra["mean_category_iou"] == exact(result["averageScoreCategories"])
    assert extra["mean_category_iiou"] == exact(result["averageScoreInstCategories"])


def test_constants_are_the_official_ones(official: ModuleType) -> None:
    for label_id, (name, size) in INSTANCES.items():
        assert id2label[label_id].name == name
        assert official.args.avgClassSize[name] == size
    for category, members in CATEGORIES.items():
        assert [n for n in NAMES if id2label_of(n).category == category] == list(members)
    assert {n for n in NAMES if id2label_of(n).hasInstances} == {n for n, _ in INSTANCES.values()}


def id2label_of(name: str) -> Any:
    return next(label for label in trainId2label.values() if label.name == name)


def test_a_small_instance_weighs_as_much_as_a_large_one() -> None:
    """One person of 1 pixel is missed, one of 9 found: IoU 0.9, iIoU a half."""
    person = NAMES.index("person")
    numbers = np.array([[24_001, *[24_002] * 9]])
    prediction = np.full((1, 10), person, np.uint8)
    prediction[0, 0] = 0
    matrix, instances = ConfusionMatrix(19), CityscapesInstances(NAMES)
    matrix.update(np.full((1, 10), person, np.uint8), prediction)
    instances.update(numbers, prediction)
    assert matrix.scores().class_iou[person] == pytest.approx(0.9)
    assert instances.class_iiou(matrix.counts)["person"] == pytest.approx(0.5)
    assert math.isnan(instances.class_iiou(matrix.counts)["car"])
    assert instances.as_dict(matrix.counts)["class_iiou"]["car"] is None


def test_other_classes_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no Cityscapes classes: .*bicycle.* missing"):
        CityscapesInstances(["road", "sky"])
    with pytest.raises(ValueError, match=r"instances \(1, 2\), prediction \(2, 1\)"):
        CityscapesInstances(NAMES).update(np.zeros((1, 2), np.int64), np.zeros((2, 1), np.uint8))
