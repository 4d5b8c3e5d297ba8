"""`streamseg import-model`: somebody else's ONNX file into a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from streamseg.errors import EngineError, UsageError

_FILE = click.Path(path_type=Path)


@click.command("import-model")
@click.argument("source", metavar="FILE.onnx", type=_FILE)
@click.option("-o", "--out", type=_FILE, required=True, help="Model file to write, NAME.onnx.")
@click.option(
    "--classes",
    metavar="LIST",
    help="camvid, cityscapes, voc, ade20k; a file (a name a line, or JSON); or A,B,C.",
)
@click.option("--mean", metavar="R,G,B", help="Taken off each pixel, after the scale.")
@click.option("--std", metavar="R,G,B", help="Divided by, after that.")
@click.option("--scale", metavar="1/255", help="Pixels (0..255) are multiplied by it first.")
@click.option("--bgr/--rgb", default=None, help="Order of the colours.")
@click.option("--layout", type=click.Choice(["nchw", "nhwc"]), help="Axes of the input.")
@click.option("--output", metavar="NAME", help="The output that says the classes.")
@click.option("--size", metavar="WxH", help="What the network sees.")
@click.option("--multiple", type=click.IntRange(1, 8192), help="Of width and height.")
@click.option("--picture", type=_FILE, help="To try it on [default: a frame of the sample clip].")
@click.option("--overlay", type=_FILE, help="Where it is drawn [default: NAME.png].")
@click.option("--purpose", default="", help="What it is for: shown by 'streamseg models'.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "json_target", metavar="FILE", help="The account as JSON; - is stdout.")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def import_model(
    source: Path,
    out: Path,
    json_target: str | None,
    quiet: bool,
    mean: str | None,
    std: str | None,
    scale: str | None,
    size: str | None,
    picture: Path | None,
    overlay: Path | None,
    purpose: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Make a model file of somebody else's semantic-segmentation network in ONNX.

    What the file does not say is guessed and told; options overrule. The result is run on a
    picture, compared with the source file, and drawn for you to look at. Then NAME.onnx works
    wherever a --model is asked for.
    """
    from streamseg.cli.bars import BuildBar
    from streamseg.cli.output import check_json_target, print_text, write_json
    from streamseg.run.netsize import parse_frame_size

    check_json_target(json_target, str(out))
    hidden = quiet or json_target == "-"
    try:
        from streamseg.importing.importer import import_model as run
        from streamseg.importing.plan import ImportOptions
    except ImportError as error:
        raise EngineError(
            f"importing needs the package {error.name or 'onnx'}: pip install onnx"
        ) from error
    asked = ImportOptions(
        mean=_triple("mean", mean),
        std=_triple("std", std, least=1e-9),
        scale=_scale(scale),
        size=None if size is None else parse_frame_size(size),
        **options,
    )

    def told(word: str, sentence: str) -> None:
        if not hidden:
            print_text(f"{word}: {sentence}\n")

    with BuildBar(quiet=hidden) as bar:
        bar.progress(f"looking at {source.name}", 0, 0)
        imported = run(
            source,
            out,
            asked,
            picture=picture,
            overlay=overlay,
            purpose=purpose,
            overwrite=overwrite,
            told=told,
        )
    told("overlay", f"{imported.overlay}: look at it")
    told("model", f"{imported.path}; try it: streamseg video IN OUT --model {imported.path}")
    for warning in imported.warnings:
        click.echo(f"warning: {warning}", err=True)
    if json_target is not None:
        write_json(imported.as_dict(), json_target)


def _triple(what: str, text: str | None, least: float = -1e9) -> tuple[float, float, float] | None:
    """Three numbers with commas, or one for all three."""
    if text is None:
        return None
    values = [_number(what, part, least) for part in text.split(",")]
    if len(values) not in (1, 3):
        raise UsageError(f"{what} is {text!r}; give three numbers with commas, or one")
    red, green, blue = values * 3 if len(values) == 1 else values
    return red, green, blue


def _scale(text: str | None) -> float | None:
    if text is None:
        return None
    over, slash, under = text.partition("/")
    value = _number("scale", over, 1e-9)
    return value / _number("scale", under, 1e-9) if slash else value


def _number(what: str, text: str, least: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= 1e9:
        raise UsageError(f"{what} is {text.strip()!r}; give a number, as {_EXAMPLES[what]}")
    return value


_EXAMPLES = {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225", "scale": "1/255"}
