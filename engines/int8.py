"""Model file to the int8 graph that stands beside it, compared with it on labelled pictures.

The graph itself is `streamseg.runtime.precision`'s. Knows nothing about command lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from engines.errors import EngineBuildError
from streamseg.models.modelfile import HEADER_KEY, ModelHeader, read_header
from streamseg.runtime.choosing.companion import companion_path
from streamseg.runtime.engine import Engine
from streamseg.runtime.open import open_engine
from streamseg.runtime.precision.calibration import calibration_frames
from streamseg.runtime.precision.convert import convert
from train.data.detect import AUTO
from train.data.layouts import LAYOUTS
from train.data.opening import open_dataset
from train.data.pixels import IGNORE, PICTURE_SUFFIXES, read_picture
from train.evaluation.predict import to_network, to_picture
from train.metrics import ConfusionMatrix

REQUIRED_AGREEMENT = 0.99
"""Share of pixels on which int8 must say what fp32 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Result:
    """What was written and what it is worth; shares are in 0..1."""

    path: Path
    pictures: int
    agreement: float
    """Share of pixels with fp32's label, over the validation split."""
    miou: float | None
    """None without labels, as below."""
    fp32_miou: float | None


def write_int8(
    model: Path,
    data: Path | None,
    *,
    layout: str = AUTO,
    pictures: Path | None = None,
    calibration: Path | None = None,
    count: int = 32,
    exclude: Sequence[str] = (),
    min_agreement: float | None = None,
    overwrite: bool = False,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] = lambda samples, _: samples,
) -> Int8Result:
    """Calibrate, quantise, compare with the fp32 file, and keep the graph beside it.

    Args:
        model: model file in fp32.
        data: data folder; its validation split is what both are measured on. None: there are no
            labels for these classes, and `pictures` stand in.
        layout: how the folder is laid out, a name of `train.data.layouts`, or "auto".
        pictures: without `data`: pictures (with subfolders) that both files label; every second one
            calibrates unless `calibration` is given, the others are what they are compared on.
        calibration: folder of pictures or a video; None takes the training split's pictures.
        count: pictures to calibrate with.
        exclude: names of nodes to leave in fp32.
        min_agreement: share of fp32's labels that are asked for, 0..1; None: 0.99. Where many
            classes are alike ("house", "building"), fewer may do: measure both against the truth.
        overwrite: replace an int8 graph that is there.
        progress: wraps the iteration over the validation split.

    Raises:
        EngineBuildError: it exists, or fewer labels than asked for are fp32's; nothing was kept.
        StreamsegError, TrainError: the model, the pictures or the data cannot be read.
    """
    header = read_header(model)
    target = companion_path(model)
    if target.exists() and not overwrite:
        raise EngineBuildError(f"{target}: exists already; use --overwrite to replace it")
    if layout not in (AUTO, *LAYOUTS):
        known = ", ".join((AUTO, *sorted(LAYOUTS)))
        raise EngineBuildError(f"--layout {layout!r} is unknown; known: {known}")
    if data is not None:
        validation: Any = open_dataset(layout, data, "val")
        frames = _calibration(header, data, layout, calibration, count)
    elif pictures is not None:
        frames, validation = _unlabelled(header, pictures, calibration, count)
    else:
        raise EngineBuildError("give --data (labelled pictures) or --pictures (without labels)")
    partial = target.with_name(f".{target.name}.part")
    try:
        convert(model, "int8", calibration=frames, exclude=exclude, out=partial, scheme="cpu")
        with (
            open_engine(model, backend="onnxruntime", precision="fp32") as reference,
            open_engine(partial, backend="onnxruntime", precision="fp32") as engine,
        ):
            result, accuracy = _compare(reference, engine, validation, target, progress)
        asked = REQUIRED_AGREEMENT if min_agreement is None else min_agreement
        if result.agreement < asked:
            raise EngineBuildError(
                f"{target}: was not kept, {100 * result.agreement:.2f} % of its labels are fp32's "
                f"and {100 * asked:g} % are required; calibrate with pictures like "
                "those to come, with more (--count), leave layers in fp32 (--exclude), or ask for "
                "less (--min-agreement)"
            )
        _put_header(partial, replace(header, accuracy=accuracy))
        partial.replace(target)
    except OSError as error:
        raise EngineBuildError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
    return result


def _calibration(
    header: ModelHeader, data: Path, layout: str, source: Path | None, count: int
) -> list[Any]:
    if source is not None:
        return list(calibration_frames(source, size=header.default_size, count=count))
    training = open_dataset(layout, data, "train")
    width, height = header.default_size
    wanted = sorted({index * len(training) // count for index in range(count)})
    return [to_network(training.read(index)[0], (height, width))[None] for index in wanted]


class Unlabelled:
    """Pictures at the network's size, each with no label at all: a validation split's stand-in."""

    def __init__(self, files: list[Path], size: tuple[int, int]) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def pairs(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Pictures ``[H, W, 3]`` and labels ``[H, W]`` that are all `IGNORE`."""
        width, height = self.size
        for file in self.files:
            picture = to_network(read_picture(file), (height, width))
            yield picture, np.full(picture.shape[:2], IGNORE, np.uint8)


def _unlabelled(
    header: ModelHeader, folder: Path, calibration: Path | None, count: int
) -> tuple[list[Any], Unlabelled]:
    """Frames to calibrate with, and other pictures to compare on; at most `count` of each.

    Raises:
        EngineBuildError: the folder is not there or holds fewer than two pictures.
    """
    files = [f for f in sorted(folder.rglob("*")) if f.suffix.lower() in PICTURE_SUFFIXES]
    if len(files) < 2:
        raise EngineBuildError(f"{folder}: needs at least two pictures (.jpg, .png, ...)")
    step = max(2, len(files) // count)
    compared = Unlabelled(files[1::step][:count], header.default_size)
    if calibration is not None:
        return list(
            calibration_frames(calibration, size=header.default_size, count=count)
        ), compared
    source = Unlabelled(files[0::step][:count], header.default_size)
    return [picture[None] for picture, _ in source.pairs()], compared


def _compare(
    reference: Engine,
    engine: Engine,
    validation: Any,
    target: Path,
    progress: Callable[[Iterator[Any], int], Iterator[Any]],
) -> tuple[Int8Result, dict[str, Any]]:
    names = reference.spec.model.classes.names
    matrices = ConfusionMatrix(len(names)), ConfusionMatrix(len(names))
    equal: list[float] = []
    for picture, truth in progress(iter(validation.pairs()), len(validation)):
        frames = to_network(picture)[None]
        both = [one.infer(frames)[0] for one in (reference, engine)]
        equal.append(float(np.mean(both[0] == both[1])))
        for matrix, labels in zip(matrices, both, strict=True):
            matrix.update(truth, to_picture(labels, *truth.shape))
    if isinstance(validation, Unlabelled):
        agreement = float(np.mean(equal))
        about = {**reference.spec.model.accuracy, "agreement_with_fp32": agreement}
        result = Int8Result(
            path=target, pictures=len(equal), agreement=agreement, miou=None, fp32_miou=None
        )
        return result, about
    fp32, int8 = (matrix.scores() for matrix in matrices)
    result = Int8Result(
        path=target,
        pictures=len(equal),
        agreement=float(np.mean(equal)),
        miou=int8.miou,
        fp32_miou=fp32.miou,
    )
    accuracy = {
        "measured_on": "this file",
        "split": "val",
        "pictures": len(equal),
        **int8.as_dict(names),
        "agreement_with_fp32": result.agreement,
    }
    return result, accuracy


def _put_header(path: Path, header: ModelHeader) -> None:
    graph = onnx.load(str(path))
    for item in graph.metadata_props:
        if item.key == HEADER_KEY:
            item.value = header.to_json()
    path.write_bytes(graph.SerializeToString(deterministic=True))
