"""`trt_api` against the bindings of real TensorRT releases; see bindings.py for how."""

from __future__ import annotations

import ast
import builtins
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from streamseg.runtime.backends import trt_seam
from tests.streamseg.runtime.backends.bindings import RELEASES, REPOSITORY, probe
from tests.streamseg.runtime.backends.contract import Declared, Signature, differences, read_stub

STUB = REPOSITORY / "typings" / "tensorrt" / "__init__.pyi"
MODULE = REPOSITORY / "streamseg" / "runtime" / "backends" / "trt_api.py"

REMOVED_IN_11 = {"BuilderFlag": Declared(values=["FP16", "INT8"])}


@pytest.fixture(scope="module")
def declared() -> dict[str, Declared]:
    return read_stub(STUB)


@pytest.fixture(params=sorted(RELEASES), scope="module")
def answer(request: pytest.FixtureRequest, declared: dict[str, Declared]) -> dict[str, Any]:
    """What the bindings of one release are and do."""
    members = {name: list(stub.members) for name, stub in declared.items()}
    members["BuilderFlag"] += REMOVED_IN_11["BuilderFlag"].values
    found = probe(request.param, {"members": members})
    assert found["version"] == request.param
    return found


def test_the_bindings_have_all_that_the_stub_declares(
    declared: dict[str, Declared], answer: dict[str, Any]
) -> None:
    assert differences(declared, answer["members"]) == []


def test_the_comparison_sees_what_a_release_has_not(
    declared: dict[str, Declared], answer: dict[str, Any]
) -> None:
    found = differences(REMOVED_IN_11, answer["members"])
    is_10 = answer["version"].startswith("10.")
    assert found == ([] if is_10 else ["BuilderFlag.FP16: missing", "BuilderFlag.INT8: missing"])
    parse = declared["OnnxParser"].methods["parse"]
    for wrong in (
        Signature(parse.parameters[1:], parse.returns),  # a required parameter left out
        Signature((*parse.parameters, ("strict", "bool")), parse.returns),
        Signature((("model", "str"), ("path", "str")), parse.returns),
        Signature((("onnx", "Buffer"), ("path", "str")), parse.returns),
        Signature(parse.parameters, "int"),
    ):
        (problem,) = differences(
            {"OnnxParser": Declared(methods={"parse": wrong})}, answer["members"]
        )
        assert problem.startswith("OnnxParser.parse: no overload takes")


def test_strong_typing_is_another_bit_in_11(answer: dict[str, Any]) -> None:
    flag = answer["members"]["NetworkDefinitionCreationFlag"]["STRONGLY_TYPED"]
    assert flag["value"] == (1 if answer["version"].startswith("10.") else 0)


def test_messages_are_kept_and_progress_is_passed_on(answer: dict[str, Any]) -> None:
    module = answer["module"]
    assert module["version"] == answer["version"]
    assert module["is a logger"]
    assert module["because"] == "no tactic found; broken"
    assert module["because again"] == "it gave no reason"
    assert module["warnings"] == ["slow"]
    assert module["is a monitor"]
    assert module["told"] == [
        ["start", "Build", 2],
        ["step", "Build", 0],
        ["step", "Build", 1],
        ["finish", "Build"],
    ]
    assert module["steps"] == [True, False]
    assert module["dims"] == [3, 288, 512]


@pytest.mark.parametrize("work", ["build", "load"])
def test_a_library_that_does_not_start_is_said_in_words(answer: dict[str, Any], work: str) -> None:
    kind, message = answer["module"][work]
    assert kind == "BackendUnavailableError"
    assert message.startswith(f"TensorRT {answer['version']} does not start here (")


def test_the_stub_declares_what_trt_api_uses_and_nothing_else(
    declared: dict[str, Declared],
) -> None:
    """mypy checks the same with types; this needs no mypy, and sees what is no longer used."""
    tree = ast.parse(MODULE.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    chains = {chain for node in ast.walk(tree) if (chain := _chain(node)) is not None}
    classes = {name for name in declared if "." not in name}
    assert {chain.split(".")[0] for chain in chains} <= classes | {"__version__"}
    for name, stub in declared.items():
        for value in stub.values:
            assert f"{name}.{value}" in chains, f"{name}.{value} is declared and not used"
    members = {member for stub in declared.values() for member in stub.members}
    implicit = {"__int__", "__len__", "__getitem__"}
    assert sorted(members - used - implicit) == []
    assert sorted(used - members - classes - _known_elsewhere(tree) - {"Severity"}) == []


def _chain(node: ast.AST) -> str | None:
    """``A.B`` of ``trt.A.B``."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if names and isinstance(node, ast.Name) and node.id == "trt":
        return ".".join(reversed(names))
    return None


def _known_elsewhere(tree: ast.Module) -> set[str]:
    """Names of the standard library, of the seam, and of the module's own classes."""
    known = {"__version__", *dir(threading), *dir(threading.Lock())}
    for kind in (str, list, dict, set, tuple, bytes):
        known |= set(dir(kind))
    for item in vars(trt_seam).values():
        if isinstance(item, type) and item.__module__ == trt_seam.__name__:
            known |= {name for name in dir(item) if name not in dir(builtins.object)}
            known |= (
                {f.name for f in fields(item)} if hasattr(item, "__dataclass_fields__") else set()
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            known.add(node.name)
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if isinstance(node, ast.Attribute) and is_set and ast.unparse(node.value) == "self":
            known.add(node.attr)
    return known


def test_one_module_each_touches_tensorrt_and_cuda_python() -> None:
    for package, owner in (("tensorrt", "trt_api.py"), ("cuda", "cuda.py")):
        found = {
            path.name
            for path in (REPOSITORY / "streamseg").rglob("*.py")
            if package in {name.split(".")[0] for name in _imports(path)}
        }
        assert found <= {owner}, package
        assert owner in found


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names
