"""A camera, well and badly behaved: true times, every frame accounted for, gaps survived."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable

import pytest

from streamseg.errors import SourceError
from streamseg.live.address import resolve
from streamseg.live.camera import Camera
from streamseg.live.options import CameraOptions
from streamseg.video.source import Item
from tests.streamseg.live.senders import SIZE, HangupError, Sender, free_port
from tests.streamseg.live.timecode import Stamp, read_frame

pytestmark = pytest.mark.usefixtures("no_thread_left")

ODD_ONES = 3
"""Frames of a stream's beginning whose arrival nobody can know yet."""


def camera(url: str, timeout: float = 5.0, give_up_after: float | None = 0) -> Camera:
    address = resolve(url, CameraOptions(timeout_seconds=timeout))
    return Camera(address, give_up_after_seconds=give_up_after)


def stamps(items: list[Item]) -> list[Stamp]:
    found = [read_frame(item.frame) for item in items if item.signal]
    return [stamp for stamp in found if stamp is not None]


def captured_minus_true(items: list[Item]) -> list[float]:
    return [
        (item.captured or 0.0) - stamp.seconds
        for item in items
        if (stamp := read_frame(item.frame)) is not None
    ]


@pytest.mark.parametrize("rate", [25.0, 5.0])
def test_a_frame_is_as_old_as_the_camera_says(rate: float) -> None:
    # A transport stream is held back by two frames: at 5 fps that is 400 ms.
    with Sender(frames=round(rate) + 5, rate=rate).listening() as url, camera(url) as source:
        items = list(source)
    errors = captured_minus_true(items)[ODD_ONES:]
    assert abs(statistics.median(errors)) < 0.05
    shown = [float(item.frame.pts * item.frame.time_base) for item in items]  # type: ignore[operator]
    drawn = [stamp.seconds for stamp in stamps(items)]
    drift = (shown[-1] - shown[ODD_ONES]) - (drawn[-1] - drawn[ODD_ONES])
    assert abs(drift) < 0.1
    assert source.counts.waiting == 0
    assert source.counts.delivered == len(items) == round(rate) + 5


def test_a_camera_of_one_frame_in_a_while_can_be_opened() -> None:
    # Slower, for its patience, than 0.2 fps for the usual ten seconds.
    with Sender(frames=5, rate=1.6, gop=1).listening() as url, camera(url, 1.0) as source:
        assert len(list(source)) == 5


def test_a_decoder_that_cannot_keep_up_skips_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.live.connection import Connection

    decode = Connection.decode

    def slowly(self: Connection, packet: object) -> object:
        time.sleep(0.1)
        return decode(self, packet)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "decode", slowly)
    ages = []
    with Sender(frames=75, gop=10).listening() as url, camera(url) as source:
        for item in source:
            stamp = read_frame(item.frame)
            assert stamp is not None, "nothing may be decoded without what it is predicted from"
            ages.append(time.perf_counter() - stamp.seconds)
    counts = source.counts
    assert counts.skipped > 20
    assert counts.damaged == counts.unreadable == counts.lost == counts.waiting == 0
    assert counts.received == 75
    assert max(ages) < 1.0, "7.5 s of work must not pile up in 3 s"
    assert any("skipped before decoding" in warning for warning in source.warnings)


def test_bytes_lost_on_the_way_are_seen_and_counted() -> None:
    dice = random.Random(3)

    def garble(data: bytes) -> bytes:
        return b"" if len(data) < 1500 and dice.random() < 0.04 else data

    with Sender(frames=75, garble=garble).listening() as url, camera(url) as source:
        items = list(source)
    counts = source.counts
    assert counts.received == counts.unreadable + counts.delivered
    assert counts.damaged > 0
    whole = len(stamps(items))
    assert whole >= counts.delivered - counts.damaged, "what is called whole can be read"
    assert any("damaged" in warning for warning in source.warnings)


def test_another_shape_gets_bars_and_a_sentence() -> None:
    sizes = (SIZE, (SIZE[0] * 2, SIZE[1] * 2), (256, 256))
    with Sender(frames=36, sizes=sizes).listening() as url, camera(url) as source:
        items = list(source)
    assert {(item.frame.width, item.frame.height) for item in items} == {SIZE}
    luma = items[-1].frame.to_ndarray(format="gray")
    bar = (SIZE[0] - SIZE[1]) // 2
    assert luma[:, : bar - 2].max() <= 17
    assert luma[:, -bar + 2 :].max() <= 17
    assert luma[:, bar + 2 : -bar - 2].mean() > 40
    assert "changes size or shape 2 times" in source.warnings[0]
    assert "were fitted into 192x128, with bars" in source.warnings[0]


def when(index: int, action: Callable[[], None]) -> Callable[[int], None]:
    done = threading.Event()

    def before(frame: int) -> None:
        if frame == index and not done.is_set():
            done.set()
            action()

    return before


def hang_up() -> None:
    raise HangupError


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.live import receiver

    monkeypatch.setattr(receiver, "_BACKOFF", ((1.3, 5),))


@pytest.mark.usefixtures("hasty")
def test_a_camera_that_is_gone_is_found_again_and_the_gap_is_shown() -> None:
    sender = Sender(frames=30, before=when(15, hang_up), connections=2)
    items: list[Item] = []
    with sender.listening() as url, camera(url, give_up_after=None) as source:
        states = set()
        for item in source:
            items.append(item)
            states.add(source.state)
            if source.reconnects and len([i for i in items if i.signal]) > 30:
                break
    assert {"live", "lost"} <= states
    gap = [item for item in items if not item.signal]
    assert gap
    assert source.counts.no_signal == len(gap)
    pts = [item.frame.pts for item in items]
    assert pts == sorted(pts)  # type: ignore[type-var]
    shown = float(pts[-1] * items[-1].frame.time_base)  # type: ignore[operator]
    drawn = stamps(items)
    assert shown == pytest.approx(drawn[-1].seconds - drawn[ODD_ONES].seconds, abs=0.3)
    words = " ".join(event.text for event in source.events)
    assert "lost" in words
    assert words.count("connected") == 2


def test_a_frozen_camera_is_stale_without_a_frame() -> None:
    thaw = threading.Event()
    sender = Sender(frames=30, before=when(15, lambda: thaw.wait(20)))  # type: ignore[arg-type]
    with sender.listening() as url, camera(url) as source:
        items = iter(source)
        seen = [next(items)]
        while seen[-1].signal:
            seen.append(next(items))
        assert source.state == "stale"
        thaw.set()
        while not seen[-1].signal:
            seen.append(next(items))
        assert source.state == "live"
        assert source.reconnects == 0


@pytest.mark.usefixtures("hasty")
def test_a_camera_is_given_up_after_the_time_asked_for() -> None:
    began = time.perf_counter()
    with Sender(frames=10).listening() as url, camera(url, give_up_after=1.0) as source:
        items = list(source)
    assert 1.0 < time.perf_counter() - began < 4
    assert source.state == "ended"
    assert sum(item.signal for item in items) == 10
    assert "the recording is kept" in source.warnings[-1]


def test_a_camera_that_was_never_there_is_an_error_unless_it_is_waited_for() -> None:
    address = resolve(f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(SourceError, match="cannot be reached"):
        Camera(address)
    with Camera(address, wait=False) as source:
        assert source.state == "connecting"


def test_a_duration_ends_a_frozen_camera_too() -> None:
    thaw = threading.Event()
    sender = Sender(frames=30, before=when(15, lambda: thaw.wait(20)))  # type: ignore[arg-type]
    with sender.listening() as url:
        address = resolve(url, CameraOptions(timeout_seconds=10))
        with Camera(address, duration_seconds=1.5) as source:
            began = time.perf_counter()
            assert sum(1 for _ in source) >= 10
            assert time.perf_counter() - began < 3
        thaw.set()
