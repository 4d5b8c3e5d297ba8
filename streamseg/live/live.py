"""Segments a live source: freshest frame first, every dropped frame counted. The Python API.

The same pipeline as for a file, with two differences: every hand-over holds one frame and drops
the oldest instead of making its producer wait, and no stage waits for a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from streamseg.drawing.composite import Mode
from streamseg.errors import UsageError
from streamseg.live.address import is_served_once
from streamseg.live.source import open_live
from streamseg.models.modelfile import find_model, read_header
from streamseg.run.job import DrawOptions, Job, OnProgress, Size, network_size
from streamseg.run.notices import Notices
from streamseg.run.stats import RunClock, Stats
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.choosing.choice import check_choice, choose_engine, size_matters
from streamseg.runtime.cpu import coder_threads
from streamseg.runtime.engine import BackendName, PrecisionName
from streamseg.video.encoder import EncoderOptions
from streamseg.video.output import OutputPath
from streamseg.video.source import Source


def segment_live(
    source: str | int | Path = "0",
    dst: str | Path | None = None,
    *,
    realtime: bool = False,
    duration_seconds: float | None = None,
    model: str | Path = "mbv2",
    backend: BackendName = "auto",
    precision: PrecisionName | None = None,
    build: bool = True,
    size: Size = None,
    mode: Mode = "overlay",
    alpha: float = 0.5,
    classes: Sequence[str] | None = None,
    legend: bool = False,
    codec: str = "libx264",
    crf: int | None = None,
    preset: str | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = None,
    watcher: Watcher | None = None,
) -> Stats:
    """Segment a camera, a network stream, or (with `realtime`) a file played like one.

    Ends with the stream, after `duration_seconds`, or at a KeyboardInterrupt; a recording is
    finished in each case.

    Args:
        source: camera number or device, or an address: rtsp, http, tcp, udp, srt.
        dst: recording (``.mp4``, ``.mov``, ``.mkv``) with wall-clock timestamps; None records
            nothing and only measures.
        realtime: `source` is a file, played at its own speed.
        duration_seconds: end after this long; None goes on to the end of the stream.
        model: as in `streamseg.segment_video`, with all that follow.

    Raises:
        StreamsegError: as `streamseg.segment_video`.
    """
    clock = RunClock()
    source = str(source)
    if duration_seconds is not None and not duration_seconds > 0:
        raise UsageError(f"duration must be above 0 seconds, got {duration_seconds}")
    check_choice(backend, precision)
    tune = "zerolatency" if codec in ("libx264", "libx265") else None
    encoder = EncoderOptions(
        codec=codec, crf=crf, preset=preset, tune=tune, threads=threads or coder_threads()
    )
    output = None
    if dst is not None:
        output = OutputPath.check(
            Path(dst), overwrite=overwrite, source=Path(source) if realtime else None
        )
    draw = DrawOptions(mode=mode, alpha=alpha, classes=classes, legend=legend)
    default_size = read_header(find_model(model)).default_size
    told = Notices(watcher)

    def live_source() -> Source:
        return open_live(source, realtime=realtime, duration_seconds=duration_seconds)

    with ExitStack() as stack:
        net_size, kept = None, None
        if size_matters(backend):
            # Engines are made for sizes, and only the source knows its own.
            probe = stack.enter_context(live_source())
            net_size = network_size(probe.info, default_size, size)
            if not realtime and is_served_once(source):
                kept = probe
            else:  # nobody listens to it while an engine loads or is built
                probe.close()
        chosen = choose_engine(
            model,
            backend=backend,
            precision=precision,
            size=net_size,
            threads=threads,
            batch=1,
            low_latency=True,
            build=build,
            watcher=told.watcher,
        )
        engine = stack.enter_context(chosen.engine)
        opened = kept or stack.enter_context(live_source())
        clock.restart()
        job = Job(opened, engine, clock=clock, size=size, draw=draw, live=True)
        stats = (
            job.discard(on_progress) if output is None else job.record(output, encoder, on_progress)
        )
    # Ctrl-C is how a camera is switched off, not an accident.
    return told.add_to(replace(stats, interrupted=False), chosen)
