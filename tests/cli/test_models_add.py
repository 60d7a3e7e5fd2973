"""`refutable models add`: the row of a model, written from what the model says of itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from gguf_files import write_gguf
from tiny import VARIANTS, tiny_model
from typer.testing import CliRunner

from refutable.cli import app
from refutable.models.registry import load_registry
from refutable.models.subject import Subject, WeightsKind
from refutable.models.weights import Finder

STARTS = (
    "",
    "models: {}\n",
    "# mine\nmodels: {}  # none yet\n",
    "models:\n",
    "models:\n  gptj: {gated: true}  # mine\n",
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model(VARIANTS["gptj"]).network.save_pretrained(tmp_path / "suite" / "My-GPTJ")
    (tmp_path / "suite" / "My-GPTJ" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    return tmp_path / "suite" / "My-GPTJ"


def added(what: Path | str, file: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["models", "add", str(what), "--models", str(file), *more])
    return done.exit_code, done.output


@pytest.mark.parametrize("start", STARTS)
def test_the_row_is_added_and_the_rest_stays(start: str, folder: Path, finder: Finder) -> None:
    file = folder.parent / "models.yaml"
    if start:
        file.write_text(start)
    status, text = added(folder, file)
    assert status == 0, text
    assert "pytest --model my-gptj" in text
    for line in start.replace("{}", "").splitlines():
        assert line.split("#")[0].strip() in file.read_text()
    assert file.read_text().count("# ") == start.count("# "), "comments stay"
    row = load_registry(file)["my-gptj"]
    assert (row.licence, row.fact("wiring"), row.fact("layers")) == ("apache-2.0", "parallel", 3)
    assert "weights: My-GPTJ" in file.read_text()
    assert load_registry(file)["gptj"].gated is ("gptj" in start)
    found = finder.find(row, Subject("my-gptj"))
    assert found.location == folder
    assert found.kind is WeightsKind.LOCAL, "whoever registers his own files has not shown whose they are"
    before = file.read_text()
    again = added(f"{folder}/../My-GPTJ", file)
    assert (again[0], "it is the row my-gptj" in again[1]) == (4, True)
    assert file.read_text() == before
    shutil.copytree(folder, folder.parent / "other" / "My-GPTJ")
    assert added(folder.parent / "other" / "My-GPTJ", file)[0] == 0, "another one has a name of its own"
    assert load_registry(file)["other-my-gptj"].weights == str(folder.parent / "other" / "My-GPTJ")


def test_a_gguf_file(tmp_path: Path, finder: Finder) -> None:
    path = write_gguf(tmp_path / "Tiny.gguf", tiny_model(VARIANTS["llama"]).network)
    status, text = added(path, tmp_path / "models.yaml", "--name", "mine")
    assert status == 0, text
    row = load_registry(tmp_path / "models.yaml")["mine"]
    found = finder.find(row, Subject("mine"))
    assert (found.kind, "unverified" in found.detail) == (WeightsKind.DEQUANTISED, True)


@pytest.mark.parametrize("head", ["date: 2024-13-45", f"x: {'[' * 5000}"])
def test_a_model_card_that_cannot_be_read_leaves_the_licence_unknown(head: str, folder: Path) -> None:
    (folder / "README.md").write_text(f"---\n{head}\n---\n")
    file = folder.parent / "models.yaml"
    mine = folder.parent / ".models.yaml"
    mine.write_text("precious")
    status, text = added(folder, file)
    assert status == 0, text
    assert load_registry(file)["my-gptj"].licence == "-"
    assert mine.read_text() == "precious"


@pytest.mark.parametrize(
    ("what", "more", "told"),
    [
        ("gptj", (), "gptj: not the path of a folder or a GGUF file.*it is the row gptj"),
        ("./nothing", (), r"ERROR: \./nothing: no such folder or file"),
        ("", (), "ERROR: the model's name is empty; give a folder"),
        ("https://hf.co/owner/name", (), "ERROR: https://hf.co/owner/name: an address; write .*owner/name"),
        ("folder", ("--name", "Not A Name"), "--name Not A Name: write lower-case.*, the first a letter or a digit"),
        ("folder", ("--name", "gptj"), r"the packaged registry \(refutable/data/models.yaml\): already has .*'gptj'"),
    ],
)
def test_what_cannot_be_added_leaves_the_file_alone(what: str, more: tuple[str, ...], told: str, folder: Path) -> None:
    import re

    file = folder.parent / "models.yaml"
    file.write_text("models: {}\n")
    status, text = added(folder if what == "folder" else what, file, *more)
    assert status == 4
    assert re.search(told, text.replace("\n", " ")), text
    assert file.read_text() == "models: {}\n"
    assert list(folder.parent.glob(".*")) == []


@pytest.mark.parametrize(("start", "place"), [
    ("", "the packaged registry"), ("models: {}\n", "the packaged registry"),
    ("models:\n  smollm2: {gated: true}\n", "models.yaml"),
])  # fmt: skip
def test_a_name_that_is_taken_is_told_with_its_place(start: str, place: str, folder: Path) -> None:
    file = folder.parent / "models.yaml"
    if start:
        file.write_text(start)
    status, text = added(folder, file, "--name", "smollm2")
    assert (status, "already has a model called 'smollm2'" in text) == (4, True)
    assert (place in text, "the packaged registry" in text) == (True, place != "models.yaml")
    assert (file.read_text() if file.exists() else "") == start


@pytest.mark.parametrize("name", ["7b", "a.b_c-d", "0"])
def test_every_name_that_the_message_allows_can_be_given(name: str, folder: Path) -> None:
    status, text = added(folder, folder.parent / "models.yaml", "--name", name)
    assert status == 0, text
    assert load_registry(folder.parent / "models.yaml")[name].fact("layers") == 3


def test_a_file_that_cannot_hold_another_is_left_alone_and_the_row_is_shown(folder: Path) -> None:
    file = folder.parent / "models.yaml"
    file.write_text("models: {gptj: {gated: true}}\n")
    status, text = added(folder, file)
    assert status == 4
    assert "write the row yourself" in text
    assert "my-gptj:" in text
    assert file.read_text() == "models: {gptj: {gated: true}}\n"


def test_a_model_of_an_unknown_family_is_listed_and_does_not_stop_the_list(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "models: {mamba-130m: {title: M, family: mamba, parameters: 1, organisation: me, licence: mit, config: {}}}\n"
    )
    done = CliRunner().invoke(app, ["models", "--models", str(file)])
    assert done.exit_code == 0, done.output
    assert "mamba-130m" in done.output
