"""`refutable report`, `diff` and `publish` on a folder: they take the run that is in it, and never a traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from places import ROOT
from typer.testing import CliRunner, Result

from refutable.cli import app
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import Journal

PUBLISHED = ROOT / "reports" / "published" / "verdicts.json"


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a small verdicts.json alone."""
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "reports"
    folder.mkdir()
    data = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    (folder / "verdicts.json").write_text(json.dumps({**data, "verdicts": data["verdicts"][:3]}), encoding="utf-8")
    return folder


def test_a_folder_with_a_journal_is_rebuilt_from_it(folder: Path) -> None:
    run = read_verdicts(folder / "verdicts.json")
    journal = Journal(folder / "journal.jsonl", run.provenance)
    journal.verdict(run.rows[0])
    journal.close(complete=True)
    told = called("report", folder)
    assert told.exit_code == 0, told.output
    assert told.output == "1 verdict and 0 checks rebuilt; the run is complete\n"
    assert [row.id for row in read_verdicts(folder).rows] == [run.rows[0].id]


def test_a_folder_with_verdicts_alone_is_rebuilt_into_another(folder: Path, tmp_path: Path) -> None:
    before = (folder / "verdicts.json").read_bytes()
    told = called("report", folder)
    assert told.exit_code == 4
    assert "write its reports elsewhere: --out DIR" in told.output
    assert called("report", folder, "--out", tmp_path / "out").exit_code == 0
    assert [row.id for row in read_verdicts(tmp_path / "out").rows] == [row.id for row in read_verdicts(folder).rows]
    assert [file.name for file in folder.iterdir()] == ["verdicts.json"]
    assert (folder / "verdicts.json").read_bytes() == before


def test_a_folder_with_neither_says_what_is_missing(tmp_path: Path) -> None:
    told = called("report", tmp_path)
    assert told.exit_code == 4
    assert told.output.startswith(f"ERROR: {tmp_path / 'journal.jsonl'}: no such file; run pytest first")


def test_folders_are_compared_by_the_runs_in_them(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "b")
    told = called("diff", folder, tmp_path / "b")
    assert told.exit_code == 0
    assert told.output.startswith("no verdict changed and no estimate moved\n")


def test_a_file_where_a_folder_belongs_is_said_in_words(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    told = called("report", folder, "--out", tmp_path / "file")
    assert told.exit_code == 4
    assert told.output.startswith("ERROR: ")
    assert not isinstance(told.exception, OSError)
