"""``python -m engines build``: a checkpoint compiled by another front end than the ONNX parser."""

from __future__ import annotations

import hashlib
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import click

from engines.errors import EngineBuildError
from streamseg import __version__
from streamseg.backends.base import BuildConfig, Precision, Profile
from streamseg.errors import StreamsegError
from train.errors import TrainError

FILE = click.Path(path_type=Path)


@click.command("build")
@click.argument("checkpoint", type=FILE)
@click.option("--model", type=FILE, required=True, help="The model file exported from CHECKPOINT.")
@click.option(
    "--frontend",
    type=click.Choice(["torch-tensorrt"]),
    required=True,
    help="Who compiles it; engines are built from MODEL itself with 'streamseg build-engine'.",
)
@click.option("-o", "--output", type=FILE, help="Write there, too (default: the cache alone).")
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp16", show_default=True)
@click.option("--size", help="WIDTHxHEIGHT (default: the model's).")
@click.option("--batch", default="1:8:16", show_default=True, help="Smallest:best:largest.")
@click.option("--label-stride", type=click.Choice(["1", "2", "4"]), help="What MODEL has.")
@click.option("--overwrite", is_flag=True, help="Replace an existing --output.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def build_command(
    checkpoint: Path,
    model: Path,
    frontend: str,
    output: Path | None,
    precision: Precision,
    size: str | None,
    batch: str,
    label_stride: str | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Compile CHECKPOINT to a TensorRT plan and keep it as the engine of MODEL.

    The engine is kept unproven: 'streamseg engines' lists it, and 'streamseg video --engine
    tensorrt' runs it.
    """
    try:
        stride = int(label_stride) if label_stride else None
        path = build(checkpoint, model, precision, size, batch, stride, output, overwrite)
    except (EngineBuildError, TrainError, StreamsegError) as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        click.echo("stopped; nothing was written", err=True)
        sys.exit(130)
    click.echo(f"{path}: {frontend}, {precision}, {path.stat().st_size / 1e6:.1f} MB")


def build(
    checkpoint: Path,
    model: Path,
    precision: Precision,
    size: str | None,
    batch: str,
    label_stride: int | None,
    output: Path | None,
    overwrite: bool,
) -> Path:
    """Build the plan and store it in the cache under the model file's key.

    Raises:
        EngineBuildError, TrainError, StreamsegError: see `engines.torch_tensorrt.build_plan`.
    """
    from streamseg.modelfile import find_model, read_header

    if output is not None and output.exists() and not overwrite:
        raise EngineBuildError(f"{output}: exists already; use --overwrite to replace it")
    model = find_model(model)
    header = read_header(model)
    config = BuildConfig(precision=precision, profile=profile_of(size, batch, header.default_size))
    from engines.torch_tensorrt import build_plan
    from streamseg.backends import tensorrt
    from streamseg.cache import EngineCache
    from streamseg.enginefile import EngineHeader
    from streamseg.enginekey import EngineKey, file_sha256

    cache = EngineCache()
    start = time.perf_counter()
    payload = build_plan(checkpoint, header, config, label_stride=label_stride)
    seconds = time.perf_counter() - start
    # The runtime itself must take the plan before it is kept under a key that promises that.
    with tensorrt.load(payload, header, model):
        pass
    engine_header = EngineHeader(
        key=EngineKey(
            backend="tensorrt",
            model_sha256=file_sha256(model),
            environment=tensorrt.environment(),
            config=config,
        ),
        model=header.name,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),  # noqa: UP017
        build_seconds=round(seconds, 3),
        streamseg_version=__version__,
        payload_bytes=len(payload),
        payload_sha256=hashlib.sha256(payload).hexdigest(),
    )
    kept = cache.store(engine_header, payload)
    if output is None:
        return kept
    partial = output.with_name(f".{output.name}.part")
    try:
        partial.write_bytes(kept.read_bytes())
        partial.replace(output)
    except OSError as error:
        raise EngineBuildError(f"{output}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
    return output


def profile_of(size: str | None, batch: str, default: tuple[int, int]) -> Profile:
    """The profile of ``--size`` and ``--batch``.

    Raises:
        click.UsageError: they cannot be understood.
    """
    try:
        low, best, high = (int(part) for part in batch.split(":"))
        width, height = default
        if size is not None:
            width, height = (int(part) for part in size.lower().split("x"))
        one = (width, height)
        return Profile(batch=(low, best, high), min_size=one, opt_size=one, max_size=one)
    except ValueError as error:
        raise click.UsageError(
            f"write --size WIDTHxHEIGHT in multiples of 32 and --batch MIN:BEST:MAX ({error})"
        ) from error
