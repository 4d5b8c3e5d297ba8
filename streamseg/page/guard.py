"""Who may look, and how a browser is told to behave: an ASGI middleware before all routes.

- On a loopback address no token is needed, and the Host header must name the loopback: a foreign
  site that points its own name at 127.0.0.1 (DNS rebinding) is refused.
- On any other address everything but the empty page needs a token: as a cookie, which the page gets
  by handing the token in once, or as ``Authorization: Bearer``. The printed address carries it
  behind ``#``, which browsers send to nobody and no log sees.
- What changes something must come from this page: an Origin header must name this host.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "streamseg"
OPEN = ("/", "/healthz", "/api/login")
"""What needs no token: nothing there shows a picture or a number."""
MOST_BODY = 64 * 1024
"""Bytes of a request."""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(24)


class Guard:
    """Refuses what must not pass; adds the headers that keep browsers strict.

    Args:
        app: behind it.
        token: that must be shown; None where only this machine can connect.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, strict(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, why = refusal
            await JSONResponse({"error": why}, status)(scope, receive, strict(send))

    def is_right(self, token: str) -> bool:
        """Whether a token is the one; takes as long for any."""
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self._token is None and not is_loopback(name):
            return 421, f"this page is served to this machine alone, not as {name or 'no name'!r}"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return 403, "another site cannot change anything here"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY:
            return 413, f"a request may have {MOST_BODY} bytes"
        path = scope["path"]
        if path in OPEN or path.startswith("/static/") or self.is_right(_shown_token(headers)):
            return None
        return 401, "a token is needed: open the address that streamseg printed"


def _shown_token(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.casefold() == "bearer":
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value


def strict(send: Send) -> Send:
    """Adds the headers."""

    async def send_strictly(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_strictly
