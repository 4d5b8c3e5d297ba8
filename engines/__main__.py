"""Command line of the engines room: ``python -m engines export|verify``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from engines.build_command import build_command
from engines.console import FILE, one_sentence, progress_on
from engines.errors import EngineBuildError

if TYPE_CHECKING:
    from engines.verify import Verification


def parse_size(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """``WxH`` as two numbers."""
    width, separator, height = value.lower().partition("x")
    if not separator or not width.isdecimal() or not height.isdecimal():
        raise click.BadParameter(f"write WIDTHxHEIGHT, e.g. 480x352, got {value!r}")
    return int(width), int(height)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Turn checkpoints into model files, and check them."""


main.add_command(build_command)


@main.command("export")
@click.argument("checkpoint", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Model file to write (.onnx).")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["onnx", "pt2", "both"]),
    default="onnx",
    show_default=True,
    help="The ONNX file, the torch.export program beside it (.pt2), or both.",
)
@click.option("--name", help="Name in the header (default: the file's).")
@click.option(
    "--weights",
    type=click.Choice(["fp16", "fp32"]),
    default="fp16",
    show_default=True,
    help="How the ONNX file stores weights; they are computed with in fp32.",
)
@click.option(
    "--size",
    callback=parse_size,
    default="480x352",
    show_default=True,
    metavar="WxH",
    help="Input size the header suggests; multiples of 32.",
)
@click.option(
    "--label-stride",
    type=click.Choice(["1", "2", "4"]),
    help="Pixels per decided label (default: the network's own).",
)
@click.option("--data", type=FILE, help="Data folder: measure the written file on its val split.")
@click.option("--purpose", default="", help="What it is for: shown by 'streamseg models'.")
@click.option("--training-data", help="What it was trained on (default: by the recipe's layout).")
@click.option("--licence", help="The training data's terms (default: by the recipe's layout).")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def export_command(
    checkpoint: Path,
    output: Path,
    kind: str,
    name: str | None,
    weights: str,
    size: tuple[int, int],
    label_stride: str | None,
    data: Path | None,
    purpose: str,
    training_data: str | None,
    licence: str | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Write the model file of CHECKPOINT: uint8 RGB frames in, uint8 labels out."""
    # Here, not at the top: --help and usage errors must not wait for torch.
    from engines.export import ExportConfig, export
    from engines.program import check_outputs, export_program

    console = Console()
    with one_sentence(debug):
        targets = check_outputs(output, kind, overwrite=overwrite)
        try:
            config = ExportConfig(
                name=name,
                weights="fp32" if weights == "fp32" else "fp16",
                default_size=size,
                label_stride=int(label_stride) if label_stride else None,
                purpose=purpose,
                training_data=training_data,
                licence=licence,
                overwrite=overwrite,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        for target in targets:
            write = export_program if target.suffix.lower() == ".pt2" else export
            watch = progress_on(console, f"measuring {target.name}")
            header = write(checkpoint, target, config, data=data, progress=watch)
            line = f"{target}: {header.name}, {target.stat().st_size / 1e6:.1f} MB"
            if "miou" in header.accuracy:
                measured_on = header.accuracy["measured_on"]
                miou = 100 * header.accuracy["miou"]
                line += f", val mIoU {miou:.2f} % (measured on {measured_on})"
            console.print(line, highlight=False, soft_wrap=True)


@main.command("verify")
@click.argument("model", type=FILE)
@click.option("--checkpoint", type=FILE, required=True, help="What MODEL was exported from.")
@click.option("--data", type=FILE, required=True, help="Data folder with a val split.")
@click.option(
    "--label-stride",
    type=click.Choice(["1", "2", "4"]),
    help="What MODEL was exported with (default: the network's own).",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@click.option("--json", "json_file", type=FILE, help="Write the numbers there, too.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def verify_command(
    model: Path,
    checkpoint: Path,
    data: Path,
    label_stride: str | None,
    threads: int | None,
    json_file: Path | None,
    debug: bool,
) -> None:
    """Compare MODEL, as deployed, with the PyTorch network: labels, and accuracy side by side."""
    import torch

    from engines.verify import REQUIRED_AGREEMENT, verify

    if threads:
        torch.set_num_threads(threads)
    console = Console()
    with one_sentence(debug):
        result = verify(
            model,
            checkpoint,
            data,
            label_stride=int(label_stride) if label_stride else None,
            threads=threads,
            progress=progress_on(console, "comparing"),
        )
        if json_file is not None:
            try:
                json_file.write_text(json.dumps(result.as_dict(), indent=2) + "\n")
            except OSError as error:
                raise EngineBuildError(
                    f"{json_file}: cannot be written ({error.strerror}); choose another --json"
                ) from error
    show(result, console)
    if not result.same_checkpoint:
        click.echo(f"warning: {model} was exported from another file than {checkpoint}", err=True)
    if not result.passed:
        click.echo(
            f"error: {model} agrees with {checkpoint} on {100 * result.agreement:.3f} % of the "
            f"pixels, {100 * REQUIRED_AGREEMENT:.1f} % are required; export it again",
            err=True,
        )
        sys.exit(1)


@main.command("int8")
@click.argument("model", type=FILE)
@click.option("--data", type=FILE, help="Data folder; both are measured on its val.")
@click.option("--pictures", type=FILE, help="Without labels: pictures to calibrate and compare on.")
@click.option("--layout", default="auto", show_default=True, help="How the folder is laid out.")
@click.option("--calibration", type=FILE, help="Pictures or a video (default: training pictures).")
@click.option("--count", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--exclude", default="", help="Layers to leave in fp32, joined by commas.")
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    help="Share of fp32's labels that is asked for [default: 0.99].",
)
@click.option("--overwrite", is_flag=True, help="Replace an int8 graph that is there.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def int8_command(
    model: Path,
    data: Path | None,
    pictures: Path | None,
    layout: str,
    calibration: Path | None,
    count: int,
    exclude: str,
    min_agreement: float | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Write the int8 graph that stands beside MODEL, for processors that multiply int8 fast."""
    from engines.int8 import write_int8

    if (data is None) == (pictures is None):
        raise click.UsageError("give --data (labelled pictures), or --pictures (without labels)")
    console = Console()
    with one_sentence(debug):
        result = write_int8(
            model,
            data,
            layout=layout,
            pictures=pictures,
            calibration=calibration,
            count=count,
            exclude=[name for name in exclude.split(",") if name],
            min_agreement=min_agreement,
            overwrite=overwrite,
            progress=progress_on(console, "comparing"),
        )
    miou = ""
    if result.miou is not None and result.fp32_miou is not None:
        miou = f"val mIoU {100 * result.miou:.2f} % (fp32: {100 * result.fp32_miou:.2f} %), "
    click.echo(
        f"{result.path}: {result.path.stat().st_size / 1e6:.1f} MB, {miou}"
        f"{100 * result.agreement:.2f} % of the labels are fp32's ({result.pictures} pictures)"
    )


@main.command("lint")
@click.argument("model", type=FILE)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def lint_command(model: Path, debug: bool) -> None:
    """Say what TensorRT would not take of MODEL; needs neither TensorRT nor a GPU."""
    from engines.lint import lint

    with one_sentence(debug):
        problems = lint(model)
    for problem in problems:
        click.echo(f"{model}: {problem}", err=True)
    if problems:
        sys.exit(1)
    click.echo(f"{model}: nothing that TensorRT is known to refuse")


def show(result: Verification, console: Console) -> None:
    """Both sides' scores: a table on terminals, aligned plain lines elsewhere."""
    rows = [
        ("mIoU", result.network.miou, result.deployed.miou),
        ("mean accuracy", result.network.mean_accuracy, result.deployed.mean_accuracy),
        ("pixel accuracy", result.network.pixel_accuracy, result.deployed.pixel_accuracy),
        *(
            (f"IoU {name}", network, deployed)
            for name, network, deployed in zip(
                result.model.classes.names,
                result.network.class_iou,
                result.deployed.class_iou,
                strict=True,
            )
        ),
    ]
    texts = [(what, f"{100 * a:.2f}", f"{100 * b:.2f}") for what, a, b in rows]
    title = f"{result.model.name} on {result.pictures} pictures, in %"
    if console.is_terminal:
        table = Table("", title=title)
        table.add_column("PyTorch", justify="right")
        table.add_column(result.engine, justify="right")
        for row in texts:
            table.add_row(*row)
        console.print(table)
    else:
        click.echo(f"{title}; PyTorch, {result.engine}")
        for what, network, deployed in texts:
            click.echo(f"{what:20s} {network:>7s} {deployed:>7s}")
    click.echo(f"agreement {100 * result.agreement:.4f} % of pixels")


if __name__ == "__main__":
    main(prog_name="python -m engines")
