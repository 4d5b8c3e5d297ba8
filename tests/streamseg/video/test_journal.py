"""A segment is whole or not there, and a folder belongs to one run."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from streamseg.errors import OutputError, UsageError
from streamseg.video.journal import Journal, resume_folder
from streamseg.video.source import AnyPacket

FACTS = {"source": ["in.mp4", 12], "size": (96, 64)}


def packet(number: int, **changes: Any) -> AnyPacket:
    made = av.Packet(bytes([number]) * (number + 1))
    made.pts, made.dts, made.duration = number, number - 2, 1
    made.time_base, made.is_keyframe = Fraction(1, 25), number == 0
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def opened(folder: Path, facts: dict[str, Any] | None = None) -> Journal:
    return Journal(folder, facts or FACTS, segment_frames=2)


def fill(journal: Journal, segments: int) -> None:
    for segment in range(segments):
        for number in (2 * segment, 2 * segment + 1):
            journal.add_frame()
            journal.add([packet(number)])
        assert journal.is_full
        journal.end_segment()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return resume_folder(tmp_path / "out.mp4")


def test_packets_come_back_as_they_were(folder: Path) -> None:
    journal = opened(folder)
    unknown = packet(1, pts=None, dts=None)
    journal.add([packet(0), unknown])
    journal.end_segment()
    journal.close()
    again = opened(folder)
    assert again.frames == 2
    first, second = again.packets(0)
    assert (first.pts, first.dts, first.duration, first.time_base) == (0, -2, 1, Fraction(1, 25))
    assert (first.is_keyframe, bytes(first)) == (True, b"\0")
    assert (second.pts, second.dts, second.is_keyframe, bytes(second)) == (
        None,
        None,
        False,
        b"\1\1",
    )
    again.close()


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone", "empty"])
def test_damaged_segments_and_all_behind_them_are_not_there(folder: Path, harm: str) -> None:
    journal = opened(folder)
    fill(journal, 4)
    journal.close()
    place = folder / "000002.segment"
    data = bytearray(place.read_bytes())
    data[30] ^= 1
    match harm:
        case "cut":
            place.write_bytes(place.read_bytes()[:-9])
        case "flipped":
            place.write_bytes(data)
        case "gone":
            place.unlink()
        case _:
            place.write_bytes(b"")
    again = opened(folder)
    assert again.frames == 4
    fill(again, 1)
    assert again.frames == 6
    again.close()


def test_an_unfinished_segment_is_not_there(folder: Path) -> None:
    journal = opened(folder)
    fill(journal, 1)
    journal.add([packet(2)])
    assert (folder / "000001.unfinished").exists()
    journal.close()
    assert sorted(p.name for p in folder.glob("0*")) == ["000000.segment"]


def test_nothing_is_kept_of_nothing(folder: Path) -> None:
    opened(folder).close()
    assert not folder.exists()


def test_a_complete_output_needs_no_folder(folder: Path) -> None:
    journal = opened(folder)
    fill(journal, 1)
    journal.remove()
    assert not folder.exists()


def test_one_run_at_a_time(folder: Path) -> None:
    journal = opened(folder)
    with pytest.raises(UsageError, match="another run is writing to it"):
        opened(folder)
    journal.close()
    opened(folder).close()


def test_what_differs_is_named(folder: Path) -> None:
    journal = opened(folder)
    fill(journal, 1)
    journal.close()
    with pytest.raises(UsageError, match=r"another size \(size: \[96, 64\], now \[32, 32\]\)"):
        opened(folder, {**FACTS, "size": (32, 32)})
    assert opened(folder).frames == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_description_is_refused_in_words(folder: Path, text: str) -> None:
    journal = opened(folder)
    fill(journal, 1)
    journal.close()
    (folder / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="remove"):
        opened(folder)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.resume").write_text("a file")
    with pytest.raises(OutputError, match="cannot be made or written to"):
        opened(tmp_path / "out.mp4.resume")
