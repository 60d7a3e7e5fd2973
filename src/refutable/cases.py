"""What becomes a test: one case for each (claim, subject) where the claim says `for: each`, else one a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refutable.claims import InitializationClaim, MeasuredClaim
from refutable.errors import BadInput
from refutable.models import ModelRow, Registry


@dataclass(frozen=True, slots=True)
class Case:
    """A claim on its subjects.

    Attributes:
        id: the claim's id, followed by the model's where the claim is tried on each.
        claim: the claim.
        models: names of the models it is tried on, in the registry's order; none for mathematics.
        needs_gpu: whether weights too large for a CPU are read.
    """

    id: str
    claim: Any
    models: tuple[str, ...]
    needs_gpu: bool

    @property
    def subject(self) -> str:
        """The models in words, or a dash where there are none."""
        return ", ".join(self.models) or "-"


def cases_of(claims: Sequence[Any], registry: Registry, file: str) -> tuple[Case, ...]:
    """Return every case of the claims, in their order.

    Raises:
        BadInput: a claim selects no model; every such claim is named.
    """
    cases: list[Case] = []
    problems: list[str] = []
    for claim in claims:
        try:
            rows = _rows(claim, registry)
        except BadInput as error:
            problems.append(f"{file} claim {claim.id!r}: {error}")
            continue
        compared = getattr(getattr(claim, "test", None), "over_models", False)
        if getattr(claim, "quantifier", None) == "each" and not compared:
            cases += [_case(claim, (row,), f"{claim.id}-{row.name}") for row in rows]
        else:
            cases.append(_case(claim, rows, claim.id))
    problems += _clashes(cases, file)
    if problems:
        raise BadInput("\n".join(problems))
    return tuple(cases)


def _rows(claim: Any, registry: Registry) -> tuple[ModelRow, ...]:
    selectors = list(groups_of(claim).values()) or ([claim.models] if hasattr(claim, "models") else [])
    rows: dict[str, ModelRow] = {}
    for selector in selectors:
        selector.check(registry)
        found = selector.select(registry)
        if not found:
            described = selector.model_dump(by_alias=True, exclude_defaults=True) or "everything"
            drawn = " (freshly drawn tiny models are named one by one, or asked for by `pretrained: false`)"
            raise BadInput(
                f"no model agrees with {described}; see the registry (refutable models)"
                + (drawn if selector.pretrained is None and selector.names else "")
            )
        both = [row.name for row in found if row.name in rows]
        if both:
            raise BadInput(f"{', '.join(both)} is in both groups; a model is a unit of one")
        rows |= {row.name: row for row in found}
    for name in claim.record:
        registry[name]  # a record of an unknown model would never be shown
    return tuple(rows.values())


def groups_of(claim: Any) -> dict[str, Any]:
    """Return the groups of models that a claim compares, by name; none where it compares none."""
    return getattr(getattr(claim, "test", None), "groups", None) or {}


def _case(claim: Any, rows: tuple[ModelRow, ...], name: str) -> Case:
    reads_weights = isinstance(claim, MeasuredClaim | InitializationClaim)
    return Case(name, claim, tuple(row.name for row in rows), reads_weights and any(row.needs_gpu for row in rows))


def _clashes(cases: Sequence[Case], file: str) -> list[str]:
    seen: dict[str, str] = {}
    problems = []
    for case in cases:
        if case.id in seen and seen[case.id] != case.claim.id:
            problems.append(
                f"{file} claims {seen[case.id]!r} and {case.claim.id!r} both make the test id {case.id!r}; rename one"
            )
        seen[case.id] = case.claim.id
    return problems
