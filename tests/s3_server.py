"""An S3 server in a thread, whose answers can be counted, delayed, cut, refused and lost."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

Environ = dict[str, Any]
Answer = Iterable[bytes]
Start = Callable[..., Any]
Fault = Callable[[Environ, Start, Callable[[Environ, Start], Answer]], Answer]

AWS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Server:
    """A server of moto; `fault` comes between it and whoever asks."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self.fault: Fault | None = None
        self.asked: list[tuple[str, str, str]] = []  # method, path and range of each request
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def counts(self) -> Counter[str]:
        """How often each method was asked of an object."""
        return Counter(method for method, path, _ in self.asked if path.endswith(".trace"))

    @contextmanager
    def faulty(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def _answer(self, environ: Environ, start: Start) -> Answer:
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE", "")))
        if self.fault is not None:
            return self.fault(environ, start, self._app)
        return self._app(environ, start)


def fail(status: str, code: str) -> Fault:
    """Answer every request with an error of S3's."""

    def answer(environ: Environ, start: Start, app: Any) -> Answer:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode()]

    return answer


INTERNAL = fail("500 Internal Server Error", "InternalError")
SLOW_DOWN = fail("503 Service Unavailable", "SlowDown")
DENIED = fail("403 Forbidden", "AccessDenied")


def reset(environ: Environ, start: Start, app: Any) -> Answer:
    """Close the connection without an answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionError("reset")


def lost(environ: Environ, start: Start, app: Any) -> Answer:
    """Do what was asked, and lose the answer."""
    list(app(environ, lambda *a, **k: None))
    return reset(environ, start, app)


def cut(environ: Environ, start: Start, app: Any) -> Answer:
    """Send half of the body that was promised."""
    body = b"".join(app(environ, start))
    yield body[: len(body) // 2]
    if len(body) > 1:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


def slow(environ: Environ, start: Start, app: Any) -> Answer:
    """Answer after a while."""
    time.sleep(0.2)
    return app(environ, start)


def at_random(rate: float, seed: int, *faults: Fault) -> Fault:
    """Let a share of the requests meet one of some faults."""
    generator = random.Random(seed)

    def answer(environ: Environ, start: Start, app: Any) -> Answer:
        return (generator.choice(faults) if generator.random() < rate else _through)(environ, start, app)

    return answer


def _through(environ: Environ, start: Start, app: Any) -> Answer:
    return app(environ, start)
