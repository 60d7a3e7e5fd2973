"""The commands find the ini file that pytest finds: asked of pytest itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from refutable._util.pytest_ini import ini_path, ini_words
from refutable.errors import BadInput

KEYS = {
    "pytest.toml": '[pytest]\nrefutable_models = "m.yaml"\n',
    ".pytest.toml": '[pytest]\nrefutable_models = "m.yaml"\n',
    "pytest.ini": "[pytest]\nrefutable_models = m.yaml\n",
    ".pytest.ini": "[pytest]\nrefutable_models: m.yaml\n",
    "pyproject.toml": '[tool.pytest.ini_options]\nrefutable_models = "m.yaml"\n',
    "tox.ini": "[tox]\n[pytest]\nrefutable_models = m.yaml\n",
    "setup.cfg": "[tool:pytest]\nrefutable_models = m.yaml\n",
}
SILENT = {"pyproject.toml": "[project]\nname = 'x'\n", "tox.ini": "[tox]\n", "setup.cfg": "[metadata]\n"}


@pytest.mark.parametrize("name", KEYS)
def test_every_file_that_pytest_reads_is_read_from_a_folder_below(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(KEYS[name])
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert ini_path("refutable_models", tmp_path / "deep" / "er") == tmp_path / "m.yaml"
    assert ini_path("refutable_claims", tmp_path) is None


@pytest.mark.parametrize("first", [*SILENT, None])
@pytest.mark.parametrize("second", KEYS)
def test_the_file_that_decides_is_pytests(tmp_path: Path, first: str | None, second: str) -> None:
    if second.endswith("pytest.toml") and pytest.version_tuple < (9,):
        pytest.skip("pytest reads it since version 9")
    if first is not None and first != second:
        (tmp_path / first).write_text(SILENT[first])
    (tmp_path / second).write_text(KEYS[second])
    from _pytest.config.findpaths import locate_config

    found = locate_config(tmp_path, [tmp_path])[1]
    assert found is not None
    assert (ini_path("refutable_models", tmp_path) is not None) is (found.name == second)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(BadInput, match=r"pyproject\.toml: cannot be read"):
        ini_path("refutable_models", tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nrefutable_extensions = one two.three\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nrefutable_extensions = "one two.three"\n'),
        ("pytest.toml", '[pytest]\nrefutable_extensions = ["one", "two.three"]\n'),
    ],
)
def test_words_are_given_as_a_list_or_in_one_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert ini_words("refutable_extensions", tmp_path) == (tmp_path, ["one", "two.three"])
    assert ini_words("refutable_claims", tmp_path) == (tmp_path, [])
