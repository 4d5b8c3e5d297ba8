"""Looks at the machine: what is there, what ``auto`` will use, and what would make it faster.

Every probe is guarded: whatever is missing or broken becomes a line of words, never a traceback.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from streamseg.cli.enginetables import counted, megabytes
from streamseg.errors import CacheError, StreamsegError
from streamseg.runtime.backends.names import TENSORRT_INSTALL
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.cpu import cpu_features, cpu_name, cpu_threads, int8_speedup
from streamseg.runtime.gpu import nvidia_device_is_there

State: TypeAlias = Literal["ok", "missing", "broken"]

_DRIVER_TIMEOUT_SECONDS = 10
CODERS = (
    ("h264_nvenc", "w"),
    ("hevc_nvenc", "w"),
    ("av1_nvenc", "w"),
    ("h264_cuvid", "r"),
    ("hevc_cuvid", "r"),
    ("h264_videotoolbox", "w"),
    ("h264_vaapi", "w"),
    ("h264_qsv", "w"),
    ("h264_amf", "w"),
    ("h264_mf", "w"),
    ("h264_v4l2m2m", "w"),
)
"""Hardware coders worth knowing, and whether they write or read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one probe found."""

    name: str
    state: State
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What all probes found."""

    items: tuple[Finding, ...]
    will_use: str
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "findings": [asdict(item) for item in self.items],
            "will_use": self.will_use,
            "advice": list(self.advice),
        }

    def state(self, name: str) -> State:
        """How a probe ended."""
        return next(item.state for item in self.items if item.name == name)


class MissingError(Exception):
    """A probe's word for: it is not there, which is no fault."""


Probe: TypeAlias = Callable[[], str]


def examine(probes: dict[str, Probe] | None = None) -> Findings:
    """Run all probes; raises nothing that a machine can cause."""
    items = tuple(_guarded(name, probe) for name, probe in (probes or PROBES).items())
    will_use = _guarded("auto", _will_use).text
    return Findings(items=items, will_use=will_use, advice=tuple(_advice(items)))


def _guarded(name: str, probe: Probe) -> Finding:
    try:
        return Finding(name=name, state="ok", text=probe())
    except MissingError as error:
        return Finding(name=name, state="missing", text=str(error))
    except ModuleNotFoundError as error:
        return Finding(name=name, state="missing", text=f"not installed ({error.name or error})")
    except StreamsegError as error:
        return Finding(name=name, state="broken", text=str(error))
    except (Exception, SystemExit) as error:  # broken libraries raise anything
        lines = str(error).strip().splitlines()
        text = f"broken: {type(error).__name__}: {lines[0] if lines else 'no message'}"
        return Finding(name=name, state="broken", text=text)


def findings_text(findings: Findings) -> str:
    """For people: a line per finding, then what is used, then advice."""
    width = max(len(item.name) for item in findings.items)
    marks = {"ok": " ", "missing": "-", "broken": "!"}
    lines = [f"{marks[i.state]} {i.name.ljust(width)}  {i.text}" for i in findings.items]
    lines += ["", f"auto will use: {findings.will_use}"]
    lines += [f"to go faster: {line}" for line in findings.advice]
    return "\n".join(lines)


def _import(name: str) -> Any:
    """A module by name: a package that is not there, or is, broken, stays a matter of words."""
    return importlib.import_module(name)


def _python() -> str:
    version = platform.python_version()
    return f"{version} ({platform.python_implementation()}), {platform.platform()}"


def _cpu() -> str:
    features = cpu_features()
    text = f"{cpu_name()}, {cpu_threads()} of {os.cpu_count()} cores"
    int8 = "int8 pays" if int8_speedup(features) > 1 else "int8 is not known to pay"
    return f"{text}; {' '.join(features) or 'features unknown'}: {int8}"


def _numpy() -> str:
    return str(_import("numpy").__version__)


def _opencv() -> str:
    return str(_import("cv2").__version__)


def _pyav() -> str:
    av = _import("av")
    libraries = {name: ".".join(map(str, v)) for name, v in av.library_versions.items()}
    return f"{av.__version__}, FFmpeg's libavcodec {libraries.get('libavcodec', '?')}"


def _coders() -> str:
    """Built into this FFmpeg; whether the machine has the device shows only when one is opened."""
    codec = _import("av.codec").Codec
    found = []
    for name, mode in CODERS:
        try:
            codec(name, mode)
        except Exception:  # FFmpeg has an error of its own for an unknown coder
            continue
        found.append(name)
    if not found:
        raise MissingError("none in this FFmpeg: video is coded by the CPU")
    devices = "an NVIDIA" if nvidia_device_is_there() else "no NVIDIA"
    return f"{', '.join(found)} (in FFmpeg; {devices} device here)"


def _onnxruntime() -> str:
    ort = _import("onnxruntime")
    providers = [p.removesuffix("ExecutionProvider") for p in ort.get_available_providers()]
    return f"{ort.__version__}, providers: {', '.join(providers)} (CPU is used)"


def _gpu() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        if nvidia_device_is_there():
            return "an NVIDIA device is there, nvidia-smi is not"
        raise MissingError("no NVIDIA GPU or driver found")
    query = "--query-gpu=name,driver_version,memory.total,compute_cap"
    done = subprocess.run(
        [program, query, "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=_DRIVER_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise OSError(lines[0] if lines else f"nvidia-smi ended with {done.returncode}")
    gpus = []
    for line in done.stdout.strip().splitlines():
        name, driver, memory, capability = (part.strip() for part in line.split(","))
        gpus.append(f"{name}, driver {driver}, {memory}, compute capability {capability}")
    if not gpus:
        raise MissingError("nvidia-smi lists no GPU")
    return "; ".join(gpus)


def _tensorrt() -> str:
    version = str(_import("tensorrt").__version__)
    from streamseg.runtime.backends.names import find_backend

    environment = find_backend("tensorrt").environment()
    return f"{version}, ready on {environment.get('gpu', 'the GPU')}"


def _cuda_python() -> str:
    _import("cuda.bindings.runtime")
    return metadata.version("cuda-bindings")


def _torch() -> str:
    torch = _import("torch")
    cuda = torch.version.cuda
    if cuda is None:
        return f"{torch.__version__}, CPU only"
    state = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU it can use"
    return f"{torch.__version__}, CUDA {cuda}, {state}"


def _onnx() -> str:
    return f"{_import('onnx').__version__} (makes fp16 and int8 graphs)"


def _cache() -> str:
    try:
        cache = EngineCache()
    except CacheError as error:
        raise MissingError(str(error)) from error  # nothing is broken: there is no place for it
    if not cache.check():
        return f"{cache.folder}: not made yet"
    entries = cache.entries()
    broken = sum(entry.header is None for entry in entries)
    if not os.access(cache.folder, os.W_OK):
        raise CacheError(
            f"{cache.folder}: cannot be written; set STREAMSEG_CACHE to a folder of your own"
        )
    free = megabytes(shutil.disk_usage(cache.folder).free)
    text = f"{cache.folder}: {counted(len(entries))}, {free} free"
    return text + (f", {broken} cannot be read (see 'streamseg engines')" if broken else "")


def _will_use() -> str:
    """What ``auto`` takes for the built-in model at its own size, without building."""
    from streamseg.models.modelfile import find_model, read_header
    from streamseg.runtime.backends.names import Machine
    from streamseg.runtime.choosing.candidates import Wanted, find_candidates
    from streamseg.runtime.choosing.selection import Selector

    model = find_model("mbv2")
    header, machine = read_header(model), Machine()
    width, height = header.default_size
    where = f"for mbv2 at {width}x{height}"
    wanted = Wanted(model=model, header=header, size=header.default_size)
    fallback, to_beat = "ONNX Runtime fp32", 1.0
    if _int8_is_used():
        fallback = "ONNX Runtime int8, which this processor multiplies faster,"
        to_beat = int8_speedup(cpu_features())
    try:
        found = find_candidates(wanted, EngineCache(), machine)
    except CacheError:  # why, the probe of the cache says
        return f"{fallback} {where}: the cache of engines cannot be used"
    for candidate in found:
        if candidate.invalid is None and candidate.speedup > to_beat:
            return (
                f"{candidate.title} {where}: a proven engine, {candidate.speedup:.2f} times as "
                "fast as ONNX Runtime fp32 when it was built"
            )
    if find_spec("tensorrt") is not None:
        why_not = machine.why_not("tensorrt")
        if why_not is None:
            why_not = Selector(wanted, machine=machine).maker.why_not_for_auto()
        if why_not is None:
            return f"TensorRT {where}: it runs here; a first run on a terminal builds the engine"
        return f"{fallback} {where}: {why_not}"
    return f"{fallback} {where}: TensorRT is not installed, and no faster engine is built"


def _models() -> str:
    """The models that come along, and the precision in which this processor runs each."""
    from streamseg.models.modelfile import builtin_models

    found = [f"{name} {'int8' if _int8_is_used(name) else 'fp32'}" for name in builtin_models()]
    if not found:
        raise MissingError("none in this installation")
    return f"{', '.join(found)} (on ONNX Runtime; 'streamseg models' times them)"


def _int8_is_used(name: str = "mbv2") -> bool:
    """Whether a built-in model comes in int8, and that pays on this processor."""
    from streamseg.models.modelfile import find_model, read_header
    from streamseg.runtime.choosing.companion import find_companion, speedup_here

    model = find_model(name)
    try:
        return speedup_here() > 1 and find_companion(model, read_header(model)) is not None
    except StreamsegError:  # a run says so, and takes fp32
        return False


def _advice(items: tuple[Finding, ...]) -> list[str]:
    states = {item.name: item.state for item in items}
    texts = {item.name: item.text for item in items}
    lines = [f"repair {name}: {texts[name]}" for name in states if states[name] == "broken"]
    if states.get("GPU") == "ok":
        if states.get("TensorRT") == "missing":
            lines.append(f"{TENSORRT_INSTALL}, then streamseg build-engine")
        if states.get("PyTorch") == "missing":
            lines.append("or pip install torch, then streamseg build-engine --backend torch")
    elif int8_speedup(cpu_features()) > 1 and not _int8_is_used():
        if states.get("onnx") == "missing":
            lines.append("pip install onnx, which makes int8 graphs")
        lines.append(
            "streamseg build-engine --backend onnxruntime --precision int8 tries int8, "
            "and keeps it only if it is faster and agrees"
        )
    lines.append("a smaller --size costs accuracy and saves time")
    return lines


PROBES: dict[str, Probe] = {
    "Python": _python,
    "CPU": _cpu,
    "NumPy": _numpy,
    "OpenCV": _opencv,
    "PyAV": _pyav,
    "hardware coders": _coders,
    "ONNX Runtime": _onnxruntime,
    "onnx": _onnx,
    "GPU": _gpu,
    "TensorRT": _tensorrt,
    "cuda-python": _cuda_python,
    "PyTorch": _torch,
    "models": _models,
    "engine cache": _cache,
}
