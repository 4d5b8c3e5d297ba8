"""One run: an opened source through an opened engine, into a file or nowhere.

Knows nothing about how sources and engines are opened, nor about command lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from streamseg.drawing.classes import class_alphas, covered_classes, kept_classes
from streamseg.drawing.composite import Compositor
from streamseg.drawing.options import DEFAULT_BACKGROUND, DrawOptions
from streamseg.drawing.yuv import seconds
from streamseg.errors import SourceError, StoppedError
from streamseg.hold.options import Hold, longest_hold
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.sink import LabelSink
from streamseg.models.colours import recoloured
from streamseg.models.sizes import SizeRule
from streamseg.run.holding import Holding
from streamseg.run.netsize import choose_size, parse_size
from streamseg.run.pipeline import Pipeline, Stage
from streamseg.run.resuming import items_behind, kept
from streamseg.run.stages import (
    Recorded,
    clean_stages,
    compose_stage,
    downscale_stage,
    infer_stage,
    sink_stages,
)
from streamseg.run.stats import Recent, RunClock, Stats
from streamseg.runtime.cpu import cpu_threads
from streamseg.runtime.engine import Engine
from streamseg.video.backdrop import open_backdrop
from streamseg.video.encoder import (
    EncoderOptions,
    drawn_format,
    encoder_format,
    transparent_format,
)
from streamseg.video.formats import format_of
from streamseg.video.journal import Journal
from streamseg.video.output import OutputPath
from streamseg.video.pixelformats import losses, traits
from streamseg.video.rolling import RollingWriter
from streamseg.video.scaling import Downscale
from streamseg.video.source import Item, Source, SourceInfo
from streamseg.video.writer import VideoWriter

Size = str | int | tuple[int, int] | None
"""``"512x288"``, a pair, a short side, or None to choose from the clip's aspect ratio."""

_FALLBACK_FORMAT = "yuv420p"
_SDR_BITS = 8
_MOST_DRAWING_THREADS = 4
"""Memory, not arithmetic, limits more of them."""


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
    recent: Recent | None = None
    """Live only: the figures of the last ten seconds."""
    state: str = ""
    """Live only: of the camera."""


OnProgress = Callable[[RunProgress], None] | None


def network_size(info: SourceInfo, sizes: SizeRule, size: Size = None) -> tuple[int, int]:
    """Width and height at which the network sees a source, upright.

    Raises:
        UsageError: a size that cannot be.
    """
    aspect = 1 / info.display_aspect if info.orientation.sideways else info.display_aspect
    return choose_size(aspect, sizes) if size is None else parse_size(size, aspect, sizes)


class Job:
    """A source and an engine, ready to run once.

    Args:
        source: opened; closing it is the caller's.
        engine: opened; closing it is the caller's. Or what says that frames bring labels along.
        clock: started when the run began.
        size: what the network sees.
        hold: frames from one that the network sees to the next; see `streamseg.hold`.
        draw: how labels are drawn.
        clean: what becomes of labels before that.
        sinks: what takes labels beside the drawing; opened, and finished with the run.
        live: freshest frame first: the oldest waiting frame is dropped, no batch is waited for.
        stopped: asked some ten times a second; True ends the run as Ctrl-C does.

    Raises:
        UsageError: a size, hold, alpha, mode or class that cannot be.
    """

    def __init__(
        self,
        source: Source,
        engine: Engine | Recorded,
        *,
        clock: RunClock,
        size: Size = None,
        hold: Hold = "off",
        draw: DrawOptions | None = None,
        clean: CleanOptions | None = None,
        sinks: Sequence[LabelSink] = (),
        live: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.source, self.engine, self.clock = source, engine, clock
        self.draw, self.clean = draw or DrawOptions(), clean or CleanOptions()
        self.sinks = sinks
        self.live = live
        self._stopped = stopped
        self._items: Iterable[Item] = source
        self._done = 0  # frames that another run had made
        # Refuse a wrong class before a file is created.
        classes = engine.spec.model.classes
        class_alphas(classes, covered_classes(classes, self.draw.classes), self.draw)
        if self.draw.changes_background:
            kept_classes(classes, self.draw)
        recoloured(classes, self.draw.palette)
        self.size = network_size(source.info, engine.spec.model.sizes, size)
        longest = longest_hold(hold)
        self._holding = None
        if longest > 1 and not isinstance(engine, Recorded):
            self._holding = Holding(engine, longest)

    def pipeline(self, *last_stages: Stage) -> Pipeline:
        """Decode, downscale, infer and clean, followed by the stages given."""
        return Pipeline(
            self._items,
            [
                *self._labelling(),
                *clean_stages(self.clean),
                *sink_stages(self.sinks),
                *last_stages,
            ],
            source_name="receive" if self.live else "decode",
            # Two frames between stages keep every thread busy; in a live run each waiting frame
            # only grows old.
            capacity=1 if self.live else 2,
            drop_oldest=self.live,
        )

    def _labelling(self) -> list[Stage]:
        """What fills in `labels_HW`; nothing where frames bring labels along."""
        if isinstance(self.engine, Recorded) and not self.clean.stabilize:
            return []
        downscale = downscale_stage(Downscale(self.size, self.source.info.orientation), self.clean)
        if isinstance(self.engine, Recorded):
            return [downscale]
        if self._holding is None:
            return [downscale, infer_stage(self.engine, live=self.live)]
        return [downscale, *self._holding.stages(live=self.live)]

    def record(
        self,
        output: OutputPath,
        encoder: EncoderOptions,
        on_progress: OnProgress = None,
        journal: Journal | None = None,
        *,
        segment_seconds: float | None = None,
    ) -> Stats:
        """Write the segmented video; the file appears when it is complete.

        A KeyboardInterrupt ends the input and finishes the file; a second one drops it. With a
        journal, what it has is not made again, and an interrupt leaves the rest to another run.
        With `segment_seconds`, files of that length are made: see `streamseg.video.rolling`.

        Raises:
            KeyboardInterrupt: before the first frame was written; there is no file.
            SourceError: the source ended before the first frame.
            OutputError, EngineError, UsageError: as raised by writer and engine.
        """
        info = self.source.info
        # Of a live source 8 bits are written, and the encoder must keep up.
        seen = replace(info, pixel_format=_FALLBACK_FORMAT) if self.live else info
        encoder = encoder.chosen(format_of(output.muxer), seen)
        if self.live:
            encoder = encoder.for_live()
        compositor, encoded = self._compositor(encoder, output)

        def open_writer(place: OutputPath, seen: SourceInfo) -> VideoWriter:
            return VideoWriter(
                place,
                seen,
                size=compositor.size,
                pixel_format=encoded,
                options=encoder,
                tags={"creation_time": _now()} if self.live else None,
                journal=journal,
            )

        def opened() -> VideoWriter | RollingWriter:
            if segment_seconds is None:
                return open_writer(output, info)
            return RollingWriter(open_writer, output, info, seconds=segment_seconds)

        with closing(compositor), opened() as writer:
            if journal is not None and isinstance(writer, VideoWriter):
                self._items = self._behind(journal, writer, compositor, on_progress)

            def write(items: list[Item]) -> list[Item]:
                for item in items:
                    assert item.drawn is not None, "compositing comes before encoding"
                    writer.write(item.drawn, item.packets)
                    self._count(item)
                return []

            pipeline = self.pipeline(
                compose_stage(compositor, info.orientation), Stage("encode+write", write)
            )
            interrupted = self._run(pipeline, on_progress)
            if interrupted and journal is not None:
                writer.abort()
                said = [*compositor.warnings, *self._finish_sinks()]
                return self._summary(pipeline, None, interrupted, said, [kept(journal)])
            writer.finish(self.source.leftover)
            warnings = [*compositor.warnings, *writer.warnings, *self._finish_sinks()]
        return self._summary(pipeline, output.final, interrupted, warnings, writer.notes)

    def _behind(
        self,
        journal: Journal,
        writer: VideoWriter,
        compositor: Compositor,
        on_progress: OnProgress,
    ) -> Iterator[Item]:
        """Pass over what another run made; the frames behind it."""

        def tell(passed: int) -> None:
            self._done = passed
            if on_progress is not None:
                on_progress(self._progress(dropped=0))

        items = items_behind(
            self.source, journal, writer, compositor, stopped=self._stopped, tell=tell
        )
        self._done = journal.frames
        return items

    def _finish_sinks(self) -> list[str]:
        """Complete what sinks wrote; what they have to say."""
        for sink in self.sinks:
            sink.finish()
        return [warning for sink in self.sinks for warning in sink.warnings]

    def discard(self, on_progress: OnProgress = None) -> Stats:
        """Segment and draw nothing: labels go to the sinks alone, or nowhere to measure speed."""

        def count(items: list[Item]) -> list[Item]:
            for item in items:
                self._count(item)
            return []

        pipeline = self.pipeline(Stage("discard", count))
        interrupted = self._run(pipeline, on_progress)
        return self._summary(pipeline, None, interrupted, self._finish_sinks(), [])

    def _compositor(self, encoder: EncoderOptions, output: OutputPath) -> tuple[Compositor, str]:
        """What draws, and the pixel format to encode in."""
        info = self.source.info
        wanted, kind = info.pixel_format, format_of(output.muxer)
        if self.live and wanted not in ("yuv420p", "yuvj420p", "nv12"):
            # Cameras send 4:2:2; few players show that in H.264, and nobody sees the difference.
            wanted = _FALLBACK_FORMAT
        encoded, backdrop, opaque = None, None, []
        if self.draw.mode == "cutout" and self.draw.background is None:
            encoded = transparent_format(encoder, wanted, kind)
            if encoded is None:
                opaque.append(
                    f"{output.final}: {encoder.codec} holds no transparency in this kind of file; "
                    f"what is cut out lies on {DEFAULT_BACKGROUND}. --codec prores_ks in .mov, "
                    "ffv1 or libvpx-vp9 in .mkv hold it"
                )
        if encoded is None:
            encoded = encoder_format(encoder, wanted, kind)
            backdrop = open_backdrop(self.draw)
        compositor = Compositor(
            self.engine.spec.model.classes,
            source_size=(info.width, info.height),
            pixel_format=drawn_format(encoded),
            draw=self.draw,
            orientation=info.orientation,
            backdrop=backdrop,
            threads=min(_MOST_DRAWING_THREADS, cpu_threads()),
        )
        compositor.warnings += opaque
        if not self.live:
            compositor.warnings += self._losses(encoder, encoded, compositor.pane_size)
        return compositor, encoded

    def _losses(self, encoder: EncoderOptions, encoded: str, size: tuple[int, int]) -> list[str]:
        """What the encoder does not hold of the source, unless that was asked for."""
        info = self.source.info
        lost = []
        if encoder.pixel_format is None and not encoder.compatible:
            lost = losses(info.pixel_format, encoded)
        if size != (info.width, info.height):
            lost.append(f"an odd row or column is cut, {size[0]}x{size[1]} is left")
        if info.is_hdr and traits(encoded).bits <= _SDR_BITS:
            lost.append("high dynamic range in 8 bits shows bands, and few players know it so")
        graded = info.grading.mastering or info.grading.light
        if graded and not info.grading.as_options(encoder.codec):
            lost.append("its grading (mastering display, light levels) is not written")
        if info.grading.dynamic:
            lost.append(f"{' and '.join(info.grading.dynamic)} metadata is left out")
        if not lost:
            return []
        hint = "" if encoder.codec == "ffv1" else "; --codec ffv1 and an .mkv output keep more"
        return [f"{info.name}: for {encoder.codec}, {' and '.join(lost)}{hint}"]

    def _count(self, item: Item) -> None:
        duration = float(1 / self.source.info.rate)
        self.clock.written(seconds(item.frame), duration, item.captured)

    def _run(self, pipeline: Pipeline, on_progress: OnProgress) -> bool:
        """Run to the end, or to Ctrl-C and then to the end of what is under way."""

        interrupted = False

        def tick() -> None:
            nonlocal interrupted
            if not interrupted and self._stopped():
                interrupted = True
                pipeline.stop()
            if on_progress is not None:
                on_progress(self._progress(pipeline.dropped))

        try:
            pipeline.run(tick)
        except KeyboardInterrupt:
            interrupted = True
            pipeline.stop()
            try:
                pipeline.wait(tick)
            except KeyboardInterrupt:
                pipeline.abort()
                _wait_through_interrupts(pipeline)
                raise
        if on_progress is not None:
            on_progress(self._progress(pipeline.dropped))
        if self.clock.frames == 0:
            if interrupted and self._stopped():
                raise StoppedError(
                    f"{self.source.info.name}: stopped before its first frame; nothing was written"
                )
            if interrupted:
                raise KeyboardInterrupt
            raise SourceError(
                f"{self.source.info.name}: ended before the first frame; nothing was written"
            )
        return interrupted

    def _progress(self, dropped: int) -> RunProgress:
        return RunProgress(
            frames=self._done + self.clock.frames,
            frames_expected=self.source.info.frames_expected,
            seconds=self.clock.elapsed(),
            media_seconds=self.clock.media_seconds,
            dropped=dropped,
            latency_p50_ms=self.clock.latency_ms(0.5),
            latency_p95_ms=self.clock.latency_ms(0.95),
            recent=self.clock.recent() if self.live else None,
        )

    def _summary(
        self,
        pipeline: Pipeline,
        output: Path | None,
        interrupted: bool,
        warnings: list[str],
        notes: list[str],
    ) -> Stats:
        wall = self.clock.elapsed()
        stages = pipeline.stage_stats(wall)
        # A live source spends its time waiting for the world: that is no bottleneck.
        working = stages[1:] if self.live else stages
        spec = self.engine.spec
        # What an interrupted run did not read was not lost.
        lost = () if interrupted and not self.live else tuple(self.source.warnings)
        expected = self.source.info.frames_expected
        if expected is not None and not interrupted and not lost:
            # An estimate from the duration, now known better.
            expected = self._done + self.clock.frames
        return Stats(
            source=self.source.info.name,
            output=None if output is None else str(output),
            frames=self._done + self.clock.frames,
            frames_resumed=self._done,
            frames_expected=expected,
            wall_seconds=wall,
            fps=self.clock.frames / wall,
            media_seconds=self.clock.media_seconds,
            real_time_factor=self.clock.media_seconds / wall,
            first_frame_seconds=self.clock.first_frame,
            engine=spec.backend,
            model=spec.model.name,
            size=self.size,
            batch=spec.batch,
            threads=spec.threads,
            stages=stages,
            bottleneck=max(working, key=lambda stage: stage.utilisation).name,
            interrupted=interrupted,
            dropped=pipeline.dropped,
            dropped_before=pipeline.dropped_before,
            held=0 if self._holding is None else self._holding.held,
            latency_p50_ms=self.clock.latency_ms(0.5),
            latency_p95_ms=self.clock.latency_ms(0.95),
            warnings=(*lost, *warnings),
            notes=tuple(notes),
        )


def _now() -> str:
    """Coordinated universal time, as FFmpeg writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wait_through_interrupts(pipeline: Pipeline) -> None:
    """Wait for an aborted pipeline, which takes as long as the frames in its stages.

    Nobody may close a file or a device under a thread that still uses it, however often a
    user asks for the end.
    """
    while True:
        try:
            return pipeline.wait()
        except KeyboardInterrupt:
            continue
