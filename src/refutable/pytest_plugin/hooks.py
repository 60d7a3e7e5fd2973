"""Fixtures and hooks of a run; each delegates to the engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from refutable._util.progress import task
from refutable._util.provenance import provenance
from refutable._util.text import slug
from refutable.claims.cases import Case
from refutable.errors import RefutableError
from refutable.extensions import extend, import_modules, load_installed
from refutable.pytest_plugin import command_line
from refutable.pytest_plugin.collector import COLLECTOR, Collector
from refutable.pytest_plugin.distribution import Distribution
from refutable.pytest_plugin.lines import asked_of, header_lines, infeasible_lines
from refutable.pytest_plugin.progress import show
from refutable.pytest_plugin.state import (
    RECORDER,
    ROW,
    ROW_ATTRIBUTE,
    SESSION,
    VERDICT,
    case_of,
    is_distributed,
    session_of,
    writes_reports,
)
from refutable.pytest_plugin.statuses import EXIT_STATUS, VERDICT_ATTRIBUTE, Status, status_of
from refutable.pytest_plugin.summary import Summary
from refutable.reports.beside import Beside
from refutable.reports.formats.verdicts_json import read_verdicts
from refutable.reports.recorder import Recorder
from refutable.session import Session
from refutable.verdicts import multiplicity, whole_report
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict


def announce(row: VerdictRow) -> None:
    """Turn a verdict into a test's outcome: pass, failure with its evidence, or skip with its reason."""
    __tracebackhide__ = True
    match row.verdict:
        case Verdict.REFUTED:
            pytest.fail(row.evidence(), pytrace=False)
        case Verdict.INCONCLUSIVE:
            pytest.skip(f"inconclusive: {row.why}")
        case Verdict.NOT_MEASURED:
            pytest.skip(f"not measured: {row.why}")


@pytest.fixture(scope="session")
def refutable_session(request: pytest.FixtureRequest) -> Session:
    """Return the claims on trial, their models and the source of their numbers."""
    return session_of(request.config)


@pytest.fixture
def verdict_row(request: pytest.FixtureRequest, refutable_session: Session, claim_case: Case) -> VerdictRow:
    """Try the case and return its verdict; an ERROR fails this fixture, so it is never a refutation."""
    __tracebackhide__ = True
    row = refutable_session.try_case(claim_case)
    request.node.stash[ROW] = row
    request.node.user_properties.extend(row.properties().items())
    if row.verdict is Verdict.ERROR:
        pytest.fail(row.evidence(), pytrace=False)
    return row


def pytest_configure(config: pytest.Config) -> None:
    """Read and check everything that can be checked before a model is loaded.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_configure
    """
    config.addinivalue_line("markers", "gpu: the case reads weights too large for a CPU (more than 1.5 B parameters)")
    config.addinivalue_line("markers", "slow: the case takes long")
    config.addinivalue_line("markers", "published: the case is judged on the table of --measurements")
    if command_line.value(config, "offline"):
        os.environ["HF_HUB_OFFLINE"] = "1"
    show(config)
    try:
        with task("reading the claims"):
            _extend(config)
            config.stash[SESSION] = Session.prepare(command_line.options_of(config))
        distribution = Distribution(session_of(config).cases, command_line.value(config, "device"))
        config.pluginmanager.register(distribution, "refutable-distribution")
        if writes_reports(config):
            _open_recorder(config)
    except RefutableError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Report what would make two runs differ.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_report_header
    """
    packages = config.stash[RECORDER].provenance["packages"] if RECORDER in config.stash else {}
    return list(header_lines(session_of(config), packages))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case, for test functions with a `claim_case` argument.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_generate_tests
    """
    if "claim_case" in metafunc.fixturenames:
        session = session_of(metafunc.config)
        metafunc.parametrize("claim_case", [_param(case, session) for case in session.cases])


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let ``-k the-field`` mean the claims of a collection.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_itemcollected
    """
    case = case_of(item)
    if case is not None and case.claim.collection is not None:
        item.extra_keyword_matches.add(slug(case.claim.collection))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan every pass of the selected cases before the first model is loaded.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_collection_finish
    """
    cases = _cases_of(session.items)
    with task("planning every pass"):
        session_of(session.config).plan_for(cases)
    if RECORDER in session.config.stash and not is_distributed(session.config):
        session.config.stash[COLLECTOR].select({case.id for case in cases})


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """Report which of the selected claims can never reach some verdict, before anything is measured.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_report_collectionfinish
    """
    return infeasible_lines(session_of(config), _cases_of(items), in_full=config.option.collectonly)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Put the verdict on the report of the first phase that has it, as plain data that xdist can carry.

    So it reaches the journal before the outcome is printed.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_runtest_makereport
    """
    report = yield
    row = item.stash.get(ROW, None)
    if row is not None:
        del item.stash[ROW]
        item.stash[VERDICT] = row.verdict
        setattr(report, ROW_ATTRIBUTE, row.as_dict())
    if call.when == "call" and VERDICT in item.stash:
        setattr(report, VERDICT_ATTRIBUTE, item.stash[VERDICT].value)
    return report


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> Status | None:
    """Show verdicts by letters and words of their own.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_report_teststatus
    """
    return status_of(report)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the reports and set the exit status that the baseline and the requirements ask for.

    https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_sessionfinish
    """
    config = session.config
    if RECORDER not in config.stash:
        return
    recorder = config.stash[RECORDER]
    stopped = bool(session.shouldstop or session.shouldfail) or exitstatus in (2, 3, 4)
    store, lost = session_of(config).source.store, config.stash[COLLECTOR].lost
    with task("writing the reports"):
        recorder.close(store, lost, stopped=stopped, beside=lambda: _beside(config))
    required = (command_line.value(config, name) for name in ("require-verdicts", "require-decided"))
    session.exitstatus = config.stash[EXIT_STATUS] = recorder.exit_status(int(exitstatus), *required)


def _extend(config: pytest.Config) -> None:
    """Let installed packages, conftests and the modules of the ini key register their extensions."""
    named = [name for name in config.getini("refutable_extensions") if name != "conftest"]  # read by pytest already
    for module in import_modules(named, command_line.ini_folder(config)):
        if not config.pluginmanager.is_registered(module):
            config.pluginmanager.register(module)
    load_installed()
    extend("pytest_refutable_extend", lambda extensions: config.hook.pytest_refutable_extend(extensions=extensions))


def _open_recorder(config: pytest.Config) -> None:
    session = session_of(config)
    models_file = session.options.models_file
    read = (*session.loaded.files, *([models_file] if models_file is not None else []))
    device = session.source.finder.device.title
    facts = provenance(config.rootpath, device, session.claims_hash, asked_of(session), read)
    facts[multiplicity.KEY] = multiplicity.declared(session.cases)
    facts[whole_report.KEY] = whole_report.cases_with_a_test(session.cases)
    folder, baseline = command_line.reports_folder(config), command_line.baseline_file(config)
    config.stash[RECORDER] = Recorder.open(folder, facts, baseline)
    config.stash[COLLECTOR] = Collector(config)
    config.pluginmanager.register(config.stash[COLLECTOR], "refutable-collector")
    config.pluginmanager.register(Summary(config.stash[RECORDER]), "refutable-summary")


def _beside(config: pytest.Config) -> Beside:
    """Return what the run is shown with: its claims and, unless it judged a table itself, the verdicts on tables."""
    session = session_of(config)
    tables = command_line.on_tables_file(config) if session.source.table is None else None
    return Beside(session.known_claims, on_tables=read_verdicts(tables) if tables is not None else None)


def _cases_of(items: Sequence[pytest.Item]) -> list[Case]:
    return [case for item in items if (case := case_of(item)) is not None]


def _param(case: Case, session: Session) -> object:
    marks = [pytest.mark.gpu] * case.needs_gpu + [pytest.mark.slow] * case.claim.slow
    marks += [pytest.mark.published] * session.on_table(case)
    return pytest.param(case, id=case.id, marks=marks)
