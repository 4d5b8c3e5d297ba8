"""An independent reader of what we wrote: the system's ffmpeg and ffprobe, if it has them.

They are another build than PyAV's, and nothing of ours is asked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Probe = dict[str, Any]

needs_judge = pytest.mark.skipif(
    shutil.which("ffprobe") is None and "STREAMSEG_FAIL_WITHOUT_FFMPEG" not in os.environ,
    reason="no ffmpeg on this system to judge with",
)


def ffmpeg(*args: str | Path) -> bytes:
    """What the system's ffmpeg writes to its standard output."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, args)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def probe(path: Path, *more: str) -> Probe:
    """Format, streams and chapters as ffprobe sees them."""
    shown = ["-show_format", "-show_streams", "-show_chapters", *more]
    command = ["ffprobe", "-v", "error", "-of", "json", *shown, str(path)]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    found: Probe = json.loads(out)
    return found


def streams(path: Path, kind: str | None = None) -> list[Probe]:
    """The streams of a file, or those of a kind (video, audio, subtitle, data, attachment)."""
    found = probe(path)["streams"]
    return [s for s in found if kind is None or s.get("codec_type") == kind]


def shown_pictures(path: Path, count: int = 1) -> NDArray[np.uint8]:
    """The first frames in RGB ``[N, H, W, 3]``, turned and mirrored as a player does."""
    each = ["-fps_mode", "passthrough"]  # no frame twice, where sound begins before the picture
    as_pictures = [*each, "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    ppm = ffmpeg("-i", path, "-frames:v", str(count), *as_pictures)
    pictures = []
    while ppm:
        _, size, _, rest = ppm.split(b"\n", 3)
        width, height = map(int, size.split())
        flat = np.frombuffer(rest[: width * height * 3], np.uint8)
        pictures.append(flat.reshape(height, width, 3))
        ppm = rest[width * height * 3 :]
    return np.stack(pictures)
