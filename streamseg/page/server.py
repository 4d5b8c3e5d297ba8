"""Serves a page beside a run: a thread that ends with it."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import webbrowser
from os import environ
from pathlib import Path

import uvicorn

from streamseg.closing import ClosedAtExit
from streamseg.errors import UsageError
from streamseg.page.app import build_app, end_pictures
from streamseg.page.guard import is_loopback, new_token
from streamseg.page.screen import Screen

DEFAULT_PORT = 8008
_TRIED_PORTS = 20
_END_SECONDS = 5.0


class PageServer(ClosedAtExit):
    """A page that is served until it is closed.

    Args:
        screen: what is shown.
        host: address to listen at; any but a loopback one needs the token.
        port: None takes the first free one from 8008.
        most_viewers: who may look at the moving picture at a time.

    Raises:
        UsageError: it cannot listen there.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        most_viewers: int = 8,
    ) -> None:
        self.token = None if is_loopback(host) else new_token()
        self._socket = _listen(host, port)
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
        shown = f"[{shown}]" if ":" in shown else shown
        self.port: int = self._socket.getsockname()[1]
        self.address = f"http://{shown}:{self.port}/"
        """To be opened; the token, if there is one, lies behind ``#``, which is sent to nobody."""
        if self.token is not None:
            self.address += f"#token={self.token}"
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._app = build_app(screen, token=self.token, most_viewers=most_viewers)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
                limit_concurrency=8 * most_viewers,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="page", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving; calling twice is fine."""
        end_pictures(self._app)
        self._server.should_exit = True
        self._thread.join(_END_SECONDS)
        self._socket.close()


def open_browser(address: str) -> bool:
    """Show an address in the user's browser; False where there is no desktop to show it on."""
    on_desktop = sys.platform in ("win32", "darwin") or any(
        environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    # Without a desktop, Python would start a browser inside the terminal.
    return on_desktop and not Path("/.dockerenv").exists() and webbrowser.open(address)


def _listen(host: str, port: int | None) -> socket.socket:
    tried = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + _TRIED_PORTS)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    trouble: OSError | None = None
    for number in tried:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # there it would share the port with its owner
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, number))
            return listener
        except (OSError, OverflowError) as error:
            listener.close()
            trouble = error if isinstance(error, OSError) else OSError(str(error))
    raise UsageError(
        f"the page cannot be served at {host} port {port or DEFAULT_PORT} "
        f"({(trouble and trouble.strerror) or trouble}); choose another --port or --host, "
        "or --view none"
    )
