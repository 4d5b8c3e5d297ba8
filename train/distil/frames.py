"""The unlabelled pictures of ``[distil]``: found in folders, taken from videos."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from train.data.pixels import PICTURE_SUFFIXES
from train.distil.soft import resize, working_size
from train.errors import TrainError
from train.settings.distil import DistilConfig

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm"})


def unlabelled_pictures(config: DistilConfig) -> list[Path]:
    """All pictures of ``distil.unlabelled``, sorted; frames of videos are put into the cache.

    Raises:
        TrainError: something is not there, cannot be read, or holds no picture.
    """
    found: list[Path] = []
    for name in config.unlabelled:
        root = Path(name)
        if not root.exists():
            raise TrainError(f"{root}: no such folder or video; check distil.unlabelled")
        files = sorted(root.rglob("*")) if root.is_dir() else [root]
        before = len(found)
        found += [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES]
        for file in files:
            if file.suffix.lower() in VIDEO_SUFFIXES:
                found += frames_of(file, config)
        if len(found) == before:
            raise TrainError(f"{root}: has no picture and no video; check distil.unlabelled")
    return found


def frames_of(video: Path, config: DistilConfig) -> list[Path]:
    """Frames of a video every ``video_seconds``, as lossless pictures in the cache, in order.

    Raises:
        TrainError: the video cannot be read, or the folder cannot be written.
    """
    key = (
        f"{video.resolve()}{video.stat().st_size}{config.video_seconds}{config.side}{config.stride}"
    )
    folder = Path(config.cache) / "frames" / hashlib.sha256(key.encode()).hexdigest()[:16]
    done = folder / "complete"
    if not done.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_frames(video, folder, config)
            done.touch()
        except av.FFmpegError as error:
            raise TrainError(f"{video}: cannot be read as a video ({error})") from error
        except OSError as error:
            raise TrainError(f"{folder}: cannot be written ({error.strerror})") from error
    return sorted(folder.glob("*.png"))


def _write_frames(video: Path, folder: Path, config: DistilConfig) -> None:
    with av.open(str(video)) as container:
        if not container.streams.video:
            raise TrainError(f"{video}: has no video stream")
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        every = max(1, round(rate * Fraction(config.video_seconds)))
        for index, frame in enumerate(container.decode(stream)):
            if index % every == 0:
                upright = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                size = working_size(upright.shape, config.side, config.stride)
                picture = resize(np.ascontiguousarray(upright, dtype=np.uint8), *size)
                _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                (folder / f"{video.stem}_{index:06d}.png").write_bytes(data.tobytes())


def held_out(pictures: list[Path], config: DistilConfig) -> tuple[list[Path], list[Path]]:
    """Training and validation pictures: by name patterns, or by a hash of the name.

    A picture's side does not change when others come or go.

    Raises:
        TrainError: one of the two is empty.
    """

    def validates(path: Path) -> bool:
        if config.hold_out_names:
            return any(fnmatch(path.name, pattern) for pattern in config.hold_out_names)
        number = int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16)
        return number < config.hold_out * 2**32

    train = [path for path in pictures if not validates(path)]
    val = [path for path in pictures if validates(path)]
    if not train or not val:
        raise TrainError(
            f"of {len(pictures)} unlabelled pictures {len(val)} are held out for validation; both "
            "sides need some: see distil.hold_out and distil.hold_out_names"
        )
    return train, val
