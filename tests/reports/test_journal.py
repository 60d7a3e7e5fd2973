"""A run written and read back: nothing is changed on the way, and files of earlier versions are read."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from generated_rows import runs
from hypothesis import given, settings
from places import ROOT

from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import as_json, json_text, read_verdicts
from refutable.reports.formats.verdicts_schema import verdicts_schema
from refutable.reports.journal import Journal, RunResult, read_journal
from refutable.reports.selection import Selection

PUBLISHED = ROOT / "reports" / "published" / "verdicts.json"
SCHEMA = jsonschema.Draft202012Validator(verdicts_schema())


def by_id(run: RunResult) -> RunResult:
    rows = tuple(sorted(run.rows, key=lambda row: row.id))
    return replace(run, rows=rows, checks=tuple(sorted(run.checks, key=lambda check: check.name)))


@given(runs(3))
@settings(max_examples=15, deadline=None)
def test_verdicts_json_obeys_its_schema_and_is_read_back_as_it_was(run: RunResult) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "verdicts.json"
        path.write_text(json_text(run), encoding="utf-8")
        SCHEMA.validate(json.loads(path.read_text(encoding="utf-8")))
        assert as_json(read_verdicts(path)) == as_json(run)


@given(runs(3))
@settings(max_examples=15, deadline=None)
def test_the_journal_is_read_back_as_it_was(run: RunResult) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path, run.provenance)
        if run.selection is not None:
            journal.selection(run.selection)
        for row in run.rows:
            journal.verdict(row)
        for check in run.checks:
            journal.check(check)
        if run.comparison is not None:
            journal.comparison(run.comparison)
        journal.close(complete=run.complete)
        assert as_json(by_id(read_journal(path))) == as_json(run)


def test_a_file_of_an_earlier_version_has_no_selection(tmp_path: Path) -> None:
    data = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({name: data[name] for name in data if name not in ("selection", "comparison")}))
    run = read_verdicts(path)
    assert (run.selection, run.comparison) == (None, None)
    assert run.rows


@pytest.mark.parametrize(
    "wrong", [{"selection": [1]}, {"selection": {"cases": -1, "of": 2}}, {"comparison": {"changed": 1}}]
)
def test_a_selection_that_is_none_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    data = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({**data, "verdicts": data["verdicts"][:1], **wrong}), encoding="utf-8")
    with pytest.raises(BadInput, match=r"not a verdicts\.json of this version"):
        read_verdicts(path)


def test_a_selection_in_words() -> None:
    assert str(Selection(cases=2, of=8, by=("-k rotary",))) == "2 of 8 cases (-k rotary)"
    assert str(Selection(cases=8, of=8)) == "8 of 8 cases"
    assert [Selection(cases=n, of=8).whole for n in (7, 8)] == [False, True]
