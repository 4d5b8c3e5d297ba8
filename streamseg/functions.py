"""One call for one job: short forms of `streamseg.segmenter.Segmenter`, which opens a model once.

stats = segment_video("in.mp4", "out.mp4", model="mbv2")
for frame, labels in label_frames("in.mp4"):
    ...
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.options import DrawOptions, Mode
from streamseg.errors import UsageError
from streamseg.hold.options import Hold
from streamseg.live.options import CameraOptions
from streamseg.models.colours import DEFAULT_PALETTE
from streamseg.run.job import OnProgress, Size
from streamseg.run.stats import Stats
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.engine import BackendName, PrecisionName
from streamseg.sample import street_clip
from streamseg.segmenter import Segmenter
from streamseg.video.encoder import EncoderOptions
from streamseg.video.output import OutputPath, cannot_write


def segment_video(
    src: str | Path,
    dst: str | Path,
    *,
    model: str | Path = "mbv2",
    backend: BackendName = "auto",
    precision: PrecisionName | None = None,
    build: bool = True,
    size: Size = None,
    batch: int | None = None,
    hold: Hold = "off",
    mode: Mode = "overlay",
    alpha: float = 0.5,
    classes: Sequence[str] | None = None,
    palette: str | Path = DEFAULT_PALETTE,
    legend: bool = False,
    codec: str = "auto",
    crf: int | None = None,
    preset: str | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = None,
    watcher: Watcher | None = None,
) -> Stats:
    """Segment a video file into another, keeping its timestamps and copying its audio.

    The output appears under its name only when it is complete. A KeyboardInterrupt finishes a
    playable file of what was done so far (`Stats.interrupted`); a second one throws it away.

    Args:
        src: video file.
        dst: ``.mp4``, ``.mkv``, ``.webm`` … to write.
        model: name of a built-in model or path of a model file.
        backend: see `streamseg.runtime.open.open_engine`, with `precision` and `build`.
        precision: of the engine; None takes the best one that is there.
        build: build an engine now if that is worth it; False only takes what is there.
        size: what the network sees: ``"512x288"``, a short side, or None to choose from the
            clip's aspect ratio; rounded to what the model takes (multiples of 32).
        batch: frames per engine call; None lets the engine choose.
        hold: frames from one that the network sees to the next; see `Segmenter.video`.
        mode: see `streamseg.drawing.options.DrawOptions`.
        alpha: share of the class colour.
        classes: class names to draw; None draws all but `background` and the like.
        palette: name of a palette, or a file of colours.
        legend: draw class names and colours.
        codec: video encoder.
        crf: quality; None takes 20 for x264 and x265.
        preset: encoder preset; None takes veryfast for x264 and x265.
        threads: CPU threads of engine, encoder and decoder each; None takes all cores.
        overwrite: replace an existing `dst` (when the new file is complete).
        on_progress: called some ten times a second from the calling thread.
        watcher: told when an engine is built, or one that is there is not used; None logs that
            (logger ``streamseg``, INFO).

    Raises:
        UsageError: an argument that cannot be; nothing was written.
        KeyboardInterrupt: interrupted before the first frame was written, or twice.
        SourceError: `src` is no video, or not one frame could be read.
        ModelError: the model file is broken or none of ours.
        EngineError: the backend failed.
        OutputError: `dst` cannot be written.
    """
    with Segmenter(
        model,
        backend=backend,
        precision=precision,
        build=build,
        threads=threads,
        batch=batch,
        watcher=watcher,
    ) as segmenter:
        return segmenter.video(
            src,
            dst,
            size=size,
            hold=hold,
            draw=DrawOptions(
                mode=mode, alpha=alpha, classes=classes, palette=palette, legend=legend
            ),
            encoder=EncoderOptions(codec=codec, crf=crf, preset=preset),
            overwrite=overwrite,
            on_progress=on_progress,
        )


def segment_live(
    source: str | int | Path = "0",
    dst: str | Path | None = None,
    *,
    realtime: bool = False,
    duration_seconds: float | None = None,
    segment_seconds: float | None = None,
    model: str | Path = "mbv2-voc",
    backend: BackendName = "auto",
    precision: PrecisionName | None = None,
    build: bool = True,
    size: Size = None,
    hold: Hold = "off",
    mode: Mode = "overlay",
    alpha: float = 0.5,
    classes: Sequence[str] | None = None,
    palette: str | Path = DEFAULT_PALETTE,
    legend: bool = False,
    codec: str = "auto",
    crf: int | None = None,
    preset: str | None = None,
    threads: int | None = None,
    camera: CameraOptions | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = None,
    watcher: Watcher | None = None,
) -> Stats:
    """Segment a camera, a network stream, or (with `realtime`) a file played like one.

    A sender that is gone is connected to again, for ever unless `camera` says otherwise. Ends after
    `duration_seconds`, or at a KeyboardInterrupt; a recording is finished in each case.

    Args:
        source: as in `Segmenter.live`.
        dst: recording (``.mp4``, ``.mkv`` …) with wall-clock timestamps; None records
            nothing and only measures.
        realtime: `source` is a file, played at its own speed.
        duration_seconds: end after this long; None goes on.
        segment_seconds: as in `Segmenter.live`.
        camera: what is asked of the camera, and how long it is waited for.
        model: as in `streamseg.segment_video`, with all that follow.

    Raises:
        StreamsegError: as `streamseg.segment_video`.
    """
    with Segmenter(
        model,
        backend=backend,
        precision=precision,
        build=build,
        threads=threads,
        watcher=watcher,
    ) as segmenter:
        return segmenter.live(
            source,
            dst,
            realtime=realtime,
            duration_seconds=duration_seconds,
            segment_seconds=segment_seconds,
            size=size,
            hold=hold,
            draw=DrawOptions(
                mode=mode, alpha=alpha, classes=classes, palette=palette, legend=legend
            ),
            encoder=EncoderOptions(codec=codec, crf=crf, preset=preset),
            camera=camera,
            overwrite=overwrite,
            on_progress=on_progress,
        )


def label_frames(
    src: str | Path,
    *,
    model: str | Path = "mbv2",
    backend: BackendName = "auto",
    precision: PrecisionName | None = None,
    build: bool = True,
    size: Size = None,
    batch: int | None = None,
    threads: int | None = None,
    full_size: bool = False,
    watcher: Watcher | None = None,
) -> Iterator[tuple[VideoFrame, NDArray[np.uint8]]]:
    """Yield every frame of a video with its label map.

    Args:
        src: video file.
        model: as in `segment_video`, with `backend`, `precision`, `build`, `size`, `batch` and
            `threads`.
        full_size: stretch the labels (nearest) to the frame's size; else they have the network's.
        watcher: as in `segment_video`.

    Yields:
        ``(frame, labels)``: the decoded `av.VideoFrame`, and class indices uint8 ``[H, W]`` that
        lie over the frame as it is stored (a player may turn both).

    Raises:
        StreamsegError: as `segment_video`.
    """
    with Segmenter(
        model,
        backend=backend,
        precision=precision,
        build=build,
        threads=threads,
        batch=batch,
        watcher=watcher,
    ) as segmenter:
        yield from segmenter.frames(src, size=size, full_size=full_size)


def write_sample(path: str | Path, *, overwrite: bool = False) -> None:
    """Copy the sample clip to `path`, under a temporary name until it is complete.

    Raises:
        UsageError, OutputError: as `streamseg.video.output.OutputPath.check`; another kind of file
            than MP4; or the disk is full.
    """
    place = OutputPath.check(Path(path), overwrite=overwrite)
    if place.muxer != "mp4":
        raise UsageError(f"{path}: the sample clip is an MP4; give a name that ends in .mp4")
    place.claim()
    try:
        shutil.copyfile(street_clip(), place.partial)
        place.publish()
    except OSError as error:
        raise cannot_write(place, error) from error
    finally:
        # After the rename there is none; after any failure, an interrupt too, half a file.
        place.discard()
