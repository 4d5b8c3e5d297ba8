"""What is written about a file and its streams: taken over, and looked for in the output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from av.stream import Disposition, Stream

from streamseg.video.tracks import Tracks, title_of

_OF_THE_CONTAINER = re.compile(
    r"major_brand|minor_version|compatible_brands|encoder|duration|vendor_id|rotate"
    r"|variant_bitrate|name|(bps|number_of_(frames|bytes)|_statistics_\w+)(-\w+)?",
    re.IGNORECASE,
)
"""Tags that say how a file was made, not what is in it: the output has its own."""
_APPLE_PLACE = "com.apple.quicktime.location.ISO6709"
_TRANSLATED = re.compile(r"(.+)-[a-z]{3}")
"""A copy of a tag for one language, which FFmpeg reads beside the tag itself."""


def _words(text: str) -> list[str]:
    return text.split()


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


_PLAIN = {
    "mp4": _words(
        "title artist album_artist composer album date comment genre copyright grouping lyrics "
        "description synopsis show episode_id network keywords track disc creation_time location "
        "timecode"
    ),
    "mov": _words(
        "title artist author album date comment genre copyright make model creation_time location "
        "timecode"
    ),
}
"""Tags with a place of their own, which every player knows."""
_TO_TERMINOLOGICAL = _pairs(
    "alb:sqi arm:hye baq:eus bur:mya chi:zho cze:ces dut:nld fre:fra geo:kat ger:deu gre:ell "
    "ice:isl mac:mkd mao:mri may:msa per:fas rum:ron slo:slk tib:bod wel:cym sve:swe hr:hrv fo:fao "
    "iri:fas sr:srp"
)
"""ISO 639-2 has two codes for some languages, and FFmpeg's table of QuickTime's a third."""
_OF_QUICKTIME = {
    **_pairs(
        "sqi:alb hye:arm eus:baq mya:bur zho:chi nld:dut kat:geo deu:ger ell:gre isl:ice mkd:mac "
        "msa:may bod:tib cym:wel swe:sve fas:iri"
    ),
    **{"hrv": "hr ", "fao": "fo ", "srp": "sr "},
}
"""What FFmpeg's MOV muxer calls a language, where that is not ISO 639-2/T."""
_SHORT = _pairs(
    "ar:ara bg:bul cs:ces da:dan de:deu el:ell en:eng es:spa et:est fa:fas fi:fin fr:fra he:heb "
    "hi:hin hr:hrv hu:hun id:ind it:ita ja:jpn ko:kor lt:lit lv:lav nl:nld no:nor pl:pol pt:por "
    "ro:ron ru:rus sk:slk sl:slv sr:srp sv:swe th:tha tr:tur uk:ukr vi:vie zh:zho"
)
"""ISO 639-1, as HLS writes it."""
_FLAGS = {
    flag: name.replace("_", " ")
    for name, flag in Disposition.__members__.items()
    if flag not in (Disposition.attached_pic, Disposition.timed_thumbnails)
}


def file_tags(tracks: Tracks) -> dict[str, str]:
    """The tags of the whole file; Matroska writes all of them in capitals, and no one else."""
    return {
        _APPLE_PLACE if k.lower() == _APPLE_PLACE.lower() else k.lower() if k.isupper() else k: v
        for k, v in tracks.metadata.items()
        if not _OF_THE_CONTAINER.fullmatch(k)
    }


def needs_free_tags(tags: Iterable[str], muxer: str) -> bool:
    """Whether tags are beyond the fixed set of MP4 and MOV, and must be written as free ones."""
    plain = _PLAIN.get(muxer)
    return plain is not None and not {_untranslated(tag) for tag in tags} <= set(plain)


def stream_tags(stream: Stream, muxer: str) -> dict[str, str]:
    """The tags of a stream, its title and language as a muxer wants them."""
    tags = {k: v for k, v in stream.metadata.items() if not _OF_THE_CONTAINER.fullmatch(k)}
    if title := title_of(stream):
        tags["title"] = title
    language = language_of(tags.pop("language", "und"))
    if muxer == "mov":
        language = _OF_QUICKTIME.get(language, language)
    if language != "und":
        tags["language"] = language
    return tags


def language_of(tag: str) -> str:
    """A language in ISO 639-2/T, of whatever a container says: ``de``, ``ger``, ``de-AT``."""
    code = tag.partition("-")[0].strip().lower()
    return _TO_TERMINOLOGICAL.get(code) or _SHORT.get(code, code) or "und"


def describe(made: Stream, source: Stream, muxer: str) -> None:
    """Give a stream of the output the tags and flags of the source's."""
    made.metadata.clear()
    made.metadata.update(stream_tags(source, muxer))
    made.disposition = source.disposition


def lost_of_stream(made: Stream, source: Stream) -> list[str]:
    """What of a stream's tags and flags is not in the output, in words."""
    lost = []
    before, after = stream_tags(source, ""), stream_tags(made, "")
    for key in ("title", "language"):
        if key in before and before[key] != after.get(key):
            lost.append(f"{key} {before[key]!r}")
    gone = source.disposition & ~made.disposition & ~Disposition.default
    lost += [f"flag {name!r}" for flag, name in _FLAGS.items() if gone & flag]
    return lost


def lost_of_file(wanted: Mapping[str, str], got: Iterable[Mapping[str, str]]) -> list[str]:
    """Which tags of the whole file are not among those of the output and its streams.

    One that is there under another name is not lost.
    """
    values, known = {v for tags in got for v in tags.values()}, {key.lower() for key in wanted}
    lost = [key for key, value in wanted.items() if value not in values]
    # Of a tag and its translation into the one language that there is, one is enough.
    return [k for k in lost if _untranslated(k) == k.lower() or _untranslated(k) not in known]


def _untranslated(tag: str) -> str:
    match = _TRANSLATED.fullmatch(tag.lower())
    return match[1] if match else tag.lower()
