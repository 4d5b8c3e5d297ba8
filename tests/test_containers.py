"""What can be known of the container files without a builder: that they name what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from streamseg.cli.main import main

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "containers" / "Dockerfile", ROOT / "containers" / "Dockerfile.cuda"]
COMPOSE = ROOT / "containers" / "compose.yaml"


def steps(file: Path) -> list[tuple[str, str]]:
    """Instructions and what follows them, lines joined."""
    text = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.M)
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_copied_is_there_and_not_ignored(file: Path) -> None:
    let_in = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.M))
    copied = [name for step, rest in steps(file) if step == "COPY" for name in rest.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name in let_in, name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nobody_is_root_at_the_end(file: Path) -> None:
    users = [rest for step, rest in steps(file) if step == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    made = [rest for step, rest in steps(file) if step == "RUN"][-1]
    assert users[-1].split(":")[0] in made, "who owns the cache"
    assert ("ENTRYPOINT", '["streamseg"]') in steps(file)


def test_extras_of_the_file_are_ours() -> None:
    text = (ROOT / "containers" / "Dockerfile.cuda").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"EXTRA=(\S+)", text):
        assert re.search(rf"^{extra} = \[", project, re.M), extra


@pytest.fixture
def service() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_the_service_is_started_with_options_that_there_are(service: dict[str, Any]) -> None:
    words = service["streamseg"]["command"].split()
    command = main.commands[words[0]]
    context = command.make_context(words[0], words[1:], click.Context(main))
    assert context.params["host"] == "0.0.0.0"
    port = context.params["port"]
    assert service["streamseg"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/healthz" in service["streamseg"]["healthcheck"]["test"][-1]
    assert "/street" in context.params["source"]
    assert (COMPOSE.parent / service["streamseg"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["streamseg"]["build"]["dockerfile"]).exists()


def test_the_service_writes_to_its_volumes_alone(service: dict[str, Any]) -> None:
    ours = service["streamseg"]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
