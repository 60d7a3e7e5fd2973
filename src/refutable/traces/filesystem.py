"""From a URL to a filesystem of fsspec; what filesystems say differently, and messages for what is wrong with them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refutable._util.text import printable, whole_reason
from refutable.errors import BadInput, UnknownName

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_HALF = re.compile(r"[a-z][a-z0-9+-]+:/(?!/)")  # s3:/bucket; a drive of Windows has one letter
_LOCAL = ("file", "local")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "obs")
_OPTIONS: dict[str, dict[str, Any]] = {  # one request an object, which is then one version of itself
    protocol: {"max_concurrency": 1} for protocol in ("s3", "s3a")
}


def place_of(named: str) -> Path | str:
    """Return the folder or the URL that a user means.

    Raises:
        BadInput: it is half a URL, or one that is made of several.
    """
    if "::" in named and "://" in named:
        raise BadInput(f"{shown(named)}: URLs that are made of several are not taken; name the store itself")
    if named.partition(":/")[0] in _LOCAL and _HALF.match(named):
        return Path(named.partition(":")[2])
    if _HALF.match(named):
        raise BadInput(f"{named}: a URL begins with two slashes ({named.replace(':/', '://', 1)}), a folder otherwise")
    match = _URL.match(named)
    if match is None:
        return Path(named)
    protocol = match[1].lower()
    return Path(named[match.end() :]) if protocol in _LOCAL else f"{protocol}://{named[match.end() :].rstrip('/')}"


def shown(url: str) -> str:
    """Return a URL without a password in it."""
    return re.sub(r"://([^/@:]*):[^/@]*@", r"://\1:***@", url)


def opened(url: str) -> tuple[Any, str]:
    """Return the filesystem of a URL, and its path there; asks no server.

    Raises:
        BadInput: no such filesystem, its package is missing, or it names no bucket.
    """
    import fsspec
    from fsspec.registry import known_implementations

    protocol = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        raise BadInput(f"{shown(url)}: {_missing(protocol, known_implementations)}") from None
    except ValueError:
        raise UnknownName(f"{shown(url)}: unknown kind of store", protocol, fsspec.available_protocols()) from None
    try:
        # Listings are not kept, since other machines write.
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **_OPTIONS.get(protocol, {}))
    except Exception as error:  # whatever a filesystem says of its URL
        raise BadInput(f"{shown(url)}: cannot be opened ({whole_reason(error)})") from None
    root = root.rstrip("/")
    if protocol in _BUCKETS and not root:
        raise BadInput(f"{shown(url)} names no bucket; write {protocol}://BUCKET or {protocol}://BUCKET/PREFIX")
    if protocol in _OPTIONS:
        fs.retries = 1  # s3fs would try 25 times what botocore below it tries 5 times, and `tried_again` above it
    return fs, root


def has_bucket(fs: Any, root: str) -> bool:
    """Whether what holds a store exists: a bucket has to, while a folder is made when something is written."""
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    return protocols.isdisjoint(_BUCKETS) or bool(fs.exists(root.strip("/").partition("/")[0]))


def write_over(fs: Any, place: str, content: bytes) -> None:
    """Write an object, and the folder that it is in where a filesystem has folders."""
    try:
        fs.pipe_file(place, content)
    except FileNotFoundError:
        fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(place, content)


def reason(error: BaseException) -> str:
    """Return why, in one line, and what would help where that is known."""
    told = re.sub(r"^\[Errno -?\d+\] ", "", whole_reason(error))
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        told += "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or FSSPEC_S3_ANON=true"
    elif isinstance(error, PermissionError):
        told = f"permission denied ({told})"
    return printable(told)


def written(info: Mapping[str, Any]) -> float:
    """Return when an object was written, in seconds since 1970; now where its filesystem does not say."""
    for name in _TIMES:
        match info.get(name):
            case datetime() as moment:
                return moment.timestamp()
            case int() | float() as seconds:
                return float(seconds)
            case str() as text:
                with suppress(ValueError):
                    moment = datetime.fromisoformat(text)
                    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return time.time()


def _missing(protocol: str, known: dict[str, Any]) -> str:
    if protocol in ("s3", "s3a"):
        return "this takes s3fs, which is not installed here: pip install 'refutable[s3]'"
    package = str(known[protocol]["class"]).partition(".")[0]
    if package == "fsspec":  # a filesystem of its own, on somebody else's client
        return str(known[protocol].get("err") or f"{protocol} cannot be imported")
    return f"this takes {package}, which is not installed here: pip install {package}"
