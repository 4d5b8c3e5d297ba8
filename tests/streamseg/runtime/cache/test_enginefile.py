"""The engine file: what was written is read back, and whatever happened to it is one sentence."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.errors import EngineFileError
from streamseg.runtime.backends.base import BuildConfig, Profile
from streamseg.runtime.cache.enginefile import (
    FORMAT,
    MAGIC,
    EngineHeader,
    read_engine_header,
    read_payload,
    write_engine,
)
from streamseg.runtime.cache.enginekey import (
    EngineKey,
    config_from_dict,
    config_to_dict,
    file_sha256,
)
from tests.streamseg.engines_kit import HERE, toy_engine_header, toy_key, toy_profile

PAYLOAD = bytes(range(256)) * 9
PATH = Path("some.engine")


def stored(payload: bytes = PAYLOAD) -> bytes:
    file = io.BytesIO()
    write_engine(file, toy_engine_header(payload), payload)
    return file.getvalue()


def read(data: bytes) -> tuple[EngineHeader, bytes]:
    file = io.BytesIO(data)
    header = read_engine_header(file, PATH)
    return header, read_payload(file, header, PATH)


def test_what_was_written_is_read_back() -> None:
    assert read(stored()) == (toy_engine_header(PAYLOAD), PAYLOAD)


def test_the_header_is_read_without_the_payload() -> None:
    whole = stored()
    assert read_engine_header(io.BytesIO(whole[: -len(PAYLOAD)]), PATH).model == "toy"


@pytest.mark.parametrize("share", [0.001, 0.02, 0.2, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_said(share: float) -> None:
    whole = stored()
    with pytest.raises(EngineFileError, match=r"some\.engine: the engine file ends early"):
        read(whole[: max(1, int(len(whole) * share))])


def test_every_flipped_bit_is_found() -> None:
    whole = stored(b"payload")
    for place in range(len(whole)):
        for bit in (0, 7):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            with pytest.raises(EngineFileError, match=r"^some\.engine: "):
                read(bytes(damaged))


def test_a_flipped_bit_of_the_payload_leaves_the_header_readable() -> None:
    damaged = bytearray(stored())
    damaged[-5] ^= 1
    with pytest.raises(EngineFileError, match="damaged \\(its checksum is wrong\\); build"):
        read(bytes(damaged))
    assert read_engine_header(io.BytesIO(damaged), PATH).model == "toy"


def test_more_bytes_than_were_written_are_damage() -> None:
    with pytest.raises(EngineFileError, match="damaged"):
        read(stored() + b"x")


@pytest.mark.parametrize("data", [b"no engine, just text\n" * 9, b"\x08\x08onnx", b"\x7fELF" * 40])
def test_a_foreign_file_is_said(data: bytes) -> None:
    with pytest.raises(EngineFileError, match="not an engine file of streamseg; remove it"):
        read(data)


def test_an_empty_file_is_said() -> None:
    with pytest.raises(EngineFileError, match="the file is empty"):
        read(b"")


def test_a_newer_file_asks_for_an_update() -> None:
    newer = MAGIC + struct.pack("<I", FORMAT + 1) + stored()[12:]
    with pytest.raises(EngineFileError, match=f"format {FORMAT + 1}, .* knows 1; update streamseg"):
        read(newer)


def test_a_header_without_a_part_is_said() -> None:
    header = toy_engine_header(PAYLOAD)
    text = header.to_bytes().replace(b'"workspace_mib"', b'"workspace_mix"')
    file = io.BytesIO()

    class Foreign(EngineHeader):
        def to_bytes(self) -> bytes:
            return text

    values = {name: getattr(header, name) for name in EngineHeader.__dataclass_fields__}
    write_engine(file, Foreign(**values), PAYLOAD)
    with pytest.raises(EngineFileError, match=r"cannot be understood .*workspace_mib"):
        read(file.getvalue())


CONFIGS = [
    BuildConfig(),
    BuildConfig(precision="fp16", workspace_mib=512, version_compat=True),
    BuildConfig(
        precision="int8",
        hardware_compat="ampere+",
        profile=Profile(min_size=(64, 32), opt_size=(512, 288), max_size=(1024, 512)),
    ),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_build_s_settings_survive_json(config: BuildConfig) -> None:
    assert config_from_dict(config_to_dict(config)) == config


def test_whatever_changes_the_engine_changes_the_key() -> None:
    key = toy_key()
    others = [
        replace(key, backend="tensorrt"),
        replace(key, model_sha256="cd" * 32),
        replace(key, environment={**HERE, "fake": "1.1"}),
        replace(key, exclude=("Conv_1",)),
        replace(key, calibration_sha256="ef" * 32),
        *(replace(key, config=config) for config in CONFIGS),
    ]
    assert len({k.digest for k in [key, *others]}) == len(others) + 1


def test_where_the_timings_of_tactics_are_kept_is_not_part_of_the_key() -> None:
    key = toy_key()
    config = replace(key.config, timing_cache=Path("tactics.bin"))
    assert replace(key, config=config).digest == key.digest


def test_the_order_of_an_environment_does_not_matter() -> None:
    backwards = dict(reversed(HERE.items()))
    assert toy_key(environment=backwards).digest == toy_key().digest


def test_a_mismatch_is_told_in_words() -> None:
    key = toy_key()
    assert key.mismatch(HERE) is None
    told = key.mismatch({"fake": "2.0", "driver": "9"})
    assert (
        told == "built for driver nothing, here 9; fake 1.0, here 2.0; gpu Toy 3000, here nothing"
    )


def test_a_key_survives_json() -> None:
    key = replace(toy_key(), exclude=("a", "b"), calibration_sha256="0" * 64)
    assert EngineKey.from_dict(key.to_dict()) == key


@pytest.mark.parametrize(
    ("size", "covered"), [((96, 64), True), ((96, 96), False), ((64, 64), False)]
)
def test_a_profile_covers_its_own_sizes(size: tuple[int, int], covered: bool) -> None:
    assert toy_key(profile=toy_profile()).covers(size) == covered


def test_a_file_s_digest_is_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert file_sha256(path).startswith("ba7816bf8f01cfea")
