"""Settings of ONNX Runtime, each measured inside the whole pipeline: decode, label, draw, encode.

    python -m benchmarks.engine CLIP [--frames 60] [--rounds 3] [NAME ...]

An engine that is fastest alone may take the cores that decoder and encoder need, so nothing is
measured alone. Frames a second is what counts; it needs an idle machine. Processor time per frame
(all threads of the process, spinning included) holds on a busy machine, too. Every setting runs
once in each round, in turn; figures are medians. What is compared, NAME:

- shipped: as `streamseg.runtime.backends.onnxruntime` does it: a thread a frame, a frame per core.
- one-frame: all threads on one frame.
- spinning: as one-frame, and threads wait for work by spinning.
- frame-fewer, frame-more: as shipped, one frame at a time less or more than there are cores.
- extended, basic: as shipped, fewer graph optimisations (99 "all" is the default).
- batch2, batch4: as shipped, that many frames a call.
- binding: as shipped, input and output bound to buffers made once (labels are copied out).
- arena-off: as shipped, memory given back to the system after each call.
- fp32, fp32-...: the model in fp32. All others are in int8 where that graph stands beside the model
  (see `streamseg.runtime.choosing.companion`) and auto takes it; else all are in fp32.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.machine import median, print_result
from streamseg.models.modelfile import find_model, read_header
from streamseg.run.job import Job
from streamseg.run.stats import RunClock
from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.onnxruntime import (
    DISABLED_OPTIMIZERS,
    MAX_WORKERS,
    OnnxRuntimeEngine,
)
from streamseg.runtime.choosing.companion import companion_path
from streamseg.runtime.cpu import cpu_threads
from streamseg.video.encoder import EncoderOptions
from streamseg.video.file import FileSource
from streamseg.video.output import OutputPath
from streamseg.video.source import Item

LEVELS = {
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a session is made and called."""

    one_frame: bool = False
    more_frames: int = 0
    spinning: bool = False
    level: str = "all"
    batch: int = 1
    binding: bool = False
    arena: bool = True
    fp32: bool = False


SETTINGS = {
    "shipped": Setting(),
    "one-frame": Setting(one_frame=True),
    "spinning": Setting(one_frame=True, spinning=True),
    "frame-fewer": Setting(more_frames=-1),
    "frame-more": Setting(more_frames=1),
    "extended": Setting(level="extended"),
    "basic": Setting(level="basic"),
    "batch2": Setting(batch=2),
    "batch4": Setting(batch=4),
    "binding": Setting(binding=True),
    "arena-off": Setting(arena=False),
    "fp32": Setting(fp32=True),
    "fp32-one-frame": Setting(fp32=True, one_frame=True),
    "fp32-spinning": Setting(fp32=True, one_frame=True, spinning=True),
}


class TunedEngine(OnnxRuntimeEngine):
    """The backend's engine with a session of other settings."""

    def __init__(self, path: Path, setting: Setting) -> None:
        threads = max(1, cpu_threads() + setting.more_frames)
        workers = 1 if setting.one_frame else min(threads, MAX_WORKERS)
        super().__init__(
            path,
            read_header(path),
            LoadOptions(threads=threads, low_latency=setting.one_frame),
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads // workers
        options.inter_op_num_threads = 1
        spinning = "1" if setting.spinning else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
        options.graph_optimization_level = LEVELS[setting.level]
        options.enable_cpu_mem_arena = setting.arena
        options.log_severity_level = 3
        self._tuned = ort.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=DISABLED_OPTIMIZERS,
        )
        self._session = self._tuned
        self._binding = setting.binding
        self._local = threading.local()
        self.spec = replace(self.spec, batch=setting.batch)

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As the backend, or over buffers bound once a thread."""
        if not self._binding:
            return super().infer(frames_NHWC)
        local = self._local
        if getattr(local, "shape", None) != frames_NHWC.shape:
            local.shape = frames_NHWC.shape
            local.frames = np.empty(frames_NHWC.shape, np.uint8)
            local.labels = np.empty(frames_NHWC.shape[:3], np.uint8)
            local.bound = self._tuned.io_binding()
            local.bound.bind_ortvalue_input("frames", _on_cpu(local.frames))
            local.bound.bind_ortvalue_output("labels", _on_cpu(local.labels))
        np.copyto(local.frames, frames_NHWC)
        self._tuned.run_with_iobinding(local.bound)
        return np.array(local.labels)


def _on_cpu(array: NDArray[np.uint8]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(array, "cpu", 0)


class FirstFrames(FileSource):
    """A file's first frames."""

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(path, threads=cpu_threads(), all_streams=False)
        self._count = count

    def __iter__(self) -> Iterator[Item]:
        for item in super().__iter__():
            if item.index == self._count:
                return
            yield item


def run(
    clip: Path, model: Path, setting: Setting, frames: int, target: Path
) -> tuple[float, float]:
    """Frames per second of the whole pipeline, and processor milliseconds per frame.

    The engine is loaded and has run once before the clock starts.
    """
    with FirstFrames(clip, frames) as source, TunedEngine(model, setting) as engine:
        job = Job(source, engine, clock=RunClock())
        width, height = job.size
        engine.infer(np.zeros((setting.batch, height, width, 3), np.uint8))
        start, spent = time.perf_counter(), time.process_time()
        stats = job.record(OutputPath.check(target, overwrite=True), EncoderOptions(), None)
        done = stats.frames
        return (
            done / (time.perf_counter() - start),
            1000 * (time.process_time() - spent) / done,
        )


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.argument("names", nargs=-1, type=click.Choice(list(SETTINGS)))
@click.option("--model", default="mbv2", show_default=True)
@click.option("--frames", default=60, show_default=True, help="Of the clip, from its start.")
@click.option("--rounds", default=3, show_default=True)
def main(
    clip: Path,
    names: tuple[str, ...],
    model: str,
    frames: int,
    rounds: int,
) -> None:
    """Measure settings NAMES (default: all) on CLIP."""
    chosen = list(names or SETTINGS)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
    fp32 = find_model(model)
    int8 = companion_path(fp32)
    best = int8 if int8.is_file() else fp32
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in chosen:
                setting = SETTINGS[name]
                target = Path(folder) / "out.mp4"
                path = fp32 if setting.fp32 else best
                found[name].append(run(clip, path, setting, frames, target))
    rows: list[dict[str, Any]] = []
    print("| setting | fps | processor ms a frame | fps, ratio | processor, ratio |")
    print("|---|---|---|---|---|")
    for name in chosen:
        fps, spent = (median(values) for values in zip(*found[name], strict=True))
        first = found[chosen[0]]
        faster = median(a[0] / b[0] for a, b in zip(found[name], first, strict=True))
        dearer = median(a[1] / b[1] for a, b in zip(found[name], first, strict=True))
        rows.append({"name": name, "fps": fps, "cpu_ms": spent, "fps_ratio": faster})
        print(f"| {name} | {fps:.1f} | {spent:.1f} | {faster:.2f} | {dearer:.2f} |")
    regime = {"clip": clip.name, "frames": frames, "rounds": rounds, "model": best.name}
    print_result("engine", {**regime, "rows": rows})


if __name__ == "__main__":
    main()
