"""What `benchmarks.gpu` found, in words and numbers: one Markdown page, one JSON file.

Knows the results of the parts by their names and keys, not how they were run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.guarded import Result

ROOFLINE_TARGET = 0.5
END_TO_END_TARGET = 0.95


def write_report(out: Path, results: Sequence[Result], machine: dict[str, Any]) -> None:
    """Write ``OUT.md`` and ``OUT.json``."""
    out.parent.mkdir(parents=True, exist_ok=True)
    values = {"machine": machine, "parts": [asdict(result) for result in results]}
    out.with_name(f"{out.name}.json").write_text(json.dumps(values, indent=1))
    out.with_name(f"{out.name}.md").write_text(markdown(results, machine))


def markdown(results: Sequence[Result], machine: dict[str, Any]) -> str:
    """The report."""
    done = sum(result.outcome == "done" for result in results)
    lines = ["# What ran on a GPU", "", f"{done} of {len(results)} parts ran to their end.", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    if targets := list(_targets(results)):
        lines += ["", "| target | reached | wanted |", "|---|---|---|"]
        lines += [f"| {name} | {value:.2f} | {wanted:.2f} |" for name, value, wanted in targets]
    lines += ["", "| part | outcome | seconds | measured, or why not |", "|---|---|---|---|"]
    for result in results:
        words = in_words(result).replace("|", "/")
        lines.append(f"| {result.name} | {result.outcome} | {result.seconds:.0f} | {words} |")
    for result in results:
        if result.output:
            lines += ["", f"## {result.name}", "", "```", result.output, "```"]
    return "\n".join(lines) + "\n"


def in_words(result: Result) -> str:
    """The numbers of a part, or why it has none; empty if it has none that are known here."""
    values: Any = result.values
    if result.outcome != "done":
        return result.why
    if not isinstance(values, dict):
        return ""
    if isinstance(values.get("proof"), dict):
        return _engine(values)
    if "ms_per_frame" in values:
        return (
            f"{values['tflop_per_second']:.1f} TFLOP/s, {values['gb_per_second']:.0f} GB/s: "
            f"{values['ms_per_frame']:.3f} ms a frame at least"
        )
    if "share_of_limit" in values:
        fps = ", ".join(f"{name} {value:.1f} fps" for name, value in values["fps"].items())
        return f"{fps} ({values['engine']})"
    if "pictures_per_second" in values:
        looks = values["validation_seconds_a_picture"]
        return (
            f"{values['pictures_per_second']:.1f} pictures/s, plain loop "
            f"{values['plain_pictures_per_second']:.1f}; validation "
            f"{1000 * looks['ours']:.1f} ms a picture, plain loop {1000 * looks['plain']:.1f}"
        )
    if "rows" in values:
        return ", ".join(f"{row['name']} {row['ms']:.2f} ms" for row in values["rows"])
    if "bottleneck" in values:
        return f"{values['fps']:.1f} fps ({values['engine']}), held up by {values['bottleneck']}"
    return ""


def _engine(values: dict[str, Any]) -> str:
    best = max(values["proof"]["speed"]["timings"], key=lambda timing: timing["fps"])
    seconds = values.get("build_seconds")
    built = "" if seconds is None else f"built in {seconds:.0f} s, "
    equal = 100 * values["proof"]["share"]
    return f"{built}{equal:.2f} % equal labels, {best['fps']:.0f} fps at batch {best['batch']}"


def _targets(results: Sequence[Result]) -> Iterator[tuple[str, float, float]]:
    """What is wanted of a GPU, as far as its parts ran: name, reached, wanted."""
    found = {result.name: result.values for result in results if result.outcome == "done"}
    limit = found.get("roofline")
    for backend, word in (("tensorrt", "TensorRT"), ("torch", "PyTorch")):
        engine = found.get(f"{backend}-fp16")
        if isinstance(limit, dict) and isinstance(engine, dict) and engine.get("proof"):
            best = max(timing["fps"] for timing in engine["proof"]["speed"]["timings"])
            yield f"{word} fp16, engine alone / roofline", best / limit["fps"], ROOFLINE_TARGET
        for name, values in found.items():
            clip = name.removeprefix(f"{backend}-limits-")
            if clip != name and isinstance(values, dict):
                fps = values["fps"]
                share = fps["ours"] / min(fps["engine"], fps["transcode"])
                target = f"{word}, {clip}, end to end / min(engine, transcode)"
                yield target, share, END_TO_END_TARGET
