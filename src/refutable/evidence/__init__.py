"""How each kind of evidence decides a claim: one file a kind, one function each, case and bench in, judgement out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from refutable.claims.cases import Case
from refutable.evidence.architecture import judge_architecture
from refutable.evidence.by_pass import judge_by_pass
from refutable.evidence.measured import judge_initialization, judge_measured
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.theorem import judge_theorem
from refutable.evidence.untested import judge_pending, judge_untestable
from refutable.evidence.wiring import judge_wiring
from refutable.verdicts.judge import Judgement

DECIDERS: Mapping[str, Callable[[Case, SampleSource], Judgement]] = {
    "measured": judge_measured,
    "initialization": judge_initialization,
    "architecture": judge_architecture,
    "wiring": judge_wiring,
    "theorem": judge_theorem,
    "causal": judge_pending,
    "dynamical": judge_by_pass,
    "intervention": judge_by_pass,
    "none": judge_untestable,
}


def decide_case(case: Case, source: SampleSource) -> Judgement:
    """Decide a case by its kind of evidence; errors are the caller's to turn into verdicts."""
    claim: Any = case.claim
    return DECIDERS[claim.evidence](case, source)
