"""Built engines as tables and as JSON. Knows nothing about how the numbers come about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamseg.runtime.backends.names import TITLES
from streamseg.runtime.building.proof import Proof
from streamseg.runtime.building.timing import Speed
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.cache.folder import CacheEntry
from streamseg.runtime.cache.refusals import Refusal

_WORST_CLASSES = 3


def aligned(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Rows of text in columns; the first row is the head, `right` are columns of numbers."""
    numbers = set(right)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def counted(number: int) -> str:
    """``1 engine``, ``2 engines``."""
    return f"{number} engine" if number == 1 else f"{number} engines"


def megabytes(size: int) -> str:
    """``5.4 MB``."""
    return f"{size / 1e6:.1f} MB"


def proof_table(proof: Proof, *, file_bytes: int | None, build_seconds: float | None) -> str:
    """The one table at the end of a build: what is lost, what is won, what it costs."""
    agreement = proof.agreement
    head = ["engine", "batch", "ms", "fps", "agreement"]
    labelled = agreement.miou is not None and agreement.reference_miou is not None
    if labelled:
        head.append("mIoU")
    rows = [[*head, "file", "build"]]

    def add(speed: Speed, *facts: str) -> None:
        for index, timing in enumerate(speed.timings):
            rows.append(
                [
                    speed.name,
                    str(timing.batch),
                    f"{timing.ms:.2f}",
                    f"{timing.fps:.1f}",
                    *(facts if index == 0 else [""] * len(facts)),
                ]
            )

    theirs = [_percent(agreement.reference_miou)] if labelled else []
    ours = [_percent(agreement.miou)] if labelled else []
    add(proof.reference, "", *theirs, "", "")
    if proof.replaced is not None:
        add(proof.replaced, "", *([""] if labelled else []), "", "")
    add(
        proof.speed,
        _percent(agreement.share),
        *ours,
        "not kept" if file_bytes is None else megabytes(file_bytes),
        "" if build_seconds is None else f"{build_seconds:.1f} s",
    )
    return aligned(rows, right=range(1, len(rows[0])))


def proof_lines(proof: Proof) -> list[str]:
    """What the table rests on: pictures, size, and the classes that agree least."""
    agreement = proof.agreement
    width, height = agreement.size
    worst = sorted(agreement.class_share.items(), key=lambda pair: pair[1])[:_WORST_CLASSES]
    lines = [
        f"measured on {agreement.pictures_from} at {width}x{height}, in turns; "
        f"{proof.speedup:.2f} times as fast as {proof.reference.name}",
        "lowest agreement: " + ", ".join(f"{name} {_percent(share)}" for name, share in worst),
    ]
    if agreement.drop_points is not None:
        lines.append(f"mIoU lost: {agreement.drop_points:.2f} points")
    return lines


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def sizes_text(key: EngineKey) -> str:
    """``512x288`` or ``256x160..1024x512``."""
    profile = key.config.profile
    low, high = (f"{w}x{h}" for w, h in (profile.min_size, profile.max_size))
    return low if low == high else f"{low}..{high}"


def batch_text(key: EngineKey) -> str:
    """``8`` or ``1:8:16``."""
    batch = key.config.profile.batch
    return str(batch[0]) if len(set(batch)) == 1 else ":".join(map(str, batch))


def device_of(key: EngineKey) -> str:
    """The device that an engine is for."""
    environment = key.environment
    names = ("gpu", "cpu", "processor", "device")
    return next((environment[name] for name in names if environment.get(name)), "?")


def entry_dict(entry: CacheEntry, invalid: str | None) -> dict[str, Any]:
    """A cached engine for ``--json``."""
    values: dict[str, Any] = {
        "path": str(entry.path),
        "size_bytes": entry.size_bytes,
        "valid": invalid is None,
        "why_not": invalid,
    }
    if entry.header is not None:
        header = entry.header
        values |= {
            "model": header.model,
            "built_at": header.built_at,
            "build_seconds": header.build_seconds,
            "streamseg_version": header.streamseg_version,
            **header.key.to_dict(),
            "proof": header.proof,
        }
    return values


def engines_table(entries: Sequence[tuple[CacheEntry, str | None]]) -> str:
    """The list of cached engines; each with why it is not valid here, or None."""
    head = ("model", "engine", "sizes", "batch", "made for", "version", "speed", "file", "built")
    rows: list[Sequence[str]] = [head]
    reasons: list[str] = ["here"]
    for entry, invalid in entries:
        reasons.append("valid" if invalid is None else f"not valid: {invalid}")
        header = entry.header
        if header is None:
            size = megabytes(entry.size_bytes)
            rows.append((entry.path.name, "?", "?", "?", "?", "?", "?", size, "?"))
            continue
        key = header.key
        rows.append(
            (
                header.model,
                f"{TITLES.get(key.backend, key.backend)} {key.config.precision}",
                sizes_text(key),
                batch_text(key),
                device_of(key),
                key.environment.get(key.backend, "?"),
                _times(header.proof),
                megabytes(entry.size_bytes),
                header.built_at[:16].replace("T", " "),
            )
        )
    return aligned([(*row, why) for row, why in zip(rows, reasons, strict=True)])


def refusal_line(refusal: Refusal) -> str:
    """What is not built again, since when, and why."""
    key = refusal.key
    title = f"{TITLES.get(key.backend, key.backend)} {key.config.precision}"
    return (
        f"not built again: {title} of {refusal.model}, {sizes_text(key)}, batch "
        f"{batch_text(key)}, since {refusal.noted_at[:10]}: {refusal.why}"
    )


def refusal_dict(refusal: Refusal) -> dict[str, Any]:
    """A build in vain for ``--json``."""
    return {
        "path": str(refusal.path),
        "model": refusal.model,
        "why": refusal.why,
        "noted_at": refusal.noted_at,
        **refusal.key.to_dict(),
    }


def _times(proof: Mapping[str, Any]) -> str:
    speedup = proof.get("speedup")
    return f"{speedup:.2f}x" if isinstance(speedup, (int, float)) else "?"
