"""README shows what a reader sees: its claim, its command and its output, character for character but for times."""

from __future__ import annotations

import os
import re
import shlex

import pytest
from places import ROOT

from .conftest import Suite, needs_wheel

README = (ROOT / "README.md").read_text(encoding="utf-8")


def timeless(text: str) -> str:
    """Return a terminal's text without times and without blanks at the ends of lines."""
    lines = re.sub(r"\b\d+\.\d\ds\b", "0.00s", text).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


@pytest.mark.wheel
@needs_wheel
def test_the_claim_of_the_readme_brings_the_answer_of_the_readme(suite: Suite) -> None:
    claims = re.search(r"```yaml\n(schema: .*?)```", README, flags=re.DOTALL)
    shown = re.search(r"```console\n\$ (.*?)\n(.*?)```", README, flags=re.DOTALL)
    assert claims is not None
    assert shown is not None
    suite.write("claims.yaml", claims[1])
    suite.environment |= {"COLUMNS": "80", "REFUTABLE_CACHE": os.environ.get("REFUTABLE_CACHE", "")}
    run = suite.pytest(*shlex.split(shown[1])[1:])
    assert timeless(run.printed) == timeless(shown[2])


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize(("page", "anchor"), re.findall(r"(docs/verdicts/[^)#]+)#([^)]+)", README))
def test_a_finding_leads_to_its_verdict(page: str, anchor: str) -> None:
    assert f"## `{anchor}`" in (ROOT / page).read_text(encoding="utf-8")
