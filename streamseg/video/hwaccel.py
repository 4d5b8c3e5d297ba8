"""Decoding on other silicon, with the processor to fall back on."""

from __future__ import annotations

from typing import Any, cast

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer

from streamseg.errors import UsageError

AUTO = "auto"


class Decoding:
    """Opens a video for decoding on a device, if that is asked for and possible.

    Frames come back into main memory: they are drawn on there.

    Args:
        device: ``auto``, FFmpeg's name of a kind of device, or None for the processor.

    Raises:
        UsageError: FFmpeg knows no such device here.
    """

    def __init__(self, device: str | None) -> None:
        known = hwdevices_available()
        if device not in (None, AUTO, *known):
            raise UsageError(
                f"--hwaccel {device}: this FFmpeg knows {', '.join(known) or 'none'}; or give auto"
            )
        self._devices = known if device == AUTO else [device] if device else []
        self.said = ""
        """How it is decoded, if another way was asked for than the processor's."""

    def open(self, url: str, **options: Any) -> InputContainer:
        """As `av.open`, on the first device that takes it.

        Raises:
            av.error.FFmpegError: nothing that FFmpeg can read.
        """
        plain = cast(InputContainer, av.open(url, "r", **options))
        if not self._devices or not plain.streams.video:
            return plain
        if not url.startswith("file:"):
            self.said = "is read once, and so is decoded on the processor"
            return plain
        tried = []
        for device in self._devices:
            try:
                hardware = HWAccel(device, allow_software_fallback=True)
                container = cast(InputContainer, av.open(url, "r", hwaccel=hardware, **options))
            except (av.error.FFmpegError, OSError, ValueError, NotImplementedError) as error:
                tried.append(f"{device}: {getattr(error, 'strerror', None) or error}")
                continue
            if any(s.codec_context.is_hwaccel for s in container.streams.video if s.codec_context):
                plain.close()
                self.said = f"is decoded on {device}"
                return container
            container.close()
            tried.append(f"{device}: does not decode {plain.streams.video[0].codec_context.name}")
        self.said = f"is decoded on the processor ({'; '.join(tried)})"
        return plain
