"""Last gains that stand in a run without a measurement: those that authors recorded, and those of published tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from refutable.figures.measured import UNKNOWN, Of
from refutable.models.registry import load_registry
from refutable.models.subject import WeightsKind
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate

if TYPE_CHECKING:
    from refutable.reports.journal import RunResult

MEANS = ("mean", "stratified_mean", "clustered_mean")


def recorded_gains(run: RunResult) -> dict[str, tuple[float, ...]]:
    """Return the mean last gains that claims record of each model, once each, in ascending order."""
    found: dict[str, set[float]] = {}
    for row in run.rows:
        if _is_mean_gain(row) and row.weights.get("passes", "forward") == "forward":
            for model, record in row.recorded.items():
                found.setdefault(model, set()).add(float(record["value"]))
    return {model: tuple(sorted(values)) for model, values in found.items()}


def published_gains(run: RunResult) -> Iterator[tuple[Of, Estimate, str, str]]:
    """Yield whose mean last gain a published table holds, the estimate, the model's wiring and its norm.

    Each model's is yielded once for each table that has it.
    """
    known = {row.name: row for row in load_registry()}
    seen = set()
    for row in run.rows:
        if row.weights_kind != WeightsKind.PUBLISHED or not _is_mean_gain(row) or row.estimate is None:
            continue
        detail = row.weights.get("weights_detail", "")
        if "," in row.subject or (row.subject, detail) in seen:
            continue
        seen.add((row.subject, detail))
        facts = known[row.subject].described if row.subject in known else {}
        title = known[row.subject].title if row.subject in known else row.subject
        of = Of(
            model=row.subject,
            title=title,
            weights=row.weights_kind,
            detail=detail,
            dtype=row.weights.get("dtype", ""),
            prompt_set=row.weights.get("prompt_set", ""),
            prompts=row.estimate.n,
            seeds=0,
        )
        yield of, row.estimate, str(facts.get("wiring", UNKNOWN)), str(facts.get("norm", UNKNOWN))


def _is_mean_gain(row: VerdictRow) -> bool:
    """Whether a row's estimate is a mean of the last gain over prompts of a model as it is."""
    estimate, evidence = row.estimate, row.about.get("evidence")
    return (
        estimate is not None
        and evidence == "measured"
        and estimate.of == ("last_gain",)
        and (estimate.statistic in MEANS)
    )
