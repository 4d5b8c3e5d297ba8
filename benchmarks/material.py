"""Clips and labelled pictures for a machine that has none: `benchmarks.gpu` asks for them.

    python -m benchmarks.material FOLDER

FOLDER gets ``540p.mp4``, ``1080p.mp4`` and ``4K.mp4``, the sample street clip enlarged, and
``pictures/``, a drawn data set in the SegNet layout.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from benchmarks.drawn_scene import Scene
from streamseg.sample import street_clip

CLIPS = {"540p": (960, 540), "1080p": (1920, 1080), "4K": (3840, 2160)}
FRAMES = 100
PICTURES = 16


def write_clip(path: Path, size: tuple[int, int], frames: int = FRAMES) -> None:
    """The sample clip at a size ``(width, height)``, 25 frames a second."""
    with av.open(str(street_clip())) as source, av.open(str(path), "w") as target:
        options = {"preset": "veryfast", "crf": "20"}
        out = target.add_stream("libx264", rate=Fraction(25), options=options)
        assert isinstance(out, VideoStream)
        out.width, out.height, out.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number == frames:
                break
            larger: VideoFrame = frame.reformat(width=size[0], height=size[1], format="yuv420p")
            larger.pts, larger.time_base = number, Fraction(1, 25)
            target.mux(out.encode(larger))
        target.mux(out.encode(None))


def write_pictures(folder: Path, count: int = PICTURES) -> None:
    """Drawn pictures to train on and to validate with, 480x360, `count` of each."""
    scene = Scene(moving=True)
    for split in ("train", "val"):
        for kind in (split, f"{split}annot"):
            (folder / kind).mkdir(parents=True)
        for number in range(count):
            picture, classes = scene.frame(number)
            for kind, pixels, how in (
                (split, picture[..., ::-1], cv2.INTER_AREA),
                (f"{split}annot", classes, cv2.INTER_NEAREST),
            ):
                file = folder / kind / f"{number:02d}.png"
                cv2.imwrite(str(file), cv2.resize(pixels, (480, 360), interpolation=how))


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--frames", default=FRAMES, show_default=True, help="Of each clip.")
def main(folder: Path, frames: int) -> None:
    """Write clips and pictures into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder / "pictures")
    for name, size in CLIPS.items():
        write_clip(folder / f"{name}.mp4", size, frames)


if __name__ == "__main__":
    main()
