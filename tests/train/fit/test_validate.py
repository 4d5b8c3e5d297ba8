from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.train.drawn import draw_dataset
from train.data.opening import open_dataset
from train.evaluation.predict import evaluate_network, to_picture
from train.fit.distributed import World
from train.fit.losses import SegmentationLoss
from train.fit.precision import Precision
from train.fit.validate import batches, confusion, labels_at, validate
from train.metrics import ConfusionMatrix
from train.models import ModelSpec, build_model
from train.settings.fit import LossConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(32, 64), (96, 160)])
@pytest.mark.parametrize("wanted", [(33, 65), (17, 40), (360, 480), (95, 161), (7, 300)])
def test_labels_are_enlarged_as_evaluation_does_it(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    labels = np.random.default_rng(0).integers(0, 11, size, dtype=np.uint8)
    found = labels_at(torch.from_numpy(labels)[None], *wanted)[0].numpy()
    assert np.array_equal(found, to_picture(labels, *wanted))


def test_counts_are_those_of_the_confusion_matrix() -> None:
    rng = np.random.default_rng(0)
    truth, labels = (rng.integers(0, n, (2, 20, 30), dtype=np.uint8) for n in (12, 11))
    truth[truth == 11] = 255
    matrix = ConfusionMatrix(11)
    for pair in zip(truth, labels, strict=True):
        matrix.update(*pair)
    found = confusion(torch.from_numpy(truth), torch.from_numpy(labels), 11)
    assert np.array_equal(found.numpy(), matrix.counts)


def test_neighbours_of_one_size_make_a_batch() -> None:
    sizes = [4, 4, 4, 6, 4]
    samples = [(torch.zeros(3, n, n), torch.zeros(n, n)) for n in sizes]
    assert [tuple(x.shape[:3:2]) for x, _ in batches(samples, 2)] == [
        (2, 4),
        (1, 4),
        (1, 6),
        (1, 4),
    ]


def test_validation_while_training_is_what_evaluation_finds(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d", val=3)
    odd = next((root / "val").iterdir())  # one picture of another size
    for folder in ("val", "valannot"):
        path = root / folder / odd.name
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image is not None
        cv2.imwrite(str(path), np.ascontiguousarray(image[:50, :70]))
    data = open_dataset("camvid", root, "val")
    torch.manual_seed(0)
    model = build_model(ModelSpec(classes=len(data.classes), head_channels=8)).train()
    scores, loss = validate(
        model,
        data,
        SegmentationLoss(torch.ones(len(data.classes)), LossConfig()),
        label_stride=1,
        precision=Precision("off", CPU),
        workers=0,
        world=World(),
    )
    assert model.training
    expected = evaluate_network(model, data, CPU)
    assert scores.miou == pytest.approx(expected.miou, abs=1e-6)
    assert scores.pixel_accuracy == pytest.approx(expected.pixel_accuracy, abs=1e-6)
    assert loss > 0
