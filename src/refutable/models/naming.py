"""What a word that names no model may mean, and how to write it."""

from __future__ import annotations

import re
from pathlib import Path

from refutable._util.reading import exists
from refutable._util.text import shortened

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
ALLOWED = (
    "give a folder of safetensors and config.json, a GGUF file, OWNER/NAME of a repository on the hub, or a name of the"
    " registry (refutable models)"
)
_ADDRESS = re.compile(
    r"(?:https?://[^/]+|(?:www\.)?(?:huggingface\.co|hf\.co))/+(?P<kind>(?:datasets|spaces)/)?"
    rf"(?P<repo>{REPOSITORY.pattern})(?P<rest>/[^?#]*)?(?:[?#].*)?"
)
_OF_A_REVISION = re.compile(r"/(?:tree|commit)/(?P<revision>[^/]+)/?")
_WITH_MORE = re.compile(rf"(?P<repo>{REPOSITORY.pattern})(?P<sign>[@:])(?P<more>.+)")


def is_gguf(path: str) -> bool:
    """Whether a file's name says that it is a GGUF file."""
    return path.lower().endswith(".gguf")


def misnamed(given: str) -> str:
    """Return what to tell of a word that is neither a path nor a repository, and how to write what it may mean."""
    if not given.strip():
        return f"the model's name is empty; {ALLOWED}"
    return f"{shortened(given, most=200)}: {_reason(given)}"


def _reason(given: str) -> str:
    if found := _ADDRESS.fullmatch(given):
        if found["kind"]:
            return f"the address of one of the hub's {found['kind'].rstrip('/')}, and of no model; {ALLOWED}"
        return _address(found["repo"], found["rest"] or "")
    if "://" in given:
        return f"an address, from which nothing is read; {ALLOWED}"
    path = Path(given)
    if exists(path):
        return f"neither a file nor a folder, but a pipe or a device; {ALLOWED}"
    if _is_link(path):
        return "a link that leads nowhere; mend it, or give the path that it should lead to"
    if given.startswith("~"):
        return "`~` was not written out by the shell; give the whole path"
    if found := _WITH_MORE.fullmatch(given):
        if found["sign"] == "@":
            return f"a revision is given by itself: --model {found['repo']} --revision {found['more']}"
        return f"one file of a repository is not read by its name; download it, and give its path, or {found['repo']}"
    return f"no such folder or file; {ALLOWED}"


def _address(repo: str, rest: str) -> str:
    if is_gguf(rest):
        return f"an address; download the file, and give its path: --model {rest.rsplit('/', 1)[1]}"
    revision = _OF_A_REVISION.fullmatch(rest)
    apart = f" --revision {revision['revision']}" if revision else ""
    return f"an address; write the repository alone: --model {repo}{apart}"


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False
