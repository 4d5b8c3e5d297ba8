"""Commands around built engines: build-engine, engines, doctor. Parse and call; no logic.

`streamseg.cli.main` registers them. Heavy modules are imported inside the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from streamseg.errors import UsageError

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_SOURCE = click.Path(path_type=Path, exists=True)


@click.command("build-engine")
@click.option("--model", default="mbv2", show_default=True, help="Name or .onnx file.")
@click.option(
    "--backend",
    type=click.Choice(["tensorrt", "onnxruntime", "torch"]),
    help="What the engine is built for [default: tensorrt where it runs, else onnxruntime].",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="[default: fp16; int8 for onnxruntime, fp32 for torch on a CPU]",
)
@click.option("--size", metavar="WxH", help="Frames the engine takes [default: the model's].")
@click.option("--min", "min_size", metavar="WxH", help="Instead of --size: the smallest frames.")
@click.option("--opt", "opt_size", metavar="WxH", help="The frames it is tuned for.")
@click.option("--max", "max_size", metavar="WxH", help="The largest frames.")
@click.option("--batch", metavar="MIN:OPT:MAX", help="Frames a call [default: 1:8:16, on a CPU 1].")
@click.option("--workspace", type=click.IntRange(min=1), metavar="MIB", help="Scratch memory.")
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TensorRT: file with the timings of earlier builds, read and extended.",
)
@click.option(
    "--hardware-compat",
    type=click.Choice(["none", "ampere+", "same-cc"]),
    default="none",
    show_default=True,
    help="TensorRT: GPUs the engine also runs on, slower.",
)
@click.option(
    "--optimization-level",
    type=click.IntRange(0, 5),
    help="TensorRT: 0 builds soonest, 5 searches longest [default: 3].",
)
@click.option("--version-compat", is_flag=True, help="TensorRT: also for later minor versions.")
@click.option(
    "--calibration", type=_SOURCE, help="Folder or video for int8 [default: the sample clip]."
)
@click.option(
    "--pictures", type=_SOURCE, help="Folder or video to prove it on [default: the sample clip]."
)
@click.option("--data", type=_FOLDER, help="Labelled pictures: DIR/val and DIR/valannot.")
@click.option(
    "--max-drop", type=float, metavar="POINTS", help="Refuse a larger loss of mIoU; wants --data."
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=0.99,
    show_default=True,
    help="Refuse a smaller share of equal labels.",
)
@click.option("--allow-slower", is_flag=True, help="Keep it even if it does not pay.")
@click.option("--exclude", metavar="NODE,...", help="Nodes that stay in fp32.")
@click.option("--sensitivity", is_flag=True, help="List what each layer costs, and build nothing.")
@click.option("--force", is_flag=True, help="Build although the engine is there.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder instead of the cache.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: all cores].")
@click.option("--json", "json_target", metavar="FILE", help="The result as JSON; - is stdout.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def build_engine(json_target: str | None, quiet: bool, sensitivity: bool, **options: Any) -> None:
    """Build an engine for this machine, prove it on pictures, and keep it if it is good.

    It is refused if its labels differ too much from the fp32 model's, if it loses more mIoU than
    --max-drop, or if it is no faster than what it would replace. Exit code 1, and no engine left.
    """
    from streamseg.cli.bars import BuildBar
    from streamseg.cli.enginecommands import build_from_options, list_sensitivity
    from streamseg.cli.output import check_json_target

    check_json_target(json_target)
    hidden = quiet or json_target == "-"
    with BuildBar(quiet=hidden) as view:
        if sensitivity:
            (text, values), refusal = list_sensitivity(options, view.watcher), None
        else:
            text, values, refusal = build_from_options(options, view.watcher)
    _show(text, values, json_target, hidden)
    if refusal is not None:
        raise refusal


@click.command("engines")
@click.option(
    "--prune",
    type=click.Choice(["invalid", "all"]),
    is_flag=False,
    flag_value="invalid",
    help="Remove engines and notes of failed builds: those not valid here (the default), or all.",
)
@click.option(
    "--older", type=click.FloatRange(min=0), metavar="DAYS", help="With --prune: only older ones."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder instead of the cache.")
@click.option("--json", "json_target", metavar="FILE", help="The list as JSON; - is stdout.")
def engines(
    prune: str | None, older: float | None, out: Path | None, json_target: str | None
) -> None:
    """List the built engines: for which device and version, valid here or why not."""
    from streamseg.cli.enginecommands import list_engines, prune_engines
    from streamseg.cli.output import check_json_target

    check_json_target(json_target)
    if older is not None and prune is None:
        raise UsageError("--older says what to remove: use it with --prune")
    text, values = list_engines(out) if prune is None else prune_engines(out, prune, older)
    _show(text, values, json_target, json_target == "-")


@click.command("doctor")
@click.option("--json", "json_target", metavar="FILE", help="The findings as JSON; - is stdout.")
def doctor(json_target: str | None) -> None:
    """Say what this machine has, what ``auto`` will use and why, and what would make it faster."""
    from streamseg.cli.doctor import examine, findings_text
    from streamseg.cli.output import check_json_target

    check_json_target(json_target)
    findings = examine()
    _show(findings_text(findings), findings.to_dict(), json_target, json_target == "-")


def _show(text: str, values: dict[str, Any], json_target: str | None, hidden: bool) -> None:
    from streamseg.cli.output import write_json

    if json_target is not None:
        write_json(values, json_target)
    if not hidden and text:
        click.echo(text)
