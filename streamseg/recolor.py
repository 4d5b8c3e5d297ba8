"""Draws stored labels over their video again: at the speed of a transcode, without a network."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from streamseg.drawing.options import DrawOptions
from streamseg.labelmaps.measuring import open_measuring
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.video import LabelledSource
from streamseg.measures.options import MeasureOptions
from streamseg.run.clips import with_events
from streamseg.run.job import Job, OnProgress
from streamseg.run.stages import Recorded
from streamseg.run.stats import RunClock, Stats
from streamseg.runtime.cpu import coder_threads, cpu_threads
from streamseg.runtime.engine import EngineSpec
from streamseg.video.encoder import EncoderOptions
from streamseg.video.opening import InputOptions
from streamseg.video.output import output_place
from streamseg.video.part import Part, open_part


def recolor_video(
    labels: str | Path,
    src: str | Path,
    dst: str | Path,
    *,
    draw: DrawOptions | None = None,
    clean: CleanOptions | None = None,
    encoder: EncoderOptions | None = None,
    measure: MeasureOptions | None = None,
    part: Part | None = None,
    read: InputOptions | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = None,
) -> Stats:
    """Draw the labels of a label video over its source again, without running a network.

    Args:
        labels: label video, as `Segmenter.video` writes it (`LabelOutputs.video`).
        src: the video that it was made of.
        dst: file to write.
        draw: how labels are drawn.
        clean: what becomes of them before that.
        encoder: how the output is encoded.
        measure: what is measured of them, and where that goes.
        part: which frames are read; None reads all.
        read: how `src` is read.
        threads: CPU threads of decoder and encoder each; None takes all cores.
        overwrite: replace an existing `dst` (when the new file is complete).
        on_progress: called some ten times a second from the calling thread.

    Raises:
        UsageError: an argument that cannot be; nothing was written.
        KeyboardInterrupt: interrupted before the first frame was written, or twice.
        SourceError: one of the files cannot be read, or the labels are another video's.
        OutputError: `dst` cannot be written.
    """
    clock, encoder = RunClock(), encoder or EncoderOptions()
    output = output_place(dst, encoder.container, overwrite=overwrite, source=Path(src))
    encoder = replace(encoder, threads=encoder.threads or threads or coder_threads())
    video = open_part(src, part, threads=threads or cpu_threads(), options=read)
    with ExitStack() as stack:
        stack.enter_context(video)
        source = stack.enter_context(LabelledSource(video, labels))
        names = source.header.classes.names
        plan = (measure or MeasureOptions()).plan(names, overwrite=overwrite, source=Path(src))
        measuring = open_measuring(stack, plan, source.info, names)
        spec = EngineSpec(
            backend="labels of a file",
            model=source.header,
            path=Path(labels),
            batch=1,
            workers=1,
            threads=1,
        )
        job = Job(
            source,
            Recorded(spec),
            clock=clock,
            size=source.labels_shape,
            draw=draw,
            clean=clean,
            sinks=measuring,
        )
        stats = job.record(output, encoder, on_progress)
        for sink in measuring:
            stats = with_events(stats, sink, encoder, overwrite=overwrite, on_progress=on_progress)
        return stats
