"""What others add, as they add it: from a conftest.py, a module that the ini file names, an installed package."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest
from places import ROOT

from refutable import hookspecs
from refutable.extensions import Extensions

from .conftest import Suite

METRIC = '''\
def extend(extensions):
    from refutable.metrics import metric

    @extensions.metrics.add
    @metric(unit="norm", tap="block_output, block_input", invariant=("norm-scale", "value-output"))
    def last_stretch(view):
        """By how much the last block lengthens the stream; raw, it counts the stream's mean."""
        return view.norm("block_output")[:, -1] - view.norm("block_input")[:, -1]
'''
CONFTEST = METRIC.replace("def extend(", "def pytest_refutable_extend(")
CLAIM = """\
schema: 1
claims:
  - id: the-last-block-stretches
    statement: The last block lengthens the stream.
    evidence: measured
    models: [tiny-gpt2]
    test: {statistic: mean, of: last_stretch, predicts: "> 0"}
"""
SUPPORTED = {"the-last-block-stretches-tiny-gpt2": "SUPPORTED"}
NAMED = (
    "[pytest]\nrefutable_claims = claims.yaml\naddopts = --pyargs\ntestpaths = refutable.suite\n"
    "refutable_figures = none\nrefutable_extensions ="
)


SHAPE = '''\
def pytest_refutable_extend(extensions):
    from typing import ClassVar

    import numpy as np

    from refutable.errors import Undecidable
    from refutable.statistics import Statistic
    from refutable.statistics.assumptions import Assumption
    from refutable.statistics.student import fit_values
    from refutable.statistics.takes import Takes

    class LayersOfTwo(Takes):
        """Two metrics of every layer of a prompt."""

        each_layer: ClassVar[bool] = True

        def check(self, asked, metrics):
            super().check(asked, metrics)
            if asked.holds_above is None and asked.layer == "each":
                raise ValueError("leave `layer:` out: each layer is what it looks at")

        def recorded(self, values, holds):
            raise Undecidable("one prompt has no spread")

    def profile_correlation(data):
        """The mean over prompts of the correlation over layers of two metrics, with a t bound on either side."""
        (x, y), unit = (sample.values for sample in data.samples), data.samples[0].unit
        x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
        return fit_values((x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1)), unit)

    assumes = (Assumption.INDEPENDENT, Assumption.LITTLE_SKEW)
    extensions.statistics.add(
        Statistic("profile_correlation", assumes, profile_correlation, takes=LayersOfTwo(2), least=2, range=(-1, 1))
    )
'''
PROFILES = """\
schema: 1
claims:
  - id: the-updates-grow-in-the-same-layers
    statement: Over a prompt's layers, what attention adds and what the MLP adds do not mirror each other.
    evidence: measured
    models: [tiny-llama]
    test: {statistic: profile_correlation, of: [attention_growth, mlp_growth], predicts: "> -0.999"MORE}
"""


@pytest.fixture
def site(suite: Suite) -> Path:
    """Return a folder that is on the path of every process of the suite, as site-packages is."""
    folder = suite.folder / "site"
    suite.environment["PYTHONPATH"] = f"{suite.environment.get('PYTHONPATH', '')}:{folder}"
    return folder


def install(suite: Suite, module: str, text: str, entry: str) -> None:
    """Install a package of one module: the folder that pip would leave of it."""
    suite.write(f"site/{module}.py", text)
    suite.write(f"site/{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    suite.write(f"site/{module}-1.0.dist-info/entry_points.txt", f"[refutable.extensions]\nmine = {entry}\n")


def test_a_conftest_adds_a_metric_and_a_claim_on_it_has_its_verdict(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIM)
    suite.write("conftest.py", CONFTEST)
    run = suite.pytest("-W", "error")
    assert run.verdicts == SUPPORTED, run.text
    assert run.json["verdicts"][0]["estimate"]["value"] > 0
    assert suite.pytest("-n", "2").verdicts == SUPPORTED


def test_one_file_adds_a_statistic_of_a_new_input_shape(suite: Suite) -> None:
    suite.write("claims.yaml", PROFILES.replace("MORE", ""))
    suite.write("conftest.py", SHAPE)
    run = suite.pytest("-W", "error")
    (row,) = run.json["verdicts"]
    assert row["verdict"] == "SUPPORTED", run.text
    assert -0.999 < row["estimate"]["value"] <= 1
    assert row["estimate"]["n"] == 25
    suite.write("claims.yaml", PROFILES.replace("> -0.999", "< -0.999").replace("MORE", ""))
    assert suite.pytest().json["verdicts"][0]["verdict"] == "REFUTED"
    for more, expected in (
        (", layer: each", "leave `layer:` out: each layer is what it looks at"),
        (", layer: last", "statistic 'profile_correlation' looks at each layer; remove `layer:`"),
        (', holds: "< 1"', "statistic 'profile_correlation' does not count; remove `holds:`"),
        (", fact: layers", "`of:` names 2 and `fact:` is one more: remove what is over"),
    ):
        suite.write("claims.yaml", PROFILES.replace("MORE", more))
        refused = suite.pytest()
        assert refused.status == 4, more
        assert expected in refused.text


def test_an_installed_package_adds_a_metric_for_pytest_and_for_the_command(suite: Suite, site: Path) -> None:
    suite.fresh = True
    suite.write("claims.yaml", CLAIM)
    install(suite, "stretching", METRIC, "stretching:extend")
    run = suite.pytest("-W", "error")
    assert run.verdicts == SUPPORTED, run.text
    checked = suite.refutable("check")
    assert checked.status == 0, checked.text
    assert "1 claim, 1 case, no fault found" in checked.text


def test_the_hooks_own_example_runs_in_pytest_and_in_the_command(suite: Suite) -> None:
    text = inspect.cleandoc(hookspecs.pytest_refutable_extend.__doc__ or "") + "\n"
    examples = re.findall(r"::\n\n((?:    .*\n|\n)+)", text)
    conftest, ini, _ = (textwrap.dedent(example) for example in examples)
    suite.write("claims.yaml", CLAIM)
    suite.write("conftest.py", conftest)
    assert suite.pytest().verdicts == SUPPORTED
    unread = suite.refutable("check")
    assert unread.status == 4
    assert "unknown metric 'last_stretch'" in unread.text
    suite.write("pytest.ini", (suite.folder / "pytest.ini").read_text() + ini)
    assert suite.refutable("check").status == 0
    assert suite.pytest().verdicts == SUPPORTED


def test_a_module_that_the_ini_file_names_is_read_by_both(suite: Suite) -> None:
    suite.write("claims.yaml", CLAIM)
    suite.write("own/added.py", CONFTEST)
    suite.write("pytest.ini", f"{NAMED} own.added\n")
    assert suite.pytest().verdicts == SUPPORTED
    assert suite.refutable("lock").status == 0
    assert suite.refutable("check").status == 0


def test_a_hook_harms_no_run_without_claims(suite: Suite) -> None:
    suite.fresh = True
    suite.write("pytest.ini", "[pytest]\n")
    suite.write("conftest.py", CONFTEST)
    suite.write("test_theirs.py", "import sys\ndef test_it():\n    assert 'refutable.extensions' not in sys.modules\n")
    run = suite.pytest("-W", "error", "test_theirs.py")
    assert run.status == 0, run.text


@pytest.mark.parametrize(
    ("conftest", "said"),
    [
        (
            CONFTEST.replace("last_stretch", "last_gain"),
            r"two metrics are called 'last_gain': \S*gain\.py:\d+ and conftest\.py:4; rename one",
        ),
        (
            CONFTEST + CONFTEST.split("\n", 3)[3].replace("By how", "By"),
            r"two metrics .* conftest\.py:4 and conftest\.py:9",
        ),
        (
            "def pytest_refutable_extend(extensions):\n    extensions.metrics.add(len)\n",
            r"conftest\.py:2: a metric is made of Metric\(\.\.\.\), and len is none",
        ),
        (CONFTEST.replace('unit="norm"', 'unit="norn"'), r"unknown unit 'norn'; known: .*Did you mean 'norm'\?"),
        (
            CONFTEST.replace('unit="norm"', 'unit="norm", reads="frward"'),
            r"conftest\.py:4: metric 'last_stretch' reads an unknown pass 'frward'; known: .*Did you mean 'forward'\?",
        ),
        (
            "def pytest_refutable_extend(extensions):\n    1 / 0\n",
            r"pytest_refutable_extend: ZeroDivisionError: division by zero \(\S*conftest\.py:2\)",
        ),
    ],
)
def test_what_cannot_be_added_is_said_with_its_place(suite: Suite, conftest: str, said: str) -> None:
    suite.write("conftest.py", conftest)
    suite.write("pytest.ini", f"{NAMED} conftest\n")
    run = suite.refutable("check")
    assert run.status == 4, run.text
    assert re.search(said, run.text), run.text
    assert "Traceback" not in run.text


def test_pytest_says_of_a_name_that_is_taken_what_the_command_says(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST.replace("last_stretch", "last_gain"))
    run = suite.pytest()
    assert run.status == 4
    assert run.text.startswith("ERROR: two metrics are called 'last_gain'"), run.text
    assert "Traceback" not in run.text


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nowhere", "refutable_extensions: 'nowhere' cannot be imported (No module named 'nowhere'); name a module"),
        ("json", "refutable_extensions: 'json' has no pytest_refutable_extend; name a module"),
    ],
)
def test_a_module_that_is_no_extension_is_refused(suite: Suite, named: str, said: str) -> None:
    suite.write("pytest.ini", f"{NAMED} {named}\n")
    for run in (suite.pytest(), suite.refutable("models")):
        assert run.status == 4, run.text
        assert said in run.text


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("absent:extend", "extension 'mine' (absent:extend): cannot be imported (No module named 'absent')"),
        ("stretching:GROUP", "extension 'mine' (stretching:GROUP): is no function"),
    ],
)
def test_a_package_that_is_broken_is_named(suite: Suite, site: Path, entry: str, said: str) -> None:
    install(suite, "stretching", f"{METRIC}\nGROUP = 1\n", entry)
    for run in (suite.pytest(), suite.refutable("models")):
        assert run.status == 4, run.text
        assert said in run.text
        assert "Traceback" not in run.text


PAGES = [page for page in sorted(ROOT.glob("docs/adding-*.md")) if page.stem != "adding-a-claim"]


def conftest_of(page: Path) -> str:
    """Return what a page puts into a conftest.py."""
    (found,) = re.findall(r"```python\n(.*?)```", _own(page), flags=re.DOTALL)
    return found


def _own(page: Path) -> str:
    return page.read_text().partition("## In your conftest.py")[2].partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_puts_into_a_conftest_runs_in_that_one_file(suite: Suite, page: Path) -> None:
    claims = re.findall(r"```yaml\n(  - id.*?)```", _own(page), flags=re.DOTALL)
    suite.write("conftest.py", conftest_of(page))
    if claims:
        suite.write("claims.yaml", f"schema: 1\nclaims:\n{claims[0]}")
    run = suite.pytest("-W", "error", *(() if claims else ("-k", "triangle")))
    assert run.status in (0, 1), run.text
    assert set(run.verdicts.values()) in ({"SUPPORTED"}, {"REFUTED"}), run.text
    if page.stem == "adding-a-report":
        assert (suite.folder / "reports" / "verdicts.txt").read_text() == "SUPPORTED triangle (-)\n"
    if page.stem == "adding-a-figure":
        suite.write("pytest.ini", f"{NAMED} conftest\n")
        drawn = suite.refutable("figure", "verdict-counts", "reports")
        assert drawn.text == "wrote verdict-counts.svg (1 row of data)\n"
        assert "1 in all" in (suite.folder / "verdict-counts.svg").read_text()


def test_a_report_that_fails_keeps_no_other_from_being_written(suite: Suite) -> None:
    own = conftest_of(ROOT / "docs" / "adding-a-report.md")
    suite.write("conftest.py", own.replace("lines = (", "raise KeyError('nothing')\n        lines = ("))
    run = suite.pytest("-k", "triangle")
    assert run.verdicts == {"triangle": "SUPPORTED"}, run.text
    assert "could not be written: verdicts.txt (KeyError: 'nothing'); the journal has every verdict" in run.text
    assert "INTERNALERROR" not in run.text


def test_everything_that_can_be_added_has_its_page() -> None:
    shown = "".join(conftest_of(page) for page in PAGES)
    for each in fields(Extensions):
        assert f"extensions.{each.name}.add" in shown
        assert f"`extensions.{each.name}.add(" in (ROOT / "docs" / "extensions.md").read_text()


@pytest.mark.parametrize(
    ("page", "command", "name"), [("a-model", "models", "tiny-deep-gpt2"), ("prompts", "prompts", "small-sums")]
)
def test_the_command_lists_what_was_added(suite: Suite, page: str, command: str, name: str) -> None:
    suite.write("conftest.py", conftest_of(ROOT / "docs" / f"adding-{page}.md"))
    suite.write("pytest.ini", f"{NAMED} conftest\n")
    assert name in suite.refutable(command).text
