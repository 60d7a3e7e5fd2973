"""A hub on 127.0.0.1 that the real client of `huggingface_hub` can talk to, with faults to order.

Repositories are folders, ``<root>/<owner>/<name>/<file>``: their main branch; the files of another one lie below it in
``branches/<branch>``. Weight files are served as the hub serves
large ones: a redirect to another origin, with their SHA-256 for an ETag; the others have the id of their git blob. What
was asked is kept in `requests`; a `Fault` says what goes wrong with those whose line matches.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin")
MEMBER, OUTSIDER = "hf_member", "hf_outsider"  # tokens; any other is invalid
PIECE = 16 * 1024


@dataclass
class Fault:
    """What goes wrong.

    Attributes:
        at: pattern of the request's line, such as ``GET .*tokenizer.json``.
        status: answer with this status and `body`, instead of the file.
        body: of that answer.
        end: send no more than so many bytes of the file.
        how: what happens then: ``close``, ``reset``, or ``short`` (the length that was announced is the shorter one).
        spoil: send zeros from this byte on, as many as the file has.
        pause: seconds before each piece of the file.
        times: how often; None for always.
        headers: of the answer with `status`, such as ``Retry-After``.
        share: of the requests that match, drawn at random; 1 for all of them.
    """

    at: str
    status: int | None = None
    body: str = ""
    end: int | None = None
    how: str = "close"
    spoil: int | None = None
    pause: float = 0.0
    times: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0


class Request(NamedTuple):
    """One request: its line, its status, whether it carried a token, and whether it went to the second origin."""

    line: str
    status: int
    token: bool
    elsewhere: bool


@dataclass
class Hub:
    """The hub.

    Attributes:
        root: folder of the repositories.
        gated: repositories whose files are for members.
        commits: the commit of a repository, where it is not made up.
        past: an earlier commit of a repository, with the same files.
        tags: of a repository.
        faults: what goes wrong, first match first.
        requests: what was asked.
        page: files of a listing that one answer holds, the rest behind a link; None for all. Branches and tags come in
            one answer, as the hub's client reads them.
        spoiled: lines of the requests whose file was cut short or damaged.
        chance: decides which requests a fault with a share is for.
    """

    root: Path
    gated: set[str] = field(default_factory=set)
    commits: dict[str, str] = field(default_factory=dict)
    past: dict[str, str] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    page: int | None = None
    spoiled: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    lock: threading.Lock = field(default_factory=threading.Lock)
    ports: tuple[int, int] = (0, 0)

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def commit(self, repo: str, revision: str | None = None) -> str:
        """Return the commit of a revision: the earlier one where that is asked for."""
        if revision is not None and revision == self.past.get(repo):
            return revision
        for branch, commit in self.branches(repo).items():
            if revision in (branch, commit):
                return commit
        return self.commits.get(repo) or hashlib.sha1(repo.encode()).hexdigest()

    def branches(self, repo: str) -> dict[str, str]:
        """Return the commit of every branch but main, by name."""
        folder = self.root / repo / "branches"
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return {name: hashlib.sha1(f"{repo}@{name}".encode()).hexdigest() for name in names}

    def place(self, repo: str, revision: str | None) -> str:
        """Return the folder of a revision's files, below the root."""
        for branch, commit in self.branches(repo).items():
            if revision in (branch, commit):
                return f"{repo}/branches/{branch}"
        return repo

    def files(self, repo: str, revision: str | None = None) -> list[Path]:
        """Return the files of a revision of a repository."""
        return sorted(path for path in (self.root / self.place(repo, revision)).iterdir() if path.is_file())

    def fault(self, line: str) -> Fault | None:
        """Return what goes wrong with a request, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.times != 0 and re.search(fault.at, line) and self.chance.random() < fault.share:
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None

    def fetched(self) -> set[str]:
        """Return the names of the files whose contents were asked for."""
        place = re.compile(r"GET .*/(?:resolve/[^/]+|resolve-cache/models(?:/[^/]+){3}|cdn(?:/[^/]+){2,4})/([^/ ?]+)")
        found = (place.match(request.line) for request in self.requests if request.status in (200, 206))
        return {match[1] for match in found if match}


def etag(path: Path) -> str:
    """Return the ETag of a file: SHA-256 of a large one, else the id of its git blob."""
    data = path.read_bytes()
    if path.suffix in LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    server: _Server
    hub: Hub

    def __init__(self, elsewhere: bool, *given: Any) -> None:
        self.elsewhere = elsewhere
        super().__init__(*given)

    def log_message(self, *given: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.hub = self.server.hub  # a client's connection may be older
        path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {path}"
        fault = self.hub.fault(line)
        try:
            if fault is not None and fault.status is not None:
                return self._send(fault.status, fault.body.encode(), fault.headers)
            if self.elsewhere:
                return self._file(self.hub.root / path.removeprefix("/cdn/"), fault)
            return self._route(path, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, path: str, fault: Fault | None) -> None:
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/refs", path):
            return self._refs(match[1])
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            return self._about(match[1], match[2])
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            return self._tree(match[1], match[2])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^/]+)", path):
            return self._resolve(match[1], match[2], match[3])
        if match := re.fullmatch(r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/([^/]+)", path):
            file = self.hub.root / self.hub.place(match[1], match[2]) / match[3]
            return self._file(file, fault, {"ETag": f'"{etag(file)}"', "X-Repo-Commit": match[2]})
        return self._send(404, b"not here")

    # Who may see what.

    def _allowed(self, repo: str, revision: str | None, *, of_file: bool) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if token not in ("", MEMBER, OUTSIDER):
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif not (self.hub.root / repo).is_dir():
            self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif of_file and repo in self.hub.gated and token != MEMBER:
            self._refuse(403 if token else 401, "GatedRepo", f"Access to model {repo} is restricted")
        elif revision not in (None, "main", self.hub.commit(repo), self.hub.past.get(repo)) and not self._is_other(
            repo, revision
        ):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return True
        return False

    def _is_other(self, repo: str, revision: str | None) -> bool:
        return any(revision in (branch, commit) for branch, commit in self.hub.branches(repo).items())

    def _refuse(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    # What is there.

    def _refs(self, repo: str) -> None:
        if self._allowed(repo, None, of_file=False):
            known = {"main": self.hub.commit(repo), **self.hub.branches(repo)}
            rows = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": commit} for n, commit in known.items()]
            self._send(200, json.dumps({"branches": rows, "converts": [], "tags": []}).encode())

    def _about(self, repo: str, revision: str | None) -> None:
        if self._allowed(repo, revision, of_file=False):
            siblings = [
                {"rfilename": file.name, "size": file.stat().st_size} for file in self.hub.files(repo, revision)
            ]
            commit = self.hub.commit(repo, revision)
            about = {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "disabled": False}
            about |= {"private": False, "gated": repo in self.hub.gated, "_id": "0" * 24}
            about["tags"] = self.hub.tags.get(repo, [])
            self._send(200, json.dumps({**about, "downloads": 0, "likes": 0}).encode())

    def _tree(self, repo: str, revision: str) -> None:
        if self._allowed(repo, revision, of_file=False):
            rows = []
            for file in self.hub.files(repo, revision):
                row = {"type": "file", "oid": etag(file)[:40], "size": file.stat().st_size, "path": file.name}
                large = {"lfs": {"oid": etag(file), "size": row["size"], "pointerSize": 135}}
                rows.append({**row, **(large if file.suffix in LARGE else {})})
            query = urlsplit(self.path).query
            start = int(parse_qs(query).get("cursor", ["0"])[0])
            end = len(rows) if self.hub.page is None else start + self.hub.page
            here = f"{self.hub.endpoint}{urlsplit(self.path).path}?cursor={end}"
            more = {"Link": f'<{here}>; rel="next"'} if end < len(rows) else {}
            self._send(200, json.dumps(rows[start:end]).encode(), more)

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        if not self._allowed(repo, revision, of_file=True):
            return None
        file = self.hub.root / self.hub.place(repo, revision) / name
        commit = self.hub.commit(repo, revision)
        if not file.is_file():
            told = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit}
            return self._send(404, b"Entry not found", told)
        size, tag = str(file.stat().st_size), f'"{etag(file)}"'
        headers = {"X-Repo-Commit": commit, "ETag": tag, "X-Linked-Size": size, "Accept-Ranges": "bytes"}
        if file.suffix in LARGE:
            place = f"http://127.0.0.1:{self.hub.ports[1]}/cdn/{self.hub.place(repo, revision)}/{name}"
            return self._send(302, b"", {**headers, "X-Linked-Etag": tag, "Location": place})
        return self._send(307, b"", {**headers, "Location": f"/api/resolve-cache/models/{repo}/{commit}/{name}"})

    # Sending.

    def _file(self, file: Path, fault: Fault | None, headers: Mapping[str, str] = {}) -> None:
        data, whole = file.read_bytes(), file.stat().st_size
        if fault is not None and (fault.spoil is not None or fault.end is not None):
            with self.hub.lock:
                self.hub.spoiled.append(f"{self.command} {unquote(urlsplit(self.path).path)}")
        start, status, told = 0, 200, dict(headers)
        if match := re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", "")):
            start, status = int(match[1]), 206
            told["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        if fault is not None and fault.spoil is not None:
            data = data[: fault.spoil] + bytes(whole - fault.spoil)
        end = whole if fault is None or fault.end is None else min(whole, fault.end)
        announced = end if fault is not None and fault.how == "short" else whole
        self._head(status, {"Content-Length": str(max(announced - start, 0)), "Accept-Ranges": "bytes", **told})
        if self.command == "HEAD":
            return
        for at in range(start, end, PIECE):
            if fault is not None and fault.pause:
                threading.Event().wait(fault.pause)
            self.wfile.write(data[at : min(end, at + PIECE)])
        if end < announced:
            self.close_connection = True
            if fault is not None and fault.how == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                raise ConnectionResetError

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self._head(status, {"Content-Length": str(len(body)), **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        line = f"{self.command} {unquote(urlsplit(self.path).path)}"
        with self.hub.lock:
            self.hub.requests.append(Request(line, status, "Authorization" in self.headers, self.elsewhere))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub


class Origins:
    """Two origins on free ports: the hub, and the one that it sends those to who ask for large files."""

    def __init__(self) -> None:
        self.servers = [_Server(("127.0.0.1", 0), partial(_Handler, elsewhere)) for elsewhere in (False, True)]
        self.ports = (self.servers[0].server_address[1], self.servers[1].server_address[1])

    def close(self) -> None:
        for server in self.servers:
            server.server_close()


@contextmanager
def serving(root: Path, origins: Origins | None = None) -> Iterator[Hub]:
    """Serve the repositories below a folder, on two free ports or on those of `origins`, which are left open."""
    hub, used = Hub(root), origins or Origins()
    hub.ports = used.ports
    for server in used.servers:
        server.hub = hub
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        for server in used.servers:
            server.shutdown()
        if origins is None:
            used.close()
