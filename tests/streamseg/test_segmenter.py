"""One opened model serves many jobs, from several threads, and ends them when it is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg import DrawOptions, Segmenter, label_frames
from streamseg.errors import SourceError, StoppedError, UsageError
from streamseg.labelmaps.options import CleanOptions
from streamseg.run.job import RunProgress
from tests.streamseg.clips import GREEN, HEIGHT, INKS, WIDTH, Clip, paint, read_times, scene
from tests.streamseg.fakes import COLOURS

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture
def segmenter(toy_model: Path) -> Iterator[Segmenter]:
    with Segmenter(toy_model, threads=1) as opened:
        yield opened


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every model file that ONNX Runtime loads."""
    import onnxruntime

    seen: list[Path] = []
    real = onnxruntime.InferenceSession

    def session(path: str, *args: Any, **options: Any) -> Any:
        seen.append(Path(path))
        return real(path, *args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    return seen


def test_the_second_video_loads_no_model(
    segmenter: Segmenter, clip: Path, tmp_path: Path, loads: list[Path]
) -> None:
    first = segmenter.video(clip, tmp_path / "a.mp4")
    second = segmenter.video(clip, tmp_path / "b.mp4", size=(64, 64))
    assert len(loads) == 1
    assert first.frames == second.frames == 12
    assert read_times(tmp_path / "a.mp4") == read_times(tmp_path / "b.mp4") == read_times(clip)


def test_threads_share_it_and_each_gets_its_own_result(
    segmenter: Segmenter, tmp_path: Path, loads: list[Path]
) -> None:
    clips = [Clip(frames=5 + n).write(tmp_path / f"{n}.mp4") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda c: segmenter.video(c, c.with_suffix(".mkv")), clips))
    assert [run.frames for run in runs] == [5, 6, 7, 8]
    assert [len(read_times(c.with_suffix(".mkv"))) for c in clips] == [5, 6, 7, 8]
    assert len(loads) == 1


def test_frames_are_those_of_label_frames(
    segmenter: Segmenter, toy_model: Path, clip: Path
) -> None:
    ours = [labels for _, labels in segmenter.frames(clip, full_size=True)]
    theirs = [labels for _, labels in label_frames(clip, model=toy_model, full_size=True)]
    assert len(ours) == len(theirs) == 12
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_picture_gets_labels_of_its_own_size(segmenter: Segmenter, tmp_path: Path) -> None:
    truth = scene(2, 192, 128)
    path = tmp_path / "street.png"
    assert cv2.imwrite(str(path), paint(truth)[..., ::-1])
    labels = segmenter.image(path, size=(192, 128))
    assert np.array_equal(labels.array, truth)
    assert labels.classes == ("red", "green", "blue")
    assert np.array_equal(labels.picture, paint(truth))
    assert np.array_equal(segmenter.image(paint(truth), size=(192, 128)).array, truth)
    assert tuple(labels.draw(DrawOptions(mode="mask"))[64, 40]) == COLOURS[truth[64, 40]]


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4))]
)
def test_another_array_is_no_picture(segmenter: Segmenter, wrong: Any) -> None:
    with pytest.raises(UsageError, match="must be RGB uint8"):
        segmenter.image(wrong)


def slow_clip(folder: Path) -> Path:
    return Clip(frames=250, options=(("crf", "40"),)).write(folder / "long.mp4")


def when_running(event: threading.Event) -> Callable[[RunProgress], None]:
    def tell(progress: RunProgress) -> None:
        if progress.frames:
            event.set()

    return tell


def test_an_event_ends_a_run_and_keeps_what_is_done(segmenter: Segmenter, tmp_path: Path) -> None:
    stop = threading.Event()
    out = tmp_path / "out.mp4"
    stats = segmenter.live(
        slow_clip(tmp_path), out, realtime=True, stop=stop, on_progress=when_running(stop)
    )
    assert 0 < stats.frames < 250
    assert len(read_times(out)) == stats.frames


def test_an_event_that_is_set_before_the_first_frame_writes_nothing(
    segmenter: Segmenter, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.video.file.FileSource.__iter__", endless_silence)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError, match="stopped before its first frame"):
        segmenter.video(clip, tmp_path / "out.mp4", stop=stop)
    assert list(tmp_path.iterdir()) == []


def endless_silence(_: object) -> Iterator[Any]:
    """A source that brings nothing for a while and then ends."""
    threading.Event().wait(0.5)
    yield from ()


def test_closing_ends_the_runs_of_other_threads(toy_model: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(toy_model, threads=1)
    begun = threading.Event()
    out = tmp_path / "out.mp4"
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(
            segmenter.live,
            slow_clip(tmp_path),
            out,
            realtime=True,
            on_progress=when_running(begun),
        )
        assert begun.wait(60)
        segmenter.close()
        stats = run.result(60)
    assert 0 < stats.frames == len(read_times(out)) < 250
    segmenter.close()


def test_a_closed_one_begins_nothing(toy_model: Path, clip: Path, tmp_path: Path) -> None:
    with Segmenter(toy_model) as segmenter:
        pass
    with pytest.raises(UsageError, match="segmenter is closed"):
        segmenter.video(clip, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_frames_under_way_end_when_it_is_closed(toy_model: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(toy_model, threads=1)
    frames = segmenter.frames(slow_clip(tmp_path))
    next(frames)
    segmenter.close()
    with pytest.raises(StoppedError, match="was closed"):
        list(frames)


def test_a_file_that_is_none_leaves_it_fit_for_the_next(
    segmenter: Segmenter, clip: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    with pytest.raises(SourceError):
        segmenter.video(bad, tmp_path / "a.mp4")
    assert segmenter.video(clip, tmp_path / "b.mp4").frames == 12


def test_classes_are_those_of_the_model(segmenter: Segmenter, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown class 'cra'; known: red, green, blue"):
        segmenter.video(clip, tmp_path / "a.mp4", draw=DrawOptions(classes=["cra"]))
    assert segmenter.header.classes.names[GREEN] == "green"


def test_specks_are_cleaned_before_labels_are_used(toy_model: Path, tmp_path: Path) -> None:
    def speckled(index: int) -> NDArray[np.uint8]:
        picture = paint(np.zeros((HEIGHT, WIDTH), np.uint8))
        picture[20:24, 30:34] = INKS[GREEN]
        return picture

    source = Clip(frames=2, draw=speckled, options=(("crf", "1"),)).write(tmp_path / "in.mp4")
    clean = CleanOptions(min_area=200)
    with Segmenter(toy_model) as segmenter:
        as_seen = [labels for _, labels in segmenter.frames(source)]
        cleaned = [labels for _, labels in segmenter.frames(source, clean=clean)]
        picture = segmenter.image(speckled(0), clean=clean)
    assert all((labels == GREEN).any() for labels in as_seen)
    assert not any((labels == GREEN).any() for labels in [*cleaned, picture.array])
