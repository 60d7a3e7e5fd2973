"""The hash of everything that decides a claim, and whether a verdict is confirmatory or exploratory.

A verdict is confirmatory if its claim was locked in exactly the form that was tried, every measurement behind it was
made after that, and none of its subjects had been measured on the same prompts when it was locked: measurements are
deterministic, so repeating one is no new evidence. Any other verdict is exploratory, with the reason. It cannot be
checked whether the author had seen such numbers elsewhere, or set the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from refutable._util.hashing import key_of
from refutable.claims import BaseClaim, ExperimentClaim, MeasuredClaim, WiringClaim
from refutable.claims.cases import Case, cases_of
from refutable.claims.over import over_own_categories
from refutable.experiments.table import load_experiment, packaged_experiments
from refutable.metrics import METRICS
from refutable.models.registry import ModelRegistry
from refutable.models.revision_names import model_of
from refutable.models.subject import WeightsKind
from refutable.prompts.find import load_prompts
from refutable.prompts.prompt_set import PromptSet, are_categorised
from refutable.statistics import STATISTICS
from refutable.traces.passes import PASSES, PROBE_PASSES
from refutable.verdicts.preregistration.lockfile import Lock, shown
from refutable.verdicts.row import VerdictRow

CONFIRMATORY = "confirmatory"
EXPLORATORY = "exploratory"
NOTHING_MEASURED = "-"
MEASURED = "measured"  # in a trace's meta: the time it was measured
_DRAWN = str(WeightsKind.INITIALISATION)

Meta = Mapping[str, Any]
Prompts = Callable[[str], PromptSet]


@dataclass(frozen=True, slots=True)
class Registrations:
    """The claims' hashes, by id, and the lock to compare them with."""

    hashes: Mapping[str, str]
    lock: Lock

    def describe(self, claim: BaseClaim, metas: Sequence[Meta], *, published: bool) -> dict[str, str]:
        """Return what a row says about its claim's registration: `claim_hash`, `locked`, `registration` and why.

        `metas` are of the traces behind its verdict; `published` says whether it rests on a table made elsewhere.
        """
        status, why = self._status(claim, own_metas(claim, metas), published)
        told = {"claim_hash": self.hashes[claim.id], "locked": self._locked(claim.id), "registration": status}
        return {**told, "registration_reason": why} if why else told

    def _locked(self, claim: str) -> str:
        entry = self.lock.get(claim)
        if entry is None:
            return "never"
        return shown(entry.locked) if entry.hash == self.hashes[claim] else f"changed since {shown(entry.locked)}"

    def _status(self, claim: BaseClaim, metas: Sequence[Meta], published: bool) -> tuple[str, str]:
        if not metas and not published:
            return NOTHING_MEASURED, ""
        entry = self.lock.get(claim.id)
        if entry is None:
            return EXPLORATORY, "not locked"
        if entry.hash != self.hashes[claim.id]:
            return EXPLORATORY, f"changed since {shown(entry.locked)}"
        made = [_made(meta) for meta in metas]
        if published or None in made:
            return EXPLORATORY, "when it was measured is not known"
        if any(moment < entry.locked for moment in made if moment is not None):
            return EXPLORATORY, "measured before it was locked"
        before = sorted({seen_as(meta) for meta in metas} & set(entry.seen))
        if before:
            return EXPLORATORY, f"had been measured on these prompts when it was locked: {', '.join(before)}"
        return CONFIRMATORY, ""


def hash_of(claim: BaseClaim, models: Iterable[str], prompts: Prompts) -> str:
    """Return the SHA-256 of everything that decides a claim.

    That is its canonical form, the versions of its metrics and its statistic, the parameters of the passes they are
    read from, the content of its prompt set and, for a claim on several models at once, which models these are.
    """
    if isinstance(claim, MeasuredClaim):
        claim = over_own_categories(claim, are_categorised(prompts(claim.prompts).categories))
    decisive: dict[str, Any] = {"claim": claim.canonical}
    if isinstance(claim, ExperimentClaim):
        decisive["statistic"] = STATISTICS["mean"].version
    if isinstance(claim, MeasuredClaim):
        decisive["metrics"] = {name: METRICS[name].version for name in claim.test.of}
        decisive["statistic"] = STATISTICS[claim.test.statistic].version
        decisive["prompts"] = prompts(claim.prompts).hash
        read = {METRICS[name].reads for name in claim.test.of}
        if made := {name: dict(p) for name in read if (p := PASSES[name].parameters)}:
            decisive["passes"] = made
    if together := sorted(models):
        decisive["models"] = together
    return key_of(decisive)


def hashes_of(cases: Iterable[Case], prompts: Prompts) -> dict[str, str]:
    """Return the hash of each claim, by id."""
    hashes: dict[str, str] = {}
    for case in cases:
        if case.claim.id not in hashes:
            each = case.claim.scope == "each"  # one case per model: others do not change what the claim says
            hashes[case.claim.id] = hash_of(case.claim, () if each else {*map(model_of, case.models)}, prompts)
    return hashes


def current_hashes(claims: Sequence[BaseClaim], registry: ModelRegistry, file: Path) -> dict[str, str]:
    """Return the hash of each claim as it stands in the file, by id.

    Raises:
        BadInput: a prompt set or a model cannot be used.
    """
    prompts = cache(partial(load_prompts, beside=file.parent))
    return hashes_of(cases_of(claims, registry, file.name, prompts), prompts)


def own_metas(claim: BaseClaim, metas: Sequence[Meta]) -> list[Meta]:
    """Return the metas of the traces behind a verdict, except for its drawn controls."""
    if claim.evidence not in ("measured", "dynamical", "intervention"):
        return list(metas)
    return [meta for meta in metas if meta.get("weights_kind") != _DRAWN] or list(metas)


def seen_as(meta: Meta) -> str:
    """Return the name under which a trace's numbers are seen: its model's, marked if weights are drawn or probed."""
    if meta.get("pass") in PROBE_PASSES:
        return f"{meta['model']}@wiring"
    return f"{meta['model']}@drawn" if meta.get("weights_kind") == _DRAWN else str(meta["model"])


def seen_by_now(
    cases: Iterable[Case], metas: Iterable[Meta], rows: Iterable[VerdictRow], prompts: Prompts
) -> dict[str, tuple[str, ...]]:
    """Return, for each claim, the models whose numbers on its prompts exist, in stored traces or in earlier rows."""
    there = {(meta.get("prompts"), seen_as(meta)) for meta in metas if "model" in meta}
    there |= {pair for row in rows for pair in _seen_in(row)}
    seen: dict[str, set[str]] = {}
    for case in cases:
        claim = case.claim
        on = prompts(claim.prompts).hash if isinstance(claim, MeasuredClaim) else None
        endings = ("@wiring",) if isinstance(claim, WiringClaim) else ("", "@drawn")
        if claim.evidence == "initialization":
            endings = ("@drawn",)
        if isinstance(claim, ExperimentClaim) and _was_made(claim.test.experiment):
            seen[claim.id] = {claim.test.experiment}
        if isinstance(claim, MeasuredClaim | WiringClaim):
            names = {f"{model}{ending}" for model in case.models for ending in endings}
            seen.setdefault(claim.id, set()).update(name for name in names if (on, name) in there)
    return {claim: tuple(sorted(names)) for claim, names in seen.items()}


def _was_made(experiment: str) -> bool:
    """Whether a packaged experiment has been run; when a table that somebody else made was is not known anyway."""
    return experiment in packaged_experiments() and bool(load_experiment(experiment).values)


def registration_lines(rows: Iterable[VerdictRow]) -> list[str]:
    """Return what the summary says about registrations: nothing if no claim was ever locked."""
    told = [row.about for row in rows if row.about.get("registration") in (CONFIRMATORY, EXPLORATORY)]
    if all(about["locked"] == "never" for about in told):
        return []
    counts = Counter(
        str(about["registration_reason"]).split(":")[0] for about in told if about["registration"] == EXPLORATORY
    )
    confirmed = sum(about["registration"] == CONFIRMATORY for about in told)
    reasons = "; ".join(f"{n} {why}" for why, n in counts.items())
    return [
        f"registration: {confirmed} confirmatory, {len(told) - confirmed} exploratory{f' ({reasons})' * bool(reasons)}"
    ]


def _made(meta: Meta) -> datetime | None:
    """Return when a trace was measured, or None if it does not say so in a comparable form."""
    try:
        moment = datetime.fromisoformat(str(meta.get(MEASURED)))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _seen_in(row: VerdictRow) -> list[tuple[str | None, str]]:
    if not row.verdict.looked or row.weights_kind == NOTHING_MEASURED:
        return []
    on = row.weights.get("prompt_set_hash")
    ending = "@wiring" if row.about.get("evidence") == "wiring" else "@drawn" if row.weights_kind == _DRAWN else ""
    lacking = row.details.get("lacking", "").split(", ")
    return [
        (on, f"{model}{ending}")
        for model in row.subject.split(", ")
        if model not in lacking and not row.details.get(model, "").startswith("NOT_MEASURED")
    ]
