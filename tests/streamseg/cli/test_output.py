"""Statistics go where they are asked for, and never onto a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.cli.output import check_json_target, write_json
from streamseg.errors import OutputError, UsageError
from tests.streamseg.run.test_stats import stats


def test_json_that_cannot_be_written_says_where_and_why(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone/s\.json: the statistics cannot be written"):
        write_json(stats().as_dict(), str(tmp_path / "gone" / "s.json"))


def test_json_never_lands_on_a_video(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "in.mp4")
    for target in ("in.mp4", "link.json"):
        with pytest.raises(UsageError, match="is the video; give --json another file name"):
            check_json_target(str(tmp_path / target), str(tmp_path / "in.mp4"), None)
