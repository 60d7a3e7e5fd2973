"""Figures as files: at the end of a run, by `refutable figure`, from bad input, and never without data."""

from __future__ import annotations

import csv
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from measured_run import drawn as drawn_weights
from measured_run import estimate, row, run_of, store_with, trace_of
from typer.testing import CliRunner, Result

from refutable.cli import app
from refutable.errors import BadInput
from refutable.extensions import extend
from refutable.figures import FIGURES, Figure
from refutable.figures.save import save
from refutable.reports.formats import figures as report
from refutable.reports.formats import verdicts_json
from refutable.reports.journal import RunResult
from refutable.traces.store import Store
from refutable.verdicts.robustness import Variation
from refutable.verdicts.verdict import Verdict

STEPS = [[(0.5, 0.1 * at), (0.2, -0.1 * at)] for at in range(1, 7)]
CATEGORIES = ("plain", "plain", "plain", "odd", "odd", "odd")
VARIATIONS = {"norm centred": Variation(Verdict.SUPPORTED, "why", estimate(1.3, 1.2, 1.4), {"norm": "centred"})}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))
    return store_with(tmp_path / "cache", *whole_traces())


def whole_traces():
    parallel = {"model": "other", "title": "Other", "described": {"wiring": "parallel", "norm": "LayerNorm"}}
    return trace_of(STEPS, CATEGORIES), trace_of(STEPS[::-1], CATEGORIES, **parallel), drawn_weights(STEPS, 0)


def whole_run() -> RunResult:
    """Return a run that has data for every figure."""
    trained, parallel, fresh = whole_traces()
    return run_of(
        row(found=estimate(1.2, 1.1, 1.3), traces=[trained, fresh], variations=VARIATIONS),
        row("gain", "other", found=estimate(1.2, 1.1, 1.3), traces=[parallel]),
    )


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", list(FIGURES))
def test_every_figure_is_whole_text_and_the_same_bytes_each_time(name: str, store: Store, tmp_path: Path) -> None:
    rows = FIGURES[name].table(whole_run(), store)
    for folder in ("one", "two"):
        save(FIGURES[name], rows, [tmp_path / folder / f"{name}.{ending}" for ending in ("svg", "png", "csv")])
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / at).iterdir()} for at in ("one", "two"))
    assert first == second
    svg = first[f"{name}.svg"].decode()
    words = " ".join("".join(text.itertext()) for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))
    assert "n = " in words or "6 prompts of by-hand" in words or name == "calibration"
    assert "eights" in words, "which weights it shows"
    assert "<dc:date>" not in svg
    assert str(tmp_path) not in svg
    assert first[f"{name}.png"].startswith(b"\x89PNG")
    header, *lines = csv.reader(first[f"{name}.csv"].decode().splitlines())
    assert tuple(header) == FIGURES[name].columns
    assert len(lines) == len(rows)


@pytest.mark.parametrize("name", list(FIGURES))
def test_every_figure_says_what_it_shows_and_documents_its_columns(name: str) -> None:
    assert FIGURES[name].doc
    assert FIGURES[name].table.__doc__
    documented = "\n".join(of.__doc__ or "" for of in FIGURES[name].row.__mro__)
    for column in fields(FIGURES[name].row):
        assert column.name in documented, column.name


def unusable_runs() -> dict[str, tuple[RunResult, list]]:
    trained, *_ = whole_traces()
    norms = ("norm.block_input", "norm.block_output")
    nothing = trace_of(STEPS[:1], ["only"], spoiled=dict.fromkeys(norms, (0, 0, 2, 0.0)))
    wiring = trace_of(STEPS, CATEGORIES, **{"pass": "wiring", "prompt_set": None, "prompts": None})
    changed = trace_of(STEPS, CATEGORIES, intervention="ablate-mlp")
    return {
        "no rows": (run_of(), []),
        "not measured": (run_of(row(verdict="NOT_MEASURED")), []),
        "an error": (run_of(row(verdict="ERROR", found=None)), []),
        "traces that the store lost": (run_of(row(verdict="NOT_MEASURED", traces=[trained])), []),
        "a probe and an intervention": (
            run_of(row(verdict="NOT_MEASURED", traces=[wiring, changed])),
            [wiring, changed],
        ),
        "a last gain of 0 over 0": (run_of(row(verdict="NOT_MEASURED", traces=[nothing])), [nothing]),
    }


@pytest.mark.parametrize("kind", list(unusable_runs()))
def test_without_data_a_table_is_empty_or_has_only_what_is_there(kind: str, tmp_path: Path) -> None:
    run, traces = unusable_runs()[kind]
    store = store_with(tmp_path / "cache", *traces)
    found = {name for name in FIGURES if FIGURES[name].table(run, store)}
    first_layer = {"norm-and-gain-over-depth", "updates-over-depth", "contraction-map"}
    assert found == (first_layer if kind == "a last gain of 0 over 0" else set())
    report.write(run, store, tmp_path)
    assert not (tmp_path / "figures").exists()


def test_a_run_writes_the_figures_it_has_data_for_and_removes_those_of_the_run_before(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nrefutable_figures = models-by-gain calibration specification-*\n")
    report.write(whole_run(), store, tmp_path)
    files = {file.name for file in (tmp_path / "figures").iterdir()}
    names = ("models-by-gain", "calibration", "specification-curve")
    assert files == {f"{name}.{ending}" for name in names for ending in ("svg", "png")}
    only = run_of(row(found=estimate(1.2, 1.1, 1.3), variations=VARIATIONS))
    report.write(only, store, tmp_path)
    kept = {file.stem for file in (tmp_path / "figures").iterdir()}
    assert kept == {"specification-curve", "calibration"}


def test_the_ini_file_says_which_figures_a_run_draws(store: Store, tmp_path: Path) -> None:
    ini = tmp_path / "pytest.ini"
    ini.write_text("[pytest]\nrefutable_figures = models-* calibration\n")
    assert report.names_wanted() == {"models-by-gain", "calibration"}
    ini.write_text("[pytest]\nrefutable_figures = none\n")
    report.write(whole_run(), store, tmp_path)
    assert not (tmp_path / "figures").exists()
    ini.write_text("[pytest]\nrefutable_figures = model-by-gain\n")
    with pytest.raises(BadInput, match="no figure is called 'model-by-gain'"):
        report.write(whole_run(), store, tmp_path)


def test_the_command_draws_a_figure_of_a_run_and_lists_what_it_has(store: Store, tmp_path: Path) -> None:
    verdicts_json.write(whole_run(), store, tmp_path / "run")
    drawn = called("figure", "models-by-gain", tmp_path / "run", "--out", "a.png")
    assert (drawn.exit_code, drawn.output) == (0, "wrote a.png (3 rows of data)\n")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert called("figure", "models-by-gain", tmp_path / "run" / "verdicts.json").exit_code == 0
    assert Path("models-by-gain.svg").is_file()
    assert called("figure", "models-by-gain", tmp_path / "run", "--case", "*-other", "--out", "one.csv").exit_code == 0
    assert len(Path("one.csv").read_text().splitlines()) == 2
    listed = called("figure", "--list", tmp_path / "run")
    assert listed.exit_code == 0
    for name in FIGURES:
        assert f"{name} " in listed.output
        assert FIGURES[name].doc[:40] in listed.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["models-by-gian", "run"], "Did you mean 'models-by-gain'?"),
        (["models-by-gain", "run", "--out", "a.pdf"], "a.pdf: cannot tell what to write from its ending"),
        (["models-by-gain", "nowhere"], "nowhere"),
        (["models-by-gain", "run", "--case", "gone-*"], "--case gone-*: no case of run is called so"),
        (
            ["models-by-gain", "bare"],
            "bare: this run has no data for models-by-gain; 2 of its 2 traces are not in this store",
        ),
        ([], "which figure?"),
    ],
)
def test_bad_input_is_told_in_one_message(arguments: list[str], told: str, store: Store, tmp_path: Path) -> None:
    verdicts_json.write(whole_run(), store, tmp_path / "run")
    lost = [trace_of(STEPS, title=title) for title in "AB"]
    verdicts_json.write(run_of(row(found=estimate(1.2), traces=lost)), store, tmp_path / "bare")
    result = called("figure", *arguments)
    assert result.exit_code == 4
    assert told in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.glob("*.svg"))


@dataclass(frozen=True)
class Verdicts:
    """How many verdicts there are: verdicts."""

    verdicts: int


def test_an_extension_adds_a_figure_that_runs_draw(store: Store, tmp_path: Path) -> None:
    def draw(rows, canvas) -> None:
        """Draw how many verdicts a run has."""
        canvas.subplots().bar([0], [rows[0].verdicts])

    mine = Figure("mine", Verdicts, lambda run, store: [Verdicts(len(run.rows))], draw, lambda rows: 2.0)
    try:
        extend("mine", lambda extensions: extensions.figures.add(mine))
        (tmp_path / "pytest.ini").write_text("[pytest]\nrefutable_figures = mine\n")
        report.write(whole_run(), store, tmp_path)
        assert (tmp_path / "figures" / "mine.svg").is_file()
    finally:
        extend("mine", lambda extensions: None)
    assert "mine" not in FIGURES


def test_odd_words_are_drawn_as_they_are(store: Store, tmp_path: Path) -> None:
    trace = trace_of(STEPS, ("$\\frac{", "$\\frac{", "$\\frac{", "類別", "類別", "類別"), title="<b>&$x_$")
    store.put(trace)
    rows = FIGURES["gain-by-category"].table(run_of(row(found=estimate(1.2), traces=[trace])), store)
    save(FIGURES["gain-by-category"], rows, [tmp_path / "odd.svg", tmp_path / "odd.png"])
    words = "".join(ET.parse(tmp_path / "odd.svg").getroot().itertext())
    assert "$\\frac{ (n = 3)" in words
    assert "類別 (n = 3)" in words
    assert "<b>&$x_$: pretrained" in words


def test_matplotlib_is_imported_only_when_something_is_drawn() -> None:
    program = (
        "import sys, refutable, refutable.plugin, refutable.extensions, refutable.session\n"
        "from refutable.reports.formats import REPORTS\n"
        "from refutable.figures import FIGURES\n"
        "assert len(REPORTS) > 5 and len(FIGURES) >= 10\n"
        "assert not any(name.partition('.')[0] == 'matplotlib' for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
