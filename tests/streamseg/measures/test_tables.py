"""Tables of measures come back as they were written, and plots are drawn of them."""

from __future__ import annotations

import csv
import importlib.util
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamseg.errors import SourceError, UsageError
from streamseg.measures import plot as plots
from streamseg.measures import tables
from streamseg.measures.plot import plot_table
from streamseg.measures.tables import Row, check_table, open_table, read_table

CLASSES = ("car", "traffic, light", "Straße")


def write(path: Path, rows: int = 6) -> list[Row]:
    random = np.random.default_rng(5)
    written = [Row(i, i / 30, random.dirichlet([1, 2, 3])) for i in range(rows)]
    writer = open_table(check_table(path, overwrite=False), CLASSES)
    for row in written:
        writer.write(row)
    assert not path.exists()
    writer.finish()
    return written


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_comes_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"table.{suffix}"
    rows = write(path, 5000 if suffix == "parquet" else 6)
    table = read_table(path)
    assert table.classes == CLASSES
    np.testing.assert_allclose(table.seconds, [row.seconds for row in rows], atol=1e-6)
    np.testing.assert_allclose(table.shares, [row.shares for row in rows], atol=1e-7)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_other_programs_read_the_tables(tmp_path: Path) -> None:
    write(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["frame", "seconds", *CLASSES]
    assert sum(float(lines[2][name]) for name in CLASSES) == pytest.approx(1, abs=1e-6)
    write(tmp_path / "t.jsonl")
    parsed = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text("utf-8").splitlines()]
    assert parsed[3]["frame"] == 3
    assert list(parsed[3]["shares"]) == list(CLASSES)


def test_parquet_without_pyarrow_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="'pip install pyarrow', or name the file"):
        check_table(tmp_path / "t.parquet", overwrite=False)


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("a.csv", "frame,seconds,car\n", SourceError, "has no row"),
        ("a.csv", "x,y\n1,2\n", SourceError, "its columns must be frame, seconds, and classes"),
        ("a.csv", "frame,seconds,car\n0,0.0\n", SourceError, "a row has other columns"),
        ("a.csv", "frame,seconds,car\n0,0.0,inf\n", SourceError, "'inf' is no number"),
        ("a.csv", "frame,seconds,car\n0,0,1\n1,1\n", SourceError, "is no table of measures"),
        ("a.csv", "", SourceError, "is no table of measures"),
        ("a.jsonl", "[1]\n", SourceError, "is no table of measures"),
        ("a.jsonl", '{"frame": 0, "seconds": 0}\n', SourceError, "is no table of measures"),
        ("a.xlsx", "", UsageError, r"give a table of measures \(.csv, .jsonl, .parquet\)"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, name: str, text: str, error: type[Exception], message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=message):
        read_table(tmp_path / name)


def test_a_stack_is_drawn_in_the_classes_colours(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(tmp_path / "t.csv", 3000)
    (tmp_path / "c.txt").write_text("car #ff0000\n")
    plot_table(tmp_path / "t.csv", tmp_path / "p.png", palette=tmp_path / "c.txt")
    picture: Any = cv2.imread(str(tmp_path / "p.png"))
    share = np.mean((picture == (0, 0, 255)).all(axis=2))
    # A sixth of the axes, which are about three quarters of the picture.
    assert 0.06 < share < 0.17
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.txt", "p.png", "t.csv"]


def test_lines_and_events_are_drawn_as_svg(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(tmp_path / "t.csv", 10)
    event = {"when": "car > 5%", "start_seconds": 0.1, "end_seconds": 0.2}
    (tmp_path / "e.json").write_text(json.dumps({"events": [event]}))
    plot_table(
        tmp_path / "t.csv", tmp_path / "p.svg", classes=["Straße"], events=tmp_path / "e.json"
    )
    text = "".join(ET.parse(tmp_path / "p.svg").getroot().itertext())
    assert "Straße" in text
    assert "car > 5%" in text
    assert "traffic" not in text


def test_a_plot_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "t.csv", 10)
    with pytest.raises(UsageError, match=r"ends in .png, .svg"):
        plot_table(tmp_path / "t.csv", tmp_path / "p.jpg")
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="matplotlib, which is not installed: pip install"):
        plot_table(tmp_path / "t.csv", tmp_path / "p.png")
    monkeypatch.undo()
    if importlib.util.find_spec("matplotlib") is None:
        return
    with pytest.raises(UsageError, match="unknown class 'bus'; known: car"):
        plot_table(tmp_path / "t.csv", tmp_path / "p.png", classes=["bus"])
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(SourceError, match="is no file of events"):
        plot_table(tmp_path / "t.csv", tmp_path / "p.png", events=tmp_path / "e.json")
