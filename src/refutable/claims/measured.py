"""Claims about a model run on prompts: measured, on drawn weights, under an intervention, or dynamical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from refutable._util.hashing import key_of
from refutable._util.strict_yaml import NAMES
from refutable.claims.base import ID_PATTERN, ClaimOnModels
from refutable.claims.measured_test import NOT_OF_DIFFERENCES, MeasuredTest
from refutable.claims.parts import (
    ControlName,
    Tolerance,
    Variations,
    metric_named,
    normless,
    statistic_named,
)
from refutable.metrics import METRICS
from refutable.models.selector import Selector
from refutable.statistics.region import Region, parse_region
from refutable.traces.passes import PASSES, Change

DEFAULT_PROMPTS = "grand-unified-25"
DEFAULT_SEEDS = (0, 1, 2, 3, 4)


class MeasuredClaim(ClaimOnModels):
    """Decided by running prompts through a model's weights."""

    at_revisions: ClassVar[bool] = True
    evidence: Literal["measured"]
    quantifier: Literal["each", "all", "any", "majority", "pooled"] = Field(default="each", alias="for")
    family: Annotated[str, Field(pattern=ID_PATTERN, max_length=80)] | None = Field(
        default=None, description="name of a family of claims, whose p-values are also adjusted together"
    )
    prompts: str = Field(default=DEFAULT_PROMPTS, json_schema_extra={NAMES: "prompt set"})
    test: MeasuredTest
    controls: tuple[ControlName, ...] = Field(default=(), description="where the claim ought to fail")
    multiverse: Variations = Variations()
    tolerance: Tolerance | None = Field(default=None, description="why its band is as wide as it is")

    @property
    def groups(self) -> Mapping[str, Selector]:
        """The groups of models that its test compares."""
        return self.test.groups or {}

    @property
    def scope(self) -> str:
        """Its quantifier, or the units it compares if models are the units."""
        return "groups" if self.test.groups else "models" if self.test.over_models else self.quantifier

    @property
    def other_model(self) -> str | None:
        """The model that its own are compared with."""
        return self.test.other.model if self.test.other is not None else None

    @property
    def prediction(self) -> str:
        """The predicted region."""
        return self.test.predicts

    @property
    def hypothesis(self) -> str:
        """What it predicts of what, as a hash, however it is judged: without statistic, alpha, `over:` and prompts."""
        test = self.test.model_dump(mode="json", exclude_defaults=True, exclude={"statistic", "over"})
        return key_of({"evidence": self.evidence, "for": self.quantifier, "test": test})[:16]

    @model_validator(mode="after")
    def _check(self) -> MeasuredClaim:
        self._check_keys()
        self._check_trajectory()
        self._check_variations()
        self._check_controls()
        self._check_tolerance()
        self._check_kind()
        return self

    def _check_keys(self) -> None:
        if self.test.groups is not None and "models" in self.model_fields_set:
            raise ValueError("a comparison names its models in `test.groups`; remove `models:`")
        statistic_named(self.test.statistic).takes.check_quantifier(self.test.statistic, self.quantifier)
        if self.quantifier == "pooled":
            self._refuse("`for: pooled` takes", "controls", "multiverse")
        if self.test.over_models and self.test.groups is None:
            why = "the model is the unit of replication here, which takes"
            self._refuse(why, "quantifier", "controls", "multiverse")

    def _check_trajectory(self) -> None:
        test = self.test
        if test.trajectory and not self.models.revisions:
            raise ValueError(
                "a trajectory is over the checkpoints of a model; name them: `models: {names: [...], revisions: [...]}`"
            )
        if (test.trajectory or test.of_revision) and "initialization" in self.controls:
            raise ValueError("control 'initialization' has no revisions: freshly drawn weights are step 0; remove it")
        if test.first_step is not None:
            if self.quantifier == "pooled":
                raise ValueError(
                    "a first step may lie beyond the last checkpoint, and so has no mean over models; write `for: all`,"
                    " `any` or `majority`"
                )
            self._refuse("the first step from which something holds takes", "controls", "multiverse")

    def _refuse(self, why: str, *keys: str) -> None:
        for key in keys:
            if key in self.model_fields_set:
                raise ValueError(f"{why} no `{'for' if key == 'quantifier' else key}:`; remove it")

    def _check_variations(self) -> None:
        chosen = statistic_named(self.test.statistic)
        for name in self.multiverse.statistic:
            other = statistic_named(name)
            if other.takes.parts and metric_named(self.test.of[0]).parts is None:
                raise ValueError(
                    f"`multiverse.statistic:` {name!r} divides lengths; metric {self.test.of[0]!r} is no ratio of two;"
                    " remove it"
                )
            if self.test.against is not None and name in NOT_OF_DIFFERENCES:
                raise ValueError(f"`multiverse.statistic:` {name!r} is not of differences; remove it or `against:`")
            if not chosen.takes.like(other.takes, counting=self.test.holds is not None):
                raise ValueError(f"`multiverse.statistic:` {name!r} takes other things than {chosen.name!r}; remove it")
        if self.multiverse.dtype and self.test.other is not None and self.test.other.dtype is not None:
            raise ValueError("`against:` compares dtypes already; remove it or `multiverse.dtype:`")
        for key in self.test.other.reading if self.test.other is not None else ():
            if getattr(self.multiverse, key, ()):
                raise ValueError(f"`against:` compares readings by `{key}:` already; remove it or `multiverse.{key}:`")
        last_only = [name for name in self.test.of if metric_named(name).last_only]
        if last_only and set(self.multiverse.position) - {"last"}:
            raise ValueError(f"metric {last_only[0]!r} is read at the last token only; remove `multiverse.position:`")
        if "centred" in self.multiverse.norm and (why := normless(self.test.of)):
            raise ValueError(f"{why}; remove `multiverse.norm:`")

    def _check_controls(self) -> None:
        chosen = statistic_named(self.test.statistic)
        if "permuted" in self.controls and not chosen.takes.shuffles:
            what = "compares prompts by category" if chosen.takes.compares == "categories" else "has neither"
            raise ValueError(
                f"control 'permuted' shuffles pairs of two metrics, or models between groups; statistic {chosen.name!r}"
                f" {what}, so remove it"
            )

    def _check_tolerance(self) -> None:
        if self.tolerance is None:
            return
        if not self.bands:
            raise ValueError("`tolerance:` is of a band `within [a, b]` with a < b, and the test has none; remove it")
        effect = self.tolerance.effect
        for band in self.bands:
            if effect is not None and (band.high - band.low) / 2 >= effect:
                raise ValueError(
                    f"half of `{band.text}` is no less than the effect at stake, {effect:g}; narrow the band, or leave"
                    " `effect:` out and say in `why:` which reading it is"
                )

    @property
    def bands(self) -> tuple[Region, ...]:
        """Its regions `within [a, b]` with a below b: those that have a tolerance."""
        regions = (parse_region(text) for text in (self.test.predicts, self.test.holds) if text is not None)
        return tuple(region for region in regions if not region.one_sided and region.low < region.high)

    def _check_kind(self) -> None:
        """Refuse a test that belongs to another kind of evidence."""
        if self.test.under is not None:
            raise ValueError("`under:` changes the model in its forward pass; write `evidence: intervention`")
        dynamic = _dynamic(self.test)
        if dynamic and self.evidence == "measured":
            raise ValueError(f"metric {dynamic[0]!r} follows changes, not prompts alone; write `evidence: dynamical`")


class PassTestClaim(MeasuredClaim):
    """Decided by a test; a claim that no pass can decide says what it needs instead."""

    @model_validator(mode="wrap")
    @classmethod
    def _needs_nothing(cls, entry: Any, check: ModelWrapValidatorHandler[PassTestClaim]) -> PassTestClaim:
        if isinstance(entry, dict) and "needs" in entry:
            raise ValueError("`needs:` names an experiment nobody has made, and this claim has a `test:`; remove one")
        return check(entry)


class InterventionClaim(PassTestClaim):
    """Decided like a measured claim, on a model that is ablated or re-wired in its forward pass, at fixed weights."""

    evidence: Literal["intervention"]  # type: ignore[assignment]

    def _check_kind(self) -> None:
        if self.test.under is None:
            allowed = ", ".join(get_args(Change))
            raise ValueError(f"an intervention says what is changed; add `under:` to `test:` (one of {allowed})")


class DynamicalClaim(PassTestClaim):
    """Decided by how small changes of the stream grow: by a metric of the perturbation or Jacobian pass."""

    evidence: Literal["dynamical"]  # type: ignore[assignment]

    def _check_kind(self) -> None:
        super()._check_kind()
        if not _dynamic(self.test):
            known = ", ".join(sorted(name for name in METRICS if PASSES[METRICS[name].reads].dynamic))
            raise ValueError(
                f"{self.test.of[0]!r} is read from one plain pass; write `evidence: measured`, or a dynamical metric"
                f" ({known})"
            )


def _dynamic(test: MeasuredTest) -> list[str]:
    """Return the metrics of a test that are read from a dynamic pass."""
    return [name for name in test.of if PASSES[metric_named(name).reads].dynamic]


class InitializationClaim(MeasuredClaim):
    """Decided like a measured claim, on freshly drawn weights."""

    at_revisions: ClassVar[bool] = False
    evidence: Literal["initialization"]  # type: ignore[assignment]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**63, strict=True)], ...],
        Field(min_length=2, description="the seed is the unit of replication"),
    ] = DEFAULT_SEEDS

    @model_validator(mode="after")
    def _seeds_replicate(self) -> InitializationClaim:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("`seeds:` repeats one; each seed is one replicate, so name different ones")
        self._refuse("weights that are drawn take", "controls", "multiverse")
        if self.test.groups is not None:
            raise ValueError("drawn weights are not compared by groups; remove `groups:`")
        by_category = self.test.categories is not None or statistic_named(self.test.statistic).takes.by_category
        if self.test.over_models or by_category:
            raise ValueError("the seed is the unit of replication here; take a statistic of seeds")
        return self
