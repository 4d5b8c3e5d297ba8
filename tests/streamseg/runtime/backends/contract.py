"""Reads a stub file, and tells where pybind11's docstrings differ from it.

mypy lets a module use only what its stub declares; if real bindings have everything that the stub
declares, they have everything that the module uses.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as declared: ``self`` left out."""

    parameters: tuple[tuple[str, str], ...]
    """Name and type."""
    returns: str


@dataclass(slots=True)
class Declared:
    """A class of a stub."""

    methods: dict[str, Signature] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    """Read-only ones: name -> type."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Those that may be set: name -> type."""
    values: list[str] = field(default_factory=list)
    """An enumeration's."""

    @property
    def members(self) -> list[str]:
        return [*self.methods, *self.properties, *self.attributes, *self.values]


def read_stub(path: Path) -> dict[str, Declared]:
    """Dotted class name -> what it declares."""
    tree = ast.parse(path.read_text())
    return dict(_classes(tree.body, ""))


def _classes(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Declared]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            name = prefix + node.name
            yield name, _declared(node)
            yield from _classes(node.body, name + ".")


def _declared(node: ast.ClassDef) -> Declared:
    declared = Declared()
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            returns = ast.unparse(item.returns) if item.returns else "None"
            if any(ast.unparse(decorator) == "property" for decorator in item.decorator_list):
                declared.properties[item.name] = returns
            else:
                arguments = [a for a in item.args.args if a.arg != "self"]
                assert all(a.annotation for a in arguments), (node.name, item.name)
                parameters = [(a.arg, ast.unparse(a.annotation or a)) for a in arguments]
                declared.methods[item.name] = Signature(tuple(parameters), returns)
        elif isinstance(item, ast.AnnAssign):
            declared.attributes[ast.unparse(item.target)] = ast.unparse(item.annotation)
        elif isinstance(item, ast.Assign):
            declared.values += [ast.unparse(target) for target in item.targets]
    return declared


def differences(declared: dict[str, Declared], real: dict[str, Any]) -> list[str]:
    """What the stub declares and the bindings have not, or have otherwise; in words."""
    found = []
    for name, stub in declared.items():
        if real[name] is None:
            found.append(f"no class {name}")
            continue
        for member in stub.members:
            problem = _difference(stub, member, real[name][member])
            if problem is not None:
                found.append(f"{name}.{member}: {problem}")
    return found


def _difference(stub: Declared, member: str, real: dict[str, Any] | None) -> str | None:
    if real is None:
        return "missing"
    if member in stub.values:
        return None if real["kind"] == "value" else f"not a value but a {real['kind']}"
    if member in stub.methods:
        return _method_difference(member, stub.methods[member], real)
    if real["kind"] != "property":
        return f"not a property but a {real['kind']}"
    if member in stub.attributes and not real["settable"]:
        return "cannot be set"
    wanted = stub.attributes.get(member) or stub.properties[member]
    got = next((s.returns for s, _ in overloads(real["doc"] or "")), None)
    # Some properties have no docstring: then the name has to do.
    return None if got in (None, plain(wanted)) else f"is {got}, not {plain(wanted)}"


def _method_difference(name: str, wanted: Signature, real: dict[str, Any]) -> str | None:
    if real["kind"] != "method":
        return f"not a method but a {real['kind']}"
    known = list(overloads(real["doc"] or ""))
    names_count = not name.startswith("__") or name == "__init__"
    if any(_fits(wanted, got, required, names_count) for got, required in known):
        return None
    return f"no overload takes {wanted}: {real['doc']!r}"


def _fits(wanted: Signature, got: Signature, required: int, names_count: bool) -> bool:
    given = wanted.parameters
    if not required <= len(given) <= len(got.parameters):
        return False
    for (name, kind), (real_name, real_kind) in zip(given, got.parameters, strict=False):
        if (names_count and name != real_name) or plain(kind) != real_kind:
            return False
    return plain(wanted.returns) == got.returns


def overloads(doc: str) -> Iterator[tuple[Signature, int]]:
    """Signatures in a docstring of pybind11, each with the number of parameters without default."""
    for line in doc.splitlines():
        match = re.match(r"^(?:\d+\. )?\w*\((?P<inside>.*)\) -> (?P<returns>.*)$", line.strip())
        if match is None or "*args" in match["inside"]:
            continue
        parameters, required = [], 0
        for index, text in enumerate(split(match["inside"])):
            if text in ("/", "*"):
                continue
            name, _, kind = text.partition(":")
            if index == 0 and name.strip() in ("self", "arg0") and "tensorrt" in kind:
                continue  # the object itself
            kind, default, _ = kind.partition(" = ")
            required += not default
            parameters.append((name.strip(), plain(kind)))
        yield Signature(tuple(parameters), plain(match["returns"])), required


def split(text: str) -> list[str]:
    """At commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "[(<") - (character in "])>")
        if character == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def plain(kind: str) -> str:
    """A type as every release and the stub mean it."""
    kind = re.sub(r"\s*\|\s*None$", "", kind.strip())  # a null pointer is None, undocumented
    kind = re.sub(r"\b(nvinfer1|nvonnxparser)::I?(?=ParserError)", "", kind)
    kind = re.sub(r"\b(tensorrt_bindings\.)?tensorrt\.|\bnvinfer1::|\bnvonnxparser::", "", kind)
    kind = re.sub(r"\btyping\.SupportsInt\b", "int", kind)
    kind = re.sub(r"\b(typing_extensions\.)?[bB]uffer\b", "Buffer", kind)
    # pybind11's vectors are made of any sequence, and come back as lists.
    kind = re.sub(r"\b(List|collections\.abc\.Sequence|Sequence)\[", "list[", kind)
    kind = re.sub(r"\b[tT]uple\[.*\]", "tuple", kind)
    return re.sub(r"^(ILogger\.)?Severity$", "Severity", kind)
