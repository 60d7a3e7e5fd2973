"""What must stay in step: versions in the changelog, the citation, the workflows and what pip is told."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from places import ROOT

from refutable import __version__
from refutable._util.extras import MEASURE
from refutable.models.quantised import METHODS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = {file.name: yaml.safe_load(file.read_text()) for file in (ROOT / ".github" / "workflows").glob("*.yml")}
BOUNDED = ("pytest", "transformers", "torch")


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def test_the_changelog_and_the_citation_tell_of_this_version() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_what_measuring_needs_is_an_extra_and_a_dependency_in_the_same_words() -> None:
    extra = PROJECT["optional-dependencies"]["measure"]
    assert {name_of(requirement) for requirement in extra} == set(MEASURE)
    assert set(extra) <= set(PROJECT["dependencies"])


def test_every_python_that_is_promised_is_tried() -> None:
    promised = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert WORKFLOWS["check.yml"]["jobs"]["tests"]["strategy"]["matrix"]["python"] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"


@pytest.mark.parametrize("package", BOUNDED)
def test_the_lowest_release_that_is_allowed_is_tried(package: str) -> None:
    (lowest,) = (r.partition(">=")[2] for r in PROJECT["dependencies"] if name_of(r) == package)
    assert f"{package}=={lowest}.*" in WORKFLOWS["check.yml"]["jobs"]["bounds"]["strategy"]["matrix"]["release"]


def test_every_requirement_has_a_pin() -> None:
    pins = {name_of(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = {name_of(r) for r in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])}
    assert wanted - {"refutable"} <= pins


@pytest.mark.parametrize("method", METHODS)
def test_an_extra_of_its_name_installs_what_a_quantisation_method_is_run_by(method: str) -> None:
    extra = PROJECT["optional-dependencies"][method]
    assert {name_of(requirement) for requirement in extra} == set(METHODS[method].packages)
