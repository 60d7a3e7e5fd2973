"""Whether a run's commit holds what the run read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from refutable._util.provenance import provenance
from refutable.claims.file import read_claims

CLAIM = "claims:\n  - {id: NAME, statement: s, evidence: none, reason: r}\n"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository with one commit, and in it claims of two files, neither of them tracked."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "start")
    (folder / "claims.yaml").write_text("schema: 1\ninclude: [part.yaml]\n" + CLAIM.replace("NAME", "a"))
    (folder / "part.yaml").write_text("schema: 1\n" + CLAIM.replace("NAME", "b"))
    return folder


def dirty(folder: Path) -> bool | None:
    loaded = read_claims(folder / "claims.yaml")
    assert [file.name for file in loaded.files] == ["part.yaml", "claims.yaml"]
    found: bool | None = provenance(folder, "CPU", "", {}, loaded.files)["git_dirty"]
    return found


def test_claims_that_are_not_tracked_are_not_of_the_commit(folder: Path) -> None:
    assert dirty(folder) is True
    git(folder, "add", "claims.yaml")
    git(folder, "commit", "-qm", "claims")
    assert dirty(folder) is True  # what they include is not
    git(folder, "add", "part.yaml")
    git(folder, "commit", "-qm", "part")
    assert dirty(folder) is False
    (folder / "part.yaml").write_text((folder / "part.yaml").read_text() + "# changed\n")
    assert dirty(folder) is True


def test_ignored_claims_are_not_of_the_commit(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.yaml\n")
    git(folder, "add", ".gitignore")
    git(folder, "commit", "-qm", "ignore")
    assert dirty(folder) is True


def test_claims_from_elsewhere_are_not_of_the_commit(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "claims.yaml"
    elsewhere.write_text("schema: 1\n" + CLAIM.replace("NAME", "a"))
    assert provenance(folder, "CPU", "", {}, (elsewhere,))["git_dirty"] is True


def test_another_untracked_file_makes_nothing_dirty(folder: Path) -> None:
    assert provenance(folder, "CPU", "", {})["git_dirty"] is False


def test_without_a_repository_nothing_is_said(tmp_path: Path) -> None:
    told = provenance(tmp_path, "CPU", "", {}, (tmp_path / "claims.yaml",))
    assert (told["git_commit"], told["git_dirty"]) == (None, None)
