"""The sample street: drawn the same every time, labelled to the pixel, written whole or not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from streamseg.errors import UsageError
from streamseg.models.palette import CAMVID
from streamseg.sample import SampleSpec, StreetScene, scene_audio, write_sample
from streamseg.sample.canvas import BUILDING, PAVEMENT, ROAD, SKY, TREE, Camera, Canvas, Texture
from streamseg.sample.furniture import SignKind, sign_plate
from streamseg.sample.street import build_street

SMALL = SampleSpec(width=320, height=180, frames=12, rate=Fraction(30000, 1001))
SKY_ROWS = 4


@pytest.fixture(scope="module")
def scene() -> StreetScene:
    return StreetScene(SMALL)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "street.mp4"
    write_sample(path, spec=SMALL)
    return path


def psnr(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> float:
    error = np.mean((one.astype(np.float64) - two.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error))


def test_a_frame_does_not_depend_on_earlier_frames(scene: StreetScene) -> None:
    scene.frame(3)
    rgb, labels = scene.frame(7)
    build_street.cache_clear()
    rgb_fresh, labels_fresh = StreetScene(SMALL).frame(7)
    np.testing.assert_array_equal(rgb, rgb_fresh)
    np.testing.assert_array_equal(labels, labels_fresh)


def test_the_global_random_state_has_no_say(scene: StreetScene) -> None:
    np.random.seed(0)
    rgb, _ = scene.frame(2)
    np.random.seed(1)
    again, _ = scene.frame(2)
    np.testing.assert_array_equal(rgb, again)


def test_another_seed_is_another_street(scene: StreetScene) -> None:
    other = StreetScene(SampleSpec(width=320, height=180, seed=1))
    assert (scene.frame(0)[1] != other.frame(0)[1]).mean() > 0.02


def test_shapes_and_types(scene: StreetScene) -> None:
    rgb, labels = scene.frame(0)
    assert rgb.shape == (180, 320, 3)
    assert rgb.dtype == np.uint8
    assert labels.shape == (180, 320)
    assert labels.dtype == np.uint8
    assert labels.max() < len(CAMVID)


def test_every_class_is_on_the_street() -> None:
    scene = StreetScene(SampleSpec(width=480, height=270))
    seen = np.zeros(len(CAMVID), np.int64)
    for index in (0, 60, 120):
        seen += np.bincount(scene.frame(index)[1].ravel(), minlength=len(CAMVID))
    absent = [name for name, count in zip(CAMVID.names, seen, strict=True) if count < 100]
    assert not absent


def test_sky_is_above_and_road_below(scene: StreetScene) -> None:
    rgb, labels = scene.frame(0)
    middle = SMALL.width // 2
    assert (labels[:SKY_ROWS, middle - 20 : middle + 20] == SKY).all()
    assert (labels[-4:, middle - 60 : middle + 60] == ROAD).all()
    assert labels[-20, 0] in (PAVEMENT, ROAD)
    assert rgb[labels == SKY].mean() > rgb[labels == ROAD].mean() + 60


def test_things_move_between_frames(scene: StreetScene) -> None:
    before, after = scene.frame(0)[1], scene.frame(11)[1]
    changed = (before != after).mean()
    assert 0.02 < changed < 0.6
    for label in range(len(CAMVID)):
        if (before == label).sum() > 50 and label != SKY:
            assert ((before == label) != (after == label)).any(), CAMVID.names[label]


@pytest.mark.parametrize(("width", "height"), [(64, 64), (128, 320), (640, 96)])
def test_unusual_sizes_are_drawn(width: int, height: int) -> None:
    rgb, labels = StreetScene(SampleSpec(width=width, height=height)).frame(5)
    assert rgb.shape == (height, width, 3)
    assert {BUILDING, ROAD, SKY} <= set(np.unique(labels).tolist())


def test_the_street_never_ends(scene: StreetScene) -> None:
    _, labels = scene.frame(100_000)
    assert {BUILDING, ROAD, SKY, TREE} <= set(np.unique(labels).tolist())


def test_a_pixel_has_the_class_that_covers_half_of_it() -> None:
    camera = Camera(64, 64, focal=64.0, horizon=32.0, x=0.0, eye=1.0, z=0.0)
    canvas = Canvas(camera, np.zeros((64, 64, 4), np.uint8), np.full((64, 64), SKY, np.uint8))
    white = Texture(np.full((40, 40, 4), 255, np.uint8), 20.0, TREE)
    canvas.billboard(white, 0.1, 0.1, 4.0)
    covered = canvas.rgba[..., 3] >= 128
    np.testing.assert_array_equal(canvas.labels == TREE, covered)
    assert covered.sum() == pytest.approx((2.0 * 64 / 4) ** 2, rel=0.08)


@pytest.mark.parametrize("kind", ["limit", "parking", "name"])
def test_the_letters_of_a_sign_are_part_of_it(kind: SignKind) -> None:
    alpha = sign_plate(kind).rgba[..., 3]
    assert (alpha[22:38, 20:40] == 255).all()


def test_the_sound_is_soft_and_as_long_as_the_clip() -> None:
    sound = scene_audio(SMALL)
    assert sound.dtype == np.float32
    assert sound.shape == (2, round(12 * 1001 / 30000 * 48_000))
    assert 0.05 < np.abs(sound).max() <= 0.2
    np.testing.assert_array_equal(sound, scene_audio(SMALL))


def test_the_written_file_has_every_frame_at_its_time(clip: Path) -> None:
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        assert video.average_rate == SMALL.rate
        times = [frame.pts * frame.time_base for frame in container.decode(video)]  # type: ignore[operator]
    assert times == [index / SMALL.rate for index in range(SMALL.frames)]


def test_the_written_file_has_sound_of_the_same_length(clip: Path) -> None:
    with av.open(str(clip)) as container:
        audio = container.streams.audio[0]
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 48_000, 2)
        samples = sum(frame.samples for frame in container.decode(audio))
    assert samples / 48_000 == pytest.approx(float(SMALL.seconds), abs=0.06)


def test_the_written_colours_are_the_drawn_ones(clip: Path, scene: StreetScene) -> None:
    with av.open(str(clip)) as container:
        context = container.streams.video[0].codec_context
        frames = list(container.decode(video=0))
        assert context.colorspace == Colorspace.ITU709
        assert context.color_range == ColorRange.MPEG
    for index in (0, SMALL.frames - 1):
        rgb = frames[index].to_ndarray(
            format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG
        )
        drawn, _ = scene.frame(index)
        assert psnr(rgb, drawn) > 30
        np.testing.assert_allclose(rgb.mean((0, 1)), drawn.mean((0, 1)), atol=1.5)


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".MP4"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"street{suffix}"
    write_sample(path, spec=SampleSpec(width=64, height=64, frames=2))
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 2


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"mine\.mp4: already exists; use --overwrite"):
        write_sample(path, spec=SMALL)
    assert path.read_bytes() == b"mine"
    write_sample(path, spec=SampleSpec(width=64, height=64, frames=1), overwrite=True)
    assert path.stat().st_size > 100


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_neither_half_a_file_nor_touches_the_old_one(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "street.mp4"
    path.write_bytes(b"mine")

    def fail(done: int, total: int) -> None:
        if done == 2:
            assert len(list(tmp_path.iterdir())) == 2  # the old file and the one in the making
            raise failure

    with pytest.raises(failure):
        write_sample(
            path,
            spec=SampleSpec(width=64, height=64, frames=4),
            overwrite=True,
            progress=fail,
        )
    assert [p.name for p in tmp_path.iterdir()] == ["street.mp4"]
    assert path.read_bytes() == b"mine"


def test_progress_counts_every_frame(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    spec = SampleSpec(width=64, height=64, frames=3)
    write_sample(
        tmp_path / "a.mp4", spec=spec, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"folder .* does not exist"):
        write_sample(tmp_path / "none" / "a.mp4", spec=SMALL)
    with pytest.raises(UsageError, match=r"unknown kind of output; give a name that ends in \.mp4"):
        write_sample(tmp_path / "a.avi", spec=SMALL)
    (tmp_path / "dir.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_sample(tmp_path / "dir.mp4", spec=SMALL, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["dir.mp4"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 321}, "width must be an even number"),
        ({"height": 62}, "height must be an even number"),
        ({"frames": 0}, "at least 1 frame"),
        ({"rate": Fraction(0)}, "rate must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_impossible_specs(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SampleSpec(**values)
