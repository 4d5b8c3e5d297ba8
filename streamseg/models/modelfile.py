"""The model file: one ONNX graph with a JSON header that says what it is.

input ``frames`` uint8 ``[N, H, W, 3]`` RGB, output ``labels`` uint8 ``[N, H, W]``; H and W are
multiples of 32. Normalisation, network, upsampling and argmax are inside, so nobody repeats them.

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

HEADER_KEY = "streamseg"
HEADER_FORMAT = 1
SIZE_MULTIPLE = 32
"""Height and width of a network's input are multiples of this."""
MODELS_DIR = Path(__file__).parent

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
    """Width and height, pixels, of the pictures it was validated on; multiples of 32."""
    training_data: str
    training_data_licence: str
    accuracy: dict[str, Any] = field(default_factory=dict)
    """Measured on the exported file: ``split``, ``size``, ``miou``, ``class_iou`` …"""
    checkpoint_sha256: str
    streamseg_version: str

    def __post_init__(self) -> None:
        for what in ("name", "architecture", "checkpoint_sha256", "streamseg_version"):
            check_text(what, getattr(self, what))
        for what in ("training_data", "training_data_licence"):
            if getattr(self, what) != "":
                check_text(what, getattr(self, what))
        if not isinstance(self.accuracy, dict):
            raise ValueError(f"accuracy must be an object, got {self.accuracy!r:.80}")
        if not all(type(side) is int for side in self.default_size):
            raise ValueError(f"default_size must be whole numbers, got {self.default_size!r:.80}")
        width, height = self.default_size
        if width < 32 or height < 32 or width % SIZE_MULTIPLE or height % SIZE_MULTIPLE:
            raise ValueError(f"default_size must be multiples of 32, got {self.default_size}")

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
            if values.pop("format") != HEADER_FORMAT:
                raise ModelError(
                    f"{path}: its header has another format than {HEADER_FORMAT}; "
                    "update streamseg or export the model again"
                )
            classes = values.pop("classes")
            palette = Palette(
                names=tuple(c["name"] for c in classes),
                colours=tuple(tuple(c["colour"]) for c in classes),
            )
            width, height = values.pop("default_size")
            unknown = sorted(set(values) - {part.name for part in fields(cls)})
            if unknown:
                raise ValueError(f"unknown parts {unknown!a:.80}")
            return cls(classes=palette, default_size=(width, height), **values)
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
            "unknown; export models with 'python -m engines export'"
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
