"""Judging where torch and its kin are not installed: nothing but measuring needs them.

The runs see every installed package but these five: a folder of links stands in for site-packages.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest
from places import ROOT

from refutable._util.extras import INSTALL, MEASURE

from .conftest import Suite

TABLE = "Model,Category,Last_Gain\n" + "".join(f"GPT-J-6B,Factual,{1.05 + i / 100}\n" for i in range(10))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a link to each installed package and its metadata, the five left out."""
    folder = tmp_path_factory.mktemp("packages") / "site-packages"  # of other places Hypothesis reads every module
    folder.mkdir()
    for name in ("purelib", "platlib"):
        for found in Path(sysconfig.get_path(name)).iterdir():
            package = found.name.partition("-")[0].partition(".")[0].lower()
            if package not in MEASURE and not (folder / found.name).exists():
                (folder / found.name).symlink_to(found)
    return folder


@pytest.fixture
def bare(suite: Suite, packages: Path) -> Suite:
    """Return a suite whose runs find nothing to measure with."""
    suite.environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT / "src", packages)))
    suite.python = (*suite.python, "-S")  # site would add site-packages itself
    return suite


def test_the_five_are_really_not_there(bare: Suite) -> None:
    for name in MEASURE:
        assert bare.run("-c", f"import {name}").text.strip().endswith(f"No module named '{name}'")
    assert "PackageNotFoundError" in bare.run("-c", "import importlib.metadata as m; m.version('torch')").text


def test_what_must_be_measured_is_not_measured_and_says_what_to_install(bare: Suite) -> None:
    run = bare.pytest()
    reasons = {row["id"]: row["why"] for row in run.json["verdicts"] if row["verdict"] == "NOT_MEASURED"}
    assert run.status == 0, run.text
    assert set(run.verdicts.values()) == {"SUPPORTED", "NOT_MEASURED"}
    assert run.verdicts["triangle"] == run.verdicts["gptj-rotary-quarter-gptj"] == "SUPPORTED"
    for case in (
        "tiny-blocks-grow-tiny-gpt2",
        "tiny-attention-shrinks-the-stream-tiny-gpt2",
        "opt-is-parallel-opt-6.7b",
    ):
        assert INSTALL in reasons[case]
    assert INSTALL in run.text
    assert run.text.count("no torch") == 1


def test_a_table_is_judged_and_its_reports_are_rebuilt_and_compared(bare: Suite) -> None:
    bare.write("published.csv", TABLE)
    run = bare.pytest("--measurements", "published.csv", "-k", "gptj-dampens")
    assert run.verdicts == {"gptj-dampens-gptj": "REFUTED"}, run.text
    rebuilt = bare.refutable("report", "--out", "rebuilt")
    assert (
        rebuilt.text == "1 verdict and 0 checks rebuilt; the run is complete; it tried 1 of 8 cases (-k gptj-dampens)\n"
    )
    compared = bare.refutable("diff", "reports", "rebuilt")
    assert compared.status == 0
    assert compared.text.startswith("no verdict changed and no estimate moved\n")


@pytest.mark.parametrize("command", ["check", "lock", "models", "prompts", "schema"])
def test_a_subcommand_that_measures_nothing_works(bare: Suite, command: str) -> None:
    called = bare.refutable(command)
    assert called.status == 0, called.text


def test_the_catalogue_is_shown(bare: Suite) -> None:
    bare.write("published.csv", TABLE)
    bare.write("catalogue.txt", "sentence kind\n")
    bare.pytest("--measurements", "published.csv", "-k", "gptj-dampens")
    called = bare.refutable("catalogue", "--ids", "catalogue.txt", "--verdicts", "reports/verdicts.json")
    assert called.status == 0, called.text


@pytest.mark.parametrize("command", [["draw", "tiny-gpt2", "--out", "w"], ["dry-run", "tiny-gpt2"]])
def test_a_subcommand_that_measures_says_what_to_install(bare: Suite, command: list[str]) -> None:
    called = bare.refutable(*command)
    assert called.status == 4
    assert called.text.startswith("ERROR: measuring needs what is not installed here (torch,")
    assert INSTALL in called.text
