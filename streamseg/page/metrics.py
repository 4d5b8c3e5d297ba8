"""A run's numbers in Prometheus's text format: a dozen lines need no library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_STATES = ("connecting", "live", "stale", "lost", "ended")


def exposition(state: dict[str, Any], viewers: int) -> str:
    """The text of ``/metrics``.

    Args:
        state: as `streamseg.page.screen.Screen.state` gives it.
        viewers: who look at the moving picture now.
    """
    recent = state["recent"]
    lines = [
        *_metric("frames_total", "counter", "Frames segmented.", state["frames"]),
        *_metric("dropped_total", "counter", "Frames dropped for fresher ones.", state["dropped"]),
        *_metric("run_seconds", "gauge", "Seconds since the run began.", state["seconds"]),
        *_metric("fps", "gauge", "Frames a second, of the last 10 s.", recent["fps"]),
        *_metric("viewers", "gauge", "Open moving pictures.", viewers),
        "# HELP streamseg_latency_seconds From capture to labels, of the last 10 s.",
        "# TYPE streamseg_latency_seconds gauge",
    ]
    for quantile, key in (("0.5", "latency_p50_ms"), ("0.95", "latency_p95_ms")):
        if recent[key] is not None:
            lines.append(
                f'streamseg_latency_seconds{{quantile="{quantile}"}} {recent[key] / 1000:g}'
            )
    lines += ["# HELP streamseg_source_state 1 for the state that a source is in."]
    lines += ["# TYPE streamseg_source_state gauge"]
    for name in _STATES:
        lines.append(f'streamseg_source_state{{state="{name}"}} {int(state["state"] == name)}')
    classes = state.get("classes", [])
    if classes:
        lines += ["# HELP streamseg_class_share Share of the picture."]
        lines += ["# TYPE streamseg_class_share gauge"]
    for entry in classes:
        name = entry["name"].replace("\\", r"\\").replace('"', r"\"")
        lines.append(f'streamseg_class_share{{class="{name}"}} {entry["share"]:g}')
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, help_text: str, value: float) -> Iterator[str]:
    yield f"# HELP streamseg_{name} {help_text}"
    yield f"# TYPE streamseg_{name} {kind}"
    yield f"streamseg_{name} {value:g}"
