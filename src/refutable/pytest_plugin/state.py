"""What a run keeps on pytest's config, and how to find the case of a test item."""

from __future__ import annotations

import pytest

from refutable.claims.cases import Case
from refutable.reports.recorder import Recorder
from refutable.session import Session
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

SESSION = pytest.StashKey[Session]()
RECORDER = pytest.StashKey[Recorder]()  # only on the process that writes the reports
ROW = pytest.StashKey[VerdictRow]()
VERDICT = pytest.StashKey[Verdict]()  # of an item, until the phase in which it becomes an outcome
ROW_ATTRIBUTE = "refutable_row"  # of a report: the verdict as plain data, which xdist can carry


def session_of(config: pytest.Config) -> Session:
    """Return the run's session."""
    return config.stash[SESSION]


def writes_reports(config: pytest.Config) -> bool:
    """Whether this process writes the reports: not an xdist worker, and not `--collect-only`."""
    return not hasattr(config, "workerinput") and not config.option.collectonly


def is_distributed(config: pytest.Config) -> bool:
    """Whether xdist's workers collect the tests, and this process does not."""
    return config.pluginmanager.hasplugin("dsession")


def case_of(item: pytest.Item) -> Case | None:
    """Return the case that an item tries, or None for a test without a claim."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    case = params.get("claim_case")
    return case if isinstance(case, Case) else None


def case_id(nodeid: str) -> str:
    """Return the text in the brackets at the end of a node id (xdist may append @group)."""
    return nodeid.rpartition("[")[2].partition("]")[0]
