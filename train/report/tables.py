"""Tables of scores, in the shapes of the five reports whose experiments `train` repeats.

Entries in, `Table` out; a value nobody knows is a dash. Shares become per cent, as all five print.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from train.report.cost import Latencies
from train.report.entry import Entry, compared
from train.report.names import backbone, head, network, varied
from train.report.published import Published
from train.report.runs import Run
from train.report.table import DASH, Table

WIDE = 6
"""More models than this stand in rows, not in columns."""


def percent(share: float | None, digits: int = 2) -> str:
    """A share 0..1 as per cent."""
    return DASH if share is None else f"{100 * share:.{digits}f}"


def number(value: float | None, digits: int) -> str:
    """A value with so many digits after the point."""
    return DASH if value is None else f"{value:.{digits}f}"


def on_what(entries: Sequence[Entry]) -> str:
    """What the compared scores were measured on, and how, for titles."""
    main = entries[0].main
    if main is None:
        return ""
    pictures = f" ({main.pictures} pictures)" if main.pictures else ""
    protocols = sorted({e.main.protocol for e in entries if e.main})
    return f"{main.target}{pictures}, {' / '.join(protocols)}"


def overview(
    entries: Sequence[Entry], latencies: Latencies | None, published: Sequence[Published] = ()
) -> Table | None:
    """Every model with every score and cost: the league table, best mIoU first.

    What others published stands below, as they print it: nothing of it was measured here.
    """
    shown = compared(entries)
    if not shown:
        return None
    shown = sorted(shown, key=lambda entry: -(entry.score("miou") or 0.0))
    keys = ("miou", "mean_accuracy", "pixel_accuracy", "frequency_weighted_iou")
    sized = next((e.cost for e in shown if e.cost), None)
    size = f" at {sized.size[0]}x{sized.size[1]}" if sized else ""
    rows = [
        (
            entry.name,
            network(entry.run),
            *(percent(entry.score(key)) for key in keys),
            number(entry.cost.parameters / 1e6 if entry.cost else None, 2),
            number(entry.cost.gflops if entry.cost else None, 2),
            number(entry.milliseconds, 1),
        )
        for entry in shown
    ]
    rows += [
        (
            f"{row.name} †",
            DASH,
            *(number(getattr(row, key), 2) for key in (*keys, "parameters", "gflops")),
            number(row.latency_ms, 1),
        )
        for row in published
    ]
    columns = ("Model", "Network", "mIoU", "mAcc", "allAcc", "FWIoU")
    notes = [f"Scores in %. GFLOPs{size}, a multiply-add counted as two." if size else ""]
    if latencies:
        notes.append(f"Latency: {latencies.regime}; {latencies.machine}.")
    if published:
        sources = "; ".join(dict.fromkeys(f"{row.name}: {row.source}" for row in published))
        notes.append(f"† published, not measured here. {sources}.")
    return Table(
        title=f"All models, {on_what(shown)}",
        columns=(*columns, "Parameters (M)", "GFLOPs", "Latency (ms)"),
        rows=tuple(rows),
        note=" ".join(notes).strip() or "Scores in %.",
    )


def _accuracy(title: str, what: str, shown: Sequence[Entry], names: Iterable[str]) -> Table:
    keys = ("miou", "mean_accuracy", "pixel_accuracy")
    return Table(
        title=f"{title}, {on_what(shown)}. Unit: percentage",
        columns=(what, "mIoU", "mAcc", "allAcc"),
        rows=tuple(
            (name, *(percent(entry.score(key)) for key in keys))
            for name, entry in zip(names, shown, strict=True)
        ),
    )


def backbones(entries: Sequence[Entry]) -> list[Table]:
    """Report 000, table 1: backbones under one head, a table for each head."""
    groups = varied(compared(entries), "backbone", ("head", "decoder", "output_stride"))
    return [
        _accuracy(f"Backbones under {head(runs[0])}", "Backbone", group, map(backbone, runs))
        for group, runs in ((group, _runs(group)) for group in groups)
    ]


def modules(entries: Sequence[Entry]) -> list[Table]:
    """Report 000, table 2: heads on one backbone, a table for each backbone."""
    groups = varied(compared(entries), "head", ("backbone", "decoder", "output_stride"))
    return [
        _accuracy(f"Modules on {backbone(runs[0])}", "Module", group, map(head, runs))
        for group, runs in ((group, _runs(group)) for group in groups)
    ]


def _runs(entries: Sequence[Entry]) -> list[Run]:
    return [entry.run for entry in entries if entry.run is not None]


def latency(entries: Sequence[Entry], latencies: Latencies | None) -> Table | None:
    """Report 000, table 3: batch latency and mIoU, models side by side (in rows if many)."""
    shown = [entry for entry in compared(entries) if entry.milliseconds]
    if not shown or latencies is None:
        return None
    names = tuple(entry.name for entry in shown)
    times = tuple(number(entry.milliseconds, 1) for entry in shown)
    ious = tuple(percent(entry.score("miou")) for entry in shown)
    title = f"mIoU and latency: {latencies.regime}"
    if len(shown) > WIDE:
        return Table(
            title=title,
            columns=("Model", "Batch latency (ms)", "mIoU"),
            rows=tuple(zip(names, times, ious, strict=True)),
        )
    rows = (("Batch latency (ms)", *times), ("mIoU", *ious))
    return Table(title=title, columns=("Model", *names), rows=rows)


def speed(entries: Sequence[Entry], latencies: Latencies | None) -> Table | None:
    """Report 000, table 4: backbone, mIoU and speed."""
    shown = [entry for entry in compared(entries) if entry.milliseconds and entry.run]
    if not shown or latencies is None:
        return None
    return Table(
        title=f"mIoU and speed: {latencies.regime}",
        columns=("Model", "Backbone", "mIoU", "mIoU-speed (pictures/s)"),
        rows=tuple(
            (
                entry.name,
                backbone(entry.run) if entry.run else DASH,
                percent(entry.score("miou")),
                number(1000 * latencies.batch / (entry.milliseconds or 1), 2),
            )
            for entry in shown
        ),
        note="Report 000 does not define its mIoU-speed; here it is pictures per second.",
    )


def target_domains(entry: Entry) -> Table | None:
    """Report 001: one model on several target domains."""
    if not entry.evaluations:
        return None
    keys = ("pixel_accuracy", "mean_accuracy", "miou", "frequency_weighted_iou")
    return Table(
        title=f"{entry.name} on each target domain. Unit: percentage",
        columns=("Target Domain", "PA", "MA", "MIoU", "FWIoU"),
        rows=tuple((e.target, *(percent(e.value(key)) for key in keys)) for e in entry.evaluations),
    )


def precision_recall(entries: Sequence[Entry]) -> Table | None:
    """Report 002, table 1: precision, recall and F1 as shares, mIoU as per cent."""
    shown = [entry for entry in compared(entries) if entry.score("mean_f1") is not None]
    if not shown:
        return None
    keys = {
        "Precision": "mean_precision",
        "Recall": "mean_accuracy",
        "F1 score": "mean_f1",
        "Weighted precision": "weighted_precision",
        "Weighted recall": "pixel_accuracy",
        "Weighted F1": "weighted_f1",
    }
    columns = [tuple(number(e.score(key), 6) for key in keys.values()) for e in shown]
    cells = [(*column, percent(e.score("miou"))) for column, e in zip(columns, shown, strict=True)]
    labels, names = (*keys, "mIoU"), tuple(e.name for e in shown)
    note = "Means over classes; weighted: by each class's share of the pixels. mIoU in %."
    title = f"Metrics against models, {on_what(shown)}"
    if len(shown) > WIDE:
        rows = tuple((name, *column) for name, column in zip(names, cells, strict=True))
        return Table(title=title, columns=("Model", *labels), rows=rows, note=note)
    rows = tuple((labels[i], *(column[i] for column in cells)) for i in range(len(labels)))
    return Table(title=title, columns=("Score", *names), rows=rows, note=note)


def sizes(entries: Sequence[Entry]) -> Table | None:
    """Report 002's numbers of a network's size, as torchsummary prints them."""
    shown = [(entry.name, entry.cost) for entry in entries if entry.cost]
    if not shown:
        return None
    width, height = shown[0][1].size
    mebibyte = 1 << 20
    return Table(
        title=f"Sizes, float32, one picture of {width}x{height}",
        columns=(
            "Model",
            "Trainable parameters",
            "Parameters (MB)",
            "Forward and backward (MB)",
            "Estimated total size (MB)",
        ),
        rows=tuple(
            (
                name,
                f"{cost.trainable:,}",
                *(
                    number(count / mebibyte, 2)
                    for count in (
                        4 * cost.numbers,
                        2 * cost.activation_bytes,
                        4 * cost.numbers + 2 * cost.activation_bytes,
                    )
                ),
            )
            for name, cost in shown
        ),
        note="With the auxiliary head; what a recipe freezes is not trainable. MB are 2^20 bytes; "
        "forward and backward: twice the outputs of all layers.",
    )


def classes(entries: Sequence[Entry]) -> Table | None:
    """Reports 001 and 004: IoU of each class, models side by side, their mean last."""
    shown = compared(entries)
    if not shown or shown[0].main is None:
        return None
    columns = [e.main.class_iou() for e in shown if e.main]
    rows = [
        (name, *(percent(column[i], 1) for column in columns))
        for i, name in enumerate(shown[0].main.classes)
    ]
    mean = ("**mean**", *(f"**{percent(e.score('miou'), 1)}**" for e in shown))
    return Table(
        title=f"IoU of each class, {on_what(shown)}. Unit: percentage",
        columns=("Class", *(e.name for e in shown)),
        rows=(*rows, mean),
    )
