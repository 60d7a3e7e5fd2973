"""Installed beside other people's tests, the plugin changes nothing."""

from __future__ import annotations

import pytest

from .conftest import Suite

THEIR_CONFTEST = """\
import pytest
def pytest_addoption(parser):
    for name in ("--model", "--device", "--weights", "--claims-file", "--offline", "--baseline"):
        parser.addoption(name, default="theirs")
@pytest.fixture
def claim(request):
    return request.config.getoption("--model"), request.config.getoption("--device")
@pytest.fixture
def trial():
    return "their trial"
"""
THEIR_TEST = """\
import sys
def test_theirs(claim, trial):
    assert claim == ("mine", "theirs")
    assert trial == "their trial"
def test_nothing_heavy_is_imported():
    assert not {"torch", "transformers", "scipy", "pydantic", "pyarrow", "refutable.session"} & set(sys.modules)
"""


def test_a_project_with_its_own_options_and_fixtures_is_left_alone(suite: Suite) -> None:
    suite.fresh = True
    suite.write("pytest.ini", "[pytest]\n")
    suite.write("conftest.py", THEIR_CONFTEST)
    suite.write("test_theirs.py", THEIR_TEST)
    run = suite.pytest("--model", "mine", "-W", "error", "test_theirs.py")
    assert run.status == 0, run.text
    assert "2 passed" in run.text
    assert "refutable 0" not in run.text
    assert not (suite.folder / "reports").exists()


@pytest.mark.slow
def test_options_that_another_plugin_took_are_still_there_under_the_full_name(suite: Suite) -> None:
    suite.write("theirs.py", "def pytest_addoption(parser):\n    parser.addoption('--model', default='x')\n")
    run = suite.pytest("-p", "theirs", "--refutable-model", "gptj", "-k", "gptj-dampens")
    assert "6.05 B parameters" in run.text, run.text


@pytest.mark.slow
def test_the_claims_option_switches_it_on_without_an_ini_file(suite: Suite) -> None:
    suite.fresh = True
    (suite.folder / "pytest.ini").unlink()
    run = suite.pytest("--pyargs", "refutable.suite", "--claims", "claims.yaml", "-k", "triangle")
    assert run.verdicts == {"triangle": "SUPPORTED"}, run.text


@pytest.mark.slow
def test_a_claims_file_in_another_folder_does_not_move_the_root(suite: Suite) -> None:
    elsewhere = suite.write("deep/er/claims.yaml", (suite.folder / "claims.yaml").read_text())
    run = suite.pytest("--claims", str(elsewhere.relative_to(suite.folder)), "-k", "triangle")
    assert run.verdicts == {"triangle": "SUPPORTED"}, run.text
