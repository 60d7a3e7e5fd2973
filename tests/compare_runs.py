"""Compare two folders of reports: whether every verdict, estimate, label, control and measurement is the same.

    python tests/compare_runs.py BEFORE AFTER

What may differ between two runs of the same claims is left out: provenance, seconds, the commit. Prints what differs,
at most `SHOWN` lines a file, and exits 1 where anything does.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHOWN = 10
TABLES = ("measurements.csv", "layers.csv", "categories.csv", "variations.csv", "controls.csv")


def main(before: Path, after: Path) -> int:
    """Print every difference and return the exit status."""
    different = 0
    for name, read in (("verdicts.json", verdicts), ("junit.xml", testcases), *((name, lines) for name in TABLES)):
        found = list(differences(read(before / name), read(after / name)))
        different += len(found)
        print(f"{name}: {len(read(before / name))} entries, {len(found)} differ")
        for text in found[:SHOWN]:
            print(f"  {text}")
    return 1 if different else 0


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield each entry that is in one of two reports only, or in both and not the same."""
    for name in before | after:
        if name not in before or name not in after:
            yield f"{name}: only {'after' if name in after else 'before'}"
        elif before[name] != after[name]:
            yield f"{name}: {described(before[name], after[name])}"


def described(before: Any, after: Any) -> str:
    """Return where two entries differ, in one line."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in before | after if before.get(key) != after.get(key)]
        return "; ".join(f"{key} was {str(before.get(key))[:160]}, is {str(after.get(key))[:160]}" for key in keys)
    return f"was {str(before)[:160]}, is {str(after)[:160]}"


def verdicts(file: Path) -> dict[str, Any]:
    """Return the rows of a verdicts.json by id, without their seconds, and the checks' outcomes by name."""
    data = json.loads(file.read_text(encoding="utf-8"))
    rows = {row["id"]: {key: value for key, value in row.items() if key != "seconds"} for row in data["verdicts"]}
    return {**rows, **{check["name"]: check["outcome"] for check in data["checks"]}, "complete": data["complete"]}


def testcases(file: Path) -> dict[str, Any]:
    """Return each testcase of a junit.xml by name: its outcome with its text, and its properties."""
    cases = {}
    for case in ET.parse(file).getroot().iter("testcase"):
        found: dict[str, str] = {}
        for element in case.iter():
            if element.tag == "property":
                found[element.attrib["name"]] = element.attrib.get("value") or element.text or ""
            elif element.tag in ("failure", "error", "skipped"):
                found[element.tag] = f"{element.attrib.get('message')}\n{element.text or ''}"
        cases[f"{case.attrib['classname']} {case.attrib['name']}"] = found
    return cases


def lines(file: Path) -> dict[str, Any]:
    """Return the lines of a table by number."""
    return dict(enumerate(file.read_text(encoding="utf-8").splitlines())) if file.is_file() else {}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
