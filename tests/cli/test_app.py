"""What all subcommands have in common: one handler of errors, and defaults from the ini file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from refutable import __version__
from refutable.cli import app
from refutable.reports.formats.verdicts_json import write
from refutable.reports.journal import Journal, RunResult
from refutable.traces.store import Store

CLAIMS = """\
schema: 1
claims:
  - id: my-gpt2-has-two-heads
    statement: It has two heads.
    evidence: architecture
    models: my-gpt2
    test: {fact: heads, predicts: "within [2, 2]"}
"""
MODELS = """\
models:
  my-gpt2:
    title: Mine
    hub: null
    family: gpt2
    parameters: 35712
    organisation: me
    licence: mit
    stand_in: true
    config_source: my own
    init: gpt2
    config: {model_type: gpt2, vocab_size: 256, n_embd: 32, n_layer: 2, n_head: 2, n_positions: 64}
"""
INI = """\
[pytest]
refutable_claims = mine/claims.yaml
refutable_models = mine/models.yaml
refutable_reports = out
refutable_published = out/published/verdicts.json
refutable_catalogue = mine/catalogue.txt
refutable_page = mine/page.md
"""


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder below the one of an ini file that names everything in a place of its own."""
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    for name, text in (
        ("pytest.ini", INI),
        ("mine/claims.yaml", CLAIMS),
        ("mine/models.yaml", MODELS),
        ("mine/catalogue.txt", "sentence kind\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    Journal(tmp_path / "out" / "journal.jsonl", {}).close(complete=True)
    for reports in ("out", "out/published"):
        write(RunResult({}, ()), Store(tmp_path / "cache"), tmp_path / reports)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check"], "1 claim"),
        (["lock"], "1 new, 0 changed, 0 removed, 0 unchanged"),
        (["models"], "my-gpt2"),
        (["dry-run", "my-gpt2", "--device", "cpu"], "my-gpt2: ready"),
        (["report"], "0 verdicts and 0 checks rebuilt"),
        (["publish", "--yes"], "published: "),
        (["page"], "wrote "),
        (["show", "my-gpt2-has-two-heads"], "# my-gpt2-has-two-heads"),
        (["doctor"], "mine/claims.yaml:\n  1 case: 1 tried, 0 skipped"),
        (["catalogue"], "1 distinct sentence, 0 of them on trial, 0 by a claim that decides"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_subcommand_takes_from_the_ini_file_what_is_not_given(
    folder: Path, arguments: list[str], expected: str
) -> None:
    told = called(*arguments)
    assert told.exit_code == 0, told.output
    assert expected in told.output


@pytest.mark.parametrize("arguments", [["init", "claims.yaml"], ["page", "--out", "claims.yaml/page.md"]])
def test_a_path_that_cannot_be_used_is_named_without_a_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(folder / "mine")
    told = called(*arguments)
    assert told.exit_code == 4
    assert told.output.startswith("ERROR: ")
    assert "claims.yaml" in told.output
    assert "; check the path and its permissions" in told.output


def test_a_file_that_is_no_run_ends_diff_as_it_ends_diff_of_the_shell(folder: Path) -> None:
    told = called("diff", "../mine/claims.yaml", "../out")
    assert told.exit_code == 2
    assert told.output.startswith("ERROR: ../mine/claims.yaml: ")


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "pydantic", "scipy", "numpy", "pyarrow", "yaml", "pytest")
    script = f"""
import sys
from refutable.cli import app
try:
    app(["--help"])
except SystemExit:
    print("HEAVY", set(sys.modules) & set({heavy!r}))
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "HEAVY set()"


def test_the_version_is_told() -> None:
    told = called("--version")
    assert told.exit_code == 0
    assert told.output == f"refutable {__version__}\n"


def test_every_subcommand_has_help_also_as_h() -> None:
    group = get_command(app)
    nested = {name: command.commands for name, command in group.commands.items() if hasattr(command, "commands")}
    every = [[name] for name in group.commands] + [[name, sub] for name, of in nested.items() for sub in of]
    assert ["cache", "rm"] in every
    for words in every:
        short = called(*words, "-h")
        assert short.exit_code == 0, words
        assert "Usage: " in short.output
    assert called("cache", "rm", "-h").output == called("cache", "rm", "--help").output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("refutable metrics last_", {"last_gain"}),
        ("refutable statistics clustered_me", {"clustered_mean", "clustered_median"}),
        ("refutable passes per", {"perturbation"}),
        ("refutable show my-", {"my-gpt2-has-two-heads"}),
        ("refutable cache ls my-", {"my-gpt2"}),
        ("refutable dry-run my-", {"my-gpt2"}),
        ("refutable prompts many-kinds-", {"many-kinds-52", "many-kinds-exploration", "many-kinds-confirmation"}),
        ("refutable doc", {"doctor"}),
    ],
)
def test_a_shell_completes_names(folder: Path, words: str, expected: set[str]) -> None:
    environment = {
        "_REFUTABLE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    told = CliRunner().invoke(app, [], prog_name="refutable", env=environment)
    assert set(told.output.split()) == expected


@pytest.mark.parametrize("arguments", [["publish"], ["page"], ["catalogue"]])
def test_where_no_ini_file_names_a_path_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "claims.yaml").write_text(CLAIMS.replace("my-gpt2\n", "gpt2\n"))
    told = called(*arguments)
    assert told.exit_code == 4
    assert "ini file" in told.output
