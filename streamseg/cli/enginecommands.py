"""What the commands around built engines do: from option values to a text and plain values."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamseg.cli.enginetables import (
    aligned,
    counted,
    engines_table,
    entry_dict,
    megabytes,
    proof_lines,
    proof_table,
    refusal_dict,
    refusal_line,
)
from streamseg.errors import UsageError
from streamseg.models.modelfile import ModelHeader, check_batch, find_model, read_header
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.backends.base import BackendUnavailableError, BuildConfig, Profile
from streamseg.runtime.backends.names import Machine
from streamseg.runtime.building.build import Builder, Built
from streamseg.runtime.building.gate import GateError
from streamseg.runtime.building.proof import proof_pictures
from streamseg.runtime.building.request import BuildRequest, Watcher
from streamseg.runtime.cache.folder import CacheEntry, EngineCache
from streamseg.runtime.choosing.candidates import (
    Wanted,
    computes_on_cpu,
    default_batch,
    default_precision,
    invalid_here,
)
from streamseg.runtime.choosing.selection import Selector

_DAY = 86_400.0
_SENSITIVITY_PICTURES = 8


def request_from_options(options: Mapping[str, Any], machine: Machine) -> BuildRequest:
    """The build that a command line asks for.

    Raises:
        UsageError: options that contradict each other, or values that cannot be.
        ModelError: no model file of ours.
    """
    model = find_model(options["model"])
    header = read_header(model)
    backend = options["backend"] or (
        "tensorrt" if machine.why_not("tensorrt") is None else "onnxruntime"
    )
    machine.environment(backend)  # what is missing is said before any work
    precision = options["precision"] or default_precision(backend, machine)
    if backend == "onnxruntime" and precision == "fp32":
        raise UsageError(
            "ONNX Runtime runs the fp32 model file as it is: there is nothing to build; "
            "use --precision int8 or fp16, or another --backend"
        )
    if options["max_drop"] is not None and options["data"] is None:
        raise UsageError("--max-drop is about mIoU: give labelled pictures with --data DIR")
    return BuildRequest(
        model=model,
        header=header,
        backend=backend,
        config=BuildConfig(
            precision=precision,
            profile=_profile(options, header, on_cpu=computes_on_cpu(backend, machine)),
            workspace_mib=options["workspace"],
            timing_cache=options["timing_cache"],
            hardware_compat=options["hardware_compat"],
            version_compat=options["version_compat"],
            optimization_level=options["optimization_level"],
        ),
        exclude=_names(options["exclude"]),
        calibration=options["calibration"],
        pictures=options["pictures"],
        data=options["data"],
        min_agreement=options["min_agreement"],
        max_drop=options["max_drop"],
        allow_slower=options["allow_slower"],
        force=options["force"],
        threads=options["threads"],
    )


def _profile(options: Mapping[str, Any], header: ModelHeader, *, on_cpu: bool) -> Profile:
    names = ("min_size", "opt_size", "max_size")
    given = [name for name in names if options[name] is not None]
    if given and options["size"] is not None:
        raise UsageError("--size is for one size only: leave out --min, --opt and --max")
    if given and len(given) < 3:
        raise UsageError("a range of sizes needs all three: --min, --opt and --max")
    if given:
        low, best, high = (parse_frame_size(options[name]) for name in names)
    else:
        size = options["size"]
        low = best = high = parse_frame_size(size) if size else header.default_size
    for size in (low, best, high):
        header.sizes.check(size)
    try:
        return Profile(
            batch=_batch(options["batch"], header, on_cpu=on_cpu),
            min_size=low,
            opt_size=best,
            max_size=high,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _batch(text: str | None, header: ModelHeader, *, on_cpu: bool) -> tuple[int, int, int]:
    if text is None:
        return default_batch(header, on_cpu=on_cpu)
    if re.fullmatch(r"\d+", text):
        low, best, high = 1, int(text), int(text)
    elif match := re.fullmatch(r"(\d+):(\d+):(\d+)", text):
        low, best, high = int(match[1]), int(match[2]), int(match[3])
    else:
        raise UsageError(f"batch is {text!r}; write MIN:OPT:MAX, as 1:8:16, or one number")
    check_batch(header, high)
    return low, best, high


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def build_from_options(
    options: Mapping[str, Any], watcher: Watcher
) -> tuple[str, dict[str, Any], GateError | None]:
    """Build an engine; the table, the same as plain values, and the refusal if it was refused.

    Raises:
        StreamsegError: as `Builder.build`.
    """
    machine, cache = Machine(), EngineCache(options["out"])
    request = request_from_options(options, machine)
    cache.prepare()  # before the minutes that a build may take
    selector = Selector(
        Wanted(
            model=request.model,
            header=request.header,
            size=request.config.profile.opt_size,
            threads=request.threads,
            build=False,
        ),
        cache=cache,
        machine=machine,
    )
    builder = Builder(cache, machine, watcher, selector.incumbent)
    try:
        built = builder.build(request)
    except GateError as refusal:
        text = proof_table(refusal.proof, file_bytes=None, build_seconds=None)
        values = {"path": None, "refused": str(refusal), "proof": refusal.proof.to_dict()}
        return "\n".join([text, *proof_lines(refusal.proof)]), values, refusal
    return _built_text(built), _built_values(built), None


def _built_text(built: Built) -> str:
    if built.proof is None:
        return (
            f"{built.path}: there already, built {built.header.built_at} in "
            f"{built.header.build_seconds:.1f} s (--force builds it anew)"
        )
    table = proof_table(
        built.proof,
        file_bytes=built.path.stat().st_size,
        build_seconds=built.header.build_seconds,
    )
    where = f"engine: {built.path}"
    if not built.new:
        where += f", there already, built {built.header.built_at} (--force builds it anew)"
    return "\n".join([table, *proof_lines(built.proof), where])


def _built_values(built: Built) -> dict[str, Any]:
    entry = CacheEntry(
        path=built.path,
        size_bytes=built.path.stat().st_size,
        modified=time.time(),
        header=built.header,
        problem=None,
    )
    return {**entry_dict(entry, None), "built": built.new, "refused": None}


def list_sensitivity(options: Mapping[str, Any], watcher: Watcher) -> tuple[str, dict[str, Any]]:
    """What each layer costs when it alone is quantised, costliest first.

    Raises:
        UsageError: another precision than int8, or no pictures.
        BackendUnavailableError: the package onnx is missing.
        StreamsegError: as `streamseg.runtime.precision.sensitivity`.
    """
    if options["precision"] not in (None, "int8"):
        raise UsageError("--sensitivity is about int8: leave out --precision, or say int8")
    model = find_model(options["model"])
    header = read_header(model)
    size = header.default_size
    if options["size"]:
        size = parse_frame_size(options["size"])
        header.sizes.check(size)
    source = options["calibration"] or options["pictures"]
    if source is None and options["data"] is not None:
        source = options["data"] / "val"
    try:
        from streamseg.runtime.precision.sensitivity import sensitivity
    except ImportError as error:
        raise BackendUnavailableError(
            f"int8 needs the package {error.name or 'onnx'}: pip install onnx"
        ) from error
    frames, pictures_from = proof_pictures(source, size)
    frames = frames[:: max(1, len(frames) // _SENSITIVITY_PICTURES)]
    costs = sensitivity(
        model,
        frames,
        scheme="portable" if options["backend"] in ("tensorrt", "torch") else "cpu",
        progress=watcher.progress,
    )
    rows = [("layer", "weights", "labels changed")]
    rows += [(cost.name, cost.weight, f"{100 * cost.lost:.3f} %") for cost in costs]
    text = (
        f"{aligned(rows, right=[2])}\n"
        f"each layer alone in int8, {len(frames)} of {pictures_from}; leave the first ones in fp32 "
        f"with --exclude {','.join(cost.name for cost in costs[:2])}"
    )
    return text, {"layers": [asdict(cost) for cost in costs], "pictures": len(frames)}


def _listed(cache: EngineCache) -> list[tuple[CacheEntry, str | None]]:
    machine = Machine()
    listed = []
    for entry in cache.entries():
        problem = cache.problem(entry)
        if problem is None and entry.header is not None:
            problem = invalid_here(entry.header.key, machine)
        listed.append((entry, problem))
    return listed


def list_engines(folder: Path | None) -> tuple[str, dict[str, Any]]:
    """The engines of a folder, whether they run here, and what is not built here again.

    Raises:
        CacheError: the folder cannot be used.
    """
    cache = EngineCache(folder)
    listed, refusals = _listed(cache), cache.refusals.entries()
    values = {
        "folder": str(cache.folder),
        "engines": [entry_dict(entry, invalid) for entry, invalid in listed],
        "refused": [refusal_dict(refusal) for refusal in refusals],
    }
    if not listed and not refusals:
        return f"{cache.folder}: no engines; build one with 'streamseg build-engine'", values
    total = sum(entry.size_bytes for entry, _ in listed)
    lines = [engines_table(listed)] if listed else []
    lines += [refusal_line(refusal) for refusal in refusals]
    lines.append(f"{cache.folder}: {counted(len(listed))}, {megabytes(total)}")
    return "\n".join(lines), values


def prune_engines(
    folder: Path | None, which: str, older_days: float | None
) -> tuple[str, dict[str, Any]]:
    """Remove engines, notes of builds in vain, and what killed builders left.

    Args:
        folder: None is the cache.
        which: ``invalid`` (not valid on this machine) or ``all``, TensorRT's timings among them.
        older_days: only those built longer ago.

    Raises:
        CacheError: the folder cannot be used, or a file not removed.
    """
    cache = EngineCache(folder)
    before = time.time() - (older_days or 0) * _DAY
    gone = [
        (entry.path, entry.size_bytes)
        for entry, invalid in _listed(cache)
        if (which == "all" or invalid is not None)
        and (older_days is None or entry.modified < before)
    ]
    engines = len(gone)
    if cache.check():
        gone += _notes(cache, which, before if older_days is not None else None)
    for path, _ in gone:
        cache.remove(path)
    cache.sweep()
    freed = sum(size for _, size in gone)
    text = f"{cache.folder}: {counted(engines)} removed, {megabytes(freed)}"
    values = {
        "folder": str(cache.folder),
        "removed": [str(path) for path, _ in gone],
        "removed_bytes": freed,
    }
    return "\n".join([*(f"removed {path.name}" for path, _ in gone), text]), values


def _notes(cache: EngineCache, which: str, before: float | None) -> list[tuple[Path, int]]:
    """Files beside engines that are to go, with their bytes."""
    machine = Machine()
    paths = cache.refusals.unreadable()
    paths += [
        refusal.path
        for refusal in cache.refusals.entries()
        if which == "all" or invalid_here(refusal.key, machine) is not None
    ]
    if which == "all":
        paths += cache.timing_caches()
    known = [(path, path.stat()) for path in paths]
    return [(path, s.st_size) for path, s in known if before is None or s.st_mtime < before]
