"""Opening what an address names, and what to say when that fails."""

from __future__ import annotations

import re

import av
from av.container import InputContainer

from streamseg.errors import SourceError
from streamseg.live.address import Address, find_cameras, found
from streamseg.live.secrets import without_secrets

_PATIENCE = 6
"""A stream that sends is watched so many times longer than one that is silent: a slow camera needs
several frames until it is known what it sends."""
_IN_FRONT = "ffmpeg -i '{scheme}://...' -c copy -f mpegts 'tcp://127.0.0.1:9000?listen=1'"


def open_address(address: Address) -> InputContainer:
    """Open the device or stream.

    Raises:
        SourceError: not there, busy, not allowed, no answer in time, or of a protocol that this
            FFmpeg does not have.
    """
    silence = address.timeout_seconds
    patience = silence * (1 if address.is_camera else _PATIENCE)
    try:
        return av.open(
            address.url,
            mode="r",
            format=address.format,
            options=address.options,
            timeout=(None if address.waits_for_sender else patience, silence),
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(_why(address, error)) from error


def _why(address: Address, error: Exception) -> str:
    name = f"camera {address.name}" if address.is_camera else address.name
    if isinstance(error, FileNotFoundError):
        return f"{name}: not found; {found(find_cameras()) if address.is_camera else 'check it'}"
    if isinstance(error, PermissionError) and address.is_camera:
        return (
            f"{name}: may not be opened; on Linux add yourself to the group 'video', elsewhere "
            "allow the terminal to use the camera"
        )
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return (
            f"{name}: no answer within {address.timeout_seconds:.0f} s; check the address, and "
            "that the sender is running"
        )
    if isinstance(error, av.error.ProtocolNotFoundError):
        return _no_protocol(address)
    detail = without_secrets(str(getattr(error, "strerror", None) or error), address.url)
    if address.is_camera:
        hint = "another program may be using it" if "busy" in str(error).lower() else "check it"
        return f"{name}: cannot be opened ({detail}): {hint}; {found(find_cameras())}"
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return f"{name}: the sender refuses ({detail}); check user name and password"
    return (
        f"{name}: cannot be reached ({detail}); check the address, and that the sender is running"
    )


def _no_protocol(address: Address) -> str:
    match = re.match(r"[a-z]+", address.url, re.IGNORECASE)
    scheme = match[0].lower() if match else "it"
    return (
        f"{address.name}: this PyAV was built without {scheme.upper()}; put ffmpeg or MediaMTX in "
        f"front, for example {_IN_FRONT.format(scheme=scheme)}, and give --source "
        "tcp://127.0.0.1:9000"
    )
