"""What compiling with AOTInductor gains over PyTorch's other ways, beside ONNX Runtime.

    python -m benchmarks.torch_backend CHECKPOINT [--pictures CLIP] [--size 512x288] [--threads N]

The checkpoint is exported both ways, the program compiled in every precision that this machine
computes, and all contenders then label the same pictures one by one, in turn: one frame a call, on
N threads. Figures are medians; ratios are medians of each picture's ratio to ONNX Runtime. Building
is timed once, without the compiler's caches. Where torch finds a GPU, its own rows are timed there,
copies to and from it included.

- eager: the trained network as it is trained, normalisation and argmax included.
- program: what `python -m engines export --format pt2` wrote, operator by operator.
- compiled: what `streamseg build-engine --backend torch` makes of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import describe_machine, median, print_result
from engines.export import ExportConfig, export
from engines.program import export_program
from streamseg.models.modelfile import ModelHeader, read_header
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.backends import torch as torch_backend
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    LoadOptions,
    Precision,
    Profile,
)
from streamseg.runtime.backends.onnxruntime import OnnxRuntimeEngine
from streamseg.runtime.building.proof import proof_pictures
from streamseg.runtime.cpu import cpu_threads
from train.checkpoint import load_checkpoint
from train.evaluation.predict import torch_labeller

WARM_UP = 2
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


@dataclass(kw_only=True, slots=True)
class Contender:
    """A way to run the network, and what was measured of it."""

    name: str
    label: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    megabytes: float
    build_seconds: float | None = None
    seconds: list[float] = field(default_factory=list)
    equal: list[float] = field(default_factory=list)

    def row(self, first: Contender) -> dict[str, Any]:
        """Medians, beside the first contender's of the same pictures."""
        return {
            "name": self.name,
            "ms": 1000 * median(self.seconds),
            "ratio": median(a / b for a, b in zip(self.seconds, first.seconds, strict=True)),
            "agreement": float(np.mean(self.equal)),
            "lowest_agreement": min(self.equal),
            "build_seconds": self.build_seconds,
            "megabytes": self.megabytes,
        }


def eager(checkpoint: Path) -> Contender:
    """The network of the checkpoint, on the GPU if there is one."""
    model = load_checkpoint(checkpoint).build().eval()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    label = torch_labeller(model.to(device), model.spec.label_stride, device)
    name = f"PyTorch eager, {device.type}"
    return Contender(name=name, label=label, megabytes=checkpoint.stat().st_size / 1e6)


def compiled(
    model: Path, header: ModelHeader, size: tuple[int, int], threads: int, stack: ExitStack
) -> Iterator[Contender]:
    """One for each precision that this machine computes."""
    profile = Profile(batch=(1, 1, 1), min_size=size, opt_size=size, max_size=size)
    for precision in PRECISIONS:
        start = time.perf_counter()
        try:
            payload = torch_backend.build(
                model,
                header,
                BuildConfig(precision=precision, profile=profile),
                progress=lambda *_: None,
            )
        except BackendUnavailableError as error:
            print(f"{precision}: {error}")
            continue
        seconds = time.perf_counter() - start
        options = LoadOptions(threads=threads, low_latency=True)
        engine = stack.enter_context(torch_backend.load(payload, header, model, options))
        on_gpu = torch.cuda.is_available()
        kind = "bfloat16" if precision == "fp16" and not on_gpu else precision
        yield Contender(
            name=f"compiled, {kind}, {'cuda' if on_gpu else 'cpu'}",
            label=engine.infer,
            megabytes=len(payload) / 1e6,
            build_seconds=seconds,
        )


def contenders(
    checkpoint: Path, folder: Path, size: tuple[int, int], threads: int, stack: ExitStack
) -> list[Contender]:
    """ONNX Runtime first: the others are compared with it."""
    model, program = folder / "m.onnx", folder / "m.pt2"
    export(checkpoint, model, ExportConfig())
    header = export_program(checkpoint, program)
    options = LoadOptions(threads=threads, low_latency=True)
    reference = stack.enter_context(OnnxRuntimeEngine(model, read_header(model), options))
    plain = stack.enter_context(torch_backend.load(program.read_bytes(), header, program, options))
    return [
        Contender(
            name="ONNX Runtime fp32, cpu",
            label=reference.infer,
            megabytes=model.stat().st_size / 1e6,
        ),
        eager(checkpoint),
        Contender(
            name="program, fp32, cpu",
            label=plain.infer,
            megabytes=program.stat().st_size / 1e6,
        ),
        *compiled(model, header, size, threads, stack),
    ]


def measure(found: list[Contender], frames_NHWC: NDArray[np.uint8], rounds: int) -> None:
    """Every contender labels every picture, in turn."""
    for index in range(WARM_UP + rounds):
        frame = frames_NHWC[index % len(frames_NHWC)][None]
        expected: NDArray[np.uint8] | None = None
        for one in found:
            start = time.perf_counter()
            labels = one.label(frame)
            seconds = time.perf_counter() - start
            expected = labels if expected is None else expected
            if index >= WARM_UP:
                one.seconds.append(seconds)
                one.equal.append(float(np.mean(labels == expected)))


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--pictures",
    type=click.Path(exists=True, path_type=Path),
    help="Folder or video [default: the sample clip].",
)
@click.option("--size", "size_text", default="512x288", show_default=True)
@click.option("--threads", default=None, type=int, help="[default: all cores]")
@click.option("--rounds", default=40, show_default=True)
def main(
    checkpoint: Path, pictures: Path | None, size_text: str, threads: int | None, rounds: int
) -> None:
    """Measure the ways to run CHECKPOINT."""
    size = parse_frame_size(size_text)
    threads = threads or cpu_threads()
    torch.set_num_threads(threads)
    frames_NHWC, pictures_from = proof_pictures(pictures, size)
    frames_NHWC = np.array(frames_NHWC)  # torch has no read-only tensors
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found = contenders(checkpoint, Path(folder), size, threads, stack)
        measure(found, frames_NHWC, rounds)
    rows = [one.row(found[0]) for one in found]
    machine = describe_machine()
    print(
        f"{machine['processor']}, {threads} threads, torch {torch.__version__}, "
        f"onnxruntime {machine['onnxruntime']}; {size[0]}x{size[1]}, one frame a call, "
        f"{rounds} calls on {pictures_from}\n"
    )
    print("| | ms | times ONNX Runtime | equal labels % (worst) | built in s | MB |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        built = "" if row["build_seconds"] is None else f"{row['build_seconds']:.0f}"
        print(
            f"| {row['name']} | {row['ms']:.1f} | {row['ratio']:.2f} "
            f"| {100 * row['agreement']:.2f} ({100 * row['lowest_agreement']:.2f}) "
            f"| {built} | {row['megabytes']:.1f} |"
        )
    print_result("torch_backend", {"size": list(size), "threads": threads, "rows": rows})


if __name__ == "__main__":
    main()
