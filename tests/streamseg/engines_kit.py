"""Keys, headers and a real little backend that builds engines, for the tests of engines."""

from __future__ import annotations

import hashlib
from pathlib import Path

from streamseg.runtime.backends.base import BuildConfig, Precision, Profile
from streamseg.runtime.cache.enginefile import EngineHeader
from streamseg.runtime.cache.enginekey import EngineKey

HERE = {"fake": "1.0", "gpu": "Toy 3000"}
"""The environment of the machine that the tests pretend to be."""


def toy_profile(batch: tuple[int, int, int] = (1, 2, 4)) -> Profile:
    return Profile(batch=batch, min_size=(96, 64), opt_size=(96, 64), max_size=(96, 64))


def toy_key(
    *,
    backend: str = "torch",
    model_sha256: str = "ab" * 32,
    environment: dict[str, str] | None = None,
    precision: Precision = "fp32",
    profile: Profile | None = None,
) -> EngineKey:
    return EngineKey(
        backend=backend,
        model_sha256=model_sha256,
        environment=HERE if environment is None else environment,
        config=BuildConfig(precision=precision, profile=profile or toy_profile()),
    )


def toy_engine_header(payload: bytes, key: EngineKey | None = None) -> EngineHeader:
    return EngineHeader(
        key=key or toy_key(),
        model="toy",
        built_at="2026-01-02T03:04:05+00:00",
        build_seconds=1.5,
        streamseg_version="0",
        payload_bytes=len(payload),
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        proof={"agreement": 1.0},
    )


def listing(folder: Path) -> set[str]:
    """Names of the files below a folder."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
