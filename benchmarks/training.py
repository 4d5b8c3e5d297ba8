"""Training speed: our steps against a plain loop, the loader's wait, and validation.

    python -m benchmarks.training --data CAMVID [RECIPE] [--device cuda] [--steps 10] [--rounds 5]

Both loops train the same network on the same crops with SGD, in one process, a few steps of each in
turn, so that a busy moment of the machine hits both. The plain loop is what a tutorial writes:
OpenCV augmentation in a `DataLoader`, cross-entropy, backward, step; no auxiliary loss, no class
weights, no moving average, no log. On CPUs the processor time is what counts (a busy machine
changes it little), on GPUs the wall time. Validation is timed the same way against a plain loop of
one picture after another. With several GPUs, `torchrun --nproc-per-node N -m benchmarks.training`
times ours on all of them; the plain loop then runs in the first process alone, on its share.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.machine import median, print_result
from train.data.dataset import SegmentationData
from train.device import choose_device
from train.evaluation.predict import evaluate_network
from train.fit.distributed import join_world
from train.fit.loading import loader_processes, parts_of_steps
from train.fit.step import Part
from train.fit.trainer import Trainer
from train.fit.validate import validate
from train.models import build_model
from train.models.segmenter import normalise
from train.recipe import load_recipe


class PlainData(Dataset[tuple[Tensor, Tensor]]):
    """What a tutorial's data set does: random scale, crop, flip, in OpenCV."""

    def __init__(self, data: SegmentationData, crop: int, length: int) -> None:
        self.data, self.crop, self.length = data, crop, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng(index)
        picture, labels = self.data.read(index % len(self.data.items))
        scale = float(rng.uniform(0.5, 2.0))
        size = [max(self.crop, round(side * scale)) for side in picture.shape[1::-1]]
        picture = np.asarray(cv2.resize(picture, size), np.uint8)
        labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        y, x = (int(rng.integers(0, n - self.crop + 1)) for n in labels.shape)
        part = np.s_[y : y + self.crop, x : x + self.crop]
        flip = -1 if rng.random() < 0.5 else 1
        return (
            torch.from_numpy(_row(picture[part][:, ::flip])).permute(2, 0, 1),
            torch.from_numpy(_row(labels[part][:, ::flip])),
        )


def _row(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array)


class PlainLoop:
    """Forward, cross-entropy, backward, step."""

    def __init__(self, trainer: Trainer, crop: int, batch: int, workers: int) -> None:
        self.device = trainer.device
        spec = dataclasses.replace(trainer.recipe.model, auxiliary=False)
        self.model: nn.Module = build_model(spec).to(self.device).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        assert isinstance(trainer.train_set, SegmentationData)
        data = PlainData(trainer.train_set, crop, 1_000_000)
        self.batches = iter(DataLoader(data, batch_size=batch, num_workers=workers))

    def step(self) -> None:
        """One step."""
        pictures, labels = next(self.batches)
        x = normalise(pictures.to(self.device))
        (scores,) = self.model(x)
        full = F.interpolate(scores, labels.shape[1:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(full, labels.to(self.device).long(), ignore_index=255)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


class Waiting(Iterator[tuple[Part, ...]]):
    """Our batches, and how long they were waited for."""

    def __init__(self, batches: Iterator[tuple[Part, ...]]) -> None:
        self.batches, self.seconds = batches, 0.0

    def __next__(self) -> tuple[Part, ...]:
        start = time.perf_counter()
        batch = next(self.batches)
        self.seconds += time.perf_counter() - start
        return batch


def timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Wall and processor seconds."""
    _settle(device)
    wall, busy = time.perf_counter(), time.process_time()
    work()
    _settle(device)
    return time.perf_counter() - wall, time.process_time() - busy


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@click.command()
@click.argument(
    "recipe",
    type=click.Path(path_type=Path, exists=True),
    default=Path("train/recipes/mbv2_camvid.toml"),
)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE")
@click.option("--device", "device_name", default="auto", show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--pictures", type=click.IntRange(min=1), default=24, show_default=True)
@click.option("--threads", type=click.IntRange(min=1))
def main(
    recipe: Path,
    data: Path,
    overrides: tuple[str, ...],
    device_name: str,
    steps: int,
    rounds: int,
    pictures: int,
    threads: int | None,
) -> None:
    """Time RECIPE's training on DATA against a plain loop."""
    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe, [*overrides, "train.tensorboard=false"])
    crop, batch = loaded.data.crop, loaded.train.batch
    assert isinstance(crop, int), "a square crop"
    with (
        join_world(choose_device(device_name)) as (world, device),
        tempfile.TemporaryDirectory() as folder,
    ):
        trainer = Trainer(
            loaded, data=data, out=Path(folder) / "run", init=None, device=device, world=world
        )
        workers = loader_processes(loaded.data.workers, device)
        ours = Waiting(
            parts_of_steps(trainer.train_set, trainer.plan, workers=workers, device=device)
        )
        trainer.parts.frozen.train()
        plain = PlainLoop(trainer, crop, batch // world.size, workers)

        def our_steps() -> None:
            for _ in range(steps):
                loss, _lr = trainer.stepper.take(trainer.step, next(ours))
                trainer.state.step += 1
            float(loss)

        def plain_steps() -> None:
            for _ in range(steps):
                plain.step()

        times: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": []}
        for index in range(rounds + 1):
            ours.seconds = ours.seconds if index > 1 else 0.0  # the first round warms up
            for name, work in (("ours", our_steps), ("plain", plain_steps)):
                if name == "plain" and not world.is_main:
                    continue
                found = timed(work, device)
                if index:
                    times[name].append(found)
        looks = _time_validation(trainer, pictures, workers)
        if not world.is_main:
            return
    wall = {name: median(w for w, _ in found) / steps for name, found in times.items()}
    busy = {name: median(b for _, b in found) / steps for name, found in times.items()}
    ratios = [a[1] / b[1] for a, b in zip(times["ours"], times["plain"], strict=True)]
    result = {
        "device": str(device),
        "processes": world.size,
        "pictures_per_second": batch / wall["ours"],
        "plain_pictures_per_second": batch / world.size / wall["plain"],
        "wall_ms_a_step": {name: 1000 * value for name, value in wall.items()},
        "processor_ms_a_step": {name: 1000 * value for name, value in busy.items()},
        "processor_ratio": median(ratios),
        "loader_wait_share": ours.seconds / max(1e-9, steps * rounds * wall["ours"]),
        "validation_seconds_a_picture": looks,
    }
    for key, value in result.items():
        click.echo(f"{key}: {value}")
    print_result("training", result)


def _time_validation(trainer: Trainer, pictures: int, workers: int) -> dict[str, float]:
    """Ours and a plain loop of one picture after another, on the same pictures in turn.

    Wall seconds on a GPU, processor seconds on a CPU. Ours has the loss to compute, too.
    """
    data = trainer.val_set
    data.items = data.items[:pictures]
    network = trainer.parts.average.module

    def ours() -> None:
        validate(
            network,
            data,
            trainer.parts.loss,
            label_stride=trainer.recipe.model.label_stride,
            precision=trainer.precision,
            workers=workers,
            world=trainer.world,
        )

    def plain() -> None:
        evaluate_network(trainer.parts.model, data, trainer.device, network)

    found: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(3):
        for name, work in (("ours", ours), ("plain", plain)):
            wall, busy = timed(work, trainer.device)
            seconds = wall if trainer.device.type == "cuda" else busy
            found[name].append(seconds / len(data.items))
    return {name: median(values) for name, values in found.items()}


if __name__ == "__main__":
    main()
