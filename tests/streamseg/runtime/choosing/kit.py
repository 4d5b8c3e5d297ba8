"""A selection in a cache of its own, over the fake backend under TensorRT's name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.runtime.backends.base import BuildConfig, Precision
from streamseg.runtime.backends.names import Machine
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.cache.enginefile import EngineHeader
from streamseg.runtime.cache.enginekey import EngineKey, file_sha256
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.choosing.candidates import Wanted
from streamseg.runtime.choosing.maker import Chosen
from streamseg.runtime.choosing.selection import Selector
from tests.streamseg import fake_backend
from tests.streamseg.engines_kit import HERE, toy_profile
from tests.streamseg.fakes import toy_header
from tests.streamseg.slow_model import write_pictures

THERE = {"fake": "0.9", "gpu": "Toy 3000"}
SLOW = 0.1
"""Seconds a frame: slower than the slow toy on ONNX Runtime, whatever else the machine does."""


class Run:
    """A selection in a cache of its own."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.cache = model, EngineCache(folder / "engines")
        self.pictures = write_pictures(folder / "pictures")
        self.notices: list[str] = []
        self.interactive = True
        self.goes_on = False

    def choose(self, **wanted: Any) -> Chosen:
        values: dict[str, Any] = {"size": (96, 64), "threads": 1, **wanted}
        selector = Selector(
            Wanted(model=self.model, header=toy_header(), **values),
            cache=self.cache,
            machine=Machine(),
            watcher=Watcher(
                notice=self.notices.append,
                interactive=self.interactive,
                goes_on=lambda: self.goes_on,
            ),
            round_seconds=0.02,
            pictures=self.pictures,
        )
        chosen = selector.choose()
        frames = np.random.default_rng(1).integers(0, 255, (5, 64, 96, 3), np.uint8)
        with chosen.engine as engine:
            np.testing.assert_array_equal(engine.infer(frames), frames.argmax(axis=3))
        return chosen

    def store(
        self,
        *,
        environment: dict[str, str] | None = None,
        speedup: float = 3.0,
        precision: Precision = "fp32",
        model_sha256: str | None = None,
        batch: tuple[int, int, int] = (1, 2, 4),
        **options: Any,
    ) -> Path:
        """An engine of the fake backend, as one of `environment` would have built it."""
        environment = environment or HERE
        config = BuildConfig(precision=precision, profile=toy_profile(batch), **options)
        before, fake_backend.behaviour.environment = fake_backend.behaviour.environment, environment
        payload = fake_backend.build(self.model, toy_header(), config, progress=lambda *_: None)
        fake_backend.behaviour.environment = before
        fake_backend.behaviour.builds.clear()
        key = EngineKey(
            backend="tensorrt",
            model_sha256=model_sha256 or file_sha256(self.model),
            environment=environment,
            config=config,
        )
        header = EngineHeader(
            key=key,
            model="toy",
            built_at="2026-01-02T03:04:05+00:00",
            build_seconds=1.0,
            streamseg_version="0",
            payload_bytes=len(payload),
            payload_sha256=hashlib.sha256(payload).hexdigest(),
            proof={"share": 1.0, "speedup": speedup},
        )
        return self.cache.store(header, payload)


def is_onnxruntime(chosen: Chosen) -> bool:
    return chosen.engine.spec.backend.startswith("ONNX Runtime")
