"""What a built engine is tied to, and the name that follows from it. Pure values.

An engine is valid where its whole key is: another model file, library, device or driver makes
another key, so that an engine that does not fit is never found, let alone handed to a backend.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from streamseg.runtime.backends.base import BuildConfig, Precision, Profile

_BLOCK = 1 << 20
_AMPERE = (8, 0)
"""Compute capability from which plans of ``ampere+`` run."""


def _numbers(text: str) -> tuple[int, ...]:
    """``(11, 1, 0)`` of ``11.1.0``; empty where there are none."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex digits.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def config_to_dict(config: BuildConfig) -> dict[str, Any]:
    """Everything of a build's settings that changes its result, ready for JSON."""
    profile = config.profile
    return {
        "precision": config.precision,
        "batch": list(profile.batch),
        "min_size": list(profile.min_size),
        "opt_size": list(profile.opt_size),
        "max_size": list(profile.max_size),
        "workspace_mib": config.workspace_mib,
        "hardware_compat": config.hardware_compat,
        "version_compat": config.version_compat,
        "optimization_level": config.optimization_level,
    }


def config_from_dict(values: Mapping[str, Any]) -> BuildConfig:
    """What `config_to_dict` made.

    Raises:
        ValueError, KeyError, TypeError: it did not make this.
    """
    if values["precision"] not in get_args(Precision):
        raise ValueError(f"unknown precision {values['precision']!r}")
    if values["hardware_compat"] not in ("none", "ampere+", "same-cc"):
        raise ValueError(f"unknown hardware_compat {values['hardware_compat']!r}")
    low, best, high = values["batch"]
    sizes = {}
    for name in ("min_size", "opt_size", "max_size"):
        width, height = values[name]
        sizes[name] = (int(width), int(height))
    workspace, level = values["workspace_mib"], values.get("optimization_level")
    return BuildConfig(
        precision=values["precision"],
        profile=Profile(batch=(int(low), int(best), int(high)), **sizes),
        workspace_mib=None if workspace is None else int(workspace),
        hardware_compat=values["hardware_compat"],
        version_compat=bool(values["version_compat"]),
        optimization_level=None if level is None else int(level),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """Everything that a built engine depends on."""

    backend: str
    model_sha256: str
    environment: Mapping[str, str] = field(hash=False)
    """What the backend says a built engine is tied to: versions, device, driver."""
    config: BuildConfig
    exclude: tuple[str, ...] = ()
    """Nodes left in fp32."""
    program_sha256: str | None = None
    """Of the file beside the model that the backend builds from, if it does."""
    calibration_sha256: str | None = None
    """Of the pictures that int8 was calibrated with."""

    @property
    def digest(self) -> str:
        """SHA-256 over all parts, as hex digits."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def recipe(self) -> str:
        """SHA-256 over what the graph depends on, wherever it is built: model and precision."""
        parts = [self.model_sha256, self.config.precision, self.int8_scheme, sorted(self.exclude)]
        text = json.dumps([*parts, self.calibration_sha256, self.half_around_int8])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def half_around_int8(self) -> bool:
        """Whether what int8 leaves out is in fp16."""
        return self.backend == "tensorrt"

    @property
    def int8_scheme(self) -> Literal["portable", "cpu"]:
        """How int8 is written in the graph; see `streamseg.runtime.precision`."""
        return "cpu" if self.backend == "onnxruntime" else "portable"

    def to_dict(self) -> dict[str, Any]:
        """The parts, ready for JSON."""
        return {
            "backend": self.backend,
            "model_sha256": self.model_sha256,
            "environment": dict(sorted(self.environment.items())),
            "config": config_to_dict(self.config),
            "exclude": sorted(self.exclude),
            "program_sha256": self.program_sha256,
            "calibration_sha256": self.calibration_sha256,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EngineKey:
        """What `to_dict` made.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it did not make this.
        """
        program, calibration = values["program_sha256"], values["calibration_sha256"]
        return cls(
            backend=str(values["backend"]),
            model_sha256=str(values["model_sha256"]),
            environment={str(name): str(part) for name, part in values["environment"].items()},
            config=config_from_dict(values["config"]),
            exclude=tuple(str(name) for name in values["exclude"]),
            program_sha256=None if program is None else str(program),
            calibration_sha256=None if calibration is None else str(calibration),
        )

    def mismatch(self, environment: Mapping[str, str]) -> str | None:
        """Why an engine of this key does not run in an environment, in words; None if it does."""
        differences = []
        for name in sorted({*self.environment, *environment} - self._settled(environment)):
            then, now = (e.get(name, "nothing") for e in (self.environment, environment))
            if then != now:
                differences.append(f"{name} {then}, here {now}")
        return "built for " + "; ".join(differences) if differences else None

    def _settled(self, environment: Mapping[str, str]) -> set[str]:
        """Parts of the environment that may differ, as this engine was built for others, too."""
        both = (self.environment, environment)
        capabilities = [_numbers(e.get("compute_capability", "")) for e in both]
        versions = [_numbers(e.get("tensorrt", "")) for e in both]
        compat = self.config.hardware_compat
        settled: set[str] = set()
        if compat == "same-cc" and capabilities[0] == capabilities[1]:
            settled |= {"gpu", "driver"}
        if compat == "ampere+" and min(capabilities) >= _AMPERE:
            settled |= {"gpu", "driver", "compute_capability"}
        later = versions[0] <= versions[1] and versions[0][:1] == versions[1][:1]
        if self.config.version_compat and later:
            settled |= {"tensorrt", "driver"}
        return settled

    def covers(self, size: tuple[int, int]) -> bool:
        """Whether an engine of this key takes frames of this width and height."""
        if self.backend == "onnxruntime":
            return True  # its graph has no fixed sizes
        profile = self.config.profile
        return all(
            low <= side <= high
            for low, side, high in zip(profile.min_size, size, profile.max_size, strict=True)
        )
