"""`Segmenter`: a model opened once, for many videos, pictures, frames and cameras.

    with Segmenter("mbv2") as seg:
        stats = seg.video("in.mp4", "out.mp4")
        labels = seg.image("street.jpg")

Knows how sources, engines and outputs are opened and put together; the work is theirs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.stretch import stretch
from streamseg.errors import StoppedError, UsageError
from streamseg.hold.options import Hold
from streamseg.labelmaps.measuring import open_measuring
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.outputs import LabelOutputs, open_sinks
from streamseg.labelmaps.sink import Onlooker
from streamseg.labelmaps.specks import without_specks
from streamseg.labels import Labels
from streamseg.live.address import is_served_once
from streamseg.live.camera import Camera
from streamseg.live.options import CameraOptions
from streamseg.live.source import RealtimeFile, open_live
from streamseg.measures.options import MeasureOptions
from streamseg.models.modelfile import ModelHeader, find_model, read_header
from streamseg.run.clips import with_events
from streamseg.run.job import Job, OnProgress, RunProgress, Size, network_size
from streamseg.run.netsize import choose_size, parse_size
from streamseg.run.notices import Notices
from streamseg.run.resuming import check_resumable, kept_for_later, leftover, open_journal
from streamseg.run.running import Running
from streamseg.run.stats import RunClock, Stats
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.choosing.choice import size_matters
from streamseg.runtime.choosing.maker import Chosen
from streamseg.runtime.cpu import coder_threads, cpu_threads
from streamseg.runtime.engine import BackendName, PrecisionName
from streamseg.runtime.options import EngineOptions
from streamseg.runtime.pool import EnginePool
from streamseg.version import __version__
from streamseg.video.encoder import EncoderOptions
from streamseg.video.journal import Journal
from streamseg.video.opening import InputOptions
from streamseg.video.output import OutputPath, output_place
from streamseg.video.part import Part, open_part
from streamseg.video.picture import read_picture
from streamseg.video.source import Source


class Segmenter(ClosedAtExit):
    """A model, opened when it is first needed and kept; safe to use from several threads.

    Leaving the ``with`` ends what other threads still run: a video becomes a playable file of what
    was done so far.

    Args:
        model: name of a built-in model, or path of a model file.
        backend: ``auto`` takes the fastest that works here; see `EngineOptions` for the others.
        precision: ``fp32``, ``fp16`` or ``int8``; None takes the best one that is there.
        build: build an engine now if that is worth it; False only takes what is there.
        threads: CPU threads of engine, encoder and decoder each; None takes all cores.
        batch: frames per engine call; None lets the engine choose.
        watcher: told when an engine is built, or one that is there is not used.

    Raises:
        UsageError: no such model, backend or precision, or threads or batch below 1.
        ModelError: the model file is broken or none of ours.
    """

    def __init__(
        self,
        model: str | Path = "mbv2",
        *,
        backend: BackendName = "auto",
        precision: PrecisionName | None = None,
        build: bool = True,
        threads: int | None = None,
        batch: int | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.options = EngineOptions(
            model=model,
            backend=backend,
            precision=precision,
            build=build,
            threads=threads,
            batch=batch,
        )
        self.header: ModelHeader = read_header(find_model(model))
        """What the model file says of itself: classes, sizes, accuracy."""
        self._watcher = watcher
        self._pool = EnginePool(self.options)
        self._running = Running("segmenter", self._pool.close)

    def close(self) -> None:
        """End what is under way in other threads, and give back the engines."""
        self._running.close()

    def video(
        self,
        src: str | Path,
        dst: str | Path | None,
        *,
        size: Size = None,
        hold: Hold = "off",
        draw: DrawOptions | None = None,
        clean: CleanOptions | None = None,
        labels: LabelOutputs | None = None,
        measure: MeasureOptions | None = None,
        part: Part | None = None,
        read: InputOptions | None = None,
        encoder: EncoderOptions | None = None,
        resume: bool = False,
        overwrite: bool = False,
        stop: threading.Event | None = None,
        on_progress: OnProgress = None,
    ) -> Stats:
        """Segment a video file into another, keeping its timestamps and copying its audio.

        The output appears under its name only when it is complete. A KeyboardInterrupt, or `stop`,
        finishes a playable file of what was done so far (`Stats.interrupted`); a second interrupt
        throws it away.

        Args:
            src: video file; ``-`` for standard input, an http address, or pictures as a folder or
                a pattern (``shots/*.png``, ``%04d.jpg``).
            dst: ``.mp4``, ``.mkv``, ``.webm`` … to write, or ``-``; None draws nothing.
            size: what the network sees: ``"512x288"``, a short side, or None to choose from the
                clip's aspect ratio; rounded to what the model takes (multiples of 32).
            hold: ``off`` has the network see every frame. Else it sees what the last frame that it
                saw does not explain, every N-th at least (``auto``: 12th); labels of the others
                follow what moves.
            draw: how labels are drawn.
            clean: what becomes of labels before that.
            labels: where labels go beside the drawing.
            measure: what is measured of them, and where that goes.
            part: which frames are read; None reads all.
            read: how they are read.
            encoder: how the output is encoded.
            resume: keep what is done in the folder ``DST.resume`` until `dst` is complete, and go
                on there if an earlier run left one. An interrupt leaves `dst` to another run.
            overwrite: replace an existing `dst` (when the new file is complete).
            stop: set it, from any thread, to end the run early.
            on_progress: called some ten times a second from the calling thread.

        Raises:
            UsageError: an argument that cannot be; nothing was written.
            KeyboardInterrupt: interrupted before the first frame was written, or twice.
            StoppedError: stopped before the first frame was written.
            SourceError: `src` is no video, or not one frame could be read.
            EngineError: the backend failed.
            OutputError: `dst` cannot be written.
        """
        clock = RunClock()
        labels, encoder = labels or LabelOutputs(), self._threaded(encoder)
        output = None
        if dst is not None:
            output = output_place(dst, encoder.container, overwrite=overwrite, source=Path(src))
        openers = labels.openers(overwrite=overwrite, source=Path(src))
        names = self.header.classes.names
        plan = (measure or MeasureOptions()).plan(names, overwrite=overwrite, source=Path(src))
        if plan.clips is not None and not Path(src if dst is None else dst).suffix:
            raise UsageError(
                f"{src if dst is None else dst}: --event-clips cuts clips out of a file; name OUT"
            )
        if resume:
            check_resumable(src, output, beside=bool(labels or measure))
        told = Notices(self._watcher)
        with self._running.run(), ExitStack() as stack:
            source = stack.enter_context(
                self._open(src, all_streams=output is not None, part=part, read=read)
            )
            net_size = network_size(source.info, self.header.sizes, size)
            chosen = self._pool.get(net_size, watcher=told.watcher)
            header = chosen.engine.spec.model
            sinks = open_sinks(stack, openers, source.info, net_size, header)
            measuring = open_measuring(stack, plan, source.info, names)
            job = Job(
                source,
                chosen.engine,
                clock=clock,
                size=size,
                hold=hold,
                draw=draw,
                clean=clean,
                sinks=[*sinks, *measuring],
                stopped=self._stopped(stop),
            )
            if output is None:
                stats = job.discard(on_progress)
            else:
                journal = None
                if resume:
                    asked: dict[str, object] = {"hold": hold, "part": part, "reading": read}
                    asked["encoder"] = replace(encoder, threads=0)
                    opened = self._journal(output, src, job, chosen, asked)
                    journal = stack.enter_context(closing(opened))
                with kept_for_later(journal):
                    stats = job.record(output, encoder, on_progress, journal)
                if not resume:
                    stats = replace(stats, notes=(*stats.notes, *leftover(output.final)))
            for sink in measuring:
                stats = with_events(
                    stats, sink, encoder, overwrite=overwrite, on_progress=on_progress
                )
            return told.add_to(stats, chosen)

    def _journal(
        self,
        output: OutputPath,
        src: str | Path,
        job: Job,
        chosen: Chosen,
        asked: dict[str, object],
    ) -> Journal:
        """Where a job keeps what it has done, or an earlier one with the same pictures did."""
        return open_journal(
            output,
            job.source.info,
            src=src,
            model=self.options.model,
            engine=[chosen.engine.spec.backend, chosen.precision],
            asked={
                "version": __version__,
                "size": job.size,
                "draw": job.draw,
                "clean": job.clean,
                **asked,
            },
        )

    def frames(
        self,
        src: str | Path,
        *,
        size: Size = None,
        clean: CleanOptions | None = None,
        full_size: bool = False,
    ) -> Iterator[tuple[VideoFrame, NDArray[np.uint8]]]:
        """Yield every frame of a video with its label map.

        Args:
            src: video file.
            size: as in `video`, with `clean`.
            clean: what becomes of labels before they are yielded.
            full_size: stretch the labels (nearest) to the frame's size; else they have the
                network's.

        Yields:
            ``(frame, labels)``: the decoded `av.VideoFrame`, and class indices uint8 ``[H, W]``
            that lie over the frame as it is stored (a player may turn both).

        Raises:
            StoppedError: the segmenter was closed meanwhile.
            StreamsegError: as `video`.
        """
        with ExitStack() as stack:
            source = stack.enter_context(self._open(src, all_streams=False))
            net_size = network_size(source.info, self.header.sizes, size)
            told = Notices(self._watcher)
            engine = self._pool.get(net_size, watcher=told.watcher).engine
            pipeline = Job(source, engine, clock=RunClock(), size=size, clean=clean).pipeline()
            stack.enter_context(self._running.run(pipeline.end))
            orientation = source.info.orientation
            # A caller may stop half way: the threads must end before the file is closed.
            for item in stack.enter_context(closing(pipeline.results())):
                assert item.labels_HW is not None, "the engine's stage is the last"
                labels = np.ascontiguousarray(orientation.stored(item.labels_HW))
                if full_size:
                    labels = stretch(labels, item.frame.width, item.frame.height)
                yield item.frame, labels
            if self._running.closed:
                raise StoppedError(f"{src}: the segmenter was closed before all frames were read")

    def image(
        self,
        picture: str | Path | NDArray[np.uint8],
        *,
        size: Size = None,
        clean: CleanOptions | None = None,
    ) -> Labels:
        """The labels of one picture.

        Args:
            picture: a file (JPEG, PNG, WebP …; upright as EXIF says), or RGB uint8 ``[H, W, 3]``.
            size: what the network sees, as in `video`; the labels have the picture's size.
            clean: what becomes of labels before that.

        Raises:
            UsageError: a size that cannot be, or an array of another shape or dtype.
            SourceError: the file is no picture.
            EngineError: the backend failed.
        """
        told = Notices(self._watcher)
        with self._running.run():
            pixels = _pixels(picture)
            height, width = pixels.shape[:2]
            aspect, sizes = width / height, self.header.sizes
            net_size = (
                choose_size(aspect, sizes) if size is None else parse_size(size, aspect, sizes)
            )
            chosen = self._pool.get(net_size, low_latency=True, watcher=told.watcher)
            # Averages when it shrinks, as swscale does for frames.
            small = cv2.resize(pixels, net_size, interpolation=cv2.INTER_AREA)
            labels = chosen.engine.infer(np.asarray(small, np.uint8)[None])[0]
            labels = without_specks(labels, (clean or CleanOptions()).min_area)
        return Labels(stretch(labels, width, height), self.header.classes, pixels, labels)

    def live(
        self,
        source: str | int | Path = "0",
        record: str | Path | None = None,
        *,
        realtime: bool = False,
        duration_seconds: float | None = None,
        segment_seconds: float | None = None,
        size: Size = None,
        hold: Hold = "off",
        draw: DrawOptions | None = None,
        clean: CleanOptions | None = None,
        encoder: EncoderOptions | None = None,
        camera: CameraOptions | None = None,
        overwrite: bool = False,
        onlookers: Sequence[Onlooker] = (),
        stop: threading.Event | None = None,
        on_progress: OnProgress = None,
    ) -> Stats:
        """Segment a camera, a network stream, or (with `realtime`) a file played like one.

        Freshest frame first, every dropped frame counted. A sender that is gone is connected to
        again. Ends when it is given up, after `duration_seconds`, at a KeyboardInterrupt or when
        `stop` is set; a recording is finished in each case. However else it ends (a second
        interrupt, a full disk, ``kill -9``), all but its last second plays, under its own name.

        Args:
            source: camera number or device, an address (rtsp, rtmp, http, tcp, udp), ``env:NAME``
                for one in an environment variable, an ``.sdp`` file, a named pipe, or ``-``.
            record: recording (``.mp4``, ``.mkv`` …) with wall-clock timestamps; None
                records nothing and only measures.
            realtime: `source` is a file, played at its own speed.
            duration_seconds: end after this long; None goes on to the end of the stream.
            segment_seconds: record files of this length, named after `record` and the moment in
                which each begins (UTC); None records one.
            camera: what is asked of the camera, and how long it is waited for.
            onlookers: handed every segmented frame; a page, for one (`streamseg.page.screen`).
            size: as in `video`, with all that follow.

        Raises:
            StreamsegError: as `video`.
        """
        clock = RunClock()
        address = str(source)
        if segment_seconds is not None and (record is None or not segment_seconds >= 1):
            raise UsageError("--segment is for a recording (--out), and of a second or more")
        if duration_seconds is not None and not duration_seconds > 0:
            raise UsageError(f"duration must be above 0 seconds, got {duration_seconds}")
        output = None
        if record is not None:
            behind = Path(address) if realtime else None
            container = (encoder or EncoderOptions()).container
            rolls = segment_seconds is not None  # `record` itself is never written
            output = output_place(record, container, overwrite=overwrite or rolls, source=behind)
        told = Notices(self._watcher)
        with self._running.run(), ExitStack() as stack:

            def open_source() -> Camera | RealtimeFile:
                opened = open_live(
                    address,
                    realtime=realtime,
                    duration_seconds=duration_seconds,
                    options=camera,
                )
                stack.callback(opened.close)
                return opened

            net_size, kept = None, None
            if size_matters(self.options.backend):
                # Engines are made for sizes, and only the source knows its own.
                probe = open_source()
                net_size = network_size(probe.info, self.header.sizes, size)
                if not realtime and is_served_once(address):
                    kept = probe
                else:  # nobody listens to it while an engine loads or is built
                    probe.close()
            chosen = self._pool.get(net_size, low_latency=True, watcher=told.watcher)
            opened = kept or open_source()
            clock.restart()
            look_size = network_size(opened.info, chosen.engine.spec.model.sizes, size)
            job = Job(
                opened,
                chosen.engine,
                clock=clock,
                size=size,
                hold=hold,
                draw=draw,
                clean=clean,
                sinks=[
                    stack.enter_context(onlooker.open(opened, look_size, self.header))
                    for onlooker in onlookers
                ],
                live=True,
                stopped=self._stopped(stop),
            )

            def tell(progress: RunProgress) -> None:
                if on_progress is not None:
                    on_progress(replace(progress, state=opened.state))

            if output is None:
                stats = job.discard(tell)
            else:
                with _saying_what_is_kept(output.final, clock):
                    stats = job.record(
                        output.recording(),
                        self._threaded(encoder),
                        tell,
                        segment_seconds=segment_seconds,
                    )
            # Ctrl-C is how a camera is switched off, not an accident.
            stats = replace(stats, interrupted=False, camera=opened.report())
        return told.add_to(stats, chosen)

    def _open(
        self,
        src: str | Path,
        *,
        all_streams: bool = True,
        part: Part | None = None,
        read: InputOptions | None = None,
    ) -> Source:
        threads = self.options.threads or cpu_threads()
        return open_part(src, part, threads=threads, all_streams=all_streams, options=read)

    def _threaded(self, encoder: EncoderOptions | None) -> EncoderOptions:
        encoder = encoder or EncoderOptions()
        return replace(encoder, threads=encoder.threads or self.options.threads or coder_threads())

    def _stopped(self, stop: threading.Event | None) -> Callable[[], bool]:
        return lambda: self._running.closed or (stop is not None and stop.is_set())


def _pixels(picture: str | Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if isinstance(picture, (str, Path)):
        return read_picture(Path(picture))
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise UsageError(
            f"a picture must be RGB uint8 [H, W, 3], got {picture.dtype} {list(picture.shape)}"
        )
    return picture


@contextmanager
def _saying_what_is_kept(recording: Path, clock: RunClock) -> Iterator[None]:
    """Have a second interrupt say what it leaves."""
    try:
        yield
    except KeyboardInterrupt:
        if clock.frames:
            raise KeyboardInterrupt(f"{recording} plays up to here") from None
        raise
