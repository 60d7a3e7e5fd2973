"""Everything pytest runs when refutable is switched on: fixtures, and hooks that hand over to the engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from refutable import __version__
from refutable._util.provenance import provenance
from refutable._util.text import counted
from refutable.claims.cases import Case
from refutable.errors import RefutableError
from refutable.pytest_plugin import command_line
from refutable.reports.journal import Check
from refutable.reports.recorder import Recorder
from refutable.reports.terminal import render
from refutable.session import Session
from refutable.verdicts import multiplicity
from refutable.verdicts.falsifiability.feasibility import describe_infeasible
from refutable.verdicts.judge import Judgement
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

SESSION = pytest.StashKey[Session]()
RECORDER = pytest.StashKey[Recorder]()
ROW = pytest.StashKey[VerdictRow]()
_ROW_ATTRIBUTE = "refutable_row"
_SELECTED = "refutable_selected"


def session_of(config: pytest.Config) -> Session:
    """Return the run's session."""
    return config.stash[SESSION]


def announce(row: VerdictRow) -> None:
    """Turn a verdict into a test's outcome: pass, failure with its evidence, or skip with its reason."""
    __tracebackhide__ = True
    match row.verdict:
        case Verdict.REFUTED:
            pytest.fail(row.evidence(), pytrace=False)
        case Verdict.INCONCLUSIVE:
            pytest.skip(f"inconclusive: {row.judgement.why}")
        case Verdict.NOT_MEASURED:
            pytest.skip(f"not measured: {row.judgement.why}")


@pytest.fixture(scope="session")
def refutable_session(request: pytest.FixtureRequest) -> Session:
    """Return the claims on trial, their models and where numbers come from."""
    return session_of(request.config)


@pytest.fixture
def verdict_row(request: pytest.FixtureRequest, refutable_session: Session, claim_case: Case) -> VerdictRow:
    """Try the case and return its verdict; an ERROR is an error of this fixture, so never a refutation."""
    __tracebackhide__ = True
    row = refutable_session.try_case(claim_case)
    request.node.stash[ROW] = row
    request.node.user_properties.extend(row.properties().items())
    if row.verdict is Verdict.ERROR:
        pytest.fail(row.evidence(), pytrace=False)
    return row


def pytest_configure(config: pytest.Config) -> None:
    """Read and check all that can be checked before a model is loaded."""
    config.addinivalue_line("markers", "gpu: the case reads weights too large for a CPU (more than 1.5 B parameters)")
    config.addinivalue_line("markers", "slow: the case takes long")
    if config.getoption(command_line.dest("offline")):
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        config.stash[SESSION] = Session.prepare(command_line.options_of(config))
        if _reports_here(config):
            _open_recorder(config)
    except RefutableError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what would make two runs differ."""
    run, options = session_of(config), session_of(config).options
    versions = config.stash[RECORDER].provenance["packages"] if RECORDER in config.stash else {}
    source = f"judging {options.measurements.name}" if options.measurements else "measuring what is not stored"
    return [
        f"refutable {__version__}: {counted(len({c.claim.id for c in run.cases}), 'claim')} ({run.claims_hash[:12]}), "
        f"{counted(len(run.cases), 'case')}; {source}{', offline' if options.offline else ''}",
        f"torch {versions.get('torch')}, transformers {versions.get('transformers')}; "
        f"{run.source.finder.device.title} ({run.source.finder.device.name}); {options.dtype};"
        f" weights {_shown(options.weights)}",
        *([f"prompts: {_given(run)}, instead of the claims' own"] if run.given is not None else []),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case, for test functions that ask for `claim_case`."""
    if "claim_case" in metafunc.fixturenames:
        metafunc.parametrize("claim_case", [_param(case) for case in session_of(metafunc.config).cases])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan every pass of the selected cases before the first model is loaded."""
    cases = [case for item in session.items if (case := _case_of(item)) is not None]
    session_of(session.config).plan_for(cases)
    ids = {case.id for case in cases}
    if RECORDER in session.config.stash:
        session.config.stash[RECORDER].selected |= ids
    elif (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_SELECTED] = sorted(ids)


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """Say which of the selected claims some verdict can never reach, before anything is measured."""
    run = session_of(config)
    cases = [case for item in items if (case := _case_of(item)) is not None]
    found = [(case, one) for case in cases if (one := run.infeasible(case)) is not None]
    lines = describe_infeasible(found)
    if config.option.collectonly or not lines:
        return lines
    hopeless = len({case.claim.id for case, one in found if one.hopeless})
    skipped = " (not tried)" if run.options.skip_hopeless else ""
    return [
        f"{counted(len(lines), 'claim')} can never come to some verdict with these prompts or models, {hopeless} to"
        f" neither{skipped}; --collect-only says which, and what n would do"
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Put the verdict on the report of the last phase, as plain data that xdist can carry."""
    report = yield
    if report.when == "teardown" and ROW in item.stash:
        setattr(report, _ROW_ATTRIBUTE, item.stash[ROW].as_dict())
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Take from an xdist worker which cases were selected."""
    node.config.stash[RECORDER].selected |= set(getattr(node, "workeroutput", {}).get(_SELECTED, ()))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the reports and say with the exit status what the baseline and the requirements ask."""
    config = session.config
    if RECORDER not in config.stash:
        return
    recorder = config.stash[RECORDER]
    stopped = bool(session.shouldstop or session.shouldfail) or exitstatus in (2, 3, 4)
    recorder.close(session_of(config).source.store, stopped=stopped)
    session.exitstatus = recorder.exit_status(
        int(exitstatus),
        config.getoption(command_line.dest("require-verdicts")),
        config.getoption(command_line.dest("require-decided")),
    )


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Show the table of verdicts and where the reports are."""
    if RECORDER not in config.stash:
        return
    recorder = config.stash[RECORDER]
    writer = terminalreporter._tw
    terminalreporter.section("verdicts")
    text = render(
        recorder.run,
        recorder.comparison,
        width=writer.fullwidth if writer.hasmarkup else max(writer.fullwidth, 130),
        colour=writer.hasmarkup,
    )
    for line in text.splitlines():
        terminalreporter.write_line(line)
    for text in recorder.contradictions:
        terminalreporter.write_line(f"ERROR: {text}")
    if recorder.problem:
        terminalreporter.write_line(recorder.problem)
    if recorder.stopped:
        terminalreporter.write_line("the run was stopped: its reports are not complete, and are not published")
    if recorder.missing:
        terminalreporter.write_line(
            f"{counted(len(recorder.missing), 'selected case')} left no verdict: {', '.join(recorder.missing[:5])}"
        )
    terminalreporter.write_line(f"reports: {_relative(recorder.folder, config)}")


class Collector:
    """Takes every report, on the process that writes the reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._recorder = config.stash[RECORDER]
        self._cases = {case.id: case for case in session_of(config).cases}
        self._worst: dict[str, tuple[str, str, float]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand a verdict, or the outcome of a test that is no claim, to the recorder."""
        row = getattr(report, _ROW_ATTRIBUTE, None)
        if row is not None:
            self._recorder.verdict(VerdictRow.from_dict(row))
        elif report.when not in ("setup", "call", "teardown"):
            self._crashed(report)
        elif _claim_id(report.nodeid) not in self._cases:
            self._check(report)

    def _crashed(self, report: pytest.TestReport) -> None:
        case = self._cases.get(_claim_id(report.nodeid))
        message = str(report.longrepr)
        if case is None:
            self._recorder.check(Check(report.nodeid, "error", message, 0.0))
            return
        judgement = Judgement(Verdict.ERROR, "-", f"the worker process died: {message}")
        about = {
            "statement": case.claim.statement,
            "evidence": case.claim.evidence,
            "alpha": case.claim.alpha,
        }
        self._recorder.verdict(VerdictRow(case.id, case.claim.id, case.subject, about, judgement, {}, {}, (), 0.0))

    def _check(self, report: pytest.TestReport) -> None:
        outcome, message, seconds = self._worst.get(report.nodeid, ("passed", "", 0.0))
        if report.failed:
            outcome, message = ("failed" if report.when == "call" else "error"), report.longreprtext
        elif report.skipped:
            outcome, message = (
                "skipped",
                str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr),
            )
        self._worst[report.nodeid] = (outcome, message, seconds + report.duration)
        if report.when == "teardown":
            self._recorder.check(Check(report.nodeid, *self._worst.pop(report.nodeid)))


def _open_recorder(config: pytest.Config) -> None:
    run = session_of(config)
    options = run.options
    asked = {
        "models": ", ".join(sorted(run.source.selection.named)),
        "weights": _shown(options.weights),
        "revision": options.revision or "",
        "dtype": options.dtype,
        "device": run.source.finder.device.name,
        "prompts": _given(run),
        "measurements": run.source.table.description if run.source.table else "",
        "offline": str(options.offline),
        "skip_hopeless": str(options.skip_hopeless),
    }
    read = (*run.files, *([options.models_file] if options.models_file is not None else []))
    facts = provenance(config.rootpath, run.source.finder.device.title, run.claims_hash, asked, read)
    facts[multiplicity.KEY] = multiplicity.declared(run.cases)
    folder, baseline = command_line.reports_folder(config), command_line.baseline_file(config)
    config.stash[RECORDER] = Recorder.open(folder, facts, baseline)
    config.pluginmanager.register(Collector(config), "refutable-collector")


def _reports_here(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput") and not config.option.collectonly


def _param(case: Case) -> Any:
    marks = [pytest.mark.gpu] * case.needs_gpu + [pytest.mark.slow] * case.claim.slow
    return pytest.param(case, id=case.id, marks=marks)


def _case_of(item: pytest.Item) -> Case | None:
    params = getattr(getattr(item, "callspec", None), "params", {})
    case = params.get("claim_case")
    return case if isinstance(case, Case) else None


def _claim_id(nodeid: str) -> str:
    """Return what stands in the brackets at the end of a node id (xdist may append @group)."""
    return nodeid.rpartition("[")[2].partition("]")[0]


def _shown(weights: str) -> str:
    return weights if weights in ("pretrained", "init") else "a local path"


def _given(run: Session) -> str:
    """Return the prompts that stand in for the claims' own, in words."""
    if (given := run.given) is None:
        return ""
    return f"{given.name} ({counted(len(given), 'prompt')}, SHA-256 {given.hash}), --prompts"


def _relative(folder: Path, config: pytest.Config) -> str:
    return os.path.relpath(folder, config.invocation_params.dir)
