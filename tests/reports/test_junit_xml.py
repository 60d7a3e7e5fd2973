"""junit.xml and junit-strict.xml: small, valid, and read by other people's readers as they are meant."""

from __future__ import annotations

import dataclasses
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import junitparser
import pytest
import xmlschema
from generated_rows import runs
from hypothesis import given, settings
from places import ROOT

from refutable.reports.formats.junit_xml import FILE, STRICT, write, write_strict
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.journal import Check, RunResult
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit-strict.xsd")))
PUBLISHED = read_verdicts(ROOT / "reports" / "published" / "verdicts.json")
TAGS = {Verdict.SUPPORTED: None, Verdict.REFUTED: "failure", Verdict.ERROR: "error"}
ASKED = (  # what machines read, where there is any
    *("verdict", "estimate", "low", "high", "level", "n", "unit", "p", "alpha", "effect_size", "labels", "models"),
    *("weights_kind", "dtype", "device", "tap", "claim_hash", "prompt_set_hash", "traces"),
)


def written(run: RunResult) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        write(run, None, Path(folder))
        write_strict(run, None, Path(folder))
        files = [(Path(folder) / name).read_text(encoding="utf-8") for name in (FILE, STRICT)]
        return files[0], files[1]


def default_run() -> RunResult:
    """Return the published verdicts among as many that were not measured as the default run has."""
    first = PUBLISHED.rows[0]
    why = "pythia-6.9b was not selected. To measure: pytest --model pythia-6.9b -k attention-contracts-97"
    absent = VerdictRow(Verdict.NOT_MEASURED, "< 1", why, id="", claim=first.claim, subject="m", about=first.about)
    name = "attention-contracts-97-over-kinds-pythia-410m"
    assert PUBLISHED.selection is not None
    unmeasured = PUBLISHED.selection.of - len(PUBLISHED.rows)
    more = tuple(dataclasses.replace(absent, id=f"{name}-{n}") for n in range(unmeasured))
    return dataclasses.replace(PUBLISHED, rows=PUBLISHED.rows + more)


def test_a_case_takes_less_than_a_kilobyte() -> None:
    """Those that were not measured are counted in, and take a third of one."""
    run = default_run()
    assert max(len(text.encode()) for text in written(run)) < 800 * len(run.rows)


@given(runs(3))
@settings(max_examples=15, deadline=None)
def test_it_is_valid_whatever_the_run_holds(run: RunResult) -> None:
    plain, strict = written(run)
    SCHEMA.validate(strict)
    tree = ET.fromstring(plain)
    for case in tree.iter("testcase"):
        for properties in case.findall("properties"):
            assert len(properties)
            case.remove(properties)
    SCHEMA.validate(ET.tostring(tree, encoding="unicode"))


def test_the_schema_refuses_what_a_strict_reader_refuses() -> None:
    plain, strict = written(PUBLISHED)
    assert not SCHEMA.is_valid(plain), "properties of a testcase are in no published schema"
    for old, new in (('time="', 'time="1e3'), ("<system-out>", "<properties/><system-out>"), (' errors="0"', "")):
        assert not SCHEMA.is_valid(strict.replace(old, new, 1)), new


def test_every_verdict_comes_out_as_it_should() -> None:
    row = next(row for row in PUBLISHED.rows if row.estimate is not None and row.estimate.p is not None)
    rows = tuple(dataclasses.replace(row, id=verdict.value.lower(), verdict=verdict) for verdict in Verdict)
    for text in written(RunResult({}, rows)):
        root = ET.fromstring(text)
        for case, verdict in zip(
            root.iter("testcase"), sorted(Verdict, key=lambda one: one.value.lower()), strict=True
        ):
            told = [one for one in case if one.tag not in ("properties", "system-out")]
            assert [one.tag for one in told] == ([tag] if (tag := TAGS.get(verdict, "skipped")) else [])
            assert all(one.text for one in told), "GitLab shows the text alone"
        assert "INCONCLUSIVE" in text


def test_evidence_is_said_once_and_numbers_are_properties() -> None:
    row = next(row for row in PUBLISHED.rows if row.verdict is Verdict.REFUTED and row.controls and row.labels)
    case = next(ET.fromstring(written(RunResult({}, (row,)))[0]).iter("testcase"))
    properties = {one.get("name"): one.get("value") or "" for one in case.iter("property")}
    assert [name for name in ASKED if not properties.get(name)] == (
        ["effect_size"] if "effect_size" not in properties else []
    )
    assert float(properties["estimate"]) == row.estimate.value
    assert properties["claim_hash"] == row.about["claim_hash"][:12]
    assert properties["traces"].split(", ") == [key[:12] for key in row.traces]
    assert max(len(name) + len(value) for name, value in properties.items() if name != "traces") < 200
    failure = case.find("failure")
    assert failure is not None
    assert failure.text == row.evidence()
    assert failure.get("message") == f"REFUTED: {row.why}"


@pytest.mark.parametrize("which", [0, 1])
def test_junitparser_reads_the_counts_and_the_properties(which: int, tmp_path: Path) -> None:
    run = dataclasses.replace(
        PUBLISHED,
        checks=(*PUBLISHED.checks, Check("a", "failed", "no\nat all", 0.0), Check("b", "skipped", "why", 0.0)),
    )
    path = tmp_path / "junit.xml"
    path.write_text(written(run)[which], encoding="utf-8")
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    counted = Counter(row.verdict for row in run.rows)
    cases = list(suite)
    assert suite.tests == len(cases) == len(run.rows) + len(run.checks)
    assert suite.failures == counted[Verdict.REFUTED] + 1 == sum(case.is_failure for case in cases)
    assert suite.skipped == counted[Verdict.INCONCLUSIVE] + 1 == sum(case.is_skipped for case in cases)
    assert suite.errors == counted[Verdict.ERROR] == sum(case.is_error for case in cases)
    assert len({(case.classname, case.name) for case in cases}) == len(cases), "GitLab takes one of each name"
    found = next(case for case in cases if case.name == run.rows[0].id)
    if which == 0:
        assert {one.name: one.value for one in found.child(junitparser.Properties)}["verdict"] == run.rows[
            0
        ].verdict.value
    else:
        assert f"verdict: {run.rows[0].verdict.value}" in found.system_out


def test_it_names_no_host_and_no_list_of_members() -> None:
    for text in written(PUBLISHED):
        suite = ET.fromstring(text).find("testsuite")
        assert suite is not None
        assert suite.get("hostname") is None
        names = {one.get("name") for one in suite.findall("properties/property")}
        assert {"packages.torch", "git_commit", "git_dirty", "device", "complete"} <= names
        assert not any(name.startswith("families") for name in names if name)
