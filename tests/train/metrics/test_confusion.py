from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from train.data.pixels import IGNORE
from train.metrics import ConfusionMatrix, Scores


def drawn(classes: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Truths and predictions ``[3, 40, 30]``: a fifth ignored, half right, classes uneven."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(classes, 2.0))
    truth = rng.choice(classes, (3, 40, 30), p=share).astype(np.uint8)
    wrong = rng.integers(0, classes, truth.shape, dtype=np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.5, truth, wrong).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = IGNORE
    return truth, prediction


def counted(truths: NDArray[np.uint8], predictions: NDArray[np.uint8], classes: int) -> Scores:
    matrix = ConfusionMatrix(classes)
    for truth, prediction in zip(truths, predictions, strict=True):
        matrix.update(truth, prediction)
    return matrix.scores()


def exact(value: Any) -> Any:
    """Equal to 1e-9, NaN to NaN."""
    return pytest.approx(value, rel=0, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scores_equal_scikit_learns(seed: int) -> None:
    classes = 6
    truths, predictions = drawn(classes, seed)
    scores = counted(truths, predictions, classes)
    known = truths != IGNORE
    y, z = truths[known], predictions[known]
    labels = list(range(classes))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        y, z, labels=labels, zero_division=np.nan
    )
    iou = sk.jaccard_score(y, z, labels=labels, average=None)
    assert support.min() > 0
    assert scores.class_precision == exact(precision)
    assert scores.class_recall == exact(recall)
    assert scores.class_f1 == exact(f1)
    assert scores.class_iou == exact(iou)
    assert scores.pixel_accuracy == exact(sk.accuracy_score(y, z))
    assert scores.mean_accuracy == exact(sk.balanced_accuracy_score(y, z))
    assert scores.miou == exact(sk.jaccard_score(y, z, labels=labels, average="macro"))
    assert scores.frequency_weighted_iou == exact(
        sk.jaccard_score(y, z, labels=labels, average="weighted")
    )
    assert scores.mean_f1 == exact(sk.f1_score(y, z, labels=labels, average="macro"))
    assert scores.mean_precision == exact(sk.precision_score(y, z, labels=labels, average="macro"))
    plain = scores.as_dict([str(label) for label in labels])
    for key, score in (
        ("weighted_precision", sk.precision_score),
        ("weighted_recall", sk.recall_score),
        ("weighted_f1", sk.f1_score),
    ):
        assert plain[key] == exact(score(y, z, labels=labels, average="weighted"))


def test_counts_equal_scikit_learns() -> None:
    truths, predictions = drawn(6)
    matrix = ConfusionMatrix(6)
    matrix.update(truths, predictions)
    known = truths != IGNORE
    expected = sk.confusion_matrix(truths[known], predictions[known], labels=list(range(6)))
    assert np.array_equal(matrix.counts, expected)


def test_dice_is_f1_and_follows_from_iou() -> None:
    values = counted(*drawn(6), 6).as_dict(list("abcdef"))
    for name, iou in values["class_iou"].items():
        assert values["class_dice"][name] == values["class_f1"][name]
        assert values["class_dice"][name] == pytest.approx(2 * iou / (1 + iou), abs=1e-12)


def test_scores_by_hand() -> None:
    scores = Scores.from_counts(np.array([[6, 2], [1, 1]], dtype=np.int64))
    assert scores.class_iou == pytest.approx((6 / 9, 1 / 4))
    assert scores.class_precision == pytest.approx((6 / 7, 1 / 3))
    assert scores.class_recall == pytest.approx((6 / 8, 1 / 2))
    assert scores.class_f1 == pytest.approx((12 / 15, 2 / 5))
    assert scores.miou == pytest.approx((6 / 9 + 1 / 4) / 2)
    assert scores.mean_accuracy == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert scores.pixel_accuracy == pytest.approx(7 / 10)
    assert scores.frequency_weighted_iou == pytest.approx(0.8 * 6 / 9 + 0.2 * 1 / 4)


def test_what_is_not_there_is_nan_and_left_out_of_means() -> None:
    """Class 2 is predicted only, class 3 true only, class 4 neither."""
    truth = np.array([[0, 0, 0, 3]], np.uint8)
    prediction = np.array([[0, 0, 2, 0]], np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = counted(truth[None], prediction[None], 5)
    assert scores.class_iou == pytest.approx((2 / 4, math.nan, 0, 0, math.nan), nan_ok=True)
    assert scores.class_recall == pytest.approx(
        (2 / 3, math.nan, math.nan, 0, math.nan), nan_ok=True
    )
    assert scores.class_precision == pytest.approx(
        (2 / 3, math.nan, 0, math.nan, math.nan), nan_ok=True
    )
    assert scores.class_f1 == pytest.approx((4 / 6, math.nan, 0, 0, math.nan), nan_ok=True)
    assert scores.miou == pytest.approx(0.5 / 3)
    assert scores.mean_accuracy == pytest.approx((2 / 3) / 2)
    assert scores.mean_precision == pytest.approx((2 / 3) / 3)  # 0 where never predicted
    assert scores.weighted_precision == pytest.approx(0.75 * 2 / 3)
    assert scores.weighted_f1 == pytest.approx(0.75 * 4 / 6)
    assert scores.frequency_weighted_iou == pytest.approx(0.75 * 0.5)


def test_plain_values_are_json() -> None:
    zeros = np.zeros((1, 2, 2), np.uint8)
    values = counted(zeros, zeros, 3).as_dict(["a", "b", "c"])
    again = json.loads(json.dumps(values, allow_nan=False))
    assert again["class_iou"] == {"a": 1, "b": None, "c": None}
    assert again["miou"] == again["mean_dice"] == again["frequency_weighted_iou"] == 1


def test_what_cannot_be_counted() -> None:
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match="no labelled pixel"):
        matrix.scores()
    with pytest.raises(ValueError, match="prediction 3 is no class of 3"):
        matrix.update(np.zeros((1, 1), np.uint8), np.full((1, 1), 3, np.uint8))
    with pytest.raises(ValueError, match=r"truth is \(1, 1\), prediction is \(2, 1\)"):
        matrix.update(np.zeros((1, 1), np.uint8), np.zeros((2, 1), np.uint8))
