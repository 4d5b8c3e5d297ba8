"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from streamseg.drawing.options import DrawOptions
    from streamseg.labelmaps.options import CleanOptions
    from streamseg.labelmaps.outputs import LabelOutputs
    from streamseg.measures.options import MeasureOptions
    from streamseg.runtime.building.request import Watcher
    from streamseg.segmenter import Segmenter
    from streamseg.video.encoder import EncoderOptions
    from streamseg.video.opening import InputOptions
    from streamseg.video.part import Part

F = TypeVar("F", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A number in a range; ``nan`` and ``inf`` are in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, or a sentence."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class Alphas(click.ParamType[tuple[float, dict[str, float]]]):
    """A share for all classes, shares of some, or both: ``0.3,car=0.8``."""

    name = "shares"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The share of all others, and those by class."""
        if isinstance(value, tuple):
            return value
        share = Number(0, 1)
        all_others, some = 0.5, {}
        for part in str(value).split(","):
            name, equals, number = part.rpartition("=")
            alpha = share.convert(number, param, ctx)
            if equals:
                some[name.strip()] = alpha
            else:
                all_others = alpha
        return all_others, some


def wants_debug(ctx: click.Context) -> bool:
    """Whether ``--debug`` was given, anywhere on the command line."""
    return bool(ctx.find_root().meta.get("streamseg.debug"))


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().meta["streamseg.debug"] = True


def debug_option(command: F) -> F:
    """Add ``--debug`` to a command."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.",
    )(command)


def engine_options(model: str = "mbv2") -> Callable[[F], F]:
    """Options of whatever runs a model: which (`model` unless told), how large."""

    def decorate(command: F) -> F:
        for option in reversed(
            (
                click.option(
                    "--model", default=model, show_default=True, help="Name or .onnx file."
                ),
                click.option(
                    "--engine",
                    "backend",
                    type=click.Choice(["auto", "tensorrt", "onnxruntime", "torch"]),
                    default="auto",
                    show_default=True,
                    help="What runs the model; auto takes the fastest that works here. "
                    "The GPU is the first that CUDA_VISIBLE_DEVICES lets through.",
                ),
                click.option(
                    "--precision",
                    type=click.Choice(["fp32", "fp16", "int8"]),
                    help="Of the engine [default: the best one that is there].",
                ),
                click.option(
                    "--no-build",
                    "build",
                    flag_value=False,
                    default=True,
                    help="Do not build engines now; take what is there.",
                ),
                click.option(
                    "--size",
                    metavar="WxH|SHORT",
                    help="What the network sees, in multiples of 32 "
                    "[default: from the aspect ratio].",
                ),
                click.option(
                    "--threads",
                    type=click.IntRange(min=1),
                    help="CPU threads of engine and coders [default: all cores].",
                ),
            )
        ):
            command = option(command)
        return command

    return decorate


def hold_option(command: F) -> F:
    """Add ``--hold`` to a command that segments what moves."""
    return click.option(
        "--hold",
        default="off",
        show_default=True,
        metavar="auto|off|N",
        help="Have the network see a frame only where the last such does not explain it, every "
        "N-th at least (auto: 12th); labels of the others follow what moves.",
    )(command)


def drawing_options(command: F) -> F:
    """Options of how labels are drawn."""
    for option in reversed(
        (
            click.option(
                "--mode",
                type=click.Choice(
                    ["overlay", "mask", "side-by-side", "wipe", "cutout", "blur", "replace"]
                ),
                default="overlay",
                show_default=True,
                help="Class colours blended over the picture, alone, beside it, or right of a "
                "line in it; or what surrounds --classes made transparent, blurred, replaced.",
            ),
            click.option(
                "--alpha",
                type=Alphas(),
                default="0.5",
                show_default=True,
                metavar="SHARE|CLASS=SHARE,...",
                help="Share of the class colour; of some classes: 0.3,car=0.8,sky=0.",
            ),
            click.option("--contours", is_flag=True, help="Draw lines along borders of classes."),
            click.option(
                "--background",
                metavar="COLOUR|FILE",
                help="For replace and cutout: #rrggbb, a name, a picture or a video.",
            ),
            click.option(
                "--invert",
                is_flag=True,
                help="Cut out, blur or replace --classes, not what surrounds them.",
            ),
            click.option(
                "--wipe-seconds",
                type=Number(0),
                default=0.0,
                metavar="SECONDS",
                help="A wipe's line goes to the right and back in so long; 0: it stands still.",
            ),
            click.option(
                "--edges",
                type=click.Choice(["smooth", "exact"]),
                default="smooth",
                show_default=True,
                help="Smooth borders between classes, or the network's pixels as they are.",
            ),
            click.option("--classes", metavar="A,B", help="Draw only these classes."),
            click.option(
                "--palette",
                default="bright",
                show_default=True,
                metavar="NAME|FILE",
                help="bright, colour-blind, camvid, cityscapes, voc, model (the file's own).",
            ),
            click.option("--legend", is_flag=True, help="Draw class names and colours."),
        )
    ):
        command = option(command)
    return command


def cleaning_options(command: F) -> F:
    """Options of what becomes of labels before they are used."""
    return click.option(
        "--min-area",
        type=click.IntRange(min=0),
        default=0,
        metavar="LABELS",
        help="Give areas of fewer of the network's labels to what surrounds them.",
    )(command)


def stabilize_option(command: F) -> F:
    """What becomes of labels from frame to frame."""
    return click.option(
        "--stabilize",
        is_flag=True,
        help="Where the picture stands still, let a label go only when it has been contradicted "
        "for long: no flicker.",
    )(command)


def label_output_options(command: F) -> F:
    """Options of where labels go beside the drawing."""
    for option in reversed(
        (
            click.option(
                "--labels",
                "label_video",
                metavar="FILE.mkv",
                help="Write the class indices too: a lossless grey video, for 'recolor'.",
            ),
            click.option(
                "--label-pngs",
                metavar="DIR",
                help="Write the class indices too: a grey PNG a frame, at the network's size.",
            ),
        )
    ):
        command = option(command)
    return command


def measure_options(command: F) -> F:
    """Options of what is measured of labels."""
    for option in reversed(
        (
            click.option(
                "--measure",
                "table",
                metavar="FILE",
                help="Write each frame's time and every class's share: .csv, .jsonl, .parquet.",
            ),
            click.option(
                "--when",
                multiple=True,
                metavar="CONDITION",
                help="Find the times in which this holds: 'pedestrian > 2%', 'car + bus > 10% and "
                "road < 30%'.",
            ),
            click.option("--events", metavar="FILE.json", help="Write those times."),
            click.option("--event-clips", metavar="DIR", help="Cut them out, a clip each."),
            click.option(
                "--event-gap",
                type=Number(0, math.inf),
                default=1.0,
                show_default=True,
                metavar="SECONDS",
                help="Interruptions up to this long do not end an event.",
            ),
        )
    ):
        command = option(command)
    return command


class Time(click.ParamType[float]):
    """Seconds, or ``[hours:]minutes:seconds``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Seconds, or a sentence."""
        if isinstance(value, float):
            return value
        parts = str(value).split(":")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3 or not all(0 <= n < math.inf for n in numbers):
            self.fail(f"{value!r} is no time; give seconds, or hours:minutes:seconds.", param, ctx)
        return sum(n * 60**place for place, n in enumerate(reversed(numbers)))


def part_options(command: F) -> F:
    """Options of which frames of a video are read."""
    for option in reversed(
        (
            click.option("--start", type=Time(), default=0.0, help="Begin here: 90, or 1:30."),
            click.option("--end", type=Time(), help="End before what is shown here."),
            click.option(
                "--stride", type=click.IntRange(min=1), default=1, help="Every N-th frame only."
            ),
            click.option("--max-frames", type=click.IntRange(min=1), help="At most so many."),
        )
    ):
        command = option(command)
    return command


class Span(click.ParamType[float]):
    """A length of time: ``90``, ``30s``, ``10m``, ``1h``; in seconds."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Seconds, or a sentence."""
        text = str(value)
        unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
        number = text if unit is None else text[:-1]
        try:
            seconds = float(number) * (unit or 1)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < math.inf:
            self.fail(f"{text!r} is no length of time; write 30s, 10m or 1h.", param, ctx)
        return seconds


class Rate(click.ParamType[Fraction]):
    """Frames a second, as ``25``, ``29.97`` or ``30000/1001``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """An exact rate, or a sentence."""
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no rate; give 25, 29.97 or 30000/1001.", param, ctx)


def input_options(command: F) -> F:
    """Options of how a video is read."""
    for option in reversed(
        (
            click.option("--fps", type=Rate(), help="Rate of pictures (a folder or a pattern)."),
            click.option(
                "--deinterlace", is_flag=True, help="Make whole frames of interlaced ones."
            ),
            click.option(
                "--hwaccel",
                metavar="auto|NAME",
                help="Decode on a GPU (cuda, qsv, vaapi, videotoolbox …), if that works here.",
            ),
        )
    ):
        command = option(command)
    return command


def encoder_options(command: F) -> F:
    """Options of the video that is written."""
    for option in reversed(
        (
            click.option(
                "--codec",
                default="auto",
                show_default=True,
                help="Video encoder: h264, hevc, av1, vp9 … ('streamseg codecs' lists them).",
            ),
            click.option(
                "--crf",
                type=click.IntRange(0, 63),
                help="Quality, lower is better [default: 20 for H.264 and HEVC].",
            ),
            click.option("--preset", help="Encoder preset [default: veryfast, for these two]."),
            click.option(
                "--pix-fmt",
                metavar="FORMAT",
                help="Pixel format to encode in, as yuv420p [default: nearest to the source].",
            ),
            click.option(
                "--format",
                "container",
                metavar="NAME",
                help="Kind of file where OUT is -: matroska (default), mp4, mpegts, nut, webm …",
            ),
            click.option(
                "--compatible",
                is_flag=True,
                help="Play in every browser: 8 bits, 4:2:0, H.264 High.",
            ),
        )
    ):
        command = option(command)
    return command


def report_options(command: F) -> F:
    """Options of where results go and what is said of them."""
    for option in reversed(
        (
            click.option("--overwrite", is_flag=True, help="Replace an existing output file."),
            click.option(
                "--json", "json_target", metavar="FILE", help="Statistics as JSON; - is stdout."
            ),
            click.option("--quiet", is_flag=True, help="Print errors and warnings only."),
        )
    ):
        command = option(command)
    return command


def names_of(text: str | None) -> list[str] | None:
    """The names in a list with commas; None for none given."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def open_segmenter(values: dict[str, Any], watcher: Watcher) -> Segmenter:
    """Take the values of `engine_options` out of a command's, all but the size."""
    from streamseg.segmenter import Segmenter

    known = ("model", "backend", "precision", "build", "threads", "batch")
    taken = {name: values.pop(name) for name in known if name in values}
    return Segmenter(**taken, watcher=watcher)


def take_drawing(values: dict[str, Any]) -> DrawOptions:
    """Take the values of `drawing_options` out of a command's."""
    from streamseg.drawing.options import DrawOptions

    alpha, class_alpha = values.pop("alpha")
    return DrawOptions(
        mode=values.pop("mode"),
        alpha=alpha,
        class_alpha=class_alpha,
        contours=values.pop("contours"),
        background=values.pop("background"),
        invert=values.pop("invert"),
        wipe_seconds=values.pop("wipe_seconds"),
        classes=names_of(values.pop("classes")),
        palette=values.pop("palette"),
        legend=values.pop("legend"),
        edges=values.pop("edges"),
    )


def take_cleaning(values: dict[str, Any]) -> CleanOptions:
    """Take the values of `cleaning_options` and `stabilize_option` out of a command's."""
    from streamseg.labelmaps.options import CleanOptions

    return CleanOptions(min_area=values.pop("min_area"), stabilize=values.pop("stabilize", False))


def take_label_outputs(values: dict[str, Any]) -> LabelOutputs:
    """Take the values of `label_output_options` out of a command's."""
    from streamseg.labelmaps.outputs import LabelOutputs

    return LabelOutputs(video=values.pop("label_video"), pictures=values.pop("label_pngs"))


def take_measures(values: dict[str, Any]) -> MeasureOptions:
    """Take the values of `measure_options` out of a command's."""
    from streamseg.measures.options import MeasureOptions

    return MeasureOptions(
        table=values.pop("table"),
        when=values.pop("when"),
        events=values.pop("events"),
        clips=values.pop("event_clips"),
        gap_seconds=values.pop("event_gap"),
    )


def take_part(values: dict[str, Any]) -> Part:
    """Take the values of `part_options` out of a command's."""
    from streamseg.video.part import Part

    return Part(
        start_seconds=values.pop("start"),
        end_seconds=values.pop("end"),
        stride=values.pop("stride"),
        max_frames=values.pop("max_frames"),
    )


def take_input(values: dict[str, Any]) -> InputOptions:
    """Take the values of `input_options` out of a command's."""
    from streamseg.video.opening import InputOptions

    return InputOptions(
        fps=values.pop("fps"),
        hwaccel=values.pop("hwaccel"),
        deinterlace=values.pop("deinterlace"),
    )


def take_encoder(values: dict[str, Any]) -> EncoderOptions:
    """Take the values of `encoder_options` out of a command's."""
    from streamseg.video.encoder import EncoderOptions

    return EncoderOptions(
        codec=values.pop("codec"),
        crf=values.pop("crf"),
        preset=values.pop("preset"),
        pixel_format=values.pop("pix_fmt"),
        compatible=values.pop("compatible"),
        container=values.pop("container"),
    )
