"""The subcommand `show`: one claim in prose and numbers."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli import screen
from refutable.cli.completion import claim_ids
from refutable.cli.defaults import ModelsOption, VerdictsOption, claims_file, models_file, published, reports_folder
from refutable.errors import BadInput

if TYPE_CHECKING:
    from refutable.reports.journal import RunResult

NEAREST = 8


def show(
    claim: Annotated[str, typer.Argument(help="the id of a claim", autocompletion=claim_ids)],
    claims: Annotated[
        Path | None, typer.Option(help="claims file; by default the ini file's, else claims.yaml")
    ] = None,
    models: ModelsOption = None,
    verdicts: VerdictsOption = None,
) -> None:
    """Show one claim: its words and source, how it is measured and decided, and its last verdicts."""
    from refutable.claims import ExperimentClaim, MeasuredClaim
    from refutable.claims.cases import cases_of
    from refutable.claims.file import read_claims
    from refutable.models.registry import load_registry
    from refutable.prompts.find import load_prompts
    from refutable.reports.claim_text import claim_text
    from refutable.verdicts.falsifiability.feasibility import count_categories, infeasible
    from refutable.verdicts.falsifiability.seeds import infeasible_with_seeds

    file = claims_file(claims)
    loaded, registry = read_claims(file), load_registry(models_file(models))
    named = cache(partial(load_prompts, beside=file.parent))
    chosen = [one for one in loaded.claims if one.id == claim]
    if not chosen:
        raise BadInput(f"{file}: no claim is called {claim!r}.{_nearest(claim, [one.id for one in loaded.claims])}")
    cases = cases_of(chosen, registry, loaded.places, named)
    of = cases[0].claim if cases else chosen[0]
    prompts = named(of.prompts) if isinstance(of, MeasuredClaim) else None
    never = None
    if isinstance(of, MeasuredClaim) and prompts is not None:
        never = infeasible(of, len(prompts), registry, categories=count_categories(prompts))
    elif isinstance(of, ExperimentClaim) and cases:
        never = infeasible_with_seeds(of, cases[0].size, file.parent)
    text = claim_text(of, cases, loaded.yaml().get(claim, ""), _runs(verdicts), prompts, never)
    screen.show_markdown(text)


def _nearest(name: str, known: list[str]) -> str:
    """Return the ids that are most like a name, and those that share the most words with it."""
    import difflib

    words = set(name.split("-"))
    shared = {one: len(words & set(one.split("-"))) for one in known}
    near = difflib.get_close_matches(name, known, n=NEAREST, cutoff=0.5)
    near += sorted(filter(shared.get, known), key=lambda one: -shared[one])
    shown = [*dict.fromkeys(near)][:NEAREST]
    return f" Nearest: {', '.join(shown)}." if shown else ""


def _runs(given: Path | None) -> dict[str, RunResult]:
    """Return the run whose verdicts are asked for; by default the last one here and the published one."""
    from refutable.reports.formats.verdicts_json import read_verdicts

    if given is not None:
        return {str(given): read_verdicts(given)}
    here = (reports_folder() / "verdicts.json", published())
    return {str(file): read_verdicts(file) for file in here if file is not None and file.is_file()}
