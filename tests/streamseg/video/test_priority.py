"""An encoder takes no real-time priority, for itself or for whoever opened it."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from streamseg.video.starting import start


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies are Linux's")
def test_svt_av1_leaves_every_thread_as_it_was() -> None:
    """As root, SVT-AV1 asks for SCHED_FIFO 99; as anybody else it cannot, and this cannot fail."""
    context = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 128, 96, "yuv420p"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    before = os.sched_getscheduler(0)
    start(context, Path("out.mkv"))
    threads = [0, *(int(entry.name) for entry in Path("/proc/self/task").iterdir())]
    assert len(threads) > 2, "the encoder has threads"
    assert {os.sched_getscheduler(thread) for thread in threads} == {before}
