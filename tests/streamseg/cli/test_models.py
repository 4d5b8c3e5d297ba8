"""What there is to run, how good it is, and how fast here."""

from __future__ import annotations

import json
from pathlib import Path

from streamseg.cli.modelsheet import as_text, sheets_of
from streamseg.models.modelfile import builtin_models
from tests.streamseg.conftest import Cli


def test_built_in_models_come_first_and_are_told_by_their_headers() -> None:
    sheets = sheets_of([], timing=False)
    assert [sheet.model for sheet in sheets] == builtin_models()
    rows = as_text(sheets).splitlines()
    assert rows[0].split() == ["model", "classes", "accuracy", "size", "ms", "precision", "file"]
    assert rows[1].startswith("mbv2 ")
    assert "% mIoU" in rows[1]
    assert any(line.startswith("  classes: sky, building") for line in rows)


def test_a_file_that_is_given_is_run_for_a_moment(toy_model: Path) -> None:
    sheet = sheets_of([str(toy_model)], threads=1)[-1]
    assert sheet.timing is not None
    assert 0 < sheet.timing.ms < 5000
    assert sheet.timing.precision == "fp32"
    values = sheet.as_dict()
    assert values["classes"] == ["red", "green", "blue"]
    assert values["ms"] == sheet.timing.ms


def test_one_that_cannot_be_used_does_not_hide_the_others(cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    done = cli("models", "--no-timing", broken, "MODEL", "--json", "-")
    assert done.returncode == 1
    listed = json.loads(done.stdout)["models"]
    assert [m["name"] for m in listed if m["problem"] is None] == [*builtin_models(), "toy"]
    assert "broken.onnx: not an ONNX file" in listed[-2]["problem"]
    plain = cli("models", "--no-timing", broken)
    assert f"{broken}: cannot be used: " in plain.stdout
