"""A little sender of live streams: what cameras do, well and badly, in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from tests.streamseg.clips import Picture, paint, scene, to_yuv
from tests.streamseg.live.timecode import draw, now_stamp

SIZE = (192, 128)
_BASE = Fraction(1, 90_000)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class HangupError(Exception):
    """Raised by `Sender.before`: the connection is closed in the middle."""


@dataclass(kw_only=True)
class Sender:
    """Pictures that carry their time, as H.264 in a transport stream, to one who connects.

    Whoever connects next gets the stream from its beginning.
    """

    frames: int = 50
    rate: float = 25.0
    sizes: tuple[tuple[int, int], ...] = (SIZE,)
    """Of the pictures, in equal parts of the stream."""
    gop: int = 5
    before: Callable[[int], None] = lambda _: None
    """Called before each frame; may block, as a frozen camera does, or raise `HangupError`."""
    connections: int = 1
    """How many are served, one after the other."""
    garble: Callable[[bytes], bytes] = lambda data: data
    """What becomes of the bytes on their way."""
    sent: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve from a thread; the address."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.1)
            thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            thread.start()
            try:
                yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                self._stopped.set()
                thread.join(10)

    def _serve(self, listener: socket.socket) -> None:
        for _ in range(self.connections):
            while not self._stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    break
            else:
                return
            connection.settimeout(None)
            with connection, contextlib.suppress(OSError, av.error.FFmpegError, HangupError):
                self._send(connection)

    def _send(self, connection: socket.socket) -> None:
        wire = _Wire(connection, self.garble)
        options = {"flush_packets": "1"}
        container = av.open(wire, "w", format="mpegts", options=options, buffer_size=1316)
        began = time.perf_counter()
        share = -(-self.frames // len(self.sizes))
        for part, size in enumerate(self.sizes):
            if part:
                container = av.open(wire, "w", format="mpegts", options=options, buffer_size=1316)
            stream = self._stream(container, size)
            for index in range(part * share, min(self.frames, (part + 1) * share)):
                wait = began + index / self.rate - time.perf_counter()
                if self._stopped.wait(max(0.0, wait)):
                    return
                self.before(index)
                frame = to_yuv(self.picture(index, size), "yuv420p", 5, 1)
                frame.time_base = _BASE
                frame.pts = round((time.perf_counter() - began) / _BASE)
                container.mux(stream.encode(frame))
                self.sent += 1
            container.mux(stream.encode(None))
            container.close()

    def _stream(self, container: OutputContainer, size: tuple[int, int]) -> VideoStream:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(self.gop), "crf": "18"}
        rate = Fraction(self.rate).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _BASE
        stream.codec_context.thread_count = 1
        return stream

    def picture(self, index: int, size: tuple[int, int]) -> Picture:
        """RGB of a frame."""
        return draw(paint(scene(index, *size)), now_stamp(index))


class _Wire:
    """What FFmpeg writes to."""

    def __init__(self, connection: socket.socket, garble: Callable[[bytes], bytes]) -> None:
        self._connection, self._garble = connection, garble

    def write(self, data: bytes) -> int:
        self._connection.sendall(self._garble(bytes(data)))
        return len(data)
