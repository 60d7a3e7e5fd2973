"""Cases, each of which becomes a test: one per (claim, subject) with `for: each`, otherwise one per claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from refutable.claims import BaseClaim, MeasuredClaim
from refutable.claims.experiment import ExperimentClaim
from refutable.claims.file import Places
from refutable.claims.over import over_categories
from refutable.claims.references import Prompts, beyond_problems, experiment_problems, model_problems, prompt_problems
from refutable.errors import BadInput
from refutable.models.registry import ModelRegistry
from refutable.models.revision_names import in_id, model_of, natural
from refutable.models.revisions import Revisions
from refutable.models.row import ModelRow
from refutable.prompts.prompt_set import are_categorised


@dataclass(frozen=True, slots=True)
class Case:
    """A claim on its subjects.

    Attributes:
        id: the claim's id, followed by the model's if the claim is tried on each, and by the revision if it is at one.
        claim: the claim.
        models: names of the models it is tried on, in the registry's order, each with its revision if it is at one; of
            a trajectory, every revision of every model; none for mathematics.
        needs_gpu: whether it reads weights too large for a CPU.
        size: of the networks of an experiment; None for claims on models, and where an experiment has no sizes.
    """

    id: str
    claim: BaseClaim
    models: tuple[str, ...]
    needs_gpu: bool
    size: str | None = None

    @property
    def subject(self) -> str:
        """The models, or the experiment and the size of its networks, in words; a dash without any."""
        if isinstance(self.claim, ExperimentClaim):
            name = self.claim.test.experiment.removesuffix(".csv")
            return name if self.size is None else f"{name}-{self.size}"
        return ", ".join(self.subjects) or "-"

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of what it is tried on: its models, of a trajectory without the revisions."""
        along = isinstance(self.claim, MeasuredClaim) and self.claim.test.trajectory
        return tuple(dict.fromkeys(map(model_of, self.models))) if along else self.models


def cases_of(
    claims: Sequence[BaseClaim],
    registry: ModelRegistry,
    file: str | Places,
    prompts: Prompts | None = None,
    *,
    on_table: bool = False,
    categorised: Callable[[str], bool] | None = None,
    revisions: Revisions | None = None,
) -> tuple[Case, ...]:
    """Return every case of the claims, in their order.

    Args:
        file: the claims file's name, or the place of each claim in it.
        prompts: loads a prompt set; if given, the sets that claims name are checked.
        on_table: whether a published table replaces what models do with the prompts.
        categorised: says of a prompt set whether its prompts have categories in this run; by default, whether they have
            any in the set.
        revisions: expands the revisions that claims name, and says which the command line does; by default, only rows
            say which there are.

    Raises:
        BadInput: a claim names something unknown, or selects no model; every such place is named.
    """
    places = Places(file) if isinstance(file, str) else file
    revisions = revisions or Revisions()
    cases: list[Case] = []
    problems: list[str] = []
    for written in claims:
        claim = written
        if prompts is not None:
            found = [*prompt_problems(written, places, prompts, on_table=on_table)]
            problems += found
            try:
                claim = written if found else _over(written, prompts, categorised)
            except BadInput as error:
                problems.append(f"{places.of(written.id, 'test', 'over')}: {error}")
                continue
        unknown = model_problems(claim, registry, places)
        try:
            rows = _rows(claim, registry) if not unknown else ()
        except BadInput as error:
            unknown = [f"{places.of(claim.id, *next(iter(claim.selectors))[:2])}: {error}"]
        if unknown:
            problems += unknown
            continue
        problems += beyond_problems(claim, rows, places)
        if isinstance(claim, ExperimentClaim):
            found = [*experiment_problems(claim, places)]
            problems += found
            cases += _of_sizes(claim) if not found else ()
            continue
        try:
            cases += _of_models(claim, rows, registry, revisions)
        except BadInput as error:
            problems.append(f"{places.of(claim.id, 'models', 'revisions')}: {error}")
    problems += _clashes(cases, places)
    if problems:
        raise BadInput("\n".join(problems))
    return tuple(cases)


def by_model(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return cases with those at revisions last, and together for each model, so that what one has is read once.

    Those on several models, which need all of it, come at the very end.
    """
    places: dict[str, int] = {}

    def place(case: Case) -> float:
        if not any("@" in model for model in case.models):
            return -1
        names = {*map(model_of, case.models)}
        return float("inf") if len(names) > 1 else places.setdefault(names.pop(), len(places))

    return tuple(sorted(cases, key=place))


def _of_models(
    claim: BaseClaim, rows: tuple[ModelRow, ...], registry: ModelRegistry, revisions: Revisions
) -> list[Case]:
    """Return a case for each model, or one for all; of models at revisions one for each revision.

    A trajectory is over the revisions of a model, and all of them are in one case.
    """
    at = {row.name: _revisions(claim, row, revisions) for row in rows}
    each = claim.scope == "each"

    def named(row: ModelRow, revision: str) -> ModelRow:
        return registry[f"{row.name}@{revision}"]

    if isinstance(claim, MeasuredClaim) and claim.test.trajectory:
        points = {row.name: tuple(named(row, one) for one in at[row.name]) for row in rows}
        if each:
            return [_case(claim, of, f"{claim.id}-{name}", registry) for name, of in points.items()]
        return [_case(claim, tuple(row for of in points.values() for row in of), claim.id, registry)]
    if each:
        tried = [one for row in rows for one in ([named(row, name) for name in at[row.name]] or [row])]
        return [_case(claim, (row,), f"{claim.id}-{in_id(row.name)}", registry) for row in tried]
    together = tuple(dict.fromkeys(one for names in at.values() for one in names))
    if not together:
        return [_case(claim, rows, claim.id, registry)]
    return [
        _case(claim, _at(one, rows, at, named), f"{claim.id}-{in_id(one)}", registry)
        for one in sorted(together, key=natural)
    ]


def _at(
    revision: str,
    rows: tuple[ModelRow, ...],
    at: Mapping[str, tuple[str, ...]],
    named: Callable[[ModelRow, str], ModelRow],
) -> tuple[ModelRow, ...]:
    """Return models at one revision: those that have it, and those that are tried as their rows have them."""
    return tuple(
        named(row, revision) if at[row.name] else row for row in rows if revision in (at[row.name] or (revision,))
    )


def _revisions(claim: BaseClaim, row: ModelRow, revisions: Revisions) -> tuple[str, ...]:
    """Return the revisions at which a claim is tried on a model: its own, else those of the command line."""
    if not isinstance(claim, MeasuredClaim) or not claim.at_revisions:
        return ()
    return revisions.expand(row, claim.models.revisions) if claim.models.revisions else revisions.of_run(row)


def _of_sizes(claim: ExperimentClaim) -> list[Case]:
    """Return a case for each size of network, or one where the experiment has no sizes."""
    if not claim.sizes:
        return [Case(claim.id, claim, (), False)]
    return [Case(f"{claim.id}-{size}", claim, (), False, size) for size in claim.sizes]


def _over(claim: BaseClaim, prompts: Prompts, categorised: Callable[[str], bool] | None) -> BaseClaim:
    """Return a claim with the statistic that its estimand asks for, given its prompts."""
    if not isinstance(claim, MeasuredClaim):
        return claim
    if categorised is not None:
        return over_categories(claim, categorised(claim.prompts), own=False)
    used = prompts(claim.prompts)
    return over_categories(claim, are_categorised(used.categories), own=not used.given)


def _rows(claim: BaseClaim, registry: ModelRegistry) -> tuple[ModelRow, ...]:
    rows: dict[str, ModelRow] = {}
    for selector in claim.selectors.values():
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
    _check_other(claim, rows, registry)
    return tuple(rows.values())


def _check_other(claim: BaseClaim, rows: Mapping[str, ModelRow], registry: ModelRegistry) -> None:
    name = claim.other_model
    if name is None:
        return
    own = registry[name].name
    if own != name:
        raise BadInput(f"`against:` names a model by its alias {name!r}; write its name, {own!r}")
    if name in rows:
        raise BadInput(f"{name} is held against itself; leave it out of `models:`")


def _case(claim: BaseClaim, rows: tuple[ModelRow, ...], name: str, registry: ModelRegistry) -> Case:
    read = rows if claim.other_model is None else (*rows, registry[claim.other_model])
    needs_gpu = isinstance(claim, MeasuredClaim) and any(row.needs_gpu for row in read)
    return Case(name, claim, tuple(row.name for row in rows), needs_gpu)


def _clashes(cases: Sequence[Case], places: Places) -> list[str]:
    seen: dict[str, str] = {}
    problems = []
    for case in cases:
        if case.id in seen and seen[case.id] != case.claim.id:
            problems.append(
                f"{places.of(case.claim.id, 'id')}: {seen[case.id]!r} and {case.claim.id!r} both make the test id"
                f" {case.id!r}; rename one"
            )
        seen[case.id] = case.claim.id
    return problems
