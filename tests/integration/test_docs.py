"""The walks of the documentation, run as a reader runs them."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from places import ROOT

from refutable.metrics import METRICS
from refutable.statistics import STATISTICS
from refutable.theorems import THEOREMS

from .conftest import Suite, needs_wheel

WALK = ROOT / "docs" / "adding-a-claim.md"


@pytest.mark.slow
@pytest.mark.wheel
@needs_wheel
def test_six_lines_of_yaml_make_a_new_verdict_on_trained_weights(suite: Suite) -> None:
    text = WALK.read_text()
    entry = re.search(r"```yaml\n(  - id: .*?)```", text, flags=re.DOTALL)
    assert entry is not None
    assert len(entry[1].splitlines()) <= 6
    shutil.copy(ROOT / "claims.yaml", suite.folder / "claims.yaml")
    shutil.copytree(ROOT / "claims", suite.folder / "claims")
    with (suite.folder / "claims" / "gptj-parallel-test-notebook.yaml").open("a") as file:
        file.write("\n" + entry[1])
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + "refutable_extensions = fixtures.theorems\n")
    suite.environment["PYTHONPATH"] = f"{suite.environment.get('PYTHONPATH', '')}:{ROOT}"
    (suite.folder / "docs").mkdir()
    shutil.copytree(ROOT / "docs" / "proofs", suite.folder / "docs" / "proofs")
    if "REFUTABLE_CACHE" in os.environ:
        suite.environment["REFUTABLE_CACHE"] = os.environ["REFUTABLE_CACHE"]
    else:
        del suite.environment["REFUTABLE_CACHE"]  # the user's own: the weights are converted once, not once a test
    commands = re.search(r"```sh\n(pytest .*?)\n```", text)
    assert commands is not None
    checked = suite.refutable("check", "claims.yaml")
    assert checked.status == 0, checked.text
    run = suite.pytest(*commands[1].split()[1:])
    assert run.verdicts == {"the-first-block-lengthens-the-stream-smollm2": "SUPPORTED"}, run.text
    assert run.status == 0
    (row,) = run.json["verdicts"]
    assert row["weights"]["weights_kind"] == "dequantised"
    assert row["weights"]["tokens"] == "own tokenizer"


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_says_what_it_is_and_where_it_is_read(name: str) -> None:
    assert METRICS[name].doc
    assert METRICS[name].unit
    assert METRICS[name].tap


@pytest.mark.parametrize("name", list(STATISTICS))
def test_every_statistic_says_what_it_says_and_what_it_assumes(name: str) -> None:
    assert STATISTICS[name].doc
    assert STATISTICS[name].assumes


@pytest.mark.parametrize("name", list(THEOREMS))
def test_every_theorem_says_what_it_says(name: str) -> None:
    assert THEOREMS[name].doc


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name
)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("folder", ["decisions", "proofs"])
def test_a_folder_of_pages_lists_each(folder: str) -> None:
    pages = {page.name for page in (ROOT / "docs" / folder).glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([^)]+)\)", (ROOT / "docs" / folder / "README.md").read_text())) == pages


def test_the_page_of_options_names_every_option() -> None:
    from refutable.pytest_plugin.command_line import FLAGS, VALUES

    text = (ROOT / "docs" / "options.md").read_text()
    for name in (*VALUES, *FLAGS):
        assert f"--{name}" in text, name


def test_the_page_of_options_names_every_command() -> None:
    from typer.main import get_command

    from refutable.cli import app

    text = (ROOT / "docs" / "options.md").read_text()
    for name in get_command(app).commands:
        assert f"refutable {name}" in text, name


@pytest.mark.slow
def test_every_column_of_measurements_is_documented(suite: Suite) -> None:
    suite.pytest("-k", "shrinks")
    header = (suite.folder / "reports" / "measurements.csv").read_text().splitlines()[0].split(",")
    text = (ROOT / "docs" / "reports.md").read_text()
    for column in header:
        assert f"`{column}`" in text, column


def test_the_published_schema_of_verdicts_is_in_step() -> None:
    import json

    from refutable.reports.formats.verdicts_schema import verdicts_schema

    assert json.loads((ROOT / "docs" / "verdicts.schema.json").read_text()) == verdicts_schema()
