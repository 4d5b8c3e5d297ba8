"""The one command for the day a GPU is there: everything that needs one, one after the other.

    python -m benchmarks.gpu [--out gpu-report] [--minutes 9] [--only NAME ...] [--list]

Each part is a command of its own, in a process of its own, with a time of its own: one that fails,
hangs or crashes costs only itself. Engines are built into a scratch folder, so that every build is
a first one. OUT.md and OUT.json say what ran, what it measured, and for everything else why it did
not; they are written anew after each part, so that what ends the whole run early costs what was to
come. Where there is no NVIDIA GPU nothing runs; parts that are named run anywhere.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.gpureport import in_words, write_report
from benchmarks.guarded import Part, Result, run
from benchmarks.machine import describe_machine
from benchmarks.material import CLIPS
from streamseg.runtime.gpu import nvidia_device_is_there

MODEL = "mbv2"
CHECKPOINT = "train/weights/mbv2.safetensors"
RECIPE = "train/recipes/mbv2_camvid.toml"
SIZE = "512x288"
ENCODERS = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")


def parts_of(folder: Path) -> list[Part]:
    """Everything there is to run, what most depends on first; results lie in a folder."""
    python = [sys.executable, "-m"]
    query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit,compute_cap"

    def streamseg(name: str, seconds: float, *words: str) -> Part:
        file = folder / f"{name}.json"
        command = [*python, "streamseg", *words, "--json", str(file)]
        return Part(name=name, command=command, seconds=seconds, json_file=file)

    program = str(folder / f"{MODEL}.onnx")
    model_of = {"tensorrt": MODEL, "torch": program}  # PyTorch needs its program beside the model

    def build(backend: str, precision: str, seconds: float) -> Part:
        words = ("--model", model_of[backend], "--size", SIZE, "--quiet", "--allow-slower")
        choice = ("--backend", backend, "--precision", precision)
        return streamseg(f"{backend}-{precision}", seconds, "build-engine", *choice, *words)

    def benchmark(name: str, seconds: float, module: str, *words: str) -> Part:
        return Part(name=name, command=[*python, f"benchmarks.{module}", *words], seconds=seconds)

    def video(name: str, clip: str, backend: str, *words: str) -> Part:
        files = (str(folder / f"{clip}.mp4"), str(folder / f"{name}.mp4"))
        choice = ("--engine", backend, "--model", model_of[backend], "--no-build", "--quiet")
        return streamseg(name, 30, "video", *files, *choice, *words)

    def runs(backend: str) -> list[Part]:
        """Whole videos with an engine, from files, by the card's decoder, beside their limits."""
        choice = ("--engine", backend, "--model", model_of[backend], "--rounds", "1")
        return [
            *(video(f"{backend}-end-to-end-{clip}", clip, backend) for clip in CLIPS),
            video(f"{backend}-nvdec", "1080p", backend, "--hwaccel", "cuda"),
            *(
                benchmark(f"{backend}-limits-{clip}", 40, "video", f"{folder}/{clip}.mp4", *choice)
                for clip in CLIPS
            ),
        ]

    tests = ["pytest", "-q", "-k", "on_a_gpu", "tests/streamseg/runtime"]
    trained = ["--data", str(folder / "pictures"), "--device", "cuda", "--pictures", "8"]
    return [
        Part(name="card", command=["nvidia-smi", query, "--format=csv"], seconds=10),
        streamseg("doctor", 20, "doctor"),
        benchmark("material", 60, "material", str(folder)),
        Part(name="tests", command=[*python, *tests], seconds=60),
        benchmark("roofline", 40, "roofline", "--model", MODEL, "--size", SIZE),
        build("tensorrt", "fp16", 120),
        *runs("tensorrt"),
        Part(
            name="program",
            command=[*python, "engines", "export", CHECKPOINT, "-o", program, "--format", "both"],
            seconds=60,
        ),
        build("torch", "fp16", 90),
        *runs("torch"),
        *(video(name, "1080p", "torch", "--codec", name) for name in ENCODERS),
        benchmark("training", 60, "training", RECIPE, *trained, "--steps", "2", "--rounds", "2"),
        benchmark("torch", 120, "torch_backend", CHECKPOINT, "--size", SIZE),
        build("tensorrt", "int8", 90),
        build("tensorrt", "fp32", 60),
    ]


def run_all(parts: Sequence[Part], *, seconds: float, cache: Path, out: Path) -> list[Result]:
    """Run one part after the other, however each of them ends, and keep the report up to date.

    Args:
        parts: what to run.
        seconds: that the whole may take; what comes later is not started.
        cache: folder for the engines that are built.
        out: path of the report, without suffix.
    """
    deadline = time.monotonic() + seconds
    machine = describe_machine()
    results: list[Result] = []
    for part in parts:
        left = deadline - time.monotonic()
        found = run(part, seconds=left, environment={
            "STREAMSEG_CACHE": str(cache),
            "STREAMSEG_REQUIRE_GPU": "1",
        })  # fmt: skip
        results.append(found)
        write_report(out, results, machine)
        print(
            f"{found.name}: {found.outcome}, {found.seconds:.0f} s. {in_words(found)}", flush=True
        )
    return results


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("gpu-report"))
@click.option("--minutes", type=click.FloatRange(min=0.1), default=9.0, show_default=True)
@click.option("--only", multiple=True, metavar="NAME", help="Parts to run [default: all].")
@click.option("--list", "listed", is_flag=True, help="Name the parts and run none.")
def main(out: Path, minutes: float, only: tuple[str, ...], listed: bool) -> None:
    """Run everything that needs a GPU, and write OUT.md and OUT.json."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parts = parts_of(folder)
        if unknown := set(only) - {part.name for part in parts}:
            raise click.UsageError(f"no part is called {', '.join(sorted(unknown))}; see --list")
        parts = [part for part in parts if not only or part.name in only]
        if listed:
            for part in parts:
                print(f"{part.name}: {' '.join(part.command)}")
            return
        if not only and not nvidia_device_is_there():
            print("No NVIDIA GPU is to be seen here: nothing was run. (--only NAME runs a part.)")
            return
        run_all(parts, seconds=60 * minutes, cache=folder / "engines", out=out)
    print(f"{out}.md and {out}.json")


if __name__ == "__main__":
    main()
