"""Events as videos of their own, cut to the frame out of a finished one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from av.video.reformatter import VideoReformatter

from streamseg.drawing.yuv import LAYOUTS, even_size, seconds, to_supported
from streamseg.labelmaps.measuring import Measuring
from streamseg.measures.events import Event
from streamseg.run.job import OnProgress, RunProgress
from streamseg.run.stats import RunClock, Stats
from streamseg.video.encoder import EncoderOptions, drawn_format, encoder_format
from streamseg.video.formats import SUFFIXES, format_of
from streamseg.video.output import OutputPath
from streamseg.video.part import Part, open_part
from streamseg.video.writer import VideoWriter

_TELL_EVERY_SECONDS = 0.1
_ROUNDING = 0.001
"""Seconds: Matroska rounds the times of the first frame and of any other to milliseconds."""


def _clip_place(
    folder: Path, number: int, event: Event, suffix: str, *, overwrite: bool
) -> OutputPath:
    """Where an event goes: ``event-003-00h01m30.48s.mp4``.

    Raises:
        UsageError, OutputError: see `OutputPath.check`.
    """
    minutes, hundredths = divmod(round(event.start_seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:02}h{minutes:02}m{hundredths // 100:02}.{hundredths % 100:02}s"
    name = f"event-{number:03}-{clock}{suffix}"
    return OutputPath.check(folder / name, overwrite=overwrite)


def cut(
    src: Path,
    part: Part,
    output: OutputPath,
    encoder: EncoderOptions,
    *,
    on_frame: Callable[[float, float], None] = lambda at, lasts: None,
) -> int:
    """Write a part of a video, with its sound, encoded anew; returns how many frames it has.

    Raises:
        SourceError: `src` cannot be read, or has no frame there.
        OutputError: the clip cannot be written.
        UsageError: an encoder that cannot be.
    """
    with open_part(src, part, threads=encoder.threads) as source:
        info = source.info
        kind = format_of(output.muxer)
        encoder = encoder.chosen(kind, info)
        pixel_format = encoder_format(encoder, info.pixel_format, kind)
        written_as = drawn_format(pixel_format)
        size = even_size(info.width, info.height, LAYOUTS[written_as])
        reformatter, frames = VideoReformatter(), 0
        with VideoWriter(
            output, info, size=size, pixel_format=pixel_format, options=encoder
        ) as writer:
            for item in source:
                frame = to_supported(item.frame, written_as, size, reformatter)
                writer.write(frame, item.packets)
                frames += 1
                on_frame(seconds(frame), float(1 / info.rate))
            writer.finish(source.leftover)
    return frames


def with_events(
    stats: Stats,
    sink: Measuring,
    encoder: EncoderOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress = None,
) -> Stats:
    """What was found, told in the notes of a run that is done, and cut out if that is asked for.

    Clips come from the run's output, or from its source if it drew none.

    Args:
        stats: of the run.
        sink: what measured it.
        encoder: how clips are encoded.
        overwrite: whether clips may be replaced.
        on_progress: as of the run.

    Raises:
        StreamsegError: as `cut`.
    """
    notes = list(stats.notes)
    for condition in sink.plan.conditions:
        found = [event for event in sink.events if event.when == condition.text]
        shown = sum(event.end_seconds - event.start_seconds for event in found)
        notes.append(f"{condition.text}: {len(found)} events, {shown:.1f} s in all")
    folder = sink.plan.clips
    if folder is not None and stats.interrupted:
        notes.append(f"{folder}: no clips were cut, for the run was stopped")
    elif folder is not None:
        src = Path(stats.output or stats.source)
        begins = sink.first_seconds if stats.output else 0.0
        _cut_all(sink.events, src, folder, encoder, begins, overwrite, on_progress)
    return replace(stats, notes=tuple(notes))


def _cut_all(
    events: list[Event],
    src: Path,
    folder: Path,
    encoder: EncoderOptions,
    begins_seconds: float,
    overwrite: bool,
    on_progress: OnProgress,
) -> None:
    clock, expected = RunClock(), sum(event.last_frame - event.first_frame + 1 for event in events)
    told = time.monotonic()

    def count(at_seconds: float, lasts: float) -> None:
        nonlocal told
        clock.written(at_seconds, lasts)
        if on_progress is not None and time.monotonic() - told > _TELL_EVERY_SECONDS:
            told = time.monotonic()
            on_progress(
                RunProgress(
                    frames=clock.frames,
                    frames_expected=expected,
                    seconds=clock.elapsed(),
                    media_seconds=clock.media_seconds,
                    dropped=0,
                    latency_p50_ms=None,
                    latency_p95_ms=None,
                )
            )

    suffix = src.suffix.lower() if src.suffix.lower() in SUFFIXES else ".mp4"
    for number, event in enumerate(events, 1):
        place = _clip_place(folder, number, event, suffix, overwrite=overwrite)
        early = begins_seconds + _ROUNDING
        start, end = event.start_seconds - early, event.end_seconds - early
        part = Part(start_seconds=max(0.0, round(start, 6)), end_seconds=round(end, 6))
        cut(src, part, place, encoder, on_frame=count)
