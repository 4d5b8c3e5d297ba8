"""What is measured of a run and where it goes: one value, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamseg.errors import OutputError, UsageError
from streamseg.measures.conditions import Condition
from streamseg.measures.tables import check_table
from streamseg.video.output import OutputPath


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """What is measured, and where it goes.

    Raises:
        UsageError: conditions without a place for what they find, or the other way round.
    """

    table: str | Path | None = None
    """``.csv``, ``.jsonl`` or ``.parquet``: each frame's time and the share of every class."""
    when: Sequence[str] = ()
    """Conditions, as ``pedestrian > 2%``; see `streamseg.measures.conditions`."""
    events: str | Path | None = None
    """``.json``: the times in which they hold."""
    clips: str | Path | None = None
    """A folder: each of these times as a video of its own."""
    gap_seconds: float = 1.0
    """Interruptions up to this long do not end an event."""

    def __post_init__(self) -> None:
        if isinstance(self.when, str):
            raise UsageError(f"when is {self.when!r}; give a list of conditions")
        wanted = self.events is not None or self.clips is not None
        if self.when and not wanted:
            raise UsageError("--when needs a place: --events FILE.json or --event-clips DIR")
        if wanted and not self.when:
            raise UsageError(
                "--events and --event-clips need a condition, as --when 'pedestrian > 2%'"
            )
        if not 0 <= self.gap_seconds < float("inf"):
            raise UsageError(f"--event-gap must be 0 s or more, got {self.gap_seconds}")

    def __bool__(self) -> bool:
        return self.table is not None or bool(self.when)

    def plan(self, classes: Sequence[str], *, overwrite: bool, source: Path) -> MeasurePlan:
        """Read the conditions and check every place.

        Args:
            classes: names that conditions may use.
            overwrite: whether files may be replaced.
            source: the video, which may not.

        Raises:
            UsageError: a condition that cannot be read, or a place where an output cannot go.
            OutputError: a folder that takes no file.
        """
        conditions = [Condition.parse(text, classes) for text in self.when]
        table, events, clips = None, None, None
        if self.table is not None:
            table = check_table(Path(self.table), overwrite=overwrite, source=source)
        if self.events is not None:
            kinds = {".json": "json"}
            events = OutputPath.check(
                Path(self.events), overwrite=overwrite, source=source, kinds=kinds
            )
        if self.clips is not None:
            clips = _clip_folder(Path(self.clips), overwrite=overwrite)
        return MeasurePlan(conditions, self.gap_seconds, table, events, clips)


@dataclass(frozen=True, slots=True)
class MeasurePlan:
    """Options with their conditions read and their places checked."""

    conditions: Sequence[Condition]
    gap_seconds: float
    table: OutputPath | None
    events: OutputPath | None
    clips: Path | None


def _clip_folder(folder: Path, *, overwrite: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give --event-clips a folder")
    if not overwrite and folder.is_dir() and any(folder.glob("event-*")):
        raise UsageError(f"{folder}: holds events already; use --overwrite or another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    return folder
