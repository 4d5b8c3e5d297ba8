"""PQ and HLG: tags and grading come along, colours are drawn at paper white, networks see SDR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from streamseg import DrawOptions, EncoderOptions, Segmenter
from streamseg.drawing.transfer import HLG, PQ, to_sdr, to_signal
from streamseg.drawing.yuv import LAYOUTS, ColourSpec, planes_of, rgb_to_planes
from streamseg.video.scaling import Downscale
from streamseg.video.source import Item
from tests.streamseg.clips import inner, paint, scene
from tests.streamseg.judge import ffmpeg, needs_judge, probe, streams

TAGS = ("color_range", "color_space", "color_transfer", "color_primaries", "chroma_location")
GRADED = (
    "hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
    "L(10000000,1):max-cll=1000,400:chromaloc=2"
)
TRANSFERS = {PQ: ("smpte2084", GRADED), HLG: ("arib-std-b67", "chromaloc=0")}


@pytest.fixture(scope="module")
def segmenter(toy_model: Path) -> Segmenter:
    return Segmenter(toy_model, threads=1)


def hdr_clip(path: Path, transfer: str) -> Path:
    name, params = TRANSFERS[transfer]
    tags = f"color_primaries=bt2020:color_trc={name}:colorspace=bt2020nc:range=tv"
    params += f":log-level=error:colorprim=bt2020:transfer={name}:colormatrix=bt2020nc"
    picture = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.12", "-vf")
    coded = ("-c:v", "libx265", "-x265-params", params)
    ffmpeg(*picture, f"format=yuv420p10le,setparams={tags}", *coded, path)
    return path


def grading(path: Path) -> dict[str, float]:
    """What the first frame says of mastering display and light levels, as numbers."""
    only = ("-select_streams", "v:0", "-show_frames", "-read_intervals", "%+#1")
    said: dict[str, Any] = {}
    for entry in probe(path, *only)["frames"][0].get("side_data_list", []):
        said |= entry
    fractions = {k: str(v).split("/") for k, v in said.items() if k != "side_data_type"}
    return {k: int(v[0]) / int(v[1] if len(v) > 1 else 1) for k, v in fractions.items()}


@needs_judge
@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize(
    ("name", "codec"), [("out.mp4", "hevc"), ("out.mkv", "hevc"), ("out.webm", "av1")]
)
def test_tags_and_grading_come_along(
    segmenter: Segmenter, tmp_path: Path, transfer: str, name: str, codec: str
) -> None:
    src, out = hdr_clip(tmp_path / "in.mp4", transfer), tmp_path / name
    stats = segmenter.video(src, out)
    before, after = streams(src, "video")[0], streams(out, "video")[0]
    assert (after["codec_name"], after["pix_fmt"]) == (codec, "yuv420p10le")
    assert {tag: after.get(tag) for tag in TAGS} == {tag: before[tag] for tag in TAGS}
    assert grading(out) == pytest.approx(grading(src), abs=1e-3)
    assert bool(grading(src)) == (transfer == PQ)
    assert stats.warnings == ()


@needs_judge
@pytest.mark.parametrize(
    ("encoder", "name", "says"),
    [
        (EncoderOptions(compatible=True), "out.mp4", "high dynamic range in 8 bits"),
        (EncoderOptions(codec="mpeg4"), "out.mp4", "10 bits a sample become 8"),
        (EncoderOptions(codec="ffv1"), "out.mkv", "its grading .* is not written"),
    ],
)
def test_what_is_lost_of_it_is_said(
    segmenter: Segmenter, tmp_path: Path, encoder: EncoderOptions, name: str, says: str
) -> None:
    stats = segmenter.video(hdr_clip(tmp_path / "in.mp4", PQ), tmp_path / name, encoder=encoder)
    with pytest.raises(AssertionError, match=says):
        assert not stats.warnings, stats.warnings[0]


def test_white_is_drawn_at_reference_white() -> None:
    white = np.array([255, 255, 255], np.uint8)
    assert to_signal(white, PQ) == pytest.approx(0.5807, abs=0.001)  # 203 cd/m² (BT.2408)
    assert to_signal(white, HLG) == pytest.approx(0.75, abs=0.001)
    y, cb, cr = ColourSpec("bt2020", full_range=False, bits=10, transfer=PQ).from_rgb(white)
    assert [int(y), int(cb), int(cr)] == [round(64 + 876 * 0.5807), 512, 512]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_screen_shows_colours_as_they_were_drawn(transfer: str) -> None:
    colours = np.array([[[0, 0, 0], [60, 60, 60], [130, 120, 110], [20, 90, 160]]], np.uint8)
    signal = np.round(to_signal(colours, transfer) * 65535).astype(np.uint16)
    assert np.abs(to_sdr(signal, transfer).astype(int) - colours).max() <= 2
    # Ten times reference white is still brighter than reference white, and neither is clipped.
    bright = to_sdr(np.array([[[38000] * 3, [55000] * 3]], np.uint16), PQ)[0, :, 0]
    assert 220 < bright[0] < bright[1] <= 255


def pq_frame(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> VideoFrame:
    frame = VideoFrame(picture.shape[1], picture.shape[0], "yuv420p10le")
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, 16, 9
    planes = rgb_to_planes(picture, ColourSpec.of(frame), LAYOUTS["yuv420p10le"])
    for plane, samples in zip(planes_of(frame), planes, strict=True):
        plane[:] = samples
    return frame


def test_the_network_sees_what_an_sdr_screen_shows() -> None:
    picture = paint(scene(0))
    (item,) = Downscale((96, 64))([Item(0, pq_frame(picture))])
    assert item.small_HWC is not None
    apart = np.abs(item.small_HWC.astype(int) - picture)[inner(scene(0))]
    assert apart.max() < 25
    assert apart.mean() < 6


def test_classes_are_no_brighter_than_paper(segmenter: Segmenter, tmp_path: Path) -> None:
    src, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with av.open(str(src), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_trc, context.color_primaries = 9, 16, 9
        frame = pq_frame(paint(scene(0)))
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    segmenter.video(src, out, encoder=EncoderOptions(codec="ffv1"), draw=DrawOptions(mode="mask"))
    with av.open(str(out)) as container:
        luma = planes_of(next(container.decode(video=0)))[0]
    assert 64 + 876 * 0.2 < luma.max() <= 64 + 876 * 0.59


@needs_judge
@pytest.mark.parametrize("site", ["left", "center", "topleft", "top"])
def test_chroma_lies_where_it_lay(segmenter: Segmenter, tmp_path: Path, site: str) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.08", "-pix_fmt", "yuv420p")
    src = tmp_path / "in.mp4"
    ffmpeg(*picture, "-c:v", "libx264", "-chroma_sample_location", site, src)
    for name in ("out.mp4", "out.mkv", "out.ts"):
        segmenter.video(src, tmp_path / name)
        assert streams(tmp_path / name, "video")[0]["chroma_location"] == site
