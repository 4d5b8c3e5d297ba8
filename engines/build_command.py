"""``python -m engines build``: a checkpoint compiled by another front end than the ONNX parser."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timezone
from pathlib import Path

import click

from engines.console import FILE, one_sentence
from engines.errors import EngineBuildError
from streamseg.models.modelfile import ModelHeader, builtin_models, find_model, read_header
from streamseg.models.sizes import SIZE_MULTIPLE
from streamseg.runtime.backends.base import BuildConfig, LoadOptions, Precision, Profile
from streamseg.runtime.cache.enginefile import EngineHeader
from streamseg.runtime.cache.enginekey import EngineKey, file_sha256
from streamseg.version import __version__


@click.command("build")
@click.argument("checkpoint", type=FILE)
@click.option(
    "--model",
    type=FILE,
    help="The model file exported from CHECKPOINT (default: the one beside it, or the built-in).",
)
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
@click.option("--overwrite", is_flag=True, help="Replace an engine, or --output, that is there.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def build_command(
    checkpoint: Path,
    model: Path | None,
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
    with one_sentence(debug):
        stride = int(label_stride) if label_stride else None
        path = build(checkpoint, model, precision, size, batch, stride, output, overwrite)
    click.echo(f"{path}: {frontend}, {precision}, {path.stat().st_size / 1e6:.1f} MB")


def build(
    checkpoint: Path,
    model: Path | None,
    precision: Precision,
    size: str | None,
    batch: str,
    label_stride: int | None,
    output: Path | None,
    overwrite: bool,
) -> Path:
    """Build the plan and store it in the cache under the model file's key.

    Raises:
        EngineBuildError: it is there already; another checkpoint than the model file's; see
            `engines.torch_tensorrt.build_plan`, also for the others.
        TrainError, StreamsegError: the checkpoint, the model file or this machine is no good.
    """
    # Here, not at the top: --help and usage errors must not wait for torch.
    from engines.torch_tensorrt import build_plan, import_torch_tensorrt
    from streamseg.runtime.backends import tensorrt
    from streamseg.runtime.cache.folder import EngineCache

    if output is not None:
        check_target(output, overwrite=overwrite)
    model, header = model_of(checkpoint, model)
    config = BuildConfig(precision=precision, profile=profile_of(size, batch, header.default_size))
    compiler = import_torch_tensorrt()
    key = EngineKey(
        backend="tensorrt",
        model_sha256=file_sha256(model),
        environment=tensorrt.environment(),
        config=config,
    )
    cache = EngineCache()
    with cache.building(key, lambda: click.echo("another process builds this engine: waiting")):
        there = cache.lookup(key)
        if there is not None and not overwrite:
            raise EngineBuildError(
                f"{there}: an engine of {model} in {precision} for these sizes is there already; "
                "use --overwrite to replace it"
            )
        start = time.perf_counter()
        payload = build_plan(compiler, checkpoint, header, config, label_stride=label_stride)
        seconds = time.perf_counter() - start
        # The runtime itself must take the plan before it is kept under a key that promises that.
        with tensorrt.load(payload, header, model, LoadOptions()):
            pass
        kept = cache.store(engine_header(key, header.name, payload, seconds), payload)
    return kept if output is None else copy_engine(kept, output)


def model_of(checkpoint: Path, model: Path | None) -> tuple[Path, ModelHeader]:
    """The model file that was exported from a checkpoint, and its header.

    Args:
        checkpoint: a file of ``python -m train``.
        model: the model file; None looks beside the checkpoint, then among the built-in ones.

    Raises:
        EngineBuildError: it is of another checkpoint, or there is none.
        StreamsegError: it is no model file.
    """
    from engines.export import sha256

    try:
        own = sha256(checkpoint)
    except OSError as error:
        raise EngineBuildError(f"{checkpoint}: cannot be read ({error.strerror})") from error
    if model is not None:
        path = find_model(model)
        header = read_header(path)
        if header.checkpoint_sha256 != own:
            raise EngineBuildError(
                f"{checkpoint}: {path} was exported from another checkpoint; export it again, or "
                "name that one"
            )
        return path, header
    beside = checkpoint.with_suffix(".onnx")
    candidates = [beside] if beside.is_file() else []
    for path in [*candidates, *map(find_model, builtin_models())]:
        header = read_header(path)
        if header.checkpoint_sha256 == own:
            return path, header
    raise EngineBuildError(
        f"{checkpoint}: no model file was exported from it that is known here; name it with "
        f"--model, or write it with 'python -m engines export {checkpoint} -o {beside}'"
    )


def engine_header(key: EngineKey, model: str, payload: bytes, seconds: float) -> EngineHeader:
    """What the cache keeps beside a plan: no proof, since none was made."""
    return EngineHeader(
        key=key,
        model=model,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),  # noqa: UP017
        build_seconds=round(seconds, 3),
        streamseg_version=__version__,
        payload_bytes=len(payload),
        payload_sha256=hashlib.sha256(payload).hexdigest(),
    )


def check_target(output: Path, *, overwrite: bool) -> None:
    """Refuse a name that cannot be written, before minutes of work.

    Raises:
        EngineBuildError: it exists, is a folder, or its folder is missing.
    """
    if not output.parent.is_dir():
        raise EngineBuildError(f"{output}: the folder {output.parent} does not exist; create it")
    if output.is_dir():
        raise EngineBuildError(f"{output}: is a folder; name a file in it")
    if output.exists() and not overwrite:
        raise EngineBuildError(f"{output}: exists already; use --overwrite to replace it")


def copy_engine(kept: Path, output: Path) -> Path:
    """Copy an engine file; the copy appears under its name only when complete.

    Raises:
        EngineBuildError: it cannot be written.
    """
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
        if any(side < SIZE_MULTIPLE or side % SIZE_MULTIPLE for side in one):
            raise ValueError(f"got {width}x{height}")
        return Profile(batch=(low, best, high), min_size=one, opt_size=one, max_size=one)
    except ValueError as error:
        raise click.UsageError(
            f"write --size WIDTHxHEIGHT in multiples of 32 and --batch MIN:BEST:MAX ({error})"
        ) from error
