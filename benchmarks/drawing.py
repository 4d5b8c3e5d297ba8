"""What drawing costs a frame, in milliseconds of one core, beside an older commit in the same run.

    python -m benchmarks.drawing [--against COMMIT] [--size 3840x2160] [--rounds 15]

Regime: one decoded frame of noise in yuv420p and one label map of 512x288 with a street's shapes,
both in memory; one thread. Each version is a process of its own; in each round every one draws
every case once, in turn, so that a busy machine slows down both. CPU time of the drawing thread,
medians; the ratio is the median of the rounds' ratios. Samples of classes that are not drawn are
compared with the frame's own: none may differ.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import median, print_result

_EXACT = {"edges": "exact"}
CASES: dict[str, dict[str, Any]] = {
    "overlay": _EXACT,
    "classes": {"classes": ["car", "tree"], **_EXACT},
    "side-by-side": {"mode": "side-by-side", **_EXACT},
    "mask": {"mode": "mask", **_EXACT},
    "overlay, smooth edges": {"edges": "smooth"},
    "classes, smooth edges": {"classes": ["car", "tree"], "edges": "smooth"},
}


def street_labels() -> Any:
    """uint8 ``[288, 512]``: sky, buildings, trees, a road and cars."""
    import cv2
    import numpy as np

    labels = np.full((288, 512), 1, np.uint8)
    labels[:70] = 0
    cv2.ellipse(labels, (90, 110), (80, 50), 20, 0, 360, 5, -1)
    cv2.ellipse(labels, (430, 120), (70, 60), -10, 0, 360, 5, -1)
    cv2.fillPoly(labels, [np.array([[0, 288], [230, 150], [280, 150], [512, 288]])], 3)
    for x, y, r in ((200, 190, 30), (300, 180, 22), (380, 220, 40), (260, 160, 9)):
        cv2.ellipse(labels, (x, y), (r, r * 2 // 3), 0, 0, 360, 8, -1)
    labels[60:150, 330:333] = 2
    return labels


def draw_when_asked(size: tuple[int, int]) -> None:
    """In a process of its own: for each name of a case on stdin, the milliseconds it took."""
    import cv2
    import numpy as np
    from av.video.frame import VideoFrame

    from streamseg.drawing.composite import Compositor
    from streamseg.drawing.options import DrawOptions
    from streamseg.drawing.stretch import stretch
    from streamseg.drawing.yuv import planes_of
    from streamseg.models.palette import CAMVID

    cv2.setNumThreads(1)
    frame = VideoFrame(*size, "yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    noise = np.random.default_rng(0)
    for plane in planes_of(frame):
        plane[:] = noise.integers(16, 235, plane.shape)
    labels = street_labels()
    known = {field.name for field in fields(DrawOptions)}
    drawing = {
        name: Compositor(
            CAMVID,
            source_size=size,
            pixel_format="yuv420p",
            # An older version knows one kind of edges: the exact ones.
            draw=DrawOptions(**{key: value for key, value in options.items() if key in known}),
        )
        for name, options in CASES.items()
    }
    out = drawing["classes"].compose(frame, labels)
    away = ~np.isin(stretch(labels, *size), [CAMVID.names.index(n) for n in ("car", "tree")])
    differing = int((planes_of(out)[0] != planes_of(frame)[0])[away].sum())
    print(json.dumps({"undrawn_samples_that_differ": differing}), flush=True)
    for line in sys.stdin:
        start = time.thread_time()
        drawing[line.strip()].compose(frame, labels)
        print(json.dumps((time.thread_time() - start) * 1000), flush=True)


class Version:
    """A process that draws with one version of the package."""

    def __init__(self, name: str, root: Path, size: str) -> None:
        self.name = name
        ours = str(Path(__file__).resolve().parents[1])
        code = (
            f"import sys; sys.path.insert(0, {str(root)!r}); sys.path.append({ours!r}); "
            "from benchmarks.drawing import draw_when_asked, pair; "
            f"draw_when_asked(pair({size!r}))"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.checks: dict[str, int] = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def milliseconds(self, case: str) -> float:
        """Draw one frame."""
        assert self._process.stdin is not None
        self._process.stdin.write(case + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def pair(size: str) -> tuple[int, int]:
    """``"3840x2160"`` as two numbers."""
    width, height = size.split("x")
    return int(width), int(height)


def unpacked(commit: str, folder: Path) -> Path:
    """The package as it was at a commit."""
    root = Path(__file__).parents[1]
    tar = subprocess.run(
        ["git", "-C", str(root), "archive", commit, "streamseg"], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@click.command()
@click.option("--against", metavar="COMMIT", help="An older version to draw beside this one.")
@click.option("--size", default="3840x2160", show_default=True)
@click.option("--rounds", default=15, show_default=True)
def main(against: str | None, size: str, rounds: int) -> None:
    """Measure drawing."""
    with tempfile.TemporaryDirectory() as folder:
        versions = [Version("now", Path(__file__).parents[1], size)]
        if against is not None:
            versions.append(Version(against, unpacked(against, Path(folder)), size))
        times: dict[str, dict[str, list[float]]] = {
            version.name: {case: [] for case in CASES} for version in versions
        }
        for number in range(rounds + 1):
            for case in CASES:
                for version in versions:
                    taken = version.milliseconds(case)
                    if number:  # the first warms up
                        times[version.name][case].append(taken)
        for version in versions:
            version.close()
    result: dict[str, Any] = {"size": size, "undrawn": versions[0].checks, "ms": {}}
    for name, cases in times.items():
        result["ms"][name] = {case: round(median(ms), 2) for case, ms in cases.items()}
    if against is not None:
        old, new = times[against], times["now"]
        result["times_faster"] = {
            case: round(median(o / n for o, n in zip(old[case], new[case], strict=True)), 2)
            for case in CASES
        }
    for key, value in result.items():
        print(f"{key}: {value}")
    print_result("drawing", result)


if __name__ == "__main__":
    main()
