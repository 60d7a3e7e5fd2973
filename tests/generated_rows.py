"""Verdict rows and runs that Hypothesis makes, with whatever text and numbers a row may hold."""

from __future__ import annotations

from hypothesis import strategies as st

from refutable.reports.baseline import Comparison
from refutable.reports.journal import Check, RunResult
from refutable.reports.selection import Selection
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import UNVERIFIED_FACT, Estimate, Verdict

NAMES = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MAYBE = st.none() | FINITE
SHARES = st.floats(0, 1)
VERDICTS = st.sampled_from(Verdict)

estimates = st.builds(
    Estimate,
    value=FINITE,
    low=MAYBE,
    high=MAYBE,
    level=st.none() | SHARES,
    n=st.integers(1, 10**9),
    unit=st.sampled_from(["prompt", "layer", "census"]),
    p=st.none() | SHARES,
    p_refuted=st.none() | SHARES,
    effect_size=MAYBE,
    e=MAYBE,
    method=TEXT,
    statistic=NAMES,
    of=st.lists(NAMES, max_size=2).map(tuple),
)
controls = st.builds(Control, VERDICTS, TEXT, st.none() | estimates, st.none() | SHARES)
variations = st.builds(Variation, VERDICTS, TEXT, st.none() | estimates)
abouts = st.fixed_dictionaries(
    {"statement": TEXT, "evidence": st.sampled_from(["measured", "theorem"]), "alpha": st.sampled_from([0.05, 0.01])},
    optional={
        "catalogue": NAMES,
        "claim_hash": st.just("ab" * 32),
        "source": st.none() | st.fixed_dictionaries({"document": TEXT, "section": TEXT}),
    },
)
weights = st.just({}) | st.fixed_dictionaries(
    {"weights_kind": st.sampled_from(["pretrained", "initialisation"]), "dtype": st.just("float32")},
    optional={"revision": NAMES, "weights_detail": TEXT, "tap": TEXT, "prompt_set": TEXT},
)
rows = st.builds(
    VerdictRow,
    VERDICTS,
    st.sampled_from(["< 1", ">= 0.97", "within [-1, 1.5]"]) | TEXT,
    TEXT,
    st.none() | estimates,
    st.lists(TEXT | st.just(UNVERIFIED_FACT), max_size=2).map(tuple),
    st.dictionaries(NAMES, variations, max_size=2),
    st.dictionaries(NAMES, TEXT, max_size=2),
    st.dictionaries(NAMES, controls, max_size=2),
    id=NAMES,
    claim=NAMES,
    subject=NAMES | st.just("-"),
    about=abouts,
    recorded=st.dictionaries(NAMES, st.fixed_dictionaries({"value": FINITE}), max_size=1),
    weights=weights,
    traces=st.lists(NAMES, max_size=2).map(tuple),
    seconds=st.floats(0, 1e6).map(lambda seconds: round(seconds, 3)),
)
checks = st.builds(Check, TEXT, st.sampled_from(["passed", "failed", "skipped", "error"]), TEXT, SHARES)
selections = st.builds(
    Selection, cases=st.integers(0, 9), of=st.integers(0, 9), by=st.lists(TEXT, max_size=6).map(tuple)
)
_ENTRIES = st.lists(TEXT, max_size=20).map(tuple)
comparisons = st.builds(Comparison, _ENTRIES, _ENTRIES, _ENTRIES, _ENTRIES, _ENTRIES, _ENTRIES)


def runs(most: int = 5) -> st.SearchStrategy[RunResult]:
    """Return runs of a few rows, each with an id of its own."""
    return st.builds(
        RunResult,
        st.just(
            {"started": "2026-11-28T10:00:00+00:00", "python": "3", "packages": {}, "device": "", "claims_hash": ""}
        ),
        st.lists(rows, max_size=most, unique_by=lambda row: row.id).map(tuple),
        st.lists(checks, max_size=3, unique_by=lambda check: check.name).map(tuple),
        st.booleans(),
        st.none() | selections,
        st.none() | comparisons,
    )
