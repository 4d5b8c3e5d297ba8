"""Engine files whose headers no build makes: one sentence, before anything of them is used."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from streamseg.errors import EngineFileError
from streamseg.runtime.cache.enginefile import _PREFIX, FORMAT, MAGIC, read_engine_header
from tests.streamseg.engines_kit import toy_engine_header


def engine_file(text: bytes) -> io.BytesIO:
    return io.BytesIO(_PREFIX.pack(MAGIC, FORMAT, len(text), hashlib.sha256(text).digest()) + text)


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(toy_engine_header(b"x").to_bytes()), **values}).encode()


def environment(**parts: str) -> dict[str, Any]:
    key = json.loads(toy_engine_header(b"x").to_bytes())["key"]
    return {**key, "environment": parts}


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        changed(model=5),
        changed(model="\x1b[2J"),
        changed(built_at=None),
        changed(build_seconds="long"),
        changed(payload_bytes=-1),
        changed(payload_bytes=1.5),
        changed(proof=[]),
        changed(proof={"speedup": "9"}),
        changed(proof={"share": [1]}),
        changed(key=environment(gpu="\x1b]0;owned\x07")),
        changed(**{"\x1b[2J": 1}),
    ],
)
def test_one_sentence(text: bytes) -> None:
    with pytest.raises(EngineFileError) as caught:
        read_engine_header(engine_file(text), Path("x.engine"))
    assert "x.engine: its header cannot be understood" in str(caught.value)
    assert str(caught.value).isprintable()
