from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from streamseg.models.palette import CAMVID
from tests.train.drawn import draw_street
from tests.train.report.kit import LATENCIES, entry, evaluation, run
from train.report.classes import draw_class_iou, draw_class_pixels, draw_confusion
from train.report.curves import draw_adaptation, draw_class_curves, draw_loss, draw_miou, smoothed
from train.report.entry import join
from train.report.labels import place_labels
from train.report.pictures import Example, draw_pictures, paint, spread
from train.report.speed import draw_speed, pareto_front
from train.report.style import COLOURS, DPI, Sheet, _apart, figure, looks


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.array(picture.convert("RGB"))


def shows(found: NDArray[np.uint8], colour: str) -> bool:
    """Whether a hexadecimal colour fills some pixels."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((found == rgb).all(axis=2).sum()) > 20


def test_curves_show_every_run_in_its_colour(tmp_path: Path) -> None:
    often: Any = {"train": {"validate_every_steps": 10}}
    runs = [run("a", (0.2, 0.1, 0.4), loss=2.0, **often), run("b", (0.3, 0.5, 0.6), **often)]
    look = looks(["a", "b"])
    for draw in (draw_loss, draw_miou, draw_adaptation, draw_class_curves):
        path = tmp_path / f"{draw.__name__}.png"
        assert draw(path, runs, look)
        found = pixels(path)
        assert found.shape[1] == 7.5 * DPI
        assert shows(found, COLOURS[0]), draw.__name__
        assert shows(found, COLOURS[1]), draw.__name__
    assert not list(tmp_path.glob(".*"))


def test_a_single_validation_is_seen_and_the_legend_covers_no_line(tmp_path: Path) -> None:
    row = dataclasses.replace(run("a", (0.5,)).rows[0], loss=0.2, val_loss=1.0)
    later = dataclasses.replace(row, epoch=2, step=20, loss=1.0, val_loss=None)
    only = dataclasses.replace(run("a"), rows=(row, later))
    path, without = tmp_path / "a.png", tmp_path / "b.png"
    assert draw_loss(path, [only], looks(["a"]))
    silent = dataclasses.replace(only, rows=(dataclasses.replace(row, val_loss=None), later))
    assert draw_loss(without, [silent], looks(["a"]))
    blue = [int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    drawn, plain = (int((pixels(p) == blue).all(axis=2).sum()) for p in (path, without))
    assert drawn > plain  # the one point of the validation
    assert np.abs(drawn - plain) < 60  # and nothing of the training's line is covered


def test_panels_of_one_figure_are_equally_high(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label of an axis above a hidden panel must not make its row lower than the others."""
    seen: list[Figure] = []

    @contextlib.contextmanager
    def spy(path: Path, **more: Any) -> Iterator[Figure]:
        with figure(path, **more) as drawn:
            seen.append(drawn)
            yield drawn

    monkeypatch.setattr("train.report.curves.figure", spy)
    classes: dict[str, float | None] = {f"class {i}": 0.5 for i in range(11)}
    found = run("a", (0.1, 0.2))
    rows = tuple(dataclasses.replace(row, class_iou=classes) for row in found.rows)
    moved = dataclasses.replace(found, rows=rows)
    assert draw_class_curves(tmp_path / "a.png", [moved], looks(["a"]))
    heights = [axes.get_position().height for axes in seen[0].axes if axes.get_visible()]
    assert len(heights) == 11
    assert max(heights) - min(heights) < 0.01


def test_nothing_to_draw_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    look = looks(["a"])
    assert not draw_loss(path, [run("a")], look)
    assert not draw_miou(path, [run("a")], look)
    assert not draw_adaptation(path, [run("a", (0.5,))], look)
    assert not draw_adaptation(path, [run("a", (0.5, 0.6))], look)  # looks that are epochs apart
    assert not draw_class_iou(path, [], look)
    assert not draw_speed(path, [entry("a")], None, look)
    assert not draw_pictures(path, [], CAMVID)
    assert not path.exists()


@pytest.mark.parametrize("count", [2, 6])
def test_bars_of_few_and_of_many_models(tmp_path: Path, count: int) -> None:
    names = [f"m{i}" for i in range(count)]
    entries = join([], [evaluation(name) for name in names])
    path = tmp_path / "bars.png"
    assert draw_class_iou(path, entries, looks(names))
    found = pixels(path)
    assert all(shows(found, COLOURS[i]) for i in range(count))


def test_the_confusion_matrix_needs_counts(tmp_path: Path) -> None:
    path = tmp_path / "c.png"
    assert draw_confusion(path, entry("a"))
    assert shows(pixels(path), "#08306b")  # 100 % of the cars: the darkest blue
    assert not draw_confusion(path, join([run("x")], [])[0])


def test_the_pareto_front_is_what_nobody_beats() -> None:
    points = [(30.0, 60.0), (10.0, 50.0), (20.0, 45.0), (10.0, 40.0), (30.0, 60.0), (40.0, 60.0)]
    assert pareto_front(points) == [1, 0]
    assert pareto_front([(5.0, 1.0)]) == [0]


def test_speed_fills_the_front_and_leaves_the_beaten_hollow(tmp_path: Path) -> None:
    path = tmp_path / "speed.png"
    entries = [entry("fast", ms=10.0), entry("beaten", ms=20.0)]
    assert draw_speed(path, entries, LATENCIES, looks(["fast", "beaten"]))
    found = pixels(path)
    blue = (found == [0x00, 0x72, 0xB2]).all(axis=2).sum()
    orange = (found == [0xD5, 0x5E, 0x00]).all(axis=2).sum()
    assert blue > orange > 20


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [2, 9, 22])
def test_labels_never_overlap_however_near_the_points(seed: int, count: int) -> None:
    drawn = Figure(figsize=(7, 4), dpi=100)
    FigureCanvasAgg(drawn)
    axes = drawn.subplots()
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.normal(50, 2 + 3 * seed, (count, 2))]
    names = [(f"000_pspnet_network_{i}", "black") for i in range(count)]
    boxes = place_labels(axes, points, names, [((0.0, 50.0), (49.0, 50.0))])
    assert len(boxes) == count
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    centres = axes.transData.transform(points)
    assert not any(box.contains(*centre) for box in boxes for centre in centres)


def test_a_lone_point_has_its_label_beside_it() -> None:
    drawn = Figure(figsize=(7, 4), dpi=100)
    FigureCanvasAgg(drawn)
    axes = drawn.subplots()
    (box,) = place_labels(axes, [(0.5, 0.5)], [("a", "black")])
    x, y = axes.transData.transform((0.5, 0.5))
    assert 0 < box.x0 - x < 20
    assert box.y0 < y < box.y1


def test_names_at_line_ends_move_apart_no_more_than_needed() -> None:
    assert _apart([0.1, 0.5], 0.2) == [0.1, 0.5]
    assert _apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert np.diff(_apart([0.1, 0.12, 0.5, 0.51], 0.1)).min() >= 0.1 - 1e-9


def test_smoothing_keeps_length_and_constants() -> None:
    np.testing.assert_allclose(smoothed(np.full(9, 3.0), 5), 3.0)
    np.testing.assert_allclose(smoothed(np.array([0.0, 3.0, 6.0]), 3), [1.5, 3.0, 4.5])


def test_looks_differ() -> None:
    found = looks([str(i) for i in range(20)])
    assert len({(look.colour, look.marker, str(look.dash)) for look in found.values()}) == 20


def test_pictures_are_spread_over_the_split() -> None:
    assert spread(101, 4) == [12, 37, 63, 88]
    assert spread(2, 5) == [0, 1]
    assert spread(5, 0) == []


def test_void_is_striped_and_classes_have_their_colours() -> None:
    labels = np.full((8, 80), 255, dtype=np.uint8)
    labels[:, :40] = 3
    painted = paint(labels, CAMVID)
    assert (painted[:, :40] == CAMVID.colours[3]).all()
    assert {tuple(pixel) for pixel in painted[0, 40:]} == {(255, 255, 255), (170, 170, 170)}


@pytest.mark.parametrize("models", [1, 7])
def test_the_grid_shows_picture_truth_and_models(tmp_path: Path, models: int) -> None:
    picture, truth = draw_street(3)
    predictions = {f"m{i}": np.full_like(truth, i) for i in range(models)}
    path = tmp_path / "grid.png"
    found = [Example(picture=picture, truth=truth, predictions=predictions)] * 2
    assert draw_pictures(path, found, CAMVID)
    drawn = pixels(path)
    for index in (*range(models), *np.unique(truth[truth < len(CAMVID)])):
        assert shows(drawn, "#{:02x}{:02x}{:02x}".format(*CAMVID.colours[index]))


def test_the_training_splits_shares_stand_beside_the_measured_ones(tmp_path: Path) -> None:
    entries = join([], [evaluation("a")])
    alone, both = tmp_path / "a.png", tmp_path / "b.png"
    assert draw_class_pixels(alone, entries, None)
    assert draw_class_pixels(both, entries, None, [1, 99])
    assert pixels(both).shape[0] > pixels(alone).shape[0]  # a legend says what is what


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    entries = join([], [evaluation("a")])
    for name in ("a", "b"):
        sheet = Sheet(path=tmp_path / f"{name}.png", formats=("png", "pdf", "svg"))
        assert draw_class_iou(sheet, entries, looks(["a"]))
    for kind in ("png", "pdf", "svg"):
        one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("a", "b"))
        assert one == two, kind


@pytest.mark.parametrize(("first", "scale"), [(2.0, "linear"), (40.0, "log")])
def test_a_steep_start_does_not_flatten_the_rest(
    first: float, scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Figure] = []

    @contextlib.contextmanager
    def spy(path: Path, **more: Any) -> Iterator[Figure]:
        with figure(path, **more) as drawn:
            seen.append(drawn)
            yield drawn

    monkeypatch.setattr("train.report.curves.figure", spy)
    found = run("a", (0.1,) * 6)
    losses = [first, 1.0, 0.9, 0.8, 0.8, 0.7]
    rows = [dataclasses.replace(r, loss=x) for r, x in zip(found.rows, losses, strict=True)]
    moved = dataclasses.replace(found, rows=tuple(rows))
    assert draw_loss(tmp_path / "a.png", [moved], looks(["a"]))
    assert seen[0].axes[0].get_yscale() == scale
