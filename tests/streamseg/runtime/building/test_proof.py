"""What an engine is worth: agreement, mIoU, time; and the gate that judges it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError, SourceError, UsageError
from streamseg.runtime.building.gate import Gate
from streamseg.runtime.building.labelled import Confusion, labelled_pairs, read_labelled
from streamseg.runtime.building.proof import (
    Agreement,
    Proof,
    compare,
    compare_labelled,
    sample_pictures,
)
from streamseg.runtime.building.timing import Runner, Speed, Timing, time_engines
from tests.streamseg.fakes import FakeEngine

FRAMES = np.random.default_rng(5).integers(0, 255, (6, 64, 96, 3), np.uint8)


class Wrong(FakeEngine):
    """Gives every pixel of class 1 in the upper half of a picture class 2."""

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels = super().infer(frames_NHWC)
        upper = labels[:, :32]
        upper[upper == 1] = 2
        return labels


def test_an_engine_agrees_with_itself() -> None:
    agreement = compare(FakeEngine(), FakeEngine(), FRAMES, "noise")
    assert agreement.share == 1
    assert agreement.class_share == {"red": 1.0, "green": 1.0, "blue": 1.0}
    assert (agreement.pictures, agreement.size, agreement.miou) == (6, (96, 64), None)
    assert agreement.drop_points is None


def test_agreement_is_counted_by_pixel_and_by_class_of_the_reference() -> None:
    agreement = compare(Wrong(), FakeEngine(), FRAMES, "noise")
    truth = FRAMES.argmax(axis=3)
    changed = truth[:, :32] == 1
    assert agreement.share == pytest.approx(1 - changed.sum() / truth.size)
    lost = changed.sum() / (truth == 1).sum()
    assert agreement.class_share == {"red": 1, "green": pytest.approx(1 - lost), "blue": 1}


def test_labels_that_cannot_be_are_an_error() -> None:
    class Broken(FakeEngine):
        def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return super().infer(frames_NHWC) + np.uint8(9)

    with pytest.raises(EngineError, match=r"gave labels .* the engine is broken"):
        compare(Broken(), FakeEngine(), FRAMES, "noise")


def test_mean_intersection_over_union_equals_its_definition() -> None:
    rng = np.random.default_rng(8)
    true = rng.integers(0, 4, (50, 40)).astype(np.uint8)
    true[true == 3] = 255  # void
    predicted = rng.integers(0, 3, (50, 40)).astype(np.uint8)
    confusion = Confusion(3)
    confusion.add(true[:20], predicted[:20])
    confusion.add(true[20:], predicted[20:])
    known = true != 255
    expected = [
        ((true == c) & (predicted == c)).sum() / (((true == c) | (predicted == c)) & known).sum()
        for c in range(3)
    ]
    np.testing.assert_allclose(confusion.class_iou(), expected)
    assert confusion.miou() == pytest.approx(np.mean(expected))


def test_a_class_that_never_occurs_does_not_count() -> None:
    confusion = Confusion(3)
    confusion.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    assert confusion.miou() == 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two labelled pictures in which the strongest channel is the class; a stripe is void."""
    for name in ("val", "valannot"):
        (tmp_path / name).mkdir()
    for index, frame in enumerate(FRAMES[:2]):
        labels = frame.argmax(axis=2).astype(np.uint8)
        labels[:4] = 11
        cv2.imwrite(str(tmp_path / "val" / f"{index}.png"), frame[..., ::-1])
        cv2.imwrite(str(tmp_path / "valannot" / f"{index}.png"), labels)
    return tmp_path


def test_labelled_pictures_give_the_drop(data: Path) -> None:
    agreement = compare_labelled(Wrong(), FakeEngine(), data, (96, 64))
    assert agreement.reference_miou == 1
    assert agreement.miou is not None
    assert agreement.drop_points == pytest.approx(100 * (1 - agreement.miou))
    assert 0.4 < agreement.miou < 0.9
    assert agreement.pictures_from == f"2 labelled pictures of {data}"


def test_labels_keep_their_own_size(data: Path) -> None:
    (picture, _) = read_labelled(labelled_pairs(data), (64, 32))
    assert picture.rgb_HWC.shape == (32, 64, 3)
    assert picture.labels_HW.shape == (64, 96)
    agreement = compare_labelled(FakeEngine(), FakeEngine(), data, (192, 128))
    assert agreement.drop_points == 0


def test_labelled_data_that_cannot_be_used_is_one_sentence(data: Path) -> None:
    with pytest.raises(UsageError, match="val: no such folder; --data wants pictures in val/"):
        labelled_pairs(data / "val")
    (data / "valannot" / "1.png").unlink()
    with pytest.raises(UsageError, match=r"no label PNG for 1 pictures \(1\.png first\)"):
        labelled_pairs(data)
    cv2.imwrite(str(data / "valannot" / "1.png"), FRAMES[0])
    with pytest.raises(SourceError, match=r"1\.png: not an 8-bit PNG of class indices"):
        list(read_labelled(labelled_pairs(data), (96, 64)))
    (data / "val" / "0.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"0\.png: is no picture that can be read"):
        list(read_labelled(labelled_pairs(data), (96, 64)))


def test_labels_that_are_all_void_are_one_sentence(data: Path) -> None:
    for path in (data / "valannot").iterdir():
        cv2.imwrite(str(path), np.full((64, 96), 11, np.uint8))
    with pytest.raises(UsageError, match="every labelled pixel is void"):
        compare_labelled(FakeEngine(), FakeEngine(), data, (96, 64))


def test_the_sample_clip_proves_on_other_pictures_than_it_calibrates_with() -> None:
    proof, calibration = (sample_pictures((64, 32), calibrating=c) for c in (False, True))
    assert proof.shape == calibration.shape == (8, 32, 64, 3)
    assert proof is sample_pictures((64, 32), calibrating=False)
    assert len({picture.tobytes() for picture in [*proof, *calibration]}) == 16


def test_times_are_of_the_calls_and_all_workers_count() -> None:
    seconds = 0.02
    slow = FakeEngine(before=lambda _: time.sleep(seconds))
    twice = FakeEngine(workers=2, before=lambda _: time.sleep(seconds))
    runners = [
        Runner(name="slow", engine=slow, batches=(1, 4)),
        Runner(name="twice", engine=twice, batches=(1,)),
    ]
    one, two = time_engines(runners, FRAMES[:3], rounds=2, round_seconds=0.1)
    assert [t.batch for t in one.timings] == [1, 4]
    assert all(t.ms > 1000 * seconds for t in [*one.timings, *two.timings])
    assert one.best.batch == 4
    for timing, workers in ((one.timings[0], 1), (one.timings[1], 1), (two.timings[0], 2)):
        assert timing.fps <= timing.batch * workers / seconds
    assert slow.batches[0][0] == 1, "the smallest batch first"


def test_a_batch_without_room_is_left_out_and_said() -> None:
    class Small(FakeEngine):
        def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
            if len(frames_NHWC) > 2:
                raise DeviceMemoryError("full")
            return super().infer(frames_NHWC)

    said: list[str] = []
    runner = Runner(name="small", engine=Small(), batches=(1, 2, 4, 8))
    (speed,) = time_engines([runner], FRAMES, rounds=1, round_seconds=0.01, notice=said.append)
    assert [t.batch for t in speed.timings] == [1, 2]
    assert said == ["small: batch 4 does not fit the device's memory, left out"]
    with pytest.raises(DeviceMemoryError):
        time_engines([replace(runner, batches=(4,))], FRAMES, rounds=1)


def test_an_error_of_any_worker_is_raised() -> None:
    def fail(call: int) -> None:
        if call > 4:
            raise EngineError("the device is gone")

    runner = Runner(name="x", engine=FakeEngine(workers=3, before=fail), batches=(1,))
    with pytest.raises(EngineError, match="the device is gone"):
        time_engines([runner], FRAMES, rounds=2, round_seconds=0.05)


def speed(name: str, fps: float) -> Speed:
    return Speed(name=name, timings=(Timing(batch=1, ms=1000 / fps, fps=fps),))


PROOF = Proof(
    agreement=Agreement(
        pictures=4,
        pictures_from="noise",
        size=(96, 64),
        share=0.992,
        class_share={"red": 0.9},
        miou=0.68,
        reference_miou=0.69,
    ),
    speed=speed("new", 50.0),
    reference=speed("ONNX Runtime fp32", 20.0),
)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (Gate(), []),
        (Gate(max_drop=1.5, must_be_faster_than=PROOF.reference), []),
        (Gate(min_agreement=0.995), ["99.20 %", "99.5 % are asked for (--min-agreement)"]),
        (Gate(max_drop=0.5), ["loses 1.00 points of mIoU, 0.5 are allowed (--max-drop)"]),
        (Gate(max_drop=-2), ["-2 are allowed"]),
        (
            Gate(must_be_faster_than=speed("the old one", 50.0)),
            ["no faster than the old one, which it would replace: 50.0 against 50.0 fps"],
        ),
    ],
)
def test_the_gate_names_the_broken_rule_with_its_numbers(gate: Gate, words: list[str]) -> None:
    failures = gate.failures(PROOF)
    assert len(failures) == bool(words)
    assert all(word in failures[0] for word in words)


def test_the_gate_names_all_broken_rules() -> None:
    gate = Gate(min_agreement=1, max_drop=0, must_be_faster_than=speed("x", 99.0))
    assert len(gate.failures(PROOF)) == 3


def test_an_agreement_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"min_agreement must be 0\.\.1, got 99"):
        Gate(min_agreement=99)


def test_a_proof_survives_json() -> None:
    values = PROOF.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["speedup"] == 2.5
    assert values["drop_points"] == pytest.approx(1.0)
