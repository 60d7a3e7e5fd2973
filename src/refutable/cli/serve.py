"""Serves the pages of runs on this machine's loopback, to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from refutable.errors import BadInput, did_you_mean

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")


class Pages(ThreadingHTTPServer):
    """A server of a folder of runs.

    Attributes:
        index: returns the page that lists them.
        page: returns the page of one, by name.
        compare: returns the page of two, by name.
    """

    daemon_threads = True

    def __init__(
        self,
        port: int,
        *,
        index: Callable[[], str],
        page: Callable[[str], str],
        compare: Callable[[str, str], str],
    ) -> None:
        self.index, self.page, self.compare = index, page, compare
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise BadInput(f"--port {port}: cannot be used ({error.strerror}); name another, or 0 for any") from None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers a browser of this machine; a page elsewhere that has its name point here gets nothing."""

    server: Pages

    def do_GET(self) -> None:
        """Answer with the index, a run's page or a comparison."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in NAMES:
            self._answer(HTTPStatus.FORBIDDEN, f"this server answers to {' and '.join(NAMES)} alone")
            return
        asked = urlsplit(self.path)
        try:
            self._answer(HTTPStatus.OK, self._page(asked.path, parse_qs(asked.query)), "text/html")
        except (BadInput, OSError) as error:
            self._answer(HTTPStatus.NOT_FOUND, str(error))

    def _page(self, path: str, query: Mapping[str, list[str]]) -> str:
        name = unquote(path.strip("/"))
        if not name:
            return self.server.index()
        if name == "compare":
            a, b = (query.get(side, [""])[0] for side in ("a", "b"))
            return self.server.compare(a, b)
        return self.server.page(name.removesuffix("/index.html"))

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is the user's."""


def named(name: str, known: Mapping[str, object]) -> str:
    """Return the name of a run, or raise BadInput with the nearest known one."""
    if name not in known:
        raise BadInput(f"no run {name!r} here.{did_you_mean(name, known)}")
    return name
