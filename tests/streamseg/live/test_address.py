"""What sources are called, and that their secrets are never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamseg.errors import SourceError, UsageError
from streamseg.live.address import is_served_once, resolve
from streamseg.live.opening import open_address
from streamseg.live.options import CameraOptions
from streamseg.live.secrets import redacted, without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:S3cret@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:p@ss@cam:554/1?a=b@c", "rtsp://***@cam:554/1?a=b@c"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("http://cam/mjpg?user=me&password=S3cret&res=4", "http://cam/mjpg?user=***&password=***&res=4"),
        ("https://cam/live.m3u8?token=S3cret", "https://cam/live.m3u8?token=***"),
        ("http://cam/video?Passwd=S3cret", "http://cam/video?Passwd=***"),
        ("http://cam/monkey=1?keyframe=2", "http://cam/monkey=1?keyframe=2"),
    ],
)  # fmt: skip
def test_secrets_are_hidden_where_an_address_gets_its_name(address: str, shown: str) -> None:
    assert redacted(address) == shown
    found = resolve(address)
    assert found.name == shown
    assert found.url == address
    assert "S3cret" not in repr(found)


def test_secrets_are_hidden_in_what_ffmpeg_says() -> None:
    url = "rtsp://admin:S3%20cret@cam/1"
    said = without_secrets(f"401 for {url}, user admin, password S3 cret or S3%20cret", url)
    assert "cret" not in said
    assert "rtsp://***@cam/1" in said


def test_an_address_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM1", "tcp://user:S3cret@127.0.0.1:1")
    assert resolve("env:CAM1").name == "tcp://***@127.0.0.1:1"
    assert is_served_once("env:CAM1")
    with pytest.raises(UsageError, match="env:CAM2: no environment variable CAM2"):
        resolve("env:CAM2")


def test_srt_is_refused_with_what_to_put_in_front() -> None:
    with pytest.raises(SourceError, match=r"built without SRT; put ffmpeg .* in front, .*mpegts"):
        open_address(resolve("srt://127.0.0.1:9"))


def test_an_rtmp_sender_is_listened_for() -> None:
    address = resolve("rtmp://127.0.0.1:1935/live/me?listen=1")
    assert address.url == "rtmp://127.0.0.1:1935/live/me"
    assert address.options["listen"] == "1"
    assert address.waits_for_sender
    assert not resolve("rtmp://127.0.0.1/live/me").waits_for_sender


def test_pipes_and_sdp_files_are_sources(tmp_path: Path) -> None:
    assert not resolve("-").comes_back
    pipe, sdp = tmp_path / "pipe", tmp_path / "cam.sdp"
    os.mkfifo(pipe)
    sdp.write_text("v=0\n")
    assert resolve(str(pipe)).comes_back
    assert is_served_once(str(pipe))
    assert "rtp" in resolve(str(sdp)).options["protocol_whitelist"]


def test_what_is_asked_of_a_device_reaches_it() -> None:
    asked = CameraOptions(size="1280x720", fps=29.97, pixel_format="mjpeg")
    assert resolve("/dev/video7", asked).options == {
        "video_size": "1280x720",
        "framerate": "29.97",
        "pixel_format": "mjpeg",
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": "720p"}, "--camera-size must be WIDTHxHEIGHT, got '720p'"),
        ({"fps": 0.0}, "--fps must be above 0"),
        ({"timeout_seconds": float("nan")}, "--timeout must be above 0"),
        ({"give_up_after_seconds": -1.0}, "--give-up-after must be 0 seconds or more"),
    ],
)
def test_options_that_cannot_be_are_refused(option: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CameraOptions(**option)  # type: ignore[arg-type]
