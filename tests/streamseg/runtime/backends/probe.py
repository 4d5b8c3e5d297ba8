"""Run under real TensorRT bindings: says what they have, and tries `trt_api` on them.

Standard input: ``{"members": {class: [member, ...]}}``. Last line of standard output: JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def describe(owner: Any, name: str) -> dict[str, Any] | None:
    """What a class has under a name; None if nothing."""
    if not hasattr(owner, name):
        return None
    members = getattr(owner, "__members__", {})
    if name in members:
        return {"kind": "value", "value": int(members[name])}
    found = next((base.__dict__[name] for base in owner.__mro__ if name in base.__dict__), None)
    if isinstance(found, property):
        doc = found.fget.__doc__ if found.fget is not None else None
        return {"kind": "property", "doc": doc, "settable": found.fset is not None}
    return {"kind": "method", "doc": getattr(owner, name).__doc__}


def describe_all(module: Any, wanted: dict[str, list[str]]) -> dict[str, Any]:
    """Class -> member -> description; None for a class that is missing."""
    answer: dict[str, Any] = {}
    for path, names in wanted.items():
        owner = module
        for part in path.split("."):
            owner = getattr(owner, part, None)
        answer[path] = None if owner is None else {name: describe(owner, name) for name in names}
    return answer


class Monitor:
    """A `BuildMonitor` that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.stopped = False

    def start(self, phase: str, steps: int) -> None:
        self.told.append(["start", phase, steps])

    def step(self, phase: str, step: int) -> bool:
        self.told.append(["step", phase, step])
        return step < 1

    def finish(self, phase: str) -> None:
        self.told.append(["finish", phase])


def error_of(work: Any) -> list[str]:
    """Class and message of what a call raises."""
    try:
        work()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return []


def try_module(trt: Any) -> dict[str, Any]:
    """`trt_api` as far as it runs without TensorRT's libraries."""
    from streamseg.runtime.backends import trt_api
    from streamseg.runtime.backends.trt_seam import BuildRequest

    messages = trt_api.Messages()
    severity = trt.ILogger.Severity
    for level, text in (
        (severity.ERROR, "no  tactic\nfound"),
        (severity.WARNING, "slow"),
        (severity.ERROR, "no  tactic\nfound"),
        (severity.INTERNAL_ERROR, "broken"),
        (severity.INFO, "chatter"),
    ):
        messages.log(level, text)
    monitor = Monitor()
    progress = trt_api._Progress(monitor)
    progress.phase_start("Build", None, 2)
    steps = [progress.step_complete("Build", step) for step in (0, 1)]
    progress.phase_finish("Build")
    request = BuildRequest(onnx=b"", path="street.onnx", ranges={})
    return {
        "version": trt_api.version(),
        "because": messages.because(),
        "because again": messages.because(),
        "warnings": messages.warnings,
        "is a logger": isinstance(messages, trt.ILogger),
        "is a monitor": isinstance(progress, trt.IProgressMonitor),
        "told": monitor.told,
        "steps": steps,
        "dims": list(trt.Dims((3, 288, 512))),
        "build": error_of(lambda: trt_api.build_plan(request, monitor)),
        "load": error_of(lambda: trt_api.LoadedPlan(b"plan", "street.engine")),
    }


def main() -> None:
    request = json.load(sys.stdin)
    trt = importlib.import_module("tensorrt")

    answer = {
        "version": trt.__version__,
        "members": describe_all(trt, request["members"]),
        "module": try_module(trt),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
