"""The routes of the page. Every answer is a picture, a file of the page, or JSON (docs/live.md)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from streamseg.drawing.options import EDGES, MODES
from streamseg.errors import StreamsegError, UsageError
from streamseg.models.colours import PALETTES, colour_named
from streamseg.page.guard import COOKIE, MOST_BODY, Guard
from streamseg.page.metrics import exposition
from streamseg.page.screen import Screen

STATIC = Path(__file__).parent / "static"
_BOUNDARY = "streamseg"
_WAIT_SECONDS = 0.5
_SETTABLE = {"mode", "alpha", "palette", "edges", "legend", "contours", "classes", "background"}


def build_app(screen: Screen, *, token: str | None, most_viewers: int = 8) -> Starlette:
    """The page of a screen.

    Args:
        screen: what is shown.
        token: see `streamseg.page.guard`.
        most_viewers: who may look at the moving picture at a time.
    """
    page = _Page(screen, token, most_viewers)
    app = Starlette(
        routes=[
            Route("/", page.index),
            Route("/healthz", page.health),
            Route("/metrics", page.metrics),
            Route("/stream.mjpg", page.stream),
            Route("/snapshot.jpg", page.snapshot),
            Route("/api/login", page.login, methods=["POST"]),
            Route("/api/state", page.state),
            Route("/api/draw", page.redraw, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={StreamsegError: _sentence, HTTPException: _http_error},
    )
    app.state.closing = False
    return app


def end_pictures(app: Starlette) -> None:
    """End all moving pictures: a server waits for what it still sends."""
    app.state.closing = True


class _Page:
    def __init__(self, screen: Screen, token: str | None, most_viewers: int) -> None:
        self._screen, self._most_viewers = screen, most_viewers
        self._token = token
        self._viewers = 0

    async def index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def health(self, request: Request) -> Response:
        state = self._screen.state()["state"]
        return JSONResponse({"state": state}, 200 if state == "live" else 503)

    async def metrics(self, request: Request) -> Response:
        text = exposition(self._screen.state(), self._viewers)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def login(self, request: Request) -> Response:
        token = (await _json(request)).get("token")
        if not isinstance(token, str) or not Guard(Starlette(), self._token).is_right(token):
            raise HTTPException(401, "this is not the token that streamseg printed")
        answer = JSONResponse({"ok": True})
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return answer

    async def state(self, request: Request) -> Response:
        state = await to_thread.run_sync(self._screen.state)
        return JSONResponse(
            state
            | {
                "viewers": self._viewers,
                "modes": list(MODES),
                "palettes": sorted(PALETTES),
                "edge_kinds": list(EDGES),
            }
        )

    async def redraw(self, request: Request) -> Response:
        changes = await _json(request)
        await to_thread.run_sync(partial(self._screen.redraw, **checked(changes, self._screen)))
        return await self.state(request)

    async def snapshot(self, request: Request) -> Response:
        jpeg = await to_thread.run_sync(self._screen.snapshot)
        if jpeg is None:
            raise HTTPException(503, "no frame has come yet")
        return Response(jpeg, media_type="image/jpeg")

    async def stream(self, request: Request) -> Response:
        if self._viewers >= self._most_viewers:
            raise HTTPException(503, f"{self._most_viewers} viewers look already")
        return StreamingResponse(
            self._pictures(request.app),
            media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
        )

    async def _pictures(self, app: Starlette) -> AsyncIterator[bytes]:
        """One JPEG after another; the next is made when the last has been taken."""
        number = 0
        self._viewers += 1
        try:
            yield f"--{_BOUNDARY}\r\n".encode()
            while not (self._screen.ended or app.state.closing):
                picture = await to_thread.run_sync(self._screen.picture, number, _WAIT_SECONDS)
                if picture is None:
                    continue
                number = picture.number
                size = len(picture.jpeg)
                head = f"Content-Type: image/jpeg\r\nContent-Length: {size}\r\n\r\n"
                # Browsers show a part when they see that it is over.
                yield head.encode() + picture.jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
        finally:
            self._viewers -= 1


def checked(changes: Mapping[str, Any], screen: Screen) -> dict[str, Any]:
    """Changes of drawing options that a page may ask for; it may name no file.

    Raises:
        UsageError: an unknown option, or a value of a wrong type.
    """
    unknown = set(changes) - _SETTABLE
    if unknown:
        raise UsageError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(_SETTABLE)}")
    kinds: dict[str, tuple[type, ...]] = {
        "alpha": (int, float),
        "legend": (bool,),
        "contours": (bool,),
        "classes": (list, type(None)),
        "background": (str, type(None)),
    }
    for name, value in changes.items():
        wanted = kinds.get(name, (str,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise UsageError(f"{name} cannot be {value!r}")
    classes = changes.get("classes")
    if classes is not None and not all(isinstance(name, str) for name in classes):
        raise UsageError("classes must be names")
    palette = changes.get("palette", next(iter(PALETTES)))
    if palette not in PALETTES and palette != str(screen.draw.palette):
        raise UsageError(f"unknown palette {palette!r}; known: {', '.join(sorted(PALETTES))}")
    background = changes.get("background")
    if background is not None and colour_named(background) is None:
        raise UsageError(f"background must be a colour (#rrggbb), got {background!r}")
    given = dict(changes)
    if "mode" in given and "background" not in given:
        given["background"] = "#202020" if given["mode"] == "replace" else None
    if given.get("mode") in ("cutout", "blur", "replace"):
        given.setdefault("legend", False)
    return given


async def _json(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            raise HTTPException(413, f"a request may have {MOST_BODY} bytes")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON") from error
    if not isinstance(values, dict):
        raise UsageError("the request is no JSON object")
    return values


async def _sentence(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)
