"""One claim in prose and numbers, as Markdown: what it says, how it is measured and decided, and its last verdicts."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from refutable._util.text import counted, few
from refutable.claims import (
    ArchitectureClaim,
    BaseClaim,
    ClaimOnModels,
    ExperimentClaim,
    InitializationClaim,
    MeasuredClaim,
    PendingClaim,
    TheoremClaim,
    UntestableClaim,
    WiringClaim,
)
from refutable.claims.cases import Case
from refutable.metrics import METRICS, first_token_of
from refutable.prompts.prompt_set import PromptSet
from refutable.reports.journal import RunResult
from refutable.reports.reference import first_sentence
from refutable.statistics import STATISTICS
from refutable.statistics.region import Region
from refutable.traces.passes import blocks_told
from refutable.verdicts.falsifiability.feasibility import Infeasible
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

TOKENS = {
    "last": "at the last token",
    "all": "as the mean over all tokens",
    "first": "at the first token",
    "whole": "over the prompt as one matrix",
}
QUANTIFIERS = {
    "each": "each of {models} has a verdict of its own",
    "all": "one verdict: that it holds on all of {models}",
    "any": "one verdict: that it holds on any of {models}",
    "majority": "one verdict: that it holds on more than half of {models}",
    "pooled": "one verdict: {models} are the units, each by its mean over prompts",
    "groups": "one verdict: {models} are the units, in two groups",
    "models": "one verdict: {models} are the units",
}
UNDER = {
    "ablate-attention": "what attention adds is removed",
    "ablate-mlp": "what the MLP adds is removed",
    "rewire-parallel": "both modules read the block's input",
    "rewire-sequential": "the MLP reads what attention has added to",
    "soften-attention": "attention's pattern is softened",
    "keep-norm": "each block's output has the length of its input",
    "never-shorten": "no block shortens the stream",
    "never-lengthen": "no block lengthens the stream",
    "skip-block": "a block's output is its input",
    "swap-blocks": "a block runs after the one that follows it",
    "zero-coordinate": "one coordinate of a block's output is zero",
    "mean-coordinate": "one coordinate of a block's output is its mean over the prompts at that position",
    "zero-weight": "one weight of the MLP's output matrix is zero: that of the largest output and what it reads most",
    "shuffle-tokens": "the prompt's tokens are shuffled",
}
Runs = Mapping[str, RunResult]


def claim_text(
    claim: BaseClaim,
    cases: Sequence[Case],
    written: str,
    runs: Runs,
    prompts: PromptSet | None = None,
    never: Infeasible | None = None,
) -> str:
    """Return all that is known of a claim, as Markdown.

    Args:
        claim: as its prompts have it (`cases_of`).
        cases: those that it makes.
        written: its entry in the claims file, as YAML.
        runs: results to quote its verdicts from, by what they are called.
        prompts: its prompt set, if it is measured on one.
        never: the verdicts that it can never reach with these prompts.
    """
    parts = {
        "": [f"# {claim.id}", "", claim.statement, "", *_origin(claim)],
        "How it is measured": _paragraphs(measured_how(claim, cases, prompts)),
        "How it is decided": _paragraphs([*decided_how(claim), *([f"Out of reach {never}."] if never else [])]),
        "Verdicts": [line for name, run in runs.items() for line in _verdicts(name, run, claim.id)]
        or ["None yet: no run with it is in the reports, and none is published."],
        "As it is written": ["```yaml", written.rstrip("\n"), "```"],
    }
    told = {title: "\n".join(lines).strip("\n") for title, lines in parts.items() if lines}
    return "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in told.items()) + "\n"


def _origin(claim: BaseClaim) -> list[str]:
    lines = []
    for source in (*([claim.source] if claim.source else []), *claim.also):
        place = ", ".join(filter(None, (source.document, source.section)))
        lines.append(f"- from {place}" + (f": “{' '.join(source.quote.split())}”" if source.quote else ""))
    if claim.reading_of:
        lines.append(f"- one reading of `{claim.reading_of}`")
    if claim.contradicts:
        lines.append(f"- cannot hold beside {', '.join(f'`{name}`' for name in claim.contradicts)}")
    for model, record in claim.record.items():
        n = f", n = {record.n}" if record.n is not None else ""
        lines.append(f"- its author recorded {record.value:g} for {model}{n}")
    return lines


def _paragraphs(sentences: Sequence[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def measured_how(claim: BaseClaim, cases: Sequence[Case], prompts: PromptSet | None = None) -> list[str]:
    """Return how the numbers that decide a claim are made, one sentence each."""
    if isinstance(claim, PendingClaim):
        return [f"Not yet: it needs an experiment that has not been made. {claim.needs}"]
    if isinstance(claim, UntestableClaim):
        return [f"It cannot be tested: {claim.reason}"]
    if isinstance(claim, TheoremClaim):
        proof = f" There is a proof: {claim.proof}." if claim.proof else ""
        return [f"The property `{claim.test.property}` is tried on {claim.test.examples:,} generated inputs.{proof}"]
    if isinstance(claim, ExperimentClaim):
        return list(_of_experiment(claim))
    told = [_on_models(claim, cases)] if isinstance(claim, ClaimOnModels) else []
    if isinstance(claim, ArchitectureClaim):
        where = "the model's own configuration or the registry's row"
        return [*told, f"The fact `{claim.test.fact}` is looked up in {where}; no model is run."]
    if isinstance(claim, WiringClaim):
        return [*told, f"The probe `{claim.test.probe}` watches a small, freshly drawn instance of the model's class."]
    return [*told, *_of_prompts(claim, prompts)] if isinstance(claim, MeasuredClaim) else told


def _of_experiment(claim: ExperimentClaim) -> Iterator[str]:
    test, sizes = claim.test, f", at each size ({', '.join(claim.sizes)})" if claim.sizes else ""
    yield f"Networks of the experiment `{test.experiment}`, trained from scratch, are compared{sizes}."
    yield "The unit is the training seed: each contrast is one number a seed."
    for contrast in test.contrasts:
        yield f"`{contrast.of}`{str(contrast).removeprefix(contrast.of)}: predicted {contrast.region}."


def _on_models(claim: ClaimOnModels, cases: Sequence[Case]) -> str:
    models = list(dict.fromkeys(model for case in cases for model in case.models))
    if len(models) == 1:
        return f"On {models[0]}."
    named = f"{counted(len(models), 'model')} ({few(models, 6)})"
    return _sentence(QUANTIFIERS[claim.scope or "each"].format(models=named))


def _of_prompts(claim: MeasuredClaim, prompts: PromptSet | None) -> Iterator[str]:
    test = claim.test
    size = f"{len(prompts)} prompts of " if prompts is not None else ""
    weights = "weights drawn anew" if isinstance(claim, InitializationClaim) else "its weights"
    seeds = f", {len(claim.seeds)} times" if isinstance(claim, InitializationClaim) else ""
    passes = ", ".join(f"`{name}`" for name in dict.fromkeys(METRICS[metric].reads for metric in test.of))
    yield f"{size}`{claim.prompts}` are run through {weights}{seeds} (pass {passes})."
    if test.under is not None:
        blocks = blocks_told(test.blocks or "all", test.under)
        change = test.under if test.coordinate is None else f"{test.under}: {test.coordinate}"
        yield f"The model is changed in {blocks} (`{change}`): {UNDER.get(test.under, 'see docs/measurement.md')}."
    for name in test.of:
        yield f"`{name}`, {_read_at(claim, name)}: {first_sentence(METRICS[name].doc)}"
    if test.fact is not None:
        yield f"`{test.fact}` of each model is looked up."
    if test.against == "plain":
        yield "Of each prompt, the value under the change minus the value without it."
    elif test.other is not None:
        yield _sentence(test.other.describe("the model"))
    if test.categories is not None:
        first, second = (f"{name} ({', '.join(of)})" for name, of in test.categories.items())
        yield f"Prompts of {first} are compared with those of {second}."


def _read_at(claim: MeasuredClaim, name: str) -> str:
    test, metric = claim.test, METRICS[name]
    told = [] if metric.last_only else [TOKENS[test.position]]
    if first_token_of(metric, test.position) is not None:
        counts = (test.first_token or first_token_of(metric, test.position)) == "with"
        told.append(f"the first token {'counted' if counts else 'left out'}")
    if metric.per == "layer":
        told.append(_layer(test.layer))
    if metric.has_norm:
        told.append("raw" if test.norm == "raw" else "less the mean over the width")
    return ", ".join(told) or "one value a prompt"


def _layer(layer: str | int | None) -> str:
    if layer in (None, "each"):
        return "in every layer"
    if layer == "mean":
        return "as the mean over layers"
    if layer == "trend":
        return "as the slope over layers"
    if layer in ("greatest", "least"):
        return f"in the layer where it is {layer}, on each prompt"
    return f"in the {layer} layer" if isinstance(layer, str) else f"in layer {layer}"


def decided_how(claim: BaseClaim) -> list[str]:
    """Return when a claim is SUPPORTED, REFUTED and neither, one sentence each."""
    if isinstance(claim, TheoremClaim):
        return ["REFUTED by a counter-example; SUPPORTED by a proof; otherwise INCONCLUSIVE, however many agree."]
    if isinstance(claim, ArchitectureClaim | WiringClaim):
        return [f"SUPPORTED where it {_predicted(claim)}, else REFUTED: what is looked up has no error rate."]
    if isinstance(claim, ExperimentClaim):
        return list(_by_contrasts(claim))
    if not isinstance(claim, MeasuredClaim):
        return []
    test, statistic = claim.test, STATISTICS[claim.test.statistic]
    told = [f"`{statistic.name}`: {first_sentence(inspect.cleandoc(statistic.doc))}"]
    if test.holds is not None:
        told.append(f"What counts is `{test.holds}`.")
    told.append(_bounds(test.region, claim.alpha))
    told.append(f"Its error rates hold if {'; '.join(each.value for each in statistic.assumes)}.")
    if claim.controls:
        told.append(f"It ought to fail on {', '.join(claim.controls)}; where it does not, a label says so.")
    if axes := claim.multiverse.axes:
        varied = "; ".join(f"{axis} {', '.join(values)}" for axis, values in axes.items())
        told.append(f"It is tried again with {varied}; if that changes the verdict it is labelled `fragile`.")
    if claim.family is not None:
        told.append(f"Its p-value is also adjusted over the family `{claim.family}`.")
    if claim.tolerance is not None:
        told.append(f"The band is as wide as that because: {claim.tolerance.why}.")
    return told


def _by_contrasts(claim: ExperimentClaim) -> Iterator[str]:
    statistic, count = STATISTICS["mean"], len(claim.test.contrasts)
    yield f"`{statistic.name}` over seeds: {first_sentence(inspect.cleandoc(statistic.doc))}"
    if count == 1:
        yield _bounds(claim.test.contrasts[0].region, claim.alpha)
        return
    error = f"{100 * claim.alpha:g} %"
    one, other = ("SUPPORTED", "REFUTED") if claim.test.holds == "all" else ("REFUTED", "SUPPORTED")
    yield f"{one} if each of {count} contrasts is, with an error probability of {error}; {other} if one is, by Holm."


def _predicted(claim: ArchitectureClaim | WiringClaim) -> str:
    return claim.prediction if claim.prediction.startswith("equals") else f"is {claim.prediction}"


def _bounds(region: Region, alpha: float) -> str:
    error = f"{100 * alpha:g} %"
    if not region.one_sided:
        return (
            f"SUPPORTED if two one-sided tests, each with an error probability of {error}, put the value"
            f" {region}; REFUTED if a bound of either side lies outside; otherwise INCONCLUSIVE."
        )
    return (
        f"SUPPORTED if a one-sided bound, with an error probability of {error}, lies in `{region}`; REFUTED if the"
        " opposite bound lies outside; otherwise INCONCLUSIVE."
    )


def _verdicts(name: str, run: RunResult, claim: str) -> list[str]:
    rows = [row for row in run.rows if row.claim == claim]
    if not rows:
        return []
    lines = [f"{name}:", ""]
    lines += [_line(row) for row in rows if row.verdict is not Verdict.NOT_MEASURED]
    lacking: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.verdict is Verdict.NOT_MEASURED:
            lacking[row.why.replace(row.subject, "NAME")].append(row.subject)
    lines += [f"- NOT_MEASURED on {few(subjects, 6)}: {why}" for why, subjects in lacking.items()]
    return [*lines, ""]


def _line(row: VerdictRow) -> str:
    weights = "" if row.weights_kind == "-" else f" ({row.weights_kind})"
    labels = f" [{', '.join(row.labels)}]" if row.labels else ""
    return f"- {row.verdict.value} on {row.subject}{weights}: {row.why}{labels}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
