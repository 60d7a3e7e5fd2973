"""A run: claims, models and options in, one verdict row per case out. Knows nothing about pytest."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from refutable._util.hashing import key_of
from refutable._util.progress import task
from refutable._util.text import counted, few, printable
from refutable.claims import BaseClaim, ExperimentClaim, MeasuredClaim, WiringClaim, claims_hash
from refutable.claims.cases import Case, by_model, cases_of
from refutable.claims.file import Loaded
from refutable.claims.references import read_checked
from refutable.errors import BadInput, NotMeasured, RefutableError
from refutable.evidence import decide_case
from refutable.evidence.describer import describer
from refutable.evidence.experiment import experiment_meta, experiment_weights
from refutable.evidence.plan import build_plan
from refutable.evidence.published.read import read_table
from refutable.evidence.published.table import Table
from refutable.evidence.sample_source import SampleSource
from refutable.evidence.weights_summary import WeightsSummary, hash_shown
from refutable.models.device import choose_device
from refutable.models.file_hashes import FileHashes
from refutable.models.own import with_own
from refutable.models.registry import ModelRegistry, load_registry
from refutable.models.revision_names import is_glob, split_name
from refutable.models.revisions import Revisions
from refutable.models.selection import select
from refutable.models.subject import INIT, PRETRAINED, WeightsKind
from refutable.models.weights import Finder
from refutable.options import Options
from refutable.prompts.find import given_prompts, load_prompts
from refutable.prompts.prompt_set import PromptSet
from refutable.reports.beside import KnownClaim, known_claims
from refutable.statistics import STATISTICS
from refutable.traces.passes import Pass
from refutable.traces.store import cache_folder, open_store
from refutable.verdicts.falsifiability.feasibility import Infeasible, count_categories, infeasible
from refutable.verdicts.falsifiability.seeds import infeasible_with_seeds
from refutable.verdicts.judge import Judgement, undecided
from refutable.verdicts.looks import Look
from refutable.verdicts.preregistration.lockfile import lock_file, read_lock
from refutable.verdicts.preregistration.status import Registrations, hashes_of
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Verdict

DAMAGED = "a stored trace was not as it was written, and was measured again"


@dataclass(slots=True)
class Session:
    """Claims on trial.

    Attributes:
        source: where numbers come from.
        claims_hash: of all claims together.
        registrations: which claims were locked, and when.
        loaded: the claims as they were read, with the claims file and the files it includes.
        given: prompts from the user that replace the claims' own, if any.
    """

    options: Options
    registry: ModelRegistry
    cases: tuple[Case, ...]
    source: SampleSource
    claims_hash: str
    registrations: Registrations
    loaded: Loaded
    given: PromptSet | None = None
    _weights_summary: WeightsSummary = field(default_factory=WeightsSummary)

    @classmethod
    def prepare(cls, options: Options) -> Session:
        """Read and check everything that can be checked before a model is loaded; raises BadInput."""
        folder, store = cache_folder(), open_store()
        device = choose_device(options.device)
        finder = Finder(FileHashes(folder), device, offline=options.offline, cpu_asked=options.device == "cpu")
        known = load_registry(options.models_file)
        first = next((one for one in options.revisions if not is_glob(one)), None)
        describing = partial(describer, finder.hashes, offline=options.offline, revision=first)
        registry, names = with_own(known, options.models, describing)
        options = replace(options, models=names)
        given = _given(options)
        named = partial(load_prompts, beside=options.claims.parent)
        own_prompts = None if given is not None or options.measurements is not None else named
        loaded = read_checked(options.claims, registry, own_prompts)
        claims = loaded.claims if given is None else tuple(_on(given, claim) for claim in loaded.claims)
        table = _table(options, registry)
        selection = select(
            registry,
            device,
            models=options.models,
            weights=options.weights,
            revisions=Revisions(
                options.revisions,
                offline=options.offline,
                at_hand=True,
                of_table=frozenset(name for name in table.rows if "@" in name) if table is not None else frozenset(),
            ),
            dtype=options.dtype,
            adapter=None if options.adapter is None else str(options.adapter),
            chat_template=options.chat_template,
        )
        store.sweep()
        source = SampleSource(selection, finder, store, table, options.claims.parent)
        if given is not None:
            source.give(given)
        cases = cases_of(
            claims,
            registry,
            loaded.places,
            source.prompts,
            on_table=table is not None,
            categorised=None if table is None else lambda _: table.has_categories,
            revisions=selection.expands,
        )
        cases = by_model(cases)
        _look_at_given_weights(source)
        registrations = Registrations(hashes_of(cases, source.prompts), read_lock(lock_file(options.claims)))
        return cls(options, registry, cases, source, claims_hash(claims), registrations, loaded, given)

    @property
    def known_claims(self) -> dict[str, KnownClaim]:
        """The claims on trial, by id: as they were read, with their text and their hash."""
        return known_claims(self.loaded, self.registrations.hashes)

    def plan_for(self, cases: Iterable[Case]) -> None:
        """Tell the sample source what the run will read, so that each model is loaded only once."""
        self.source.plan = build_plan((case for case in cases if not self._skipped(case)), self.source.selection)

    def check_named(self, cases: Iterable[Case]) -> None:
        """Refuse a run in which a model that the user named is not tried.

        Args:
            cases: those that are selected.

        Raises:
            BadInput: no case is about any model that one `--model` means, of those that can be tried at all.
        """
        cases = tuple(cases)
        at = {split_name(model) for case in cases for model in case.models}
        tried = {model for model, _ in at} | {case.claim.other_model for case in cases}
        for pattern in self.options.models:
            names = [row.name for row in self.registry.matching(pattern) if not row.unusable]
            if names and tried.isdisjoint(names):
                raise BadInput(
                    f"--model {pattern}: no selected claim is about {few(names)}; add it under `models:` of a claim,"
                    " select a claim that is about it, or leave the option out"
                )
        asked = {one for names in self.source.selection.revisions.values() for one in names}
        for revision in self.options.revisions:
            if revision in asked and revision not in {one for _, one in at}:
                raise BadInput(
                    f"--revision {revision}: no selected claim is about it; add it under `revisions:` of one, select"
                    " a claim without `revisions:`, or leave the option out"
                )

    def infeasible(self, case: Case) -> Infeasible | None:
        """Return the verdicts that a case can never reach with this run's prompts, models or seeds, as far as known."""
        if isinstance(case.claim, ExperimentClaim):
            return infeasible_with_seeds(case.claim, case.size, self.source.folder)
        if not isinstance(case.claim, MeasuredClaim) or self.on_table(case):
            return None
        prompts = self.source.prompts(case.claim.prompts)
        selected, categories = self.source.selection.__contains__, count_categories(prompts)
        return infeasible(case.claim, len(prompts), self.registry, selected, categories=categories)

    def _skipped(self, case: Case) -> Infeasible | None:
        found = self.infeasible(case) if self.options.skip_hopeless else None
        return found if found is not None and found.hopeless else None

    def try_case(self, case: Case) -> VerdictRow:
        """Try one case. Always returns a row."""
        self.source.read.clear()
        started = time.perf_counter()
        with task(f"trying {case.id}"):
            judgement = self._judgement(case)
        traces = tuple(self.source.read)
        if not self.source.store.damaged.isdisjoint(traces):
            judgement = replace(judgement, details={**judgement.details, "cache": DAMAGED})
        if left := [key for key in traces if key in self.source.store.unstored]:
            why = f"{counted(len(left), 'trace')} could not be stored ({self.source.store.unstored[left[0]]})"
            judgement = replace(judgement, details={**judgement.details, "store": f"{why}; measured for this run"})
        try:
            weights = self._weights(case, judgement, traces)
        except (KeyError, ValueError, TypeError):  # damaged meta in the store; the verdict itself stands
            weights = {}
        return VerdictRow.of(
            judgement,
            case=case.id,
            claim=case.claim.id,
            subject=case.subject,
            about={**_about(case), **self._registered(case, judgement, traces)},
            recorded={m: r.model_dump(exclude_none=True) for m, r in case.claim.record.items() if m in case.subjects},
            weights=weights,
            traces=traces,
            seconds=time.perf_counter() - started,
            looks=self._looks(case, judgement),
        )

    def _looks(self, case: Case, judgement: Judgement) -> tuple[Look, ...]:
        """Return this look, if a statistic looked at prompts that a model read here; a table's are not the claim's."""
        claim, estimate = case.claim, judgement.estimate
        if not isinstance(claim, MeasuredClaim) or not judgement.verdict.looked or estimate is None:
            return ()
        if self.on_table(case):
            return ()
        statistic = STATISTICS[claim.test.statistic]
        links = self.source.prompts(claim.prompts).links
        shown = links if statistic.anytime else links[-1:]
        named = f"{statistic.name} {statistic.version}"
        return (Look(len(links), shown, statistic.anytime, named, claim.hypothesis),)

    def _judgement(self, case: Case) -> Judgement:
        skipped = self._skipped(case)
        if skipped is not None:
            return Judgement(Verdict.NOT_MEASURED, case.claim.prediction, f"{skipped}; not tried (--skip-hopeless)")
        try:
            return decide_case(case, self.source)
        except RefutableError as error:
            return undecided(error, case.claim.prediction)
        except OSError as error:
            why = f"a file cannot be used ({error.strerror}); can the cache folder ($REFUTABLE_CACHE) be written?"
            return Judgement(Verdict.ERROR, case.claim.prediction, why)
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # its frames may hold tensors
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            why = printable(f"{type(error).__name__}: {error} ({place}); this is a fault of refutable")
            return Judgement(Verdict.ERROR, case.claim.prediction, why)

    def _registered(self, case: Case, judgement: Judgement, traces: tuple[str, ...]) -> dict[str, str]:
        looked = judgement.verdict.looked
        published = looked and self.on_table(case)
        metas: list[Mapping[str, Any]] = [self.source.used[key].meta for key in traces] if looked else []
        if looked and isinstance(case.claim, ExperimentClaim):
            metas = [experiment_meta(case.claim, self.source.folder)]
        return self.registrations.describe(case.claim, metas, published=published)

    def on_table(self, case: Case) -> bool:
        """Whether a case is judged on the published table; freshly drawn weights are still measured."""
        return self.source.table is not None and case.claim.evidence in ("measured", "dynamical")

    def _weights(self, case: Case, judgement: Judgement, traces: tuple[str, ...]) -> dict[str, str]:
        """Return the weights used, as text; the first trace is the claim's own, the others its controls'."""
        claim = case.claim
        if isinstance(claim, ExperimentClaim):
            return experiment_weights(claim, self.source.folder) if judgement.verdict.looked else {}
        if self.source.table is not None and self.on_table(case):
            if not judgement.verdict.looked:
                return {}
            return {
                "weights_kind": str(WeightsKind.PUBLISHED),
                "weights_detail": self.source.table.description,
                "models": ", ".join(model for model in case.models if model in self.source.table.rows),
                "dtype": "as published",
            }
        if not traces or not isinstance(claim, MeasuredClaim | WiringClaim):
            return self._configurations(case) if judgement.verdict.looked else {}
        told = self._weights_summary(claim, {key: self.source.used[key] for key in traces})
        return {**told, "prompts_from": "--prompts"} if self.given is not None and "prompt_set" in told else told

    def _configurations(self, case: Case) -> dict[str, str]:
        """Return the hash of what facts of models without a row are read from, so that two of one name are two."""
        rows = [self.registry[model] for model in case.models]
        found = [hash_shown(key_of(row.config)) for row in rows if row.config_from != "registry"]
        return {"config_hash": ", ".join(found)} if found else {}


def _given(options: Options) -> PromptSet | None:
    if options.prompts is None:
        return None
    if options.measurements is not None:
        raise BadInput("--prompts is what a model would read, and --measurements was made on its own; give one of them")
    return given_prompts(options.prompts)


def _on(given: PromptSet, claim: BaseClaim) -> BaseClaim:
    """Return a claim with the given prompts in place of its own, which changes its hash."""
    return claim.model_copy(update={"prompts": given.name}) if isinstance(claim, MeasuredClaim) else claim


def _table(options: Options, registry: ModelRegistry) -> Table | None:
    if options.measurements is not None and options.adapter is not None:
        raise BadInput("--adapter changes what is measured, and --measurements was measured already; give one of them")
    if options.measurements is not None and options.chat_template:
        raise BadInput("--chat-template changes what is measured, and --measurements was measured already; give one")
    if options.measurements is None:
        if options.measurements_map is not None:
            raise BadInput("--measurements-map says what a table's columns are; give the table: --measurements FILE")
        return None
    return read_table(options.measurements, registry, options.measurements_map)


def _about(case: Case) -> dict[str, Any]:
    claim = case.claim
    return {
        "statement": claim.statement,
        "evidence": claim.evidence,
        "alpha": claim.alpha,
        "catalogue": claim.catalogue,
        "decides": claim.decides,
        "reading_of": claim.reading_of,
        "contradicts": list(claim.contradicts),
        "for": claim.scope,
        "source": claim.source.model_dump(exclude_none=True) if claim.source else None,
        **({"headline": claim.headline} if claim.headline else {}),
        **({"collection": claim.collection} if claim.collection else {}),
    }


def _look_at_given_weights(source: SampleSource) -> None:
    """Check weights given by a path before anything runs; raises BadInput."""
    for model in source.selection.named:
        own = source.selection.registry[model]
        if own.unusable:
            continue
        subject = source.selection.subject(model)
        if subject.weights not in (PRETRAINED, INIT) or (subject.weights == PRETRAINED and own.weights is not None):
            with contextlib.suppress(NotMeasured):
                source.find_weights(subject, Pass("forward"))
