"""junit.xml and junit-strict.xml, for continuous-integration servers.

Written from the run, not by pytest, so that they are the same in series, under xdist, and rebuilt from a journal. They
name no host. A testcase's evidence stands in them once, and its properties are short: verdicts.json has the rest.

No published schema of JUnit's XML knows properties of a testcase, and most readers do. So there are two files:
``junit.xml`` has them, and in ``junit-strict.xml``, for readers that validate, they are text in ``system-out``.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refutable._util.atomic import write_whole
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import Check, RunResult
from refutable.traces.store import Store
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

FILE = "junit.xml"
STRICT = "junit-strict.xml"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELSEWHERE = ("families", "tested_cases")  # of a run's provenance: long lists that verdicts.json has
_TAGS = {"failed": "failure", "error": "error"}
_OUTCOMES = {Verdict.SUPPORTED: "passed", Verdict.REFUTED: "failed", Verdict.ERROR: "error"}


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write junit.xml."""
    _write(_tree(run), folder / FILE)


def write_strict(run: RunResult, store: Store, folder: Path) -> None:
    """Write junit-strict.xml."""
    root = _tree(run)
    for case in root.iter("testcase"):
        if (properties := case.find("properties")) is not None:
            case.remove(properties)
            told = (f"{one.get('name')}: {one.get('value')}" for one in properties)
            ET.SubElement(case, "system-out").text = "\n".join(told)
    _write(root, folder / STRICT)


REPORTS.add(Report(FILE, write))
REPORTS.add(Report(STRICT, write_strict))


def _write(root: ET.Element, path: Path) -> None:
    write_whole(path, ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _tree(run: RunResult) -> ET.Element:
    root = ET.Element("testsuites")
    outcomes = [_outcome(row) for row in run.rows] + [check.outcome for check in run.checks]
    suite = ET.SubElement(
        root,
        "testsuite",
        name="refutable",
        tests=str(len(outcomes)),
        failures=str(outcomes.count("failed")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time=_time(sum(row.seconds for row in run.rows) + sum(check.seconds for check in run.checks)),
        timestamp=str(run.provenance.get("started", "")),
    )
    _properties(suite, _about(run))
    suite.extend(_claim_case(row) for row in sorted(run.rows, key=lambda row: row.id))
    suite.extend(_check_case(check) for check in sorted(run.checks, key=lambda check: check.name))
    suite.text = "\n"
    for element in suite:  # a line each, so that two files can be compared
        element.tail = "\n"
    return root


def _about(run: RunResult) -> dict[str, str]:
    """Return what is said of the whole run."""
    told = _flat({name: value for name, value in run.provenance.items() if name not in _ELSEWHERE})
    selection = {} if run.selection is None else {"selection": str(run.selection)}
    return {**told, "complete": str(run.complete), **selection}


def _claim_case(row: VerdictRow) -> ET.Element:
    case = ET.Element("testcase", classname=f"claims.{row.claim}", name=_clean(row.id), time=_time(row.seconds))
    _properties(case, row.properties())
    match row.verdict:
        case Verdict.REFUTED:
            _say(case, "failure", row.evidence(), message=f"REFUTED: {row.why}", type="REFUTED")
        case Verdict.INCONCLUSIVE:
            _say(case, "skipped", f"inconclusive: {row.why}")
        case Verdict.NOT_MEASURED:
            _say(case, "skipped", f"not measured: {row.why}")
        case Verdict.ERROR:
            _say(case, "error", row.evidence(), message=f"ERROR: {row.why}", type="ERROR")
    return case


def _check_case(check: Check) -> ET.Element:
    case = ET.Element("testcase", classname="checks", name=_clean(check.name), time=_time(check.seconds))
    told = check.message or check.outcome
    match check.outcome:
        case "skipped":
            _say(case, "skipped", told)
        case "failed" | "error":
            _say(case, _TAGS[check.outcome], told, message=told.splitlines()[0], type=check.outcome)
    return case


def _outcome(row: VerdictRow) -> str:
    return _OUTCOMES.get(row.verdict, "skipped")


def _say(case: ET.Element, kind: str, text: str, **attributes: str) -> None:
    """Say how a case came out. Every reader finds the text; some schemas know no message of a skipped case."""
    attributes = {name: _clean(value) for name, value in attributes.items()}
    ET.SubElement(case, kind, attributes).text = _clean(text)


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            flat[f"{prefix}{name}"] = ", ".join(map(str, value))
        elif value is not None:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def _clean(text: str) -> str:
    """Replace what XML 1.0 cannot contain by the Unicode replacement character."""
    return _NOT_XML.sub("\ufffd", text)
