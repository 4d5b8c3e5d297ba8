"""The model file: one ONNX graph with a JSON header that says what it is.

input ``frames`` uint8 ``[N, H, W, 3]`` RGB, output ``labels`` uint8 ``[N, H, W]``; the header says
which N, H and W it takes (any N and multiples of 32, unless it was imported). Normalisation,
network, upsampling and argmax are inside, so nobody repeats them.

Knows how to find a file and read its header. Knows nothing about running it: the header is read
straight from the file (`onnx` is not a run-time dependency), in microseconds, for any backend.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from streamseg.errors import ModelError, UsageError
from streamseg.models.palette import Palette, check_text
from streamseg.models.sizes import LARGEST_SIDE, SIZE_MULTIPLE, SizeRule

HEADER_KEY = "streamseg"
HEADER_FORMAT = 2
"""Format 1 had neither sizes that a graph is fixed to, nor purpose and source."""
MODELS_DIR = Path(__file__).parent

_SIZES = ("default_size", "fixed_size")
_LONGEST_HEADER = 1 << 20
"""Bytes; what is longer is no header, and is not read."""
_METADATA_PROPS = 14  # field number in onnx.proto's ModelProto


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHeader:
    """What a model file says of itself."""

    name: str
    architecture: str
    classes: Palette
    default_size: tuple[int, int]
    """Width and height, pixels, of the pictures it was validated on."""
    fixed_size: tuple[int, int] | None = None
    """Width and height, pixels, that the graph is fixed to; None if it takes others."""
    fixed_batch: int | None = None
    """Frames a call that the graph is fixed to (1); None if it takes any number."""
    multiple: int = SIZE_MULTIPLE
    """Width and height are multiples of this."""
    purpose: str = ""
    """What it is for, in a few words."""
    source_file: str = ""
    """Of an imported model: the file that it was made from; `checkpoint_sha256` is this file's."""
    training_data: str
    training_data_licence: str
    accuracy: dict[str, Any] = field(default_factory=dict)
    """Measured on the exported file: ``split``, ``size``, ``miou``, ``class_iou`` …"""
    checkpoint_sha256: str
    streamseg_version: str

    def __post_init__(self) -> None:
        for what in ("name", "architecture", "checkpoint_sha256", "streamseg_version"):
            check_text(what, getattr(self, what))
        for what in ("training_data", "training_data_licence", "purpose", "source_file"):
            if getattr(self, what) != "":
                check_text(what, getattr(self, what))
        if not isinstance(self.accuracy, dict):
            raise ValueError(f"accuracy must be an object, got {self.accuracy!r:.80}")
        if type(self.multiple) is not int or not 1 <= self.multiple <= LARGEST_SIDE:
            raise ValueError(f"multiple must be 1 to {LARGEST_SIDE}, got {self.multiple!r:.80}")
        if self.fixed_batch is not None and (type(self.fixed_batch), self.fixed_batch) != (int, 1):
            raise ValueError(f"fixed_batch must be 1 or null, got {self.fixed_batch!r:.80}")
        for what, size in (("default_size", self.default_size), ("fixed_size", self.fixed_size)):
            if size is None:
                continue
            if len(size) != 2 or not all(type(side) is int for side in size):
                raise ValueError(f"{what} must be two whole numbers, got {size!r:.80}")
            if not all(1 <= side <= LARGEST_SIDE for side in size):
                raise ValueError(f"{what} must be 1 to {LARGEST_SIDE}, got {size!r:.80}")
        if problem := self.sizes.problem(self.default_size):
            raise ValueError(f"default_size: {problem}")

    @property
    def sizes(self) -> SizeRule:
        """Which sizes of picture it takes."""
        return SizeRule(
            model=self.name,
            default=self.default_size,
            fixed=self.fixed_size,
            multiple=self.multiple,
        )

    def to_json(self) -> str:
        """The text stored in the ONNX file's `metadata_props`."""
        values = asdict(self)
        values["format"] = HEADER_FORMAT
        values["classes"] = [
            {"name": name, "colour": list(colour)}
            for name, colour in zip(self.classes.names, self.classes.colours, strict=True)
        ]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, path: Path) -> ModelHeader:
        """Parse what `to_json` wrote; `path` is named in errors.

        Raises:
            ModelError: not our JSON, a newer format, or a value missing or out of range.
        """
        try:
            values = json.loads(text)
            if values.pop("format") not in range(1, HEADER_FORMAT + 1):
                raise ModelError(
                    f"{path}: its header has another format than 1 to {HEADER_FORMAT}; "
                    "update streamseg or export the model again"
                )
            classes = values.pop("classes")
            palette = Palette(
                names=tuple(c["name"] for c in classes),
                colours=tuple(tuple(c["colour"]) for c in classes),
            )
            sizes = {name: tuple(values.pop(name)) for name in _SIZES if values.get(name)}
            unknown = sorted(set(values) - {part.name for part in fields(cls)})
            if unknown:
                raise ValueError(f"unknown parts {unknown!a:.80}")
            return cls(classes=palette, **{**values, **sizes})
        except RecursionError as error:
            raise ModelError(
                f"{path}: its streamseg header is nested too deeply; export the model again"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{path}: its streamseg header is broken ({error}); export the model again"
            ) from error


def builtin_models() -> list[str]:
    """Names of the model files that come with the package."""
    # A dot within the name marks what stands beside a model: its graph in another precision.
    return sorted(path.stem for path in MODELS_DIR.glob("*.onnx") if "." not in path.stem)


def find_model(model: str | Path) -> Path:
    """The file of a built-in model's name or of a path.

    Raises:
        UsageError: no such file, or an unknown name (the message lists the known ones).
    """
    text = str(model)
    if isinstance(model, Path) or text.lower().endswith(".onnx") or "/" in text or "\\" in text:
        path = Path(model)
        if not path.is_file():
            kind = "is a folder, not a model file" if path.is_dir() else "no such model file"
            raise UsageError(f"{path}: {kind}; give an .onnx file or one of: {_known()}")
        return path
    path = MODELS_DIR / f"{text}.onnx"
    if text not in builtin_models():
        raise UsageError(f"unknown model {text!r}; known: {_known()}; or give a path to an .onnx")
    return path


def check_batch(header: ModelHeader, batch: int | None) -> None:
    """Refuse more frames a call than a model's graph is fixed to; None asks for none.

    Raises:
        UsageError: it is.
    """
    fixed = header.fixed_batch
    if fixed is not None and batch is not None and batch > fixed:
        raise UsageError(f"{header.name} takes {fixed} frame a call only, got a batch of {batch}")


def _known() -> str:
    return ", ".join(builtin_models()) or "none (this installation has no model files)"


def read_header(path: Path) -> ModelHeader:
    """The header of a model file.

    Raises:
        ModelError: unreadable, no ONNX file, or one that streamseg did not export.
    """
    try:
        with path.open("rb") as file:
            header = _find_header(file, path.stat().st_size)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise ModelError(f"{path}: not an ONNX file, or a truncated one ({error})") from error
    if header is None:
        raise ModelError(
            f"{path}: an ONNX file without a streamseg header, so its classes and input are "
            "unknown; 'streamseg import-model FILE.onnx -o NAME.onnx' makes a model file of "
            "somebody else's network, 'python -m engines export' of your own checkpoint"
        )
    return ModelHeader.from_json(header, path)


def _find_header(file: BinaryIO, size: int) -> str | None:
    """Our value of ModelProto.metadata_props; every other field is skipped, not read."""
    found = None
    if size == 0:
        raise ValueError("the file is empty")
    while file.tell() < size:
        key = _varint(file)
        number, wire = key >> 3, key & 7
        if wire == 0:
            _varint(file)
            continue
        if wire != 2 or number == 0:
            raise ValueError(f"unexpected wire type {wire}")
        length = _varint(file)
        if file.tell() + length > size:
            raise ValueError("it ends in the middle of a field")
        if number == _METADATA_PROPS:
            name, value = _string_pair(file, file.tell() + length)
            found = value if name == HEADER_KEY else found
        else:
            file.seek(length, 1)
    return found


def _string_pair(file: BinaryIO, end: int) -> tuple[str, str]:
    """Key and value; what is longer than a header may be is left out, unless it is ours."""
    values = {1: "", 2: ""}
    while file.tell() < end:
        number, length = _varint(file) >> 3, _varint(file)
        if file.tell() + length > end:
            raise ValueError("it ends in the middle of a text")
        if length <= _LONGEST_HEADER:
            values[number] = file.read(length).decode()
            continue
        if values[1] in ("", HEADER_KEY):  # the key comes first in every file that is written
            raise ValueError(f"its header is longer than {_LONGEST_HEADER} bytes")
        file.seek(length, 1)
    return values[1], values[2]


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise ValueError("bad number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
