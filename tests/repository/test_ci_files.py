"""What other services read of this repository: the workflow, the hook for pre-commit, and the examples in the docs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def steps_of(text: str, job: str) -> list[dict[str, Any]]:
    return yaml.safe_load(text)["jobs"][job]["steps"]


def workflow(name: str) -> str:
    return (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")


def test_the_workflow_gates_on_the_baseline_and_uploads_whatever_happened() -> None:
    steps = steps_of(workflow("check.yml"), "verdicts")
    assert any(step.get("run", "").startswith("make verify") for step in steps)
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert make.split("verify:")[1].split("\n\n")[0].count("--baseline reports/published") == 2
    shown = next(step for step in steps if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    uploaded = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert shown["if"] == uploaded["if"] == "always()"
    assert "reports/" in uploaded["with"]["path"].split()


def test_what_is_shown_of_a_run_is_what_a_run_writes(tmp_path: Path) -> None:
    step = next(step for step in steps_of(workflow("check.yml"), "verdicts") if "SUMMARY" in step.get("run", ""))
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "summary.md").write_text("## Claims\n")
    told = tmp_path / "told"
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=tmp_path, env={"GITHUB_STEP_SUMMARY": str(told), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, "the second run is missing where the first one failed"
    assert told.read_text() == "## Claims\n"


def test_the_examples_are_yaml_and_gate_and_upload() -> None:
    github, gitlab, hook = EXAMPLES
    steps = steps_of(github, "claims")
    assert any("--baseline" in step.get("run", "") for step in steps)
    assert any("upload-artifact" in step.get("uses", "") and step["if"] == "always()" for step in steps)
    job = yaml.safe_load(gitlab)["claims"]
    assert any("--baseline" in line for line in job["script"])
    assert job["artifacts"]["reports"]["junit"] == "reports/junit.xml"
    (repository,) = yaml.safe_load(hook)["repos"]
    manifest = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert repository["repo"] == "local"  # there is no address to replace
    same = ("id", "name", "entry", "language", "types", "pass_filenames")
    assert [[one[key] for key in same] for one in repository["hooks"]] == [
        [one[key] for key in same] for one in manifest
    ]


def test_pre_commit_takes_the_hook() -> None:
    asked = [sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize(("predicts", "status"), [("< 1", 0), ("below one", 4)])
def test_the_hook_refuses_claims_that_cannot_be_read(predicts: str, status: int, tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    program, *arguments = hook["entry"].split()
    assert program == "refutable"
    (tmp_path / "claims.yaml").write_text(
        "schema: 1\nclaims:\n- {id: a, statement: s, evidence: measured, models: gptj,"
        f' test: {{statistic: mean, of: last_gain, predicts: "{predicts}"}}}}\n'
    )
    asked = [sys.executable, "-c", "from refutable.cli import app; app()", *arguments]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr


def test_the_page_names_every_property_of_a_testcase() -> None:
    from refutable.reports.formats.verdicts_json import read_verdicts

    run = read_verdicts(ROOT / "reports" / "published" / "verdicts.json")
    names = {name for row in run.rows for name in row.properties() if not name.startswith("control.")}
    beside = {"passes", "first_token", "device_title", "closure_worst"}  # `and the like`
    table = PAGE.split("| property |")[1].split("\n\n")[0]
    assert sorted(name for name in names - beside if f"`{name}`" not in table) == []
