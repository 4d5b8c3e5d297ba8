"""The engine file: a built engine behind a header that says what it is and where it is valid.

    8 bytes   magic
    4 bytes   format, little-endian
    4 bytes   length of the header, little-endian
    32 bytes  SHA-256 of the header
    header    JSON: key, model, times, proof, length and SHA-256 of the payload
    payload   what the backend built

The header is read without the payload, and the payload is checked before any backend sees it.
The checksums find accidents, not forgers: loading an engine runs it, so `runtime.cache.folder`
keeps engine files where nobody else can write. Knows nothing about backends or folders.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from streamseg.errors import EngineFileError
from streamseg.models.palette import check_text
from streamseg.runtime.cache.enginekey import EngineKey

MAGIC = b"\x93SSEGENG"  # no text file begins like this
FORMAT = 1
_PREFIX = struct.Struct("<8sII32s")
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHeader:
    """What an engine file says of itself."""

    key: EngineKey
    model: str
    """Name of the model, for people."""
    built_at: str
    """UTC, ISO 8601."""
    build_seconds: float
    streamseg_version: str
    payload_bytes: int
    payload_sha256: str
    proof: dict[str, Any] = field(default_factory=dict)
    """What `runtime.building.proof.Proof.to_dict` made: agreement and times when it was built."""

    def to_bytes(self) -> bytes:
        """The header as stored: JSON, UTF-8."""
        values = {
            "key": self.key.to_dict(),
            "model": self.model,
            "built_at": self.built_at,
            "build_seconds": self.build_seconds,
            "streamseg_version": self.streamseg_version,
            "payload_bytes": self.payload_bytes,
            "payload_sha256": self.payload_sha256,
            "proof": self.proof,
        }
        return json.dumps(values, sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> EngineHeader:
        """What `to_bytes` made.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, RecursionError: it did not make this.
        """
        values = json.loads(text)
        header = cls(key=EngineKey.from_dict(values.pop("key")), **values)
        header.check()
        return header

    def check(self) -> None:
        """Refuse what no build makes: values of other kinds, text that a terminal would obey.

        Raises:
            ValueError: such a value.
        """
        key = self.key
        for text in (self.model, self.built_at, self.streamseg_version, self.payload_sha256):
            check_text("a text", text)
        for text in (key.backend, key.model_sha256, *key.exclude, *key.environment):
            check_text("a part of its key", text)
        for part in (*key.environment.values(), key.program_sha256, key.calibration_sha256):
            if part:
                check_text("a part of its key", part)
        if type(self.payload_bytes) is not int or self.payload_bytes < 0:
            raise ValueError(f"its payload cannot have {self.payload_bytes!r:.40} bytes")
        if not isinstance(self.proof, dict):
            raise ValueError("its proof is no object")
        numbers = {"build_seconds": self.build_seconds}
        numbers |= {name: self.proof[name] for name in ("share", "speedup") if name in self.proof}
        for name, value in numbers.items():
            if value is not None and (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not math.isfinite(value)
            ):
                raise ValueError(f"{name} is no number, {value!r:.40}")


def write_engine(file: BinaryIO, header: EngineHeader, payload: bytes) -> None:
    """Write a whole engine file.

    Raises:
        OSError: the disk is full, or the like.
    """
    text = header.to_bytes()
    assert len(text) <= _LONGEST_HEADER, "a header holds no weights"
    assert header.payload_bytes == len(payload), "the header is this payload's"
    file.write(_PREFIX.pack(MAGIC, FORMAT, len(text), hashlib.sha256(text).digest()))
    file.write(text)
    file.write(payload)


def read_engine_header(file: BinaryIO, path: Path) -> EngineHeader:
    """The header; the file is then at the payload. `path` is named in messages.

    Raises:
        EngineFileError: no engine file, a newer one, a truncated or damaged one.
    """
    prefix = _read(file, _PREFIX.size, path)
    if not prefix:
        raise EngineFileError(f"{path}: the file is empty; build the engine again")
    if not prefix.startswith(MAGIC[: len(prefix)]):
        raise EngineFileError(f"{path}: not an engine file of streamseg; remove it")
    if len(prefix) < _PREFIX.size:
        raise _truncated(path)
    _, number, length, digest = _PREFIX.unpack(prefix)
    if number != FORMAT:
        raise EngineFileError(
            f"{path}: engine file of format {number}, this streamseg knows {FORMAT}; "
            "update streamseg or build the engine again"
        )
    if length > _LONGEST_HEADER:
        raise _damaged(path)
    text = _read(file, length, path)
    if len(text) < length:
        raise _truncated(path)
    if hashlib.sha256(text).digest() != digest:
        raise _damaged(path)
    try:
        return EngineHeader.from_bytes(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EngineFileError(
            f"{path}: its header cannot be understood ({ascii(str(error))[1:-1]}); "
            "build the engine again"
        ) from error


def read_payload(file: BinaryIO, header: EngineHeader, path: Path) -> bytes:
    """The payload that follows a header just read, complete and undamaged.

    Raises:
        EngineFileError: a truncated or damaged file.
    """
    payload = _read(file, header.payload_bytes, path)
    if len(payload) < header.payload_bytes:
        raise _truncated(path)
    if hashlib.sha256(payload).hexdigest() != header.payload_sha256 or _read(file, 1, path):
        raise _damaged(path)
    return payload


def _read(file: BinaryIO, length: int, path: Path) -> bytes:
    try:
        return file.read(length)
    except OSError as error:
        raise EngineFileError(f"{path}: cannot be read ({error.strerror})") from error


def _truncated(path: Path) -> EngineFileError:
    return EngineFileError(f"{path}: the engine file ends early; build the engine again")


def _damaged(path: Path) -> EngineFileError:
    return EngineFileError(
        f"{path}: the engine file is damaged (its checksum is wrong); build the engine again"
    )
