"""What a network does, told by its file and by what it gives; all but segmentation is refused.

Segmentation here is semantic: one class a pixel. Knows nothing about how graphs are wrapped.
"""

from __future__ import annotations

import re

from streamseg.errors import ModelError
from streamseg.importing.foreign import Foreign
from streamseg.importing.probe import Arrays

_DETECTION = "an object-detection model (boxes)"
_INSTANCES = "an instance-segmentation model (boxes, and a mask for each)"
_DEPTH = "a depth model (a distance for each pixel)"
_CLASSIFICATION = "a classification model (one class for the whole picture)"
_MASKS = "a mask-classification model (queries with a mask each: MaskFormer, Mask2Former)"
_FEATURES = "a backbone, or an encoder (features, no classes)"

_LEVELLED = "a detector without its last step, or a feature pyramid (maps at several sizes)"
_LEVELS = 3

_TASKS = {  # what Ultralytics writes into its files
    "detect": _DETECTION,
    "segment": _INSTANCES,
    "pose": "a pose model (key points)",
    "obb": "an oriented-detection model (turned boxes)",
    "classify": _CLASSIFICATION,
    "depth": _DEPTH,
}
_ARCHITECTURES = (  # Hugging Face's names end so
    ("ForSemanticSegmentation", None),
    ("ForObjectDetection", _DETECTION),
    ("ForInstanceSegmentation", _INSTANCES),
    ("ForUniversalSegmentation", _MASKS),
    ("ForDepthEstimation", _DEPTH),
    ("ForImageClassification", _CLASSIFICATION),
)
_BOXES = {"NonMaxSuppression", "RoiAlign", "EfficientNMS_TRT"}
_DEPTH_NAME = re.compile(r"depth|dispar", re.IGNORECASE)
_BOX_NAME = re.compile(r"box", re.IGNORECASE)
_MASK_NAME = re.compile(r"mask", re.IGNORECASE)
_MOST_QUERIES = 400


def refuse_by_notes(foreign: Foreign) -> None:
    """Refuse what the file itself, or the one beside it, calls something else.

    Raises:
        ModelError: it does; the message names what the model is.
    """
    task = foreign.notes.get("task", "")
    if (kind := _TASKS.get(task)) is not None:
        raise _refusal(foreign, kind, f"its metadata say task {task!r}")
    for name in foreign.config.get("architectures") or ():
        for end, kind in _ARCHITECTURES:
            if str(name).endswith(end) and kind is not None:
                raise _refusal(foreign, kind, f"config.json says {str(name)!a:.80}")
    if any(_DEPTH_NAME.search(port.name) for port in foreign.outputs):
        raise _refusal(foreign, _DEPTH, f"it gives {foreign.outputs[0].name}")
    boxed = sorted(_BOXES & {node.op_type for node in foreign.model.graph.node})
    if boxed:
        masks = any(len(port.shape or ()) == 4 for port in foreign.outputs)
        raise _refusal(foreign, _INSTANCES if masks else _DETECTION, f"it computes {boxed[0]}")
    if any(_BOX_NAME.search(port.name) for port in foreign.outputs):
        masks = any(_MASK_NAME.search(port.name) for port in foreign.outputs)
        raise _refusal(foreign, _INSTANCES if masks else _DETECTION, _gives_declared(foreign))


def refuse_by_outputs(foreign: Foreign, outputs: Arrays, size: tuple[int, int]) -> None:
    """Refuse what gives no map of classes.

    Args:
        foreign: the file.
        outputs: what it gave for a picture.
        size: width and height of that.

    Raises:
        ModelError: it does not; the message names what the model seems to be.
    """
    shapes = [array.shape for array in outputs.values()]
    anchors = _anchors(size)
    maps = [shape for shape in shapes if is_map(shape, size)]
    lists = [shape for shape in shapes if len(shape) == 3 and not is_map(shape, size)]
    why = "it gives " + ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
    queries = [shape for shape in lists if shape[1] < _MOST_QUERIES]
    if maps and any(shape[1] == other[1] for shape in queries for other in maps):
        raise _refusal(foreign, _MASKS, why)
    if lists and maps:
        raise _refusal(foreign, _INSTANCES, why)
    if len({shape[2:] for shape in maps if len(shape) == 4}) >= _LEVELS:
        raise _refusal(foreign, _LEVELLED, why)
    if maps:
        return
    if any(max(shape[1:]) in anchors for shape in lists):
        raise _refusal(foreign, _DETECTION, why)
    if any(shape[-1] == 4 for shape in lists):
        raise _refusal(foreign, _DETECTION, why)
    if lists:
        raise _refusal(foreign, _FEATURES, why)
    if all(_is_vector(shape) for shape in shapes):
        raise _refusal(foreign, _CLASSIFICATION, why)
    raise ModelError(f"{foreign.path}: no output is a map of classes over the picture; {why}")


def refuse_depth(foreign: Foreign, name: str, why: str) -> ModelError:
    """What to raise of one continuous value a pixel."""
    return _refusal(foreign, _DEPTH, f"{name} is one value a pixel {why}")


def is_map(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether an array lies over the picture: two of its axes have the picture's aspect ratio."""
    return map_axes(shape, size) is not None


def map_axes(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int] | None:
    """The axes of height and width of an array over a picture; None if it lies over none."""
    if len(shape) == 3:
        pairs = [(1, 2)]
    elif len(shape) == 4:
        pairs = [(2, 3), (1, 2)]
    else:
        return None
    width, height = size
    for rows, columns in pairs:
        h, w = shape[rows], shape[columns]
        # A map at a stride is rounded up or down by one at most.
        if min(h, w) > 1 and h <= 2 * height and abs(w * height - h * width) <= max(width, height):
            return rows, columns
    return None


def _anchors(size: tuple[int, int]) -> set[int]:
    """How many boxes detectors propose for a picture: one or three in each cell of their maps."""
    cells = [-(-size[0] // stride) * -(-size[1] // stride) for stride in (4, 8, 16, 32, 64)]
    maps = [cells[first:end] for first in range(3) for end in range(first + 2, len(cells) + 1)]
    return {each * sum(some) for some in maps for each in (1, 3)}


def _is_vector(shape: tuple[int, ...]) -> bool:
    return sum(side > 1 for side in shape[1:]) <= 1


def _gives_declared(foreign: Foreign) -> str:
    return "it gives " + ", ".join(str(port) for port in foreign.outputs)


def _refusal(foreign: Foreign, kind: str, why: str) -> ModelError:
    return ModelError(
        f"{foreign.path}: is {kind}: {why}. streamseg draws semantic segmentation, one class for "
        "each pixel"
    )
