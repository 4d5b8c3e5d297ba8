from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg.models.palette import CAMVID
from tests.train.distil.teachers import colour_teacher
from tests.train.drawn import CAR, ROAD, SKY, VOID, draw_street
from train.distil.guided import guided_filter
from train.distil.soft import (
    class_matrix,
    soft_labels,
    softmax,
    teacher_probabilities,
    working_size,
)
from train.distil.teacher import open_teacher
from train.errors import TrainError
from train.settings.distil import DistilConfig

CONFIG = DistilConfig(
    teachers=("t.onnx",), scales=(1.0, 2.0), side=96, stride=4, multiple=16, cache="c"
)


class Leaning:
    """A teacher that sees class 0 in a picture's left column only."""

    classes: tuple[str, ...] = ("left", "right")

    def scores(self, picture_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.zeros((2, *picture_HWC.shape[:2]), np.float32)
        scores[0, :, :1] = 5
        return scores


def test_soft_labels_of_a_street_say_what_is_there(tmp_path: Path) -> None:
    picture, truth = draw_street(3)
    teacher = open_teacher(colour_teacher(tmp_path / "t.onnx"))
    matrix = class_matrix(teacher.classes, CAMVID.names, ())
    soft = soft_labels(picture, [(teacher, matrix)], CONFIG)
    assert soft.shape == (11, 16, 24)
    assert soft.dtype == np.uint8
    sums = soft.sum(axis=0, dtype=int)
    assert (abs(sums - 255) <= 6).all()
    small = truth[2::4, 2::4]
    known = small != VOID
    assert (soft.argmax(axis=0)[known] == small[known]).mean() > 0.95


def test_a_mirrored_look_is_mirrored_back() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    once = DistilConfig(teachers=("t",), scales=(1.0,), flip=False, multiple=32)
    both = DistilConfig(teachers=("t",), scales=(1.0,), flip=True, multiple=32)
    one = teacher_probabilities(Leaning(), picture, once, (32, 32))
    two = teacher_probabilities(Leaning(), picture, both, (32, 32))
    assert one[0, 0, 0] > 0.99
    assert one[0, 0, -1] == pytest.approx(0.5)
    assert two[0, 0, 0] == two[0, 0, -1] == pytest.approx((one[0, 0, 0] + 0.5) / 2)


def test_classes_go_together_by_pairs_or_names_and_the_rest_goes_nowhere() -> None:
    teacher = ("road", "truck", "car", "wall", "terrain")
    matrix = class_matrix(teacher, ("road", "car", "tree"), (("truck", "car"), ("terrain", "tree")))
    assert matrix.tolist() == [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]]
    with pytest.raises(TrainError, match="names lorry, which is no class of this network"):
        class_matrix(teacher, ("road",), (("truck", "lorry"),))
    with pytest.raises(TrainError, match="share no name with this network's"):
        class_matrix(("sofa",), ("road",), ())


def test_several_teachers_are_averaged_and_unmapped_mass_is_missing(tmp_path: Path) -> None:
    picture, truth = draw_street(1)
    teacher = open_teacher(colour_teacher(tmp_path / "t.onnx"))
    without_road = class_matrix(
        tuple(n if n != "road" else "asphalt" for n in teacher.classes), CAMVID.names, ()
    )
    whole = class_matrix(teacher.classes, CAMVID.names, ())
    config = DistilConfig(teachers=("t",), scales=(1.0,), flip=False, multiple=16, refine=False)
    soft = soft_labels(picture, [(teacher, whole), (teacher, without_road)], config)
    small = truth[2::4, 2::4]
    road = np.zeros_like(small, dtype=bool)
    road[10:14] = small[10:14] == ROAD
    assert soft[ROAD][road].max() == pytest.approx(128, abs=2)
    assert soft.sum(axis=0, dtype=int)[road].max() <= 130
    assert soft[SKY][:3].min() > 250


def test_the_guided_filter_moves_a_blurred_edge_to_the_pictures() -> None:
    picture = np.zeros((64, 64, 3), np.float32)
    picture[:, 32:] = (0.8, 0.5, 0.2)
    ramp = np.clip((np.arange(64, dtype=np.float32) - 24) / 16, 0, 1)
    blurred = np.stack([1 - np.tile(ramp, (64, 1)), np.tile(ramp, (64, 1))])
    sharp = guided_filter(picture, blurred.astype(np.float32))
    np.testing.assert_allclose(sharp.sum(axis=0), 1, atol=1e-5)
    step = sharp[1, 32, 32] - sharp[1, 32, 31]
    assert step > 5 * (blurred[1, 32, 32] - blurred[1, 32, 31])
    assert sharp[1, 32, 20] < 0.1
    assert sharp[1, 32, 44] > 0.9


def test_sizes_and_scores() -> None:
    assert working_size((480, 640), 512, 4) == (384, 512)
    assert working_size((360, 480), 0, 4) == (360, 480)
    assert working_size((3, 1000), 512, 4) == (8, 512)
    probabilities = softmax(np.array([[[0.0]], [[1000.0]]], np.float32))
    assert probabilities[:, 0, 0].tolist() == [0, 1]
    assert CAR < 11


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"scales": ()}, "scales must be within"),
        ({"stride": 3}, "stride must be 1, 2, 4 or 8"),
        ({"hold_out": 1.0}, "hold_out must be within 0..1"),
        ({"labelled": False, "teachers": ("t",)}, "there is nothing to learn from"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistilConfig(**values)  # type: ignore[arg-type]
