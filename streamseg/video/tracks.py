"""What a file holds beside the frames that are segmented: named, and ready to be carried along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from streamseg.errors import SourceError

if TYPE_CHECKING:
    from av.container.core import Chapter

_KINDS = {"audio": "sound", "video": "video", "subtitle": "subtitle", "data": "data track"}
_COVER = Disposition.attached_pic
_VARIANT = "variant_bitrate"
"""FFmpeg's mark on the streams of one variant of an HLS master playlist."""
_PREVIEWS = Disposition.timed_thumbnails


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """The streams of a file, and what is written about them."""

    picture: VideoStream
    """The stream that is segmented."""
    streams: Sequence[Stream]
    """All that are to be in the output, the picture among them, in the file's order."""
    covers: Mapping[int, bytes] = field(default_factory=dict)
    """Cover pictures, encoded, by the index of their stream."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the whole file."""
    chapters: Sequence[Chapter] = ()
    warnings: tuple[str, ...] = ()
    """What of the file cannot be carried along, whatever the output."""
    notes: tuple[str, ...] = ()
    """What was chosen of it."""


def pick_video(path: Path | str, container: InputContainer) -> VideoStream:
    """The stream to segment: among those flagged as default, or all, the one of the most pixels.

    Other variants of the same film are not read from then on.

    Raises:
        SourceError: there is none, or FFmpeg has no decoder for it.
    """
    videos = [s for s in container.streams.video if not s.disposition & (_COVER | _PREVIEWS)]
    if not videos:
        others = [s for s in container.streams.get() if s.codec_context is not None]
        kinds = ", ".join(f"{_kind(s)} ({s.codec_context.name})" for s in others)
        found = f"only {kinds}" if kinds else "no stream that can be decoded"
        raise SourceError(f"{path}: has no video stream ({found}); give a file with pictures")
    decodable = [s for s in videos if s.codec_context is not None]
    if not decodable:
        raise SourceError(f"{path}: no decoder for its video stream")
    flagged = [s for s in decodable if s.disposition & Disposition.default]
    picture = max(flagged or decodable, key=lambda s: s.width * s.height)
    _leave_variants(container, picture)
    return picture


def _kind(stream: Stream) -> str:
    if stream.type != "video":
        return stream.type
    return "a cover picture" if stream.disposition & _COVER else "previews"


def _leave_variants(container: InputContainer, picture: VideoStream) -> None:
    """Read no other variant of the same film: an HLS master playlist names several."""
    mine = picture.metadata.get(_VARIANT)
    if mine is None:
        return
    streams = [s for s in container.streams.get() if _VARIANT in s.metadata]
    alike = [s for s in streams if s.metadata[_VARIANT] == mine]
    # Variants of one bit rate differ in nothing but their order: each brings as many streams.
    videos = [s for s in alike if s.type == "video"]
    kept: set[int] = set()
    for kind in {s.type for s in alike}:
        same = [s.index for s in alike if s.type == kind]
        share, rest = divmod(len(same), len(videos))
        first = videos.index(picture) * share
        kept.update(same if rest else same[first : first + share])
    for stream in streams:
        if stream.index not in kept:
            stream.discard = Discard.all


def tracks_of(
    path: Path | str, container: InputContainer, picture: VideoStream, covers: Mapping[int, bytes]
) -> Tracks:
    """What is to be carried along of a file that is open.

    Args:
        path: for messages.
        container: the file.
        picture: the stream that is segmented.
        covers: cover pictures by the index of their stream.
    """
    kept = [s for s in container.streams.get() if s is picture or not _is_made_anew(s)]
    lost = [s for s in kept if s is not picture and not _has_codec(s)]
    videos = [s for s in kept if s.type == "video" and not is_cover(s)]
    warnings, notes = [], []
    if variants := [s for s in container.streams.video if s.discard == Discard.all]:
        sizes = ", ".join(f"{s.width}x{s.height}" for s in variants)
        notes.append(
            f"{path}: of its variants {picture.width}x{picture.height} is taken, not {sizes}"
        )
    if len(videos) > 1:
        others = ", ".join(name_of(s) for s in videos if s is not picture)
        warnings.append(
            f"{path}: has {len(videos)} video streams; {name_of(picture)} is segmented, "
            f"the others are copied as they are: {others}"
        )
    if lost:
        warnings.append(
            f"{path}: FFmpeg knows no codec for {', '.join(name_of(s) for s in lost)}: left out"
        )
    return Tracks(
        picture=picture,
        streams=tuple(s for s in kept if s not in lost and (not is_cover(s) or s.index in covers)),
        covers=covers,
        metadata=dict(container.metadata),
        chapters=tuple(container.chapters()),
        warnings=tuple(warnings),
        notes=tuple(notes),
    )


def is_cover(stream: Stream) -> bool:
    """Whether a stream is the picture on the cover, and no video."""
    return bool(stream.disposition & _COVER)


def _is_made_anew(stream: Stream) -> bool:
    """Whether a muxer makes such a track itself (chapters, timecode), or it is not read at all."""
    if stream.disposition & _PREVIEWS or stream.discard == Discard.all:
        return True
    return stream.type == "data" and "timecode" in stream.metadata


def _has_codec(stream: Stream) -> bool:
    return stream.codec_context is not None or stream.type in ("data", "attachment")


def name_of(stream: Stream) -> str:
    """A stream as people tell it from its neighbours: ``sound 2 (aac, eng, Commentary)``."""
    if stream.type == "attachment":
        return f"attachment {stream.metadata.get('filename', stream.index + 1)}"
    alike = [s for s in stream.container.streams.get() if s.type == stream.type]
    number = alike.index(stream) + 1
    kind = "cover" if is_cover(stream) else _KINDS.get(stream.type, "track")
    details = [getattr(stream, "name", None) or "unknown codec"]
    if isinstance(stream, VideoStream) and stream.codec_context is not None:
        details.append(f"{stream.width}x{stream.height}")
    details += [v for v in (stream.metadata.get("language"), title_of(stream)) if v and v != "und"]
    return f"{kind} {number} ({', '.join(details)})"


def title_of(stream: Stream) -> str | None:
    """A stream's title; FFmpeg calls it "name" in MP4."""
    return stream.metadata.get("title") or stream.metadata.get("name")
