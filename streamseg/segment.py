"""Segments a video: source -> downscale -> engine -> composite -> encode. The Python API.

from streamseg import segment_video, label_frames

stats = segment_video("in.mp4", "out.mp4", model="mbv2")
for frame, labels in label_frames("in.mp4"):
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.composite import Compositor, Mode
from streamseg.engine import BackendName, Engine, cpu_threads, open_engine
from streamseg.errors import SourceError
from streamseg.netsize import choose_size, parse_size
from streamseg.pipeline import Pipeline, Stage
from streamseg.stages import Downscale, compose_stage, infer_stage
from streamseg.stats import RunClock, Stats
from streamseg.video.file import FileSource
from streamseg.video.source import Item, Source
from streamseg.video.writer import EncoderOptions, OutputPath, VideoWriter, encoder_format
from streamseg.yuv import LAYOUTS, seconds

Size = str | int | tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """How labels are drawn; see `streamseg.composite.Compositor`."""

    mode: Mode = "overlay"
    alpha: float = 0.5
    classes: Sequence[str] | None = None
    legend: bool = False


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What a progress display needs, some ten times a second."""

    frames: int
    frames_expected: int | None
    seconds: float
    media_seconds: float
    dropped: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None


def network_size(source: Source, engine: Engine, size: Size) -> tuple[int, int]:
    """Width and height the network sees: asked for, or chosen from the clip's aspect ratio.

    Raises:
        UsageError: `size` cannot be read or is out of range.
    """
    aspect = source.info.display_aspect
    if source.info.rotation in (90, 270):
        aspect = 1 / aspect
    if size is None:
        return choose_size(aspect, engine.spec.model.default_size)
    return parse_size(size, aspect)


def segment_video(
    src: str | Path,
    dst: str | Path,
    *,
    model: str | Path = "mbv2",
    backend: BackendName = "auto",
    size: Size = None,
    batch: int | None = None,
    mode: Mode = "overlay",
    alpha: float = 0.5,
    classes: Sequence[str] | None = None,
    legend: bool = False,
    codec: str = "libx264",
    crf: int | None = None,
    preset: str | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[RunProgress], None] | None = None,
) -> Stats:
    """Segment a video file into another, keeping its timestamps and copying its audio.

    The output appears under its name only when it is complete. A KeyboardInterrupt finishes a
    playable file of what was done so far (`Stats.interrupted`); a second one throws it away.

    Args:
        src: video file.
        dst: ``.mp4``, ``.mov`` or ``.mkv`` to write.
        model: name of a built-in model or path of a model file.
        backend: see `streamseg.engine.open_engine`.
        size: what the network sees: ``"512x288"``, a short side, or None to choose from the
            clip's aspect ratio; rounded to multiples of 32.
        batch: frames per engine call; None lets the engine choose.
        mode: see `streamseg.composite.Compositor`, with `alpha`, `classes` and `legend`.
        alpha: share of the class colour.
        classes: class names to draw; None draws all.
        legend: draw class names and colours.
        codec: video encoder.
        crf: quality; None takes 20 for x264 and x265.
        preset: encoder preset; None takes veryfast for x264 and x265.
        threads: CPU threads of engine, encoder and decoder each; None takes all cores.
        overwrite: replace an existing `dst` (when the new file is complete).
        on_progress: called some ten times a second from the calling thread.

    Raises:
        UsageError: an argument that cannot be; nothing was read or written.
        SourceError: `src` is no video, or not one frame could be read.
        ModelError: the model is missing or none of ours.
        EngineError: the backend failed.
        OutputError: `dst` cannot be written.
    """
    clock = RunClock()
    encoder = EncoderOptions(codec=codec, crf=crf, preset=preset, threads=threads or 0)
    output = OutputPath.check(Path(dst), overwrite=overwrite, source=Path(src))
    draw = DrawOptions(mode=mode, alpha=alpha, classes=classes, legend=legend)
    with ExitStack() as stack:
        source = stack.enter_context(FileSource(Path(src), threads=threads or cpu_threads()))
        engine = stack.enter_context(
            open_engine(model, backend=backend, threads=threads, batch=batch)
        )
        return record(
            source,
            output,
            engine,
            clock=clock,
            size=size,
            draw=draw,
            encoder=encoder,
            on_progress=on_progress,
        )


def record(
    source: Source,
    output: OutputPath,
    engine: Engine,
    *,
    clock: RunClock,
    size: Size,
    draw: DrawOptions,
    encoder: EncoderOptions,
    on_progress: Callable[[RunProgress], None] | None = None,
) -> Stats:
    """Run an opened source through an opened engine into a file; see `segment_video`."""
    info = source.info
    net_size = network_size(source, engine, size)
    wanted = info.pixel_format if info.pixel_format in LAYOUTS else "yuv420p"
    pixel_format = encoder_format(encoder.codec, wanted)
    compositor = Compositor(
        engine.spec.model.classes,
        source_size=(info.width, info.height),
        pixel_format=pixel_format if pixel_format in LAYOUTS else "yuv420p",
        mode=draw.mode,
        alpha=draw.alpha,
        classes=draw.classes,
        legend=draw.legend,
    )
    with VideoWriter(
        output, info, size=compositor.size, pixel_format=compositor.pixel_format, options=encoder
    ) as writer:
        start_seconds: list[float] = []

        def write(items: list[Item]) -> list[Item]:
            for item in items:
                assert item.drawn is not None
                writer.write(item.drawn, item.packets)
                now = seconds(item.frame)
                start_seconds[:] = start_seconds or [now]
                clock.written(now - start_seconds[0] + float(1 / info.rate), item.captured)
            return []

        pipeline = Pipeline(
            source,
            [
                Stage("downscale", Downscale(net_size, info.rotation)),
                infer_stage(engine),
                compose_stage(compositor, info.rotation),
                Stage("encode+write", write),
            ],
            source_name="decode",
        )

        def tick() -> None:
            if on_progress is not None:
                on_progress(_progress(source, pipeline, clock))

        interrupted = run_until_interrupted(pipeline, tick)
        if writer.frames == 0:
            reason = "interrupted before" if interrupted else "ended before"
            raise SourceError(f"{info.name}: {reason} the first frame; nothing was written")
        writer.finish(source.leftover)
        tick()
    return summarise(
        source,
        engine,
        pipeline,
        clock,
        net_size=net_size,
        output=output.final,
        interrupted=interrupted,
        warnings=[*([] if interrupted else source.warnings), *writer.warnings],
    )


def run_until_interrupted(pipeline: Pipeline, tick: Callable[[], None]) -> bool:
    """Run to the end, or until Ctrl-C, and then finish what is under way. True if interrupted.

    A second Ctrl-C drops what is under way and is raised.
    """
    try:
        pipeline.run(tick)
    except KeyboardInterrupt:
        pipeline.stop()
        try:
            pipeline.wait(tick)
        except KeyboardInterrupt:
            pipeline.abort()
            raise
        return True
    return False


def label_frames(
    src: str | Path,
    *,
    model: str | Path = "mbv2",
    backend: BackendName = "auto",
    size: Size = None,
    batch: int | None = None,
    threads: int | None = None,
    full_size: bool = False,
) -> Iterator[tuple[VideoFrame, NDArray[np.uint8]]]:
    """Yield every frame of a video with its label map.

    Args:
        src: video file.
        model: as in `segment_video`, with `backend`, `size`, `batch` and `threads`.
        full_size: stretch the labels (nearest) to the frame's size; else they have the network's.

    Yields:
        ``(frame, labels)``: the decoded `av.VideoFrame`, and class indices uint8 ``[H, W]``,
        upright as the frame is stored.

    Raises:
        StreamsegError: as `segment_video`.
    """
    with ExitStack() as stack:
        source = stack.enter_context(
            FileSource(Path(src), threads=threads or cpu_threads(), copy_audio=False)
        )
        engine = stack.enter_context(
            open_engine(model, backend=backend, threads=threads, batch=batch)
        )
        net_size = network_size(source, engine, size)
        pipeline = Pipeline(
            source,
            [Stage("downscale", Downscale(net_size, source.info.rotation)), infer_stage(engine)],
            source_name="decode",
        )
        turn = -source.info.rotation // 90
        for item in pipeline.results():
            labels = np.rot90(item.labels_HW, turn) if turn else item.labels_HW
            if full_size:
                labels = stretch(labels, item.frame.width, item.frame.height)
            yield item.frame, labels


def stretch(labels_HW: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Labels resized (nearest) to another size."""
    rows = np.arange(height) * labels_HW.shape[0] // height
    columns = np.arange(width) * labels_HW.shape[1] // width
    stretched: NDArray[np.uint8] = labels_HW[rows[:, None], columns]
    return stretched


def summarise(
    source: Source,
    engine: Engine,
    pipeline: Pipeline,
    clock: RunClock,
    *,
    net_size: tuple[int, int],
    output: Path | None,
    interrupted: bool,
    warnings: list[str],
) -> Stats:
    """The final table's numbers."""
    wall = clock.elapsed()
    stages = pipeline.stage_stats(wall)
    return Stats(
        source=source.info.name,
        output=None if output is None else str(output),
        frames=clock.frames,
        frames_expected=source.info.frames_from_header,
        wall_seconds=wall,
        fps=clock.frames / wall,
        media_seconds=clock.media_seconds,
        real_time_factor=clock.media_seconds / wall,
        first_frame_seconds=clock.first_frame,
        engine=engine.spec.backend,
        model=engine.spec.model.name,
        size=net_size,
        batch=engine.spec.batch,
        threads=engine.spec.threads,
        stages=stages,
        bottleneck=max(stages, key=lambda stage: stage.utilisation).name,
        interrupted=interrupted,
        dropped=pipeline.dropped,
        latency_p50_ms=clock.latency_ms(0.5),
        latency_p95_ms=clock.latency_ms(0.95),
        warnings=tuple(warnings),
    )


def _progress(source: Source, pipeline: Pipeline, clock: RunClock) -> RunProgress:
    info = source.info
    expected = info.frames_from_header
    if expected is None and info.duration_seconds_from_header is not None:
        expected = round(info.duration_seconds_from_header * info.rate)
    return RunProgress(
        frames=clock.frames,
        frames_expected=expected,
        seconds=clock.elapsed(),
        media_seconds=clock.media_seconds,
        dropped=pipeline.dropped,
        latency_p50_ms=clock.latency_ms(0.5),
        latency_p95_ms=clock.latency_ms(0.95),
    )
