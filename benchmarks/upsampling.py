"""What it costs and wins to decide labels below full resolution: the last step of the graph.

    python -m benchmarks.upsampling --data CAMVID [--clip CLIP] [--int8] [--checkpoint FILE]

One checkpoint is exported with labels decided at every pixel (scores enlarged bilinearly to full
size, then argmax), at every second and at every fourth (argmax first, labels enlarged to full size
by nearest neighbour). Accuracy and agreement are those of the whole validation split. Time is the
processor time of one thread for one frame, all files in turn, so that what else the machine does
weighs on all of them alike. With --clip, also frames a second of the whole pipeline (decode, label,
draw, encode), best on an idle machine. With --int8, each graph is also quantised: the faster the
layers before it, the more the last step weighs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.engine import Setting, run
from benchmarks.machine import median, print_result
from benchmarks.precision import Contender, contender, measure
from engines.export import ExportConfig, export
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.precision.calibration import calibration_frames
from streamseg.runtime.precision.convert import convert

STRIDES = {1: "every pixel", 2: "every second pixel", 4: "every fourth pixel"}


def make_files(
    checkpoint: Path, folder: Path, size: tuple[int, int], calibration: Path | None
) -> list[Contender]:
    """A file per stride, the shipped one first; then the same in int8."""
    made = []
    for stride, name in STRIDES.items():
        path = folder / f"stride{stride}.onnx"
        export(checkpoint, path, ExportConfig(label_stride=stride, default_size=size))
        made.append(contender(f"fp32, {name}", path))
    if calibration is None:
        return made
    frames = list(calibration_frames(calibration, size=size, count=32))
    for one, name in zip(list(made), STRIDES.values(), strict=True):
        path = one.path.with_suffix(".int8.onnx")
        convert(one.path, "int8", calibration=frames, scheme="cpu", out=path)
        made.append(contender(f"int8, {name}", path))
    return made


def clip_fps(files: list[Contender], clip: Path, frames: int, rounds: int) -> list[float]:
    """Frames a second of the whole pipeline, medians over rounds of all files in turn."""
    found: list[list[float]] = [[] for _ in files]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for one, rates in zip(files, found, strict=True):
                rates.append(run(clip, one.path, Setting(), frames, Path(folder) / "out.mp4")[0])
    return [median(rates) for rates in found]


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    default=Path("train/weights/mbv2.safetensors"),
    show_default=True,
)
@click.option("--size", "size_text", default="480x352", show_default=True)
@click.option("--int8", is_flag=True, help="Also quantised; calibrated on training pictures.")
@click.option("--clip", type=click.Path(exists=True, path_type=Path), help="Time the pipeline.")
@click.option("--frames", default=60, show_default=True, help="Of the clip, from its start.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--pictures", default=None, type=int, help="Only the first ones (a quick look).")
def main(
    data: Path,
    checkpoint: Path,
    size_text: str,
    int8: bool,
    clip: Path | None,
    frames: int,
    rounds: int,
    pictures: int | None,
) -> None:
    """Measure where labels are decided."""
    size = parse_frame_size(size_text)
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(checkpoint, Path(folder), size, data / "train" if int8 else None)
        measure(files, data, size, pictures)
        rows = [one.row(files[0]) for one in files]
        if clip is not None:
            for row, fps in zip(rows, clip_fps(files, clip, frames, rounds), strict=True):
                row["clip_fps"] = fps
    print(
        "| labels decided at | val mIoU % | largest loss of a class | equal % | ms | times | fps |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        name, lost = row["worst_class"]
        fps_text = f"{row['clip_fps']:.1f}" if "clip_fps" in row else ""
        print(
            f"| {row['name']} | {100 * row['miou']:.2f} | {name} {lost:+.1f} "
            f"| {100 * row['agreement']:.2f} | {row['ms']:.1f} | {row['ratio']:.2f} | {fps_text} |"
        )
    result = {"checkpoint": checkpoint.name, "size": list(size), "pictures": len(files[0].equal)}
    print_result("upsampling", {**result, "rows": rows})


if __name__ == "__main__":
    main()
