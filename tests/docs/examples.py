"""Runs what `blocks.py` found, in this process: one start of Python and torch for all pages.

Every page gets a folder of its own where the names that pages use are files: ``in.mp4`` is eight
frames of the shipped sample, CAMVID a drawn data set, CHECKPOINT a checkpoint.
"""

from __future__ import annotations

import importlib
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import click
import cv2
from click.testing import CliRunner

from streamseg.models.modelfile import MODELS_DIR
from streamseg.sample import street_clip
from tests.docs.blocks import LEFT_OPEN, Block, commands
from tests.train.data.drawn_layouts import draw_folder
from tests.train.drawn import draw_dataset

ROOT = Path(__file__).parents[2]
FRAMES = 8
OTHERS = {"pip", "pipx", "uv", "git", "bash", "docker", "torchrun", "yolo", "pytest"}
"""Not run here, alone or before a ``&&``: what is installed is what runs the tests."""


def draw_names(folder: Path) -> None:
    """Put there what pages call by name."""
    clip = _cut_sample(folder / "in.mp4")
    for name in ("a.mp4", "c.mov", "drive.mp4", "CLIP"):
        shutil.copy(clip, folder / name)
    _remux(clip, folder / "b.mkv")
    with av.open(str(clip)) as container:
        picture_HWC = next(container.decode(video=0)).to_ndarray(format="bgr24")
    (folder / "pictures").mkdir()
    for path in (folder / "street.jpg", folder / "pictures" / "one.jpg"):
        cv2.imwrite(str(path), picture_HWC)
    draw_dataset(folder / "CAMVID")
    draw_folder(folder / "PICTURES")
    shutil.copy(ROOT / "train" / "weights" / "mbv2.safetensors", folder / "CHECKPOINT")
    for name in ("mine", "mbv2", "model"):
        for suffix in (".onnx", ".int8.onnx"):
            shutil.copy(MODELS_DIR / f"mbv2{suffix}", folder / f"{name}{suffix}")
    for room in ("train", "streamseg"):
        (folder / room).symlink_to(ROOT / room)


def _cut_sample(place: Path) -> Path:
    """The first frames of the shipped clip, as they are."""
    with av.open(str(street_clip())) as source, av.open(str(place), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for _, packet in zip(range(FRAMES), source.demux(stream), strict=False):
            packet.stream = copy
            target.mux(packet)
    return place


def _remux(clip: Path, place: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(place), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)


@dataclass(frozen=True, slots=True)
class Entry:
    """A click command that words name, and the words left for it."""

    command: click.Command
    arguments: list[str]


def entry(words: list[str]) -> Entry | None:
    """The command line that `words` starts; None if it is none of ours.

    Raises:
        ModuleNotFoundError: ``python -m`` of a module that is not there.
    """
    if words[0] == "streamseg":
        return Entry(importlib.import_module("streamseg.cli.main").main, words[1:])
    if words[:2] != ["python", "-m"]:
        return None
    room = words[2]
    if room.split(".")[0] not in ("train", "engines", "benchmarks"):
        return None
    package = room in ("train", "engines")
    module = importlib.import_module(f"{room}.__main__" if package else room)
    return Entry(module.main, words[3:]) if isinstance(module.main, click.Command) else None


def unknown_options(words: list[str]) -> list[str]:
    """Options and commands among `words` that the command line does not have."""
    found = entry(words)
    if found is None:
        return []
    command, arguments = found.command, list(found.arguments)
    known = _options(command)
    if isinstance(command, click.Group):
        context = click.Context(command)
        named = [word for word in arguments if not word.startswith("-")]
        chosen = command.get_command(context, named[0]) if named else None
        if chosen is None and named and (default := command.get_command(context, "run")):
            chosen = default  # `python -m train RECIPE`
        if chosen is None:
            return named[:1]
        known |= _options(chosen)
        if isinstance(chosen, click.Group):
            deeper = chosen.get_command(context, named[1]) if len(named) > 1 else None
            known |= _options(deeper) if deeper else set()
    given = [word.split("=")[0] for word in arguments if word.startswith("-") and len(word) > 1]
    return [option for option in given if option not in known]


def _options(command: click.Command) -> set[str]:
    names = {"-h", "--help"}
    for parameter in command.params:
        names |= {*parameter.opts, *parameter.secondary_opts}
    return names


def _remove_outputs(words: list[str]) -> None:
    """Lines of a block are alternatives that write one and the same ``out.mp4``."""
    after = {"-o", "--output", "--out"}
    outputs = {word for before, word in pairwise(words) if before in after}
    for name in outputs | {word for word in words if Path(word).stem == "out"}:
        if Path(name).is_dir():
            shutil.rmtree(name)
        Path(name).unlink(missing_ok=True)


def run(block: Block, namespace: dict[str, object]) -> None:
    """Run a block in the current folder.

    Raises:
        AssertionError: a command failed; the message has its page, line and output.
    """
    if block.kind == "python":
        # Line numbers in a traceback are the page's.
        code = "\n" * (block.line - 1) + block.text
        exec(compile(code, block.page, "exec"), namespace)
        return
    for words in commands(block):
        if words[0] in OTHERS or (words[2:3] and words[2].startswith("benchmarks.")):
            continue  # a benchmark takes minutes by itself
        if any(part in word for word in words for part in LEFT_OPEN):
            continue
        found = entry(words)
        assert found is not None, f"{block.place}: what is {' '.join(words)!r}?"
        _remove_outputs(words)
        result = CliRunner().invoke(found.command, found.arguments)
        said = f"{block.place}: {' '.join(words)}: exit code {result.exit_code}\n{result.output}"
        assert result.exit_code == 0, f"{said}\n{result.exception!r}"
