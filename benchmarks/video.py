"""End-to-end speed of ``streamseg video`` beside the plain loop and beside the machine's limit.

    python -m benchmarks.video CLIP [--checkpoint FILE] [--rounds 3] [--precision fp32]

Regime: the whole clip, from opening the file to the finished output, on all cores. In each round
every contender runs once, in turn, so that a machine that slows down slows all of them.

- ours: `streamseg.segment_video`, defaults; the load of the engine included.
- plain: `benchmarks.plain_loop` with the same weights at the same network size (with --checkpoint).
- engine alone: the same engine on frames already in memory.
- transcode alone: the same decoder and encoder, nothing in between.
- limit: ``1 / (1 / engine_fps + 1 / transcode_fps)``: what is left if nothing else costs anything.

Labels are compared at the network's size, with the picture that our own scaler made as the input
of both sides, and once more with each side's own scaler.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import av
import click
import cv2
import numpy as np
from numpy.typing import NDArray

import streamseg
from benchmarks.machine import median, print_result
from streamseg.run.job import Job
from streamseg.run.pipeline import Pipeline, Stage
from streamseg.run.stats import RunClock
from streamseg.runtime.cpu import cpu_threads
from streamseg.runtime.engine import BackendName, Engine, PrecisionName
from streamseg.runtime.open import open_engine
from streamseg.video.encoder import EncoderOptions
from streamseg.video.file import FileSource
from streamseg.video.output import OutputPath
from streamseg.video.scaling import Downscale
from streamseg.video.source import Item
from streamseg.video.writer import VideoWriter

FRAMES_IN_MEMORY = 64


def engine_fps(engine: Engine, size: tuple[int, int], clip: Path) -> float:
    """Frames per second of the engine alone, on real frames already scaled and in memory."""
    batch = engine.spec.batch
    shrink = Downscale(size)
    with FileSource(clip, all_streams=False) as source:
        items = []
        for item in source:
            items.append(np.ascontiguousarray(shrink([item])[0].small_HWC))
            if len(items) == FRAMES_IN_MEMORY:
                break
    batches = [np.stack(items[i : i + batch]) for i in range(0, len(items), batch)]
    engine.infer(batches[0])
    start = time.perf_counter()
    with ThreadPoolExecutor(engine.spec.workers) as pool:
        list(pool.map(engine.infer, batches))
    return len(items) / (time.perf_counter() - start)


def transcode_fps(clip: Path, target: Path) -> float:
    """Frames per second of decoder and encoder alone, each in a thread, on all cores."""
    start = time.perf_counter()
    output = OutputPath.check(target, overwrite=True)
    with FileSource(clip, threads=cpu_threads()) as source:
        info = source.info
        size = (info.width, info.height)
        with VideoWriter(
            output, info, size=size, pixel_format=info.pixel_format, options=EncoderOptions()
        ) as writer:

            def write(items: list[Item]) -> list[Item]:
                for item in items:
                    writer.write(item.frame, item.packets)
                return []

            Pipeline(source, [Stage("encode", write)]).run()
            writer.finish(source.leftover)
            return writer.frames / (time.perf_counter() - start)


def agreement(
    clip: Path,
    model: str,
    checkpoint: Path,
    size: tuple[int, int],
    precision: PrecisionName | None,
) -> dict[str, float]:
    """Share of equal labels at the network's size, on every 20th frame."""
    from benchmarks.plain_loop import label, load_network

    network = load_network(checkpoint)
    shrink = Downscale(size)
    same_input: list[float] = []
    own_input: list[float] = []
    labelled = streamseg.label_frames(clip, model=model, size=size, precision=precision)
    for index, (frame, labels) in enumerate(labelled):
        if index % 20:
            continue
        small: NDArray[np.uint8] | None = shrink([Item(0, frame)])[0].small_HWC
        assert small is not None
        same_input.append(float(np.mean(label(network, small) == labels)))
        rgb = np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), size), dtype=np.uint8)
        own_input.append(float(np.mean(label(network, rgb) == labels)))
    return {
        "same_input": float(np.mean(same_input)),
        "each_with_its_own_scaler": float(np.mean(own_input)),
    }


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="mbv2", show_default=True)
@click.option("--checkpoint", type=click.Path(exists=True, path_type=Path), help="For the loop.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--engine", "backend", type=click.Choice(get_args(BackendName)), default="auto")
@click.option("--precision", type=click.Choice(get_args(PrecisionName)), help="Default: auto's.")
def main(
    clip: Path,
    model: str,
    checkpoint: Path | None,
    rounds: int,
    backend: BackendName,
    precision: PrecisionName | None,
) -> None:
    """Measure CLIP."""
    runs: dict[str, list[float]] = {"ours": [], "engine": [], "transcode": [], "plain": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_engine(model, backend=backend, precision=precision) as engine,
    ):
        with FileSource(clip) as source:
            size = Job(source, engine, clock=RunClock()).size
        network = None
        if checkpoint is not None:
            from benchmarks import plain_loop

            network = plain_loop.load_network(checkpoint)
        for number in range(rounds):
            stats = streamseg.segment_video(
                clip,
                Path(folder) / "ours.mp4",
                model=model,
                backend=backend,
                precision=precision,
                overwrite=True,
            )
            runs["ours"].append(stats.fps)
            runs["engine"].append(engine_fps(engine, size, clip))
            runs["transcode"].append(transcode_fps(clip, Path(folder) / "transcode.mp4"))
            if network is not None:
                start = time.perf_counter()
                frames = plain_loop.run(network, clip, Path(folder) / "plain.mp4", size)
                runs["plain"].append(frames / (time.perf_counter() - start))
            print(
                f"round {number + 1}: "
                + "  ".join(f"{k} {v[-1]:.1f}" for k, v in runs.items() if v)
            )
    limits = [1 / (1 / e + 1 / t) for e, t in zip(runs["engine"], runs["transcode"], strict=True)]
    result: dict[str, Any] = {
        "clip": clip.name,
        "engine": engine.spec.backend,
        "model_file": engine.spec.path.name,
        "network_size": list(size),
        "fps": {name: median(values) for name, values in runs.items() if values},
        "limit_fps": median(limits),
        "share_of_limit": median(o / m for o, m in zip(runs["ours"], limits, strict=True)),
    }
    if runs["plain"] and checkpoint is not None:
        result["times_the_plain_loop"] = median(
            o / p for o, p in zip(runs["ours"], runs["plain"], strict=True)
        )
        result["equal_labels"] = agreement(clip, model, checkpoint, size, precision)
    for key, value in result.items():
        print(f"{key}: {value}")
    print_result("video", result)


if __name__ == "__main__":
    av.logging.set_level(av.logging.ERROR)
    main()
