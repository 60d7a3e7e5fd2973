"""claims.lock: what each claim said, since when, and which data existed then. One line per claim.

The file is the author's word: its dates are as credible as its own history (in git, for example). `status` compares a
run with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AwareDatetime, Field, ValidationError

from refutable._util.atomic import write_whole
from refutable._util.schema_errors import explain
from refutable._util.strict_yaml import Frozen, read_yaml
from refutable.errors import BadInput

VERSION = 1
_HEAD = f"""\
# What each claim was when it was locked (UTC), and the models whose numbers had been seen by then.
# Written by `refutable lock`, never by hand. After a merge keep the lines of both sides and run it again.
schema: {VERSION}
claims:
"""
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class LockedForm(Frozen):
    """A claim as it was locked once."""

    hash: Hash = Field(description="of everything that decides it; see status.hash_of")
    locked: AwareDatetime


class Locked(LockedForm):
    """A claim as it is locked now, and as it was before."""

    seen: tuple[str, ...] = Field(
        default=(), description="models whose numbers on its prompts existed when it was locked"
    )
    history: tuple[LockedForm, ...] = Field(default=(), description="earlier forms, the latest first")
    removed: AwareDatetime | None = Field(default=None, description="when it was found to have left the file")


class _LockFile(Frozen):
    schema_version: Literal[1] = Field(alias="schema")
    claims: dict[str, Locked]


Lock = Mapping[str, Locked]


@dataclass(frozen=True, slots=True)
class Update:
    """What locking changes.

    Attributes:
        lock: every entry to be written.
        new: ids of claims that were not locked.
        changed: ids of claims that were locked in another form.
        removed: ids of claims that are no longer in the file.
        back: ids of claims that had left the file and are in it again, in the same form.
        unchanged: how many claims stay as they were.
    """

    lock: Lock
    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    back: tuple[str, ...]
    unchanged: int

    @property
    def nothing(self) -> bool:
        """Whether the lock is up to date."""
        return not (self.new or self.changed or self.removed or self.back)


def lock_file(claims: Path) -> Path:
    """Return the path of a claims file's lock: beside it, with the same stem."""
    return claims.with_suffix(".lock")


def read_lock(path: Path) -> Lock:
    """Read a lock; a missing file locks nothing.

    Raises:
        BadInput: it is not a lock; every problem is named with its line.
    """
    if not path.exists():
        return {}
    source = read_yaml(path)
    try:
        data = source.data if isinstance(source.data, dict) else {}
        filled = {**data, "claims": data["claims"] or {}} if "claims" in data else data
        return _LockFile.model_validate(filled).claims
    except ValidationError as error:
        problems = explain(error, source, fields={"": ["schema", "claims"], "history": [*LockedForm.model_fields]})
        raise BadInput("\n".join(f"{problem}; `refutable lock` writes this file" for problem in problems)) from None


def updated(lock: Lock, hashes: Mapping[str, str], seen: Mapping[str, tuple[str, ...]], now: datetime) -> Update:
    """Return the lock of these claims.

    A new or changed claim is locked now, with its earlier forms in its history. A claim that left the file keeps its
    line.

    Args:
        lock: the old one.
        hashes: of each claim of the file, by id.
        seen: for each claim, the models whose numbers its author could have seen by now.
        now: in UTC.
    """
    entries = dict(lock)
    new = tuple(name for name in hashes if name not in lock)
    changed = tuple(name for name in hashes if name in lock and lock[name].hash != hashes[name])
    removed = tuple(name for name in lock if name not in hashes and lock[name].removed is None)
    for name in (*new, *changed):
        was = lock.get(name)
        history = () if was is None else (LockedForm(hash=was.hash, locked=was.locked), *was.history)
        entries[name] = Locked(hash=hashes[name], locked=now, seen=seen.get(name, ()), history=history)
    for name in removed:
        entries[name] = lock[name].model_copy(update={"removed": now})
    for name in hashes:
        entries[name] = entries[name].model_copy(update={"removed": None})
    back = tuple(name for name in hashes if name in lock and lock[name].removed is not None and name not in changed)
    return Update(entries, new, changed, removed, back, len(hashes) - len(new) - len(changed) - len(back))


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock: sorted by id, one line per claim, deterministic."""
    lines = (f"  {_word(name)}: {_line(lock[name])}\n" for name in sorted(lock))
    write_whole(path, _HEAD + "".join(lines) if lock else _HEAD.rstrip("\n") + " {}\n")


def shown(moment: datetime) -> str:
    """Return a time as the lock writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _line(entry: Locked) -> str:
    parts = [f'hash: "{entry.hash}"', f"locked: {shown(entry.locked)}"]
    if entry.seen:
        parts.append(f"seen: [{', '.join(map(_word, sorted(entry.seen)))}]")
    if entry.removed is not None:
        parts.append(f"removed: {shown(entry.removed)}")
    if entry.history:
        earlier = (f'{{hash: "{one.hash}", locked: {shown(one.locked)}}}' for one in entry.history)
        parts.append(f"history: [{', '.join(earlier)}]")
    return "{" + ", ".join(parts) + "}"


def _word(text: str) -> str:
    """Return a name as YAML reads it back, quoted if it looks like a number or a date."""
    return text if yaml.safe_load(text) == text else f'"{text}"'
