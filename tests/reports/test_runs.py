"""Runs are kept, whatever ends them, and the folder of the reports shows the newest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from places import ROOT
from typer.testing import CliRunner, Result

from refutable.cli import app
from refutable.errors import BadInput
from refutable.reports.formats.verdicts_json import read_run, read_verdicts
from refutable.reports.journal import no_run_in
from refutable.reports.kept import listed
from refutable.reports.recorder import Recorder
from refutable.reports.runs import NAME, kept_in, new_name
from refutable.traces.store import Store
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

FACTS = {"started": "2026-11-28T10:00:00+00:00", "python": "3", "packages": {}, "device": "CPU", "claims_hash": "0"}
OTHERS = {
    "journal.jsonl",
    "journal.previous.jsonl",
    "runs",
    "measurements.csv",
    "layers.csv",
}  # not of a kept run alone


def row(case: str, verdict: Verdict = Verdict.SUPPORTED) -> VerdictRow:
    about = {"statement": "s", "evidence": "measured", "alpha": 0.05}
    weights = {"weights_kind": "pretrained", "models": "gptj"}
    judged = Judgement(verdict, "< 1", "why")
    return VerdictRow.of(judged, case=case, claim=case, subject="gptj", about=about, weights=weights)


Make = Callable[..., Recorder]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return what makes a run of some cases among the reports, and ends it."""
    monkeypatch.setenv("REFUTABLE_CACHE", str(tmp_path / "cache"))

    def run(
        *cases: str, baseline: Path | None = None, started: str = FACTS["started"], **verdicts: Verdict
    ) -> Recorder:
        recorder = Recorder.open(tmp_path / "reports", {**FACTS, "started": started}, baseline)
        recorder.select(cases, {"a", "b", "c"}, ("-k some",))
        for case in cases:
            recorder.verdict(row(case, verdicts.get(case, Verdict.SUPPORTED)))
        recorder.close(Store(tmp_path / "cache"), lambda _: None, stopped=False)
        return recorder

    return run


def called(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], input=answer)


def shown(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")}


def test_each_run_keeps_its_files_and_the_newest_is_shown(make: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    make("a")
    first = shown(kept_in(reports)[0])
    make("b", "c")
    newest, oldest = kept_in(reports)
    assert shown(oldest) == first
    assert [row.id for row in read_run(newest)[0].rows] == ["b", "c"]
    assert {name: data for name, data in shown(reports).items() if name not in OTHERS} == {
        name: data for name, data in shown(newest).items() if name not in OTHERS
    }
    assert (newest / "journal.jsonl").read_bytes() == (reports / "journal.jsonl").read_bytes()
    assert not (newest / "journal.jsonl").samefile(reports / "journal.jsonl"), "an edit of one is not of both"
    assert (reports / "runs" / ".gitignore").read_text() == "*\n"


def test_what_an_earlier_run_alone_wrote_is_shown_no_longer(make: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    make("a")
    (own,) = kept_in(reports)
    for folder in (own, reports):
        (folder / "figures").mkdir()
        (folder / "figures" / "old.svg").write_text("<svg/>")
    (reports / "notes.txt").write_text("mine")
    (own / "mine.csv").write_text("as it was")
    (reports / "mine.csv").write_text("edited")
    make("a", started="2026-11-28T11:00:00+00:00")
    assert not (reports / "figures" / "old.svg").exists()
    assert (own / "figures" / "old.svg").exists()
    assert (reports / "notes.txt").read_text() == "mine"
    assert (reports / "mine.csv").read_text() == "edited"


def test_names_are_by_time_and_never_used_twice(tmp_path: Path) -> None:
    name = new_name(tmp_path, FACTS)
    assert name.startswith("20261128T100000Z-")
    assert NAME.fullmatch(name)
    for number in range(2, 5):
        (tmp_path / "runs" / name).mkdir(parents=True)
        name = new_name(tmp_path, FACTS)
        assert name.endswith(f"-{number}")
        assert NAME.fullmatch(name)
    for number in (10, 9, 11):
        (tmp_path / "runs" / f"20261128T100000Z-01234567-{number}").mkdir()
    found = [one.name.rpartition("-")[2] for one in kept_in(tmp_path) if "01234567" in one.name]
    assert found == ["11", "10", "9"]
    assert NAME.fullmatch(new_name(tmp_path, {}))


KILLED = """\
import os, signal, sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_runs import FACTS, row
from refutable.reports.recorder import Recorder
recorder = Recorder.open(Path("reports"), FACTS, None)
recorder.select({{"a", "b"}}, {{"a", "b", "c"}}, ("-k some",))
recorder.verdict(row("a"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_is_kept_and_can_be_rebuilt(make: Make, tmp_path: Path) -> None:
    make("a", "b", "c")
    script = KILLED.format(tests=[str(folder) for folder in Path(__file__).parents[:2]])
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=120)
    assert done.returncode == -signal.SIGKILL
    reports = tmp_path / "reports"
    killed = kept_in(reports)[0]
    assert (killed / "journal.jsonl").samefile(reports / "journal.jsonl")
    run = read_run(killed)[0]
    assert ([one.id for one in run.rows], run.complete) == (["a"], False)
    assert run.selection is not None
    assert str(run.selection) == "2 of 3 cases (-k some)"
    told = called("report", reports)
    assert told.exit_code == 0, told.output
    assert told.output == (
        "1 verdict and 0 checks rebuilt; the run is cut short, and never came to its end;"
        " it tried 2 of 3 cases (-k some)\n"
    )
    assert (killed / "verdicts.json").read_bytes() == (reports / "verdicts.json").read_bytes()
    make("b")
    assert read_run(killed)[0].rows == run.rows, "a later run changes no kept one"
    assert len(kept_in(reports)) == 3


def test_a_journal_that_names_another_folder_is_rebuilt_in_its_own(make: Make, tmp_path: Path) -> None:
    make("a")
    reports, elsewhere = tmp_path / "reports", tmp_path / "elsewhere"
    elsewhere.mkdir()
    journal = (reports / "journal.jsonl").read_text().replace(kept_in(reports)[0].name, "../../elsewhere")
    (reports / "journal.jsonl").write_text(journal)
    assert called("report", reports).exit_code == 0
    assert not list(elsewhere.iterdir())
    assert "../../elsewhere" in (reports / "verdicts.json").read_text()


def test_a_baseline_calls_lost_only_what_was_selected_or_is_gone(make: Make, tmp_path: Path) -> None:
    make("a", "b", "c")
    data = json.loads((tmp_path / "reports" / "verdicts.json").read_text())
    gone = {**data["verdicts"][0], "id": "gone", "claim": "gone"}
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({**data, "verdicts": [*data["verdicts"], gone]}))
    recorder = make("a", "b", baseline=baseline, b=Verdict.NOT_MEASURED)
    found = recorder.comparison
    assert found is not None
    assert found.not_remeasured == ("b (pretrained)", "gone (pretrained)")
    assert found.not_selected == ("c (pretrained)",)
    assert not found.fails
    for run in (read_verdicts(tmp_path / "reports"), read_run(tmp_path / "reports")[0]):
        assert (run.comparison, run.selection) == (found, recorder.selection)
    told = called("diff", baseline, tmp_path / "reports" / "verdicts.json").output
    assert told.endswith("\nB tried 2 of 3 cases (-k some)\n")
    assert "A tried" not in told, "it tried all"


def test_a_selection_grows_with_what_each_worker_collects(make: Make, tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "reports", FACTS, None)
    for ids in ({"a"}, {"a"}, {"a", "b"}):
        recorder.select(ids, {"a", "b", "c"}, ())
    assert str(recorder.selection) == "2 of 3 cases"
    assert recorder.unselected == {"c"}
    lines = (tmp_path / "reports" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["cases"] for line in lines if '"selection"' in line] == [1, 2]
    recorder.close(Store(tmp_path / "cache"), lambda _: None, stopped=False)


def test_runs_are_listed_with_what_they_found(make: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    assert called("runs", reports).exit_code == 4, "there is no such folder yet"
    make("a", a=Verdict.REFUTED)
    make("a", "b", "c", started="2026-11-28T12:00:00+00:00")
    broken = reports / "runs" / "20261128T090000Z-01234567"
    broken.mkdir()
    (reports / "runs" / "mine").mkdir()
    lines = [line for line in called("runs", reports).output.splitlines() if line.startswith(("run", "2026"))]
    assert [line.split()[0][:16] for line in lines] == [
        "run",
        "20261128T120000Z",
        "20261128T100000Z",
        "20261128T090000Z",
    ]
    assert "3 SUPPORTED" in lines[1]
    assert "1 REFUTED" in lines[2]
    assert "1 of 3 cases (-k some)" in lines[2]
    assert "gptj" in lines[2]
    assert "whole" in lines[2]
    assert "cannot be read" in lines[3]
    data = json.loads(called("runs", reports, "--json").output)
    assert [one.get("counts") for one in data] == [{"SUPPORTED": 3}, {"REFUTED": 1}, None]
    assert "no such file" in data[2]["fault"]
    (empty := tmp_path / "empty").mkdir()
    assert "no run is kept there" in called("runs", empty).output


def test_old_runs_are_removed_only_when_asked(make: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    for hour in (10, 11, 12):
        make("a", started=f"2026-11-28T{hour}:00:00+00:00")
    names = [one.name for one in kept_in(reports)]
    assert len(names) == 3
    refused = called("runs", reports, "--prune", 1, answer="n\n")
    assert refused.exit_code == 1
    assert f"remove 2 runs of {reports / 'runs'}, {names[-1]} the oldest?" in refused.output
    assert [one.name for one in kept_in(reports)] == names
    assert called("runs", reports, "--prune", -1, "--yes").exit_code == 2
    with no_run_in(reports):
        told = called("runs", reports, "--prune", 1, "--yes")
        assert told.exit_code == 4
        assert "another run is writing its reports there" in told.output
    assert called("runs", reports, "--prune", 1, answer="y\n").exit_code == 0
    assert [one.name for one in kept_in(reports)] == names[:1]
    assert "nothing to remove" in called("runs", reports, "--prune", 1).output
    before = shown(reports)
    assert called("runs", reports, "--prune", 0, "--yes").exit_code == 0
    assert kept_in(reports) == []
    assert shown(reports) == before, "what is shown stays"
    assert called("report", reports).exit_code == 0


def test_a_run_without_hard_links_is_kept_at_its_end(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    make("a")
    (kept,) = listed(tmp_path / "reports")
    assert kept.run is not None
    assert kept.run.complete
    assert (kept.folder / "journal.jsonl").is_file()


def test_a_run_that_cannot_begin_leaves_no_folder(make: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    with no_run_in(reports), pytest.raises(BadInput, match="another run is writing"):
        make("a")
    assert kept_in(reports) == []
    shutil.rmtree(reports / "runs")
    (reports / "runs").write_text("a file")
    with pytest.raises(BadInput, match="reports cannot be written there"):
        make("a")


def test_git_ignores_what_is_kept() -> None:
    asked = ["git", "-C", str(ROOT), "check-ignore", "-q", "reports/runs/20261128T100000Z-01234567/verdicts.json"]
    done = subprocess.run(asked, capture_output=True, timeout=30)
    if done.returncode == 128:
        pytest.skip("not a clone")
    assert done.returncode == 0
