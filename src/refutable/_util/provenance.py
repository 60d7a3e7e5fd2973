"""Provenance: versions, commit, device and claims, but no host name and no path."""

from __future__ import annotations

import functools
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "refutable",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scipy",
    "pyarrow",
    "pytest",
    "hypothesis",
)


def provenance(
    root: Path, device: str, claims: str, options: dict[str, str], files: Sequence[Path] = ()
) -> dict[str, Any]:
    """Return what a report says about a run.

    Args:
        root: folder whose git commit is reported.
        device, claims, options: the device in words, the hash of the claims, and the options that affect verdicts.
        files: files that the run read and that belong in the commit; an untracked one makes it dirty.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version_of(name) for name in PACKAGES},
        "device": device,
        "claims_hash": claims,
        "options": options,
        **_git(root, files),
    }


@functools.cache
def version_of(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed; cached, since looking it up reads a file."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def with_version(package: str, packages: Mapping[str, str | None]) -> str:
    """Return ``torch 2.13.0``, or ``no torch`` if it is not among the packages of a run's provenance."""
    version = packages.get(package)
    return f"{package} {version}" if version is not None else f"no {package}"


def _git(root: Path, files: Sequence[Path]) -> dict[str, Any]:
    commit = _run(root, "rev-parse", "HEAD")
    changes = _run(root, "status", "--porcelain", "--untracked-files=no") if commit else None
    if changes is None:
        return {"git_commit": commit, "git_dirty": None}
    paths = [str(file.absolute()) for file in files]
    tracked = not paths or _run(root, "ls-files", "--error-unmatch", "--", *paths) is not None
    return {"git_commit": commit, "git_dirty": bool(changes) or not tracked}


def _run(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
