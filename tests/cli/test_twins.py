"""The subcommand `twins`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from refutable.cli.app import app
from refutable.experiments.table import load_experiment
from refutable.twins.report import report

ROOT = Path(__file__).parents[2]


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["twins", *words])
    return result.exit_code, result.output


def test_effects_shows_each_pair_of_cells_once() -> None:
    status, shown = run("effects", "--size", "medium")
    assert status == 0
    assert shown.count("layernorm ") == 2  # among the cells, and as an effect
    assert "gated                     softmax" not in shown
    effects = report(load_experiment("twins"), "medium").effects
    assert len({frozenset((each.cell, each.against)) for each in effects}) == len(effects)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--size", "smal"], "unknown size 'smal'; known: tiny, small, medium, large, shipped"),
        (
            ["list", "--size", "large", "--cells", "heads-*"],
            "no cell of size large matches heads-*; known: base, sequential",
        ),
        (["measure", "base.safetensors"], "write SIZE.CELL.SEED"),
        (["train", "--out", "x", "--compile", "all"], "--compile 'all': none, block or loss"),
    ],
)
def test_bad_input_is_one_message(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, shown = run(*words)
    assert status == 4
    assert said in " ".join(shown.split())
    assert "Traceback" not in shown


def test_the_two_figures_are_drawn(tmp_path: Path) -> None:
    status, shown = run("figures", str(ROOT / "reports" / "published" / "twins"), "--out", str(tmp_path))
    assert status == 0, shown
    assert {file.name for file in tmp_path.iterdir()} == {"twin-effects.png", "twin-course.png"}
