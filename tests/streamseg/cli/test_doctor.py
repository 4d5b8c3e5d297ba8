"""The doctor: never crashes, whatever is missing or broken, and says it in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

import pytest

from streamseg.cli import doctor
from streamseg.cli.doctor import PROBES, Finding, Findings, MissingError, examine, findings_text
from streamseg.errors import ModelError
from streamseg.runtime.backends import names
from streamseg.runtime.backends.names import TENSORRT_INSTALL


class Breaks(MetaPathFinder):
    """Makes the import of these modules raise an error."""

    def __init__(self, errors: dict[str, BaseException]) -> None:
        self.errors = errors

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> None:
        if name in self.errors:
            raise self.errors[name]


@contextmanager
def broken(errors: dict[str, BaseException]) -> Iterator[None]:
    finder = Breaks(errors)
    gone = {n: m for n, m in sys.modules.items() if n.split(".")[0] in errors}
    for name in gone:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.modules.update(gone)


def test_this_machine_is_examined() -> None:
    # Without torch: its import alone takes seconds, and another probe is no different.
    findings = examine({name: probe for name, probe in PROBES.items() if name != "PyTorch"})
    assert findings.state("Python") == findings.state("ONNX Runtime") == "ok"
    assert all(item.text for item in findings.items)
    assert "for mbv2 at 480x352" in findings.will_use
    assert json.loads(json.dumps(findings.to_dict()))["will_use"] == findings.will_use
    text = findings_text(findings)
    assert "auto will use: " in text
    assert all(item.name in text for item in findings.items)


ERRORS: list[tuple[BaseException, str, str]] = [
    (ModuleNotFoundError("No module named 'torch'", name="torch"), "missing", "not installed (t"),
    (ImportError("libcudart.so.13: cannot open shared object"), "broken", "ImportError: libcud"),
    (OSError("WinError 126"), "broken", "broken: OSError: WinError 126"),
    (RuntimeError("first line\nsecond line"), "broken", "broken: RuntimeError: first line"),
    (Exception(), "broken", "broken: Exception: no message"),
    (SystemExit(3), "broken", "broken: SystemExit: 3"),
]


@pytest.mark.parametrize(("error", "state", "text"), ERRORS)
def test_a_module_that_breaks_on_import_is_a_line_of_words(
    error: BaseException, state: str, text: str
) -> None:
    with broken({"torch": error}):
        findings = examine({"PyTorch": PROBES["PyTorch"]})
    assert findings.state("PyTorch") == state
    assert text in findings.items[0].text
    assert "\n" not in findings.items[0].text


def test_everything_may_be_broken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = ("torch", "onnx", "tensorrt", "cuda", "av", "cv2", "onnxruntime")
    monkeypatch.setattr(doctor, "_will_use", lambda: 1 // 0)
    with broken({name: OSError(f"{name} is broken") for name in modules}):
        findings = examine()
    assert findings.state("PyAV") == findings.state("ONNX Runtime") == "broken"
    assert findings.will_use.startswith("broken: ZeroDivisionError")
    assert "repair PyAV: broken: OSError: av is broken" in findings.advice


def test_a_backend_that_is_too_old_for_the_driver_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.streamseg import fake_backend
    from tests.streamseg.fake_backend import Behaviour

    monkeypatch.setitem(names.BACKENDS, "tensorrt", fake_backend.__name__)
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    sys.modules["tensorrt"].__version__ = "11.1"  # type: ignore[attr-defined]
    monkeypatch.setattr("streamseg.cli.doctor.find_spec", lambda _: object())
    error = OSError("the driver 470 is too old: TensorRT 11 wants 580")
    monkeypatch.setattr(fake_backend, "behaviour", Behaviour(environment=error))
    findings = examine({"TensorRT": PROBES["TensorRT"]})
    assert findings.items[0].text == f"broken: OSError: {error}"
    assert "ONNX Runtime" in findings.will_use
    assert "the driver 470 is too old" in findings.will_use
    assert findings.advice[0].startswith("repair TensorRT: ")


def test_a_cache_of_somebody_else_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    findings = examine({"engine cache": PROBES["engine cache"]})
    assert findings.state("engine cache") == "broken"
    assert findings.items[0].text.startswith(f"{tmp_path}: other users can write there")
    assert "ONNX Runtime" in findings.will_use


def test_a_gpu_without_tensorrt_gets_advice() -> None:
    def gpu() -> str:
        return "Toy 3000, driver 600"

    def nothing() -> str:
        raise MissingError("not there")

    findings = examine({"GPU": gpu, "TensorRT": nothing, "PyTorch": nothing})
    assert findings.advice[0] == f"{TENSORRT_INSTALL}, then streamseg build-engine"
    assert findings.state("TensorRT") == "missing"


def test_lines_are_marked_by_state() -> None:
    items = (
        Finding(name="A", state="ok", text="fine"),
        Finding(name="Bee", state="missing", text="not there"),
        Finding(name="C", state="broken", text="bad"),
    )
    text = findings_text(Findings(items=items, will_use="A", advice=("more A",)))
    assert text.splitlines() == [
        "  A    fine",
        "- Bee  not there",
        "! C    bad",
        "",
        "auto will use: A",
        "to go faster: more A",
    ]


@pytest.mark.parametrize("used", [True, False])
def test_int8_beside_the_model_is_said_or_advised(
    used: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr(doctor, "_int8_is_used", lambda: used)
    monkeypatch.setattr(doctor, "int8_speedup", lambda _: 1.5)
    findings = examine({})
    assert findings.will_use.startswith("ONNX Runtime int8" if used else "ONNX Runtime fp32")
    assert any("--precision int8" in line for line in findings.advice) is not used


def test_a_broken_graph_beside_the_model_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_graph(*_: object) -> None:
        raise ModelError("mbv2.int8.onnx: not an ONNX file")

    monkeypatch.setattr("streamseg.runtime.choosing.companion.find_companion", broken_graph)
    findings = examine({"Python": PROBES["Python"]})
    assert findings.will_use.startswith("ONNX Runtime fp32 for mbv2")
