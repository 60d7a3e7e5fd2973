"""Stores that several machines share, on a server of this process's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import fsspec
import pytest

from refutable._util import retry
from refutable.traces.store import Store

if TYPE_CHECKING:
    from s3_server import Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    from s3_server import Server

    server = Server()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a server, with the variables by which it is found; what fails for good does so quickly."""
    from s3_server import AWS

    for name, value in {**AWS, "AWS_ENDPOINT_URL": s3_server.url, "AWS_MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(retry, "PAUSES", (0.01, 0.02))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield s3_server
    s3_server.fault = None


@pytest.fixture
def bucket(s3: Server) -> str:
    """Return the URL of a new bucket."""
    name = f"lab-{uuid.uuid4().hex[:12]}"
    fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True).mkdir(name)
    s3.asked.clear()
    return f"s3://{name}"


@pytest.fixture(params=["folder", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: pytest.TempPathFactory) -> Store:
    """Return an empty store of each kind."""
    match request.param:
        case "memory":
            return Store(f"memory://{uuid.uuid4().hex}/prefix")
        case "s3":
            return Store(f"{request.getfixturevalue('bucket')}/prefix")
    return Store(tmp_path / "store")
