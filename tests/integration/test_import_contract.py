"""The import contract of pyproject.toml: it holds, and an import that points upward breaks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

PLANTED = {
    "_util/text.py": "from refutable.models.subject import Subject",
    "statistics/mean.py": "from refutable.verdicts.judge import judge",
    "verdicts/judge.py": "def late():\n    from refutable.measurement.session import measure_subject",
    "a_room_that_nobody_named.py": "",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the package."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run(
        [*command, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_no_room_imports_one_above_it(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_upward_import_breaks_the_contract(copy: Path, name: str) -> None:
    file = copy / "src" / "refutable" / name
    before = file.read_text(encoding="utf-8") if file.exists() else '"""New."""\n'
    file.write_text(f"{before}\n{PLANTED[name]}\n", encoding="utf-8")
    done = lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout or "exhaustive" in done.stdout
