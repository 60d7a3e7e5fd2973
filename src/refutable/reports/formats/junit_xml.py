"""junit.xml, for continuous-integration servers.

Written from the run, not by pytest, so that it is the same in series, under xdist, and rebuilt from a journal. It names
no host.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from refutable._util.atomic import write_whole
from refutable.reports.formats import REPORTS, Report
from refutable.reports.journal import Check, RunResult
from refutable.traces.store import Store
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

FILE = "junit.xml"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(run: RunResult, store: Store, folder: Path) -> None:
    """Write junit.xml."""
    root = ET.Element("testsuites")
    root.append(_suite(run))
    ET.indent(root)
    write_whole(folder / FILE, ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


REPORTS.add(Report("junit.xml", write))


def _suite(run: RunResult) -> ET.Element:
    outcomes = [_outcome(row) for row in run.rows] + [check.outcome for check in run.checks]
    suite = ET.Element(
        "testsuite",
        name="refutable",
        tests=str(len(outcomes)),
        failures=str(outcomes.count("failed")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time=f"{sum(row.seconds for row in run.rows) + sum(c.seconds for c in run.checks):.3f}",
        timestamp=str(run.provenance.get("started", "")),
    )
    _properties(suite, {**_flat(dict(run.provenance)), "complete": str(run.complete)})
    for row in sorted(run.rows, key=lambda row: row.id):
        suite.append(_claim_case(row))
    for check in sorted(run.checks, key=lambda check: check.name):
        suite.append(_check_case(check))
    return suite


def _claim_case(row: VerdictRow) -> ET.Element:
    case = ET.Element("testcase", classname=f"claims.{row.claim}", name=_clean(row.id), time=f"{row.seconds:.3f}")
    _properties(case, row.properties())
    match row.verdict:
        case Verdict.REFUTED:
            _say(case, "failure", f"REFUTED: {row.why}", row.evidence())
        case Verdict.INCONCLUSIVE:
            _say(case, "skipped", f"inconclusive: {row.why}", "")
        case Verdict.NOT_MEASURED:
            _say(case, "skipped", f"not measured: {row.why}", "")
        case Verdict.ERROR:
            _say(case, "error", f"ERROR: {row.why}", row.evidence())
    return case


def _check_case(check: Check) -> ET.Element:
    case = ET.Element("testcase", classname="checks", name=_clean(check.name), time=f"{check.seconds:.3f}")
    kind = {"failed": "failure", "error": "error", "skipped": "skipped"}.get(check.outcome)
    if kind is not None:
        _say(case, kind, check.message.splitlines()[0] if check.message else check.outcome, check.message)
    return case


def _outcome(row: VerdictRow) -> str:
    return {Verdict.SUPPORTED: "passed", Verdict.REFUTED: "failed", Verdict.ERROR: "error"}.get(row.verdict, "skipped")


def _say(case: ET.Element, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, kind, message=_clean(message))
    if text:
        element.text = _clean(text)


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
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
