"""Checks that the models, prompt sets, categories and layers named in claims exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from refutable.claims import BaseClaim, ExperimentClaim, MeasuredClaim
from refutable.claims.file import FaultyClaims, Loaded, Places, read_claims
from refutable.errors import BadInput, NotMeasured, UnknownName
from refutable.experiments.table import WHOLE, Experiment, load_experiment
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow
from refutable.prompts.prompt_set import PromptSet
from refutable.traces.passes import Blocks

Prompts = Callable[[str], PromptSet]


def read_checked(path: Path, registry: ModelRegistry, prompts: Prompts | None) -> Loaded:
    """Read a claims file; where claims cannot be read, say as well what is wrong with the names in the others.

    Args:
        path: the claims file.
        registry: the known models.
        prompts: loads a prompt set; None where others stand in for the claims' own.

    Raises:
        BadInput: with one line for every problem in the files.
    """
    try:
        return read_claims(path)
    except FaultyClaims as error:
        problems = [str(error)]
        for claim in error.sound:
            problems += model_problems(claim, registry, error.places)
            problems += prompt_problems(claim, error.places, prompts) if prompts is not None else ()
            problems += experiment_problems(claim, error.places)
        raise BadInput("\n".join(problems)) from None


def model_problems(claim: BaseClaim, registry: ModelRegistry, places: Places) -> list[str]:
    """Return the unknown models that a claim names, each with its place and the nearest known name."""
    problems = [
        f"{places.of(claim.id, *keys, *at)}: {why}"
        for keys, selector in claim.selectors.items()
        for at, why in selector.unknown(registry)
    ]
    for name in claim.record:  # the record of an unknown model would never be shown
        try:
            registry[name]
        except UnknownName as error:
            problems.append(f"{places.of(claim.id, 'record', name)}: {error}")
    return problems


def prompt_problems(claim: BaseClaim, places: Places, prompts: Prompts, *, on_table: bool = False) -> Iterator[str]:
    """Yield problems with the prompt sets and categories that a claim names, each with its place.

    Args:
        claim: any claim; one that reads no prompts has no such problem.
        prompts: loads a prompt set; a set given instead of the claims' own need not have their categories.
        on_table: whether a published table, which has categories of its own, replaces the prompts.
    """
    if not isinstance(claim, MeasuredClaim):
        return
    own: tuple[str | int, ...] = ("prompts",)
    named = [(own, claim.prompts), *((("multiverse", *own, i), n) for i, n in enumerate(claim.multiverse.prompts))]
    for keys, name in named:
        try:
            found = prompts(name)
        except BadInput as error:
            yield f"{places.of(claim.id, *keys)}: {error}"
            continue
        if not found.given and not on_table:
            yield from _absent_categories(claim, found, places, () if keys == own else keys)


def experiment_problems(claim: BaseClaim, places: Places) -> Iterator[str]:
    """Yield what a causal claim names that its experiment does not have, each with its place and the nearest name."""
    if not isinstance(claim, ExperimentClaim):
        return
    try:
        experiment = load_experiment(claim.test.experiment, places.folder)
    except BadInput as error:
        yield f"{places.of(claim.id, 'test', 'experiment')}: {error}"
        return
    for index, size in enumerate(claim.sizes):
        if size not in experiment.sizes:
            yield f"{places.of(claim.id, 'sizes', index)}: {UnknownName('size', size, experiment.sizes)}"
    for index, contrast in enumerate(claim.test.contrasts):
        at: tuple[str | int, ...] = ("test", "contrasts", index)
        if contrast.of not in experiment.outcomes:
            yield f"{places.of(claim.id, *at, 'of')}: {UnknownName('outcome', contrast.of, experiment.outcomes)}"
        for cell in contrast.sum:
            if problem := _cell_problem(cell, experiment, sized=bool(claim.sizes)):
                yield f"{places.of(claim.id, *at)}: {problem}"


def _cell_problem(cell: str, experiment: Experiment, *, sized: bool) -> object:
    """Return what is wrong with a cell that a contrast names, or None; `sized` says whether its claim names sizes."""
    size, _, name = cell.rpartition("/")
    if name not in experiment.cells:
        return UnknownName("cell", name, experiment.cells)
    if size and size not in experiment.sizes:
        return UnknownName("size", size, experiment.sizes)
    if not size and not sized and experiment.sizes != (WHOLE,):
        return (
            f"{name!r} is of no size; add `sizes: [{', '.join(experiment.sizes)}]` to the claim, or write SIZE/{name}"
        )
    return None


def lacking_categories(claim: MeasuredClaim, prompts: PromptSet) -> list[str]:
    """Return the categories that a claim compares but that no prompt of a set has."""
    groups = (claim.test.categories or {}).values()
    return [name for names in groups for name in names if name not in prompts.categories]


def beyond_problems(claim: BaseClaim, rows: Sequence[ModelRow], places: Places) -> Iterator[str]:
    """Yield what is beyond every one of these models: a layer, a block or a coordinate."""
    if not isinstance(claim, MeasuredClaim):
        return
    asked = claim.test.readings
    layer = max((one.layer for one in asked if isinstance(one.layer, int)), default=0)
    block = max((_last_block(one.blocks) + (one.under == "swap-blocks") for one in asked if one.blocks), default=0)
    coordinate = max((one.coordinate for one in asked if one.coordinate is not None), default=-1)
    for key, wanted, fact, offset, more in (
        ("layer", layer, "layers", 0, ", or `last`"),
        ("blocks", block, "layers", 0, ", or `last`"),
        ("coordinate", coordinate, "d_model", 1, ""),
    ):
        if wanted < 1:
            continue
        try:
            sizes = {row.name: int(row.fact(fact)) for row in rows}
        except (KeyError, NotMeasured):
            continue
        largest = max(sizes, key=lambda name: sizes[name])
        if wanted > sizes[largest] - offset:
            best = "deepest" if fact == "layers" else "widest"
            of = f"{largest} has" if len(sizes) == 1 else f"the {best} of these {len(sizes)} models, {largest}, has"
            word = "block" if key == "blocks" else key
            yield (
                f"{places.of(claim.id, 'test', key)}: there is no {word} {wanted}: {of} {sizes[largest]}; name a number"
                f" up to {sizes[largest] - offset}{more}"
            )


def _last_block(blocks: Blocks) -> int:
    """Return the largest number of a block that is named; 0 where they are named by words."""
    return max(blocks) if isinstance(blocks, tuple) else blocks if isinstance(blocks, int) else 0


def _absent_categories(
    claim: MeasuredClaim, prompts: PromptSet, places: Places, keys: tuple[str | int, ...]
) -> Iterator[str]:
    """Yield each category that a set lacks, with the place of the category or of the variation that names the set."""
    for group, names in (claim.test.categories or {}).items():
        for index, name in enumerate(names):
            if name not in prompts.categories:
                place = places.of(claim.id, *(keys or ("test", "categories", group, index)))
                unknown = UnknownName("category", name, set(prompts.categories))
                yield f"{place}: prompt set {prompts.name!r}: {unknown}"
