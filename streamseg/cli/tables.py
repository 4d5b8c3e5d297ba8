"""Tables of what a run did: for a terminal, and as plain lines elsewhere."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from streamseg.cli.output import print_text
from streamseg.run.camerastats import CameraStats
from streamseg.run.stats import Stats

_MOST_DROPPED = 0.05


def summary_rows(stats: Stats) -> list[tuple[str, str]]:
    """What the final table says above the stages."""
    frames = str(stats.frames)
    if stats.frames_expected and stats.frames_expected != stats.frames:
        frames += f" of {stats.frames_expected}"
    if stats.frames_resumed:
        frames += f", {stats.frames_resumed} of them by an earlier run"
    width, height = stats.size
    rows = [
        ("output", stats.output or "none"),
        ("frames", frames),
        ("wall time", f"{stats.wall_seconds:.2f} s"),
        ("speed", f"{stats.fps:.1f} fps, {stats.real_time_factor:.2f}x real time"),
        (
            "engine",
            f"{stats.engine}, {stats.precision}, {stats.threads} threads, batch {stats.batch}",
        ),
        ("model", f"{stats.model} at {width}x{height}"),
        ("bottleneck", stats.bottleneck),
    ]
    if stats.held:
        rows.insert(2, ("network saw", f"{stats.frames - stats.held} of them"))
    if stats.engine_reason:
        rows.insert(5, ("chosen", stats.engine_reason))
    if stats.first_frame_seconds is not None:
        rows.insert(3, ("first frame", f"after {stats.first_frame_seconds:.2f} s"))
    if stats.latency_p50_ms is not None and stats.latency_p95_ms is not None:
        rows.append(
            ("latency", f"p50 {stats.latency_p50_ms:.0f} ms, p95 {stats.latency_p95_ms:.0f} ms")
        )
        before = ", ".join(f"{n} before {name}" for name, n in stats.dropped_before.items())
        rows.append(("dropped", f"{stats.dropped} frames" + (f" ({before})" if before else "")))
    if stats.camera is not None:
        rows.append(("received", received(stats.camera)))
    if misses_real_time(stats):
        half = "x".join(str(-(-side // 64) * 32) for side in stats.size)
        ways = [*([] if stats.held else ["--hold auto"]), f"--size {half}"]
        rows.append(("to go faster", " or ".join(ways)))
    return rows


def misses_real_time(stats: Stats) -> bool:
    """Whether the engine is slower than the video plays, or than a camera sends."""
    if stats.bottleneck != "engine":
        return False
    lost = stats.dropped > _MOST_DROPPED * (stats.frames + stats.dropped)
    return lost or (stats.camera is None and stats.real_time_factor < 1)


def received(camera: CameraStats) -> str:
    """What came of a camera, and what became of it."""
    counts = camera.counts
    text = f"{counts.received} frames"
    for number, name in (
        (counts.skipped, "skipped"),
        (counts.unreadable, "unreadable"),
        (counts.damaged, "damaged"),
        (counts.lost, "never came"),
        (counts.no_signal, "of no signal made here"),
        (camera.reconnects, "reconnections"),
    ):
        text += f", {number} {name}" if number else ""
    return text


def stage_rows(stats: Stats) -> list[tuple[str, str, str, str, str]]:
    """Stage, frames, p50, p95 and utilisation of each stage, as text."""
    return [
        (
            stage.name,
            str(stage.items),
            "-" if stage.p50_ms is None else f"{stage.p50_ms:.2f}",
            "-" if stage.p95_ms is None else f"{stage.p95_ms:.2f}",
            f"{100 * stage.utilisation:.0f} %",
        )
        for stage in stats.stages
    ]


_STAGE_HEADS = ("stage", "frames", "p50 ms", "p95 ms", "busy")


def print_stats(stats: Stats) -> None:
    """The final tables on standard output; aligned plain lines where it is no terminal."""
    if sys.stdout is None:  # closed by whoever started this: nobody wants to read it
        return
    console = Console()
    if console.is_terminal:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in summary_rows(stats):
            table.add_row(f"[bold]{name}[/]", value)
        stages = Table(box=None, padding=(0, 2, 0, 0))
        for index, head in enumerate(_STAGE_HEADS):
            stages.add_column(head, justify="left" if index == 0 else "right")
        for row in stage_rows(stats):
            style = "bold yellow" if row[0] == stats.bottleneck else ""
            stages.add_row(*row, style=style)
        console.print(table)
        console.print(stages)
        return
    lines = [f"{name}: {value}" for name, value in summary_rows(stats)]
    lines += [
        f"stage {name}: {items} frames, p50 {p50} ms, p95 {p95} ms, busy {busy}"
        for name, items, p50, p95, busy in stage_rows(stats)
    ]
    print_text("\n".join(lines) + "\n")
