"""Addresses as they may be shown: in messages, statistics, logs and on pages."""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"
_USER = re.compile(r"(?<=://)[^/?#@\s]+(?:@[^/?#@\s]*)*(?=@)")
"""Also where a password holds an @."""
_SECRET = re.compile(
    r"([?&;](?:user(?:name)?|login|pass(?:word|wd|phrase)?|pwd|token|access_token|auth|api_?key|key"
    r"|secret|sig(?:nature)?|streamid)=)([^&;#\s]+)",
    re.IGNORECASE,
)
_LEAST_LENGTH = 3
"""Shorter secrets are not looked for in texts: they would be found in words."""


def redacted(address: str) -> str:
    """An address, or a text with addresses, without user names, passwords, tokens and keys."""
    return _SECRET.sub(rf"\1{HIDDEN}", _USER.sub(HIDDEN, address))


def without_secrets(text: str, address: str) -> str:
    """A text of somebody else's, FFmpeg's perhaps, without what is secret in an address."""
    text = redacted(text.replace(address, redacted(address)))
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(address: str) -> set[str]:
    found = {match[2] for match in _SECRET.finditer(address)}
    for match in _USER.finditer(address):
        found |= {match[0], match[0].partition(":")[2]}
    return {word for raw in found for word in (raw, unquote(raw)) if len(word) >= _LEAST_LENGTH}
