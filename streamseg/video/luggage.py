"""All that travels along with the picture, and one sentence about what does not.

What got lost is seen by reading the output again: muxers drop tags and flags without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream

from streamseg.video.carry import Carrier, Copier, attach, attach_cover, takes_packets, way_for
from streamseg.video.formats import MATROSKA, Format
from streamseg.video.metadata import (
    describe,
    file_tags,
    lost_of_file,
    lost_of_stream,
    needs_free_tags,
)
from streamseg.video.shift import Shift
from streamseg.video.source import AnyPacket
from streamseg.video.tracks import Tracks, is_cover, name_of


class Luggage:
    """The streams, tags and chapters of a source on their way into an output.

    Args:
        output: what kind of file is written.
        tracks: of the source.
        shift: how far all times are moved.
        bare: bring none of its streams but the picture.
    """

    def __init__(self, output: Format, tracks: Tracks, shift: Shift, *, bare: bool = False) -> None:
        self.notes: list[str] = [*tracks.notes]
        """What was chosen, or converted without a loss, in sentences."""
        self.warnings: list[str] = []
        """What was converted with a loss, in sentences."""
        self._output, self._tracks, self._bare = output, tracks, bare
        self._shift = shift
        self._carriers: dict[int, Carrier] = {}
        self._made: list[Stream] = []  # sources of the output's streams, in its order
        self._left_out: list[Stream] = []
        self._tried: set[int] = set()

    @property
    def is_empty(self) -> bool:
        """Whether the picture is all there is."""
        return len(self._made) < 2

    @property
    def options(self) -> dict[str, str]:
        """What the muxer must be told."""
        if self._output is MATROSKA:
            flagged = any(s.disposition & Disposition.default for s in self._tracks.streams)
            return {"default_mode": "passthrough" if flagged else "infer"}
        if needs_free_tags(file_tags(self._tracks), self._output.muxer):
            return {"movflags": "+use_metadata_tags"}
        return {}

    @property
    def time_bases(self) -> list[Fraction]:
        """Of the streams that come along, sound first."""
        streams = sorted(self._tracks.streams, key=lambda s: s.type != "audio")
        return [s.time_base for s in streams if s.time_base]

    def pack(self, container: OutputContainer, add_picture: Callable[[], Stream]) -> None:
        """Make the output's streams, in the source's order; before the header is written."""
        container.metadata.update(file_tags(self._tracks))
        container.set_chapters(self._shift.chapters(self._tracks.chapters))
        for stream in self._tracks.streams:
            if stream is self._tracks.picture:
                describe(add_picture(), stream, self._output.muxer)
                self._made.append(stream)
            elif self._bare or not self._pack_one(container, stream):
                self._left_out.append(stream)

    def _pack_one(self, container: OutputContainer, stream: Stream) -> bool:
        cover = self._tracks.covers.get(stream.index, b"")
        if isinstance(stream, AttachmentStream) or (cover and self._output.attachments):
            if not self._output.attachments:
                return False
            if isinstance(stream, AttachmentStream):
                attach(container, stream)
            else:
                attach_cover(container, stream, cover)
            return True
        way = way_for(stream, self._output, cover)
        if way is None:
            return False
        carrier = self._carriers[stream.index] = way.take(container)
        describe(carrier.stream, stream, self._output.muxer)
        self._made.append(stream)
        if way.said:
            (self.warnings if way.lossy else self.notes).append(way.said)
        return True

    def carry(self, packets: Iterable[AnyPacket]) -> list[AnyPacket]:
        """Packets to mux for those of the source."""
        carried = []
        for packet in self._shift.moved(packets):
            stream = packet.stream
            if stream.index in self._carriers and self._is_taken(packet):
                carried += self._carriers[stream.index].carry(packet)
        return carried

    def _is_taken(self, packet: AnyPacket) -> bool:
        """Whether packets of its stream may be muxed; asked of the first one, then known."""
        stream = packet.stream
        if stream.index not in self._tried:
            self._tried.add(stream.index)
            carrier = self._carriers[stream.index]
            if isinstance(carrier, Copier) and not takes_packets(packet, self._output):
                self._left_out.append(stream)
        return stream not in self._left_out

    def flush(self) -> list[AnyPacket]:
        """The last packets, after the last of the source."""
        return [packet for carrier in self._carriers.values() for packet in carrier.flush()]

    def losses(self, path: Path | None, name: Path) -> list[str]:
        """What the finished output lacks, in sentences.

        Args:
            path: the output; None if it cannot be read again.
            name: what it will be called.
        """
        told = [
            f"{name}: {count} packets of {name_of(stream)}, damaged or without a usable "
            "timestamp, were left out"
            for stream in self._made
            if (count := self._left_out_of(stream))
        ]
        lacks = [name_of(stream) for stream in self._left_out]
        if path is not None:
            with av.open(f"file:{path}", metadata_errors="replace") as written:
                lacks += self._lost_in(written)
        if lacks:
            told.append(
                f"{name}: {self._output.name} cannot hold, and so left out: {'; '.join(lacks)}"
                f"{self._hint()}"
            )
        return told

    def _left_out_of(self, stream: Stream) -> int:
        carrier = self._carriers.get(stream.index)
        return carrier.left_out if carrier else 0

    def _lost_in(self, written: InputContainer) -> Iterator[str]:
        """Chapters, tags and flags that are not in the output, in words."""
        tracks = self._tracks
        if len(written.chapters()) < len(tracks.chapters):
            yield f"{len(tracks.chapters)} chapters"
        of_streams = [s.metadata for s in written.streams.get()]
        tags = lost_of_file(file_tags(tracks), [written.metadata, *of_streams])
        if tags:
            yield f"{'tags' if len(tags) > 1 else 'tag'} {', '.join(sorted(tags))}"
        for kind in ("video", "audio", "subtitle", "data"):
            # Covers are read back behind all tracks, wherever they were.
            sources = [s for s in self._made if s.type == kind and not is_cover(s)]
            got = [s for s in written.streams.get() if s.type == kind and not is_cover(s)]
            for index, source in enumerate(sources):
                if index >= len(got):
                    yield name_of(source)
                elif lost := lost_of_stream(got[index], source):
                    yield f"{' and '.join(lost)} of {name_of(source)}"
        if sum(map(is_cover, written.streams.video)) < sum(map(is_cover, self._made)):
            yield "the cover picture"

    def _hint(self) -> str:
        if self._output is MATROSKA:
            return ""
        holds = all(
            s.type == "attachment" or is_cover(s) or way_for(s, MATROSKA) for s in self._left_out
        )
        return "; an .mkv output holds them" if holds else ""
