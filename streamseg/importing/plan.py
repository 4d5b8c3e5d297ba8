"""What is known of somebody else's network once its file was read and its graph tried.

Everything is guessed from the file, each guess has a reason, and options overrule it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamseg.errors import ModelError, UsageError
from streamseg.importing.foreign import Foreign, Port
from streamseg.importing.kinds import (
    refuse_by_notes,
    refuse_by_outputs,
)
from streamseg.importing.names import asked_classes, guessed_classes, told_classes
from streamseg.importing.outputs import Output, choose_output
from streamseg.importing.pixels import Pixels, Triple, guess_pixels
from streamseg.importing.probe import PIXELS, Source, Taken, try_sizes
from streamseg.models.palette import Palette
from streamseg.models.sizes import LARGEST_SIDE

Layout = Literal["nchw", "nhwc"]

_USUAL_SIZE = (512, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the caller knows better than a guess; None leaves it to the guess."""

    classes: str | None = None
    """See `streamseg.importing.names.asked_classes`."""
    layout: Layout | None = None
    mean: Triple | None = None
    std: Triple | None = None
    scale: float | None = None
    bgr: bool | None = None
    output: str | None = None
    size: tuple[int, int] | None = None
    """Width and height: the default, and the only one if the graph turns out to be fixed."""
    multiple: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a graph is wrapped, and why so."""

    port: Port
    layout: Layout
    pixels: Pixels
    output: Output
    palette: Palette
    taken: Taken
    default_size: tuple[int, int]
    account: tuple[tuple[str, str], ...]
    """What was found, for people: a word, and a sentence."""


def make_plan(foreign: Foreign, options: ImportOptions) -> Plan:
    """Look at a graph, run it, and decide how to wrap it.

    Raises:
        UsageError: an option that the graph contradicts, or that is needed and missing.
        ModelError: no semantic segmentation, or nothing that can run here.
    """
    refuse_by_notes(foreign)
    port = _picture_port(foreign)
    layout, layout_why = _layout(foreign, port, options.layout)
    fixed, one_only = _declared(foreign, port, layout, options)
    taken = _taken(foreign, port, layout, fixed, one_only, options)
    refuse_by_outputs(foreign, taken.outputs, taken.size)
    output, output_why = choose_output(
        foreign, port, layout, taken, asked=options.output, named=options.classes is not None
    )
    palette, classes_why = _palette(foreign, output, options)
    pixels, pixels_why = _pixels(foreign, port, layout, options)
    default, size_why = _default_size(foreign, taken, options, len(palette))
    batch = "any number" if taken.batch else f"one: {taken.why_one}"
    return Plan(
        port=port,
        layout=layout,
        pixels=pixels,
        output=output,
        palette=palette,
        taken=taken,
        default_size=default,
        account=(
            ("input", f"{port}, {_LAYOUTS[layout]} ({layout_why})"),
            ("pixels", f"{pixels} ({pixels_why})"),
            ("size", size_why),
            ("frames a call", batch),
            ("output", output_why),
            ("classes", f"{_some(palette.names)} ({classes_why})"),
        ),
    )


_LAYOUTS = {"nchw": "channels first", "nhwc": "channels last"}


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} … {len(names)} in all"


def _picture_port(foreign: Foreign) -> Port:
    if len(foreign.inputs) != 1:
        listed = "; ".join(str(port) for port in foreign.inputs) or "none"
        raise ModelError(
            f"{foreign.path}: has {len(foreign.inputs)} inputs ({listed}), and a network that "
            "segments pictures has one; stereo, flow and prompted networks are not imported"
        )
    port = foreign.inputs[0]
    if port.kind not in PIXELS or (port.shape is not None and len(port.shape) != 4):
        raise ModelError(
            f"{foreign.path}: its input is {port}, and a batch of pictures is wanted: "
            "float [N, 3, H, W] or [N, H, W, 3]"
        )
    return port


def _layout(foreign: Foreign, port: Port, asked: Layout | None) -> tuple[Layout, str]:
    shape = port.shape or (None,) * 4
    if asked is not None:
        channels, other = (shape[1], shape[3]) if asked == "nchw" else (shape[3], shape[1])
        if channels not in (None, 3) or (channels is None and other == 3):
            raise UsageError(f"layout is {asked}, and the graph's input is {port}")
        return asked, "as asked"
    if shape[1] == 3:
        return "nchw", "its second axis is 3"
    if shape[3] == 3:
        return "nhwc", "its last axis is 3"
    if shape[1] is not None and shape[3] is not None:
        channels = min(shape[1], shape[3])
        raise ModelError(
            f"{foreign.path}: its input is {port}: {channels} channels, and pictures have 3"
        )
    for node in foreign.model.graph.node:
        if port.name in node.input and node.op_type == "Transpose":
            order = next((list(a.ints) for a in node.attribute if a.name == "perm"), [])
            if order == [0, 3, 1, 2]:
                return "nhwc", "the graph turns it to channels first"
    return "nchw", "a guess: the graph does not say; --layout"


def _declared(
    foreign: Foreign, port: Port, layout: Layout, options: ImportOptions
) -> tuple[tuple[int, int] | None, bool]:
    """The size that the graph declares as its only one, and whether it takes one picture a call."""
    shape = port.shape or (None,) * 4
    height, width = shape[2:] if layout == "nchw" else shape[1:3]
    if shape[0] not in (None, 1):
        raise ModelError(
            f"{foreign.path}: takes {shape[0]} pictures a call, no more and no fewer; export it "
            "for one, or for any number"
        )
    asked = options.size
    if height is None and width is None:
        return None, shape[0] == 1
    if height is None or width is None:
        if asked is None:
            raise UsageError(f"{foreign.path}: its input is {port}: say the size with --size WxH")
        width, height = width or asked[0], height or asked[1]
    if asked not in (None, (width, height)):
        raise UsageError(
            f"{foreign.path}: is fixed to {width}x{height}, and --size says {asked[0]}x{asked[1]}; "
            "export it again for that size"
        )
    if max(width, height) > LARGEST_SIDE:
        raise ModelError(f"{foreign.path}: takes {width}x{height}; {LARGEST_SIDE} is the most")
    return (width, height), shape[0] == 1


def _taken(
    foreign: Foreign,
    port: Port,
    layout: Layout,
    fixed: tuple[int, int] | None,
    one_only: bool,
    options: ImportOptions,
) -> Taken:
    """What the graph takes, as tried; one that is free in words alone is fixed to ``--size``."""
    source = Source(foreign)

    def attempt(size: tuple[int, int] | None) -> Taken:
        return try_sizes(
            source, port, layout, fixed=size, multiple=options.multiple, one_only=one_only
        )

    if fixed is not None or options.size is None:
        return attempt(fixed)
    try:
        return attempt(None)
    except ModelError:
        return attempt(options.size)


def _palette(foreign: Foreign, output: Output, options: ImportOptions) -> tuple[Palette, str]:
    count = output.classes
    if options.classes is not None:
        palette, why = asked_classes(options.classes), "as asked"
        if count is not None and len(palette) != count:
            raise UsageError(
                f"{foreign.path}: {output.name} tells {count} classes apart, and --classes names "
                f"{len(palette)}: {_some(palette.names)}"
            )
        return palette, why
    told = told_classes(foreign)
    if told is not None and count in (None, len(told[0])):
        return told[0], f"{told[1]} names them"
    if output.form == "binary":
        return Palette(("background", "foreground"), ((0, 0, 0), (220, 20, 60))), "a guess"
    if count is None:
        raise UsageError(
            f"{foreign.path}: {output.name} gives labels and nothing says of how many classes; "
            "name them with --classes"
        )
    return guessed_classes(count)


def _pixels(
    foreign: Foreign, port: Port, layout: Layout, options: ImportOptions
) -> tuple[Pixels, str]:
    guess, why = guess_pixels(foreign, port, layout)
    asked = (options.mean, options.std, options.scale, options.bgr)
    if all(value is None for value in asked):
        return guess, f"{why}; --mean, --std, --scale, --bgr"
    scale, mean, std = guess.scale, guess.mean, guess.std
    if options.scale is not None or options.mean is not None or options.std is not None:
        raw = max((options.mean or (0.0,)) + (options.std or (0.0,))) > 2
        scale = options.scale or (1.0 if raw else 1 / 255)
        mean, std = options.mean or (0.0, 0.0, 0.0), options.std or (1.0, 1.0, 1.0)
    bgr = guess.bgr if options.bgr is None else options.bgr
    return Pixels(scale=scale, mean=mean, std=std, bgr=bgr), "as asked"


def _default_size(
    foreign: Foreign, taken: Taken, options: ImportOptions, classes: int
) -> tuple[tuple[int, int], str]:
    if taken.fixed is not None:
        return taken.fixed, f"{taken.fixed[0]}x{taken.fixed[1]} only: the graph is fixed to it"
    step = taken.multiple
    width, height = options.size or ((1024, 512) if classes == 19 else _USUAL_SIZE)
    size = (max(1, round(width / step)) * step, max(1, round(height / step)) * step)
    if options.size not in (None, size):
        raise UsageError(
            f"size is {width}x{height}; the graph takes multiples of {step}, as {size[0]}x{size[1]}"
        )
    why = "as asked" if options.size else "a guess; --size"
    return size, (
        f"any multiples of {step} (as tried; --multiple), {size[0]} times {size[1]} pixels if "
        f"nothing else is asked for ({why})"
    )
