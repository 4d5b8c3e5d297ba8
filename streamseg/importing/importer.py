"""Somebody else's ONNX file into a model file, shown to say the same on a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.stretch import stretch
from streamseg.errors import ModelError, UsageError
from streamseg.importing.check import Agreement, compare, labels_of
from streamseg.importing.foreign import Foreign, read_foreign
from streamseg.importing.plan import ImportOptions, Plan, make_plan
from streamseg.importing.wrap import wrap
from streamseg.labels import Labels
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.precision.calibration import calibration_frames
from streamseg.sample import street_clip
from streamseg.version import __version__
from streamseg.video.output import OutputPath, cannot_write
from streamseg.video.picture import check_picture_place, read_picture

_ONE_CLASS = 0.995
"""Share of a picture above which one class alone is worth a warning."""

_SAMPLE_SIZE = (960, 540)

Told = Callable[[str, str], None]
"""``(word, sentence)`` of the account, as soon as it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import."""

    path: Path
    overlay: Path
    header: ModelHeader
    plan: Plan
    agreement: Agreement
    shares: dict[str, float]
    """Of the picture, by class, the largest first."""
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        header, agreement = self.header, self.agreement
        return {
            "output": str(self.path),
            "overlay": str(self.overlay),
            "source_file": header.source_file,
            "classes": list(header.classes.names),
            "default_size": list(header.default_size),
            "fixed_size": header.fixed_size and list(header.fixed_size),
            "fixed_batch": header.fixed_batch,
            "multiple": header.multiple,
            "account": dict(self.plan.account),
            "pixels_compared": agreement.pixels,
            "pixels_equal": agreement.equal,
            "pixels_tied": agreement.ties,
            "shares": self.shares,
            "warnings": list(self.warnings),
        }


def import_model(
    source: str | Path,
    out: str | Path,
    options: ImportOptions | None = None,
    *,
    picture: str | Path | None = None,
    overlay: str | Path | None = None,
    purpose: str = "",
    overwrite: bool = False,
    told: Told = lambda *_: None,
) -> Imported:
    """Wrap a semantic-segmentation network's ONNX file into a model file.

    Args:
        source: ``.onnx`` file of any exporter; weights beside it come along.
        out: model file to write, ``.onnx``.
        options: what the caller knows better than a guess.
        picture: file to try it on; None takes a frame of the sample clip.
        overlay: picture to write, with the labels drawn; None: `out` as ``.png``.
        purpose: what the model is for, in a few words, for its header.
        overwrite: replace files that are there.
        told: called with each line of the account as it is found.

    Raises:
        UsageError: a file or an option that cannot be.
        ModelError: no semantic segmentation, no graph that runs here, or one whose labels are
            others once it is wrapped; nothing was written.
        SourceError: the picture cannot be read.
        OutputError: a file cannot be written.
        ImportError: the package onnx is missing.
    """
    source, out = Path(source), Path(out)
    place = OutputPath.check(out, overwrite=overwrite, source=source, kinds={".onnx": "onnx"})
    shown = Path(overlay) if overlay is not None else out.with_suffix(".png")
    check_picture_place(
        shown, overwrite=overwrite, source=None if picture is None else Path(picture)
    )
    pixels = _picture(picture)
    foreign = read_foreign(source)
    plan = make_plan(foreign, options or ImportOptions())
    for word, sentence in plan.account:
        told(word, sentence)
    header = _header(foreign, plan, out.stem, purpose)
    small = cv2.resize(pixels, plan.default_size, interpolation=cv2.INTER_AREA)
    frame = np.ascontiguousarray(small, np.uint8)
    place.claim()
    try:
        place.partial.write_bytes(wrap(foreign, plan, header).SerializeToString(deterministic=True))
        labels = labels_of(place.partial, header, frame)
        agreement = compare(foreign, plan, frame, labels)
        told("by hand", _agreement_line(agreement))
        if not agreement.whole:
            raise ModelError(
                f"{source}: {agreement.pixels - agreement.equal - agreement.ties} of "
                f"{agreement.pixels} labels change when it is wrapped; nothing was written: "
                "please report it with the file's exporter"
            )
        whole = Labels(stretch(labels, *pixels.shape[1::-1]), header.classes, pixels)
        whole.save(shown, overwrite=overwrite)
        place.publish()
    except OSError as error:
        raise cannot_write(place, error) from error
    finally:
        place.discard()
    shares = whole.shares()
    told("picture", ", ".join(f"{name} {100 * share:.1f} %" for name, share in _first(shares)))
    return Imported(
        path=out,
        overlay=shown,
        header=header,
        plan=plan,
        agreement=agreement,
        shares=shares,
        warnings=tuple(_warnings(shares, plan)),
    )


def _first(shares: dict[str, float]) -> list[tuple[str, float]]:
    return list(shares.items())[:6]


def _agreement_line(agreement: Agreement) -> str:
    share = 100 * (agreement.equal + agreement.ties) / agreement.pixels
    ties = f", {agreement.ties} of them ties within rounding" if agreement.ties else ""
    return (
        f"{share:.4g} % of {agreement.pixels} labels are those of the source file, normalised and "
        f"enlarged by hand{ties}"
    )


def _warnings(shares: dict[str, float], plan: Plan) -> list[str]:
    name, share = next(iter(shares.items()))
    if share < _ONE_CLASS:
        return []
    return [
        f"{100 * share:.1f} % of the picture is {name}: if it shows more than that, mean, std, "
        "scale or the order of colours may be another (--mean, --std, --scale, --bgr), or the "
        "picture is nothing that the network was trained on (--picture)"
    ]


def _picture(picture: str | Path | None) -> NDArray[np.uint8]:
    if picture is not None:
        return read_picture(Path(picture))
    frames_NHWC = next(iter(calibration_frames(street_clip(), size=_SAMPLE_SIZE, count=1)))
    return np.asarray(frames_NHWC[0])


def _header(foreign: Foreign, plan: Plan, name: str, purpose: str) -> ModelHeader:
    notes = foreign.notes
    try:
        return ModelHeader(
            name=name,
            architecture=_plain(notes.get("description") or f"imported from {foreign.path.name}"),
            classes=plan.palette,
            default_size=plan.default_size,
            fixed_size=plan.taken.fixed,
            fixed_batch=None if plan.taken.batch else 1,
            multiple=plan.taken.multiple,
            purpose=purpose,
            source_file=_plain(foreign.path.name),
            training_data="",
            training_data_licence=_plain(notes.get("license", "")),
            checkpoint_sha256=foreign.sha256,
            streamseg_version=__version__,
        )
    except ValueError as error:
        raise UsageError(f"{foreign.path}: no header can be written for it ({error})") from error


def _plain(text: str) -> str:
    """Somebody else's words as one line without control characters."""
    return "".join(char for char in text if char.isprintable()).strip()[:200]
