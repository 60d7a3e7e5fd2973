"""The `test:` of a claim about a model run on prompts: a statistic of metrics, and what goes with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    Tag,
    field_validator,
    model_validator,
)

from refutable._util.strict_yaml import NAMES, Frozen, Names
from refutable.claims.parts import (
    AGAINST,
    CHANGES,
    FACT_NAMES,
    WORDS,
    Against,
    Along,
    Layer,
    Models,
    NamedBlocks,
    Norm,
    metric_named,
    normless,
    statistic_named,
)
from refutable.metrics import SEVERAL_LAYERS, first_token_of
from refutable.models.registry_facts import STEP_FACTS
from refutable.statistics.over import Over
from refutable.statistics.region import Region, RegionText, parse_region
from refutable.traces.passes import (
    COORDINATE_CHANGES,
    EACH_TOKEN,
    PASSES,
    UNCLOSED,
    Change,
    First,
    is_one_with_a_next,
)
from refutable.traces.trace import Position

HELD = "held against"  # the form of `against:` that names a model or a dtype
NOT_OF_DIFFERENCES = {
    "geometric_mean": "differences have no geometric mean: they may be negative",
    "ratio_of_means": "a difference of two ratios is no ratio of two lengths",
}


def _against(value: object) -> str | None:
    """Return the form of `against:`, or None for neither form."""
    return HELD if isinstance(value, dict | Against) else "plain form" if value == "plain" else None


HeldAgainst = Annotated[
    Annotated[Literal["plain"], Tag("plain form")] | Annotated[Against, Tag(HELD)],
    Discriminator(
        _against,
        custom_error_type="against",
        custom_error_message=f"must be plain, {AGAINST}",
    ),
]


class MeasuredTest(Frozen):
    """A statistic of metrics over the model's prompts, compared with a predicted region."""

    statistic: Annotated[
        str, AfterValidator(lambda name: statistic_named(name).name), Field(json_schema_extra={NAMES: "statistic"})
    ]
    of: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda v: [v] if isinstance(v, str) else v),
        Field(min_length=1, json_schema_extra={NAMES: "metric"}),
    ]
    predicts: RegionText
    over: Over | None = Field(
        default=None,
        description="which categories of prompts it speaks of: categories_like_these (the default where prompts have"
        " categories: the category is the unit) or these_categories (prompts vary inside them)",
    )
    holds: RegionText | None = Field(default=None, description="what must be true of a layer or prompt for it to count")
    holds_above: bool | None = Field(
        default=None, description="for a boundary: whether it holds above it (false: below it); by default either"
    )
    layer: Layer | None = Field(default=None, description="which layer, for a metric with one value per layer")
    position: Position = Field(
        default="last",
        description="which token; `all` leaves out the first; `whole` takes the prompt as one matrix, first included",
    )
    first_token: First | None = Field(
        default=None,
        description="whether the first token counts in what is over several tokens, and is changed by an intervention"
        " on each; by default as the position, the pass and the intervention have it",
    )
    first_block: First | None = Field(
        default=None, description="whether the first block counts in `layer: mean`; by default it does"
    )
    norm: Norm = "raw"
    groups: dict[str, Models] | None = Field(
        default=None, description="two groups of models, first minus second", json_schema_extra={NAMES: "model"}
    )
    under: Change | None = Field(default=None, description="what is changed in the forward pass, at fixed weights")
    blocks: NamedBlocks | None = Field(
        default=None,
        description="which blocks are changed: all (the default), the first, the middle or the last one, the"
        " earlier-half or the later-half, one by its number, from 1, or several: [16, 17] or 16-30; swap-blocks"
        " exchanges one with the next",
    )
    coordinate: int | None = Field(
        default=None,
        ge=0,
        strict=True,
        description="which coordinate of the blocks' output zero-coordinate sets to zero, and mean-coordinate to its"
        " mean over prompts, from 0 (largest_coordinate)",
    )
    against: HeldAgainst | None = Field(
        default=None,
        description="the paired difference per prompt: plain, under the intervention minus without it; {model: NAME},"
        " this model minus that one; {dtype: D}, the run's dtype minus that one; {norm: N}, {position: P} or"
        " {layer: L}, the value as the test reads it minus the value read so; {under: U}, {blocks: B} or"
        " {coordinate: C}, under the test's intervention minus under that one",
    )
    categories: dict[str, Names] | None = Field(
        default=None, description="two groups of the prompts' categories, first minus second"
    )
    fact: Literal[FACT_NAMES] | None = Field(  # type: ignore[valid-type]
        default=None,
        description="a number of each model, as the last variable; models are then the units. `step`, `log_step` and"
        " `tokens_seen` are of the checkpoints of one model, and prompts are then the units",
    )
    along: Along | None = Field(
        default=None,
        description="take one number of each prompt over the checkpoints of a model; `statistic: trend, fact: step` is"
        " short for `statistic: mean, along: {fact: step, take: trend}`",
    )

    @property
    def region(self) -> Region:
        """The predicted region."""
        return parse_region(self.predicts)

    @property
    def first_step(self) -> str | None:
        """The fact of checkpoints whose first value is asked for, from which on something holds; else None."""
        return self.fact if self.fact in STEP_FACTS else None

    @property
    def trajectory(self) -> bool:
        """Whether it is over the checkpoints of each model."""
        return self.along is not None or self.first_step is not None

    @property
    def of_revision(self) -> bool:
        """Whether a revision of the same model is subtracted."""
        return self.other is not None and self.other.revision is not None

    @property
    def other(self) -> Against | None:
        """The other model or dtype whose value for the same prompt is subtracted, or None."""
        return self.against if isinstance(self.against, Against) else None

    @property
    def other_reading(self) -> MeasuredTest | None:
        """The same test read in the other way that `against:` names, or None."""
        changed = dict(self.other.reading) if self.other is not None else {}
        if not changed:
            return None
        if "under" in changed and changed["under"] not in COORDINATE_CHANGES:
            changed["coordinate"] = None
        if changed.get("under") == "shuffle-tokens":
            changed["blocks"] = None
        return self.model_copy(update={**changed, "against": None})

    @property
    def change(self) -> tuple[object, ...]:
        """What is changed in the forward pass, and where."""
        return self.under, self.blocks or "all", self.coordinate

    @property
    def readings(self) -> tuple[MeasuredTest, ...]:
        """Itself, and the reading that is subtracted from it if there is one."""
        return (self,) if self.other_reading is None else (self, self.other_reading)

    @property
    def apart(self) -> bool:
        """Whether what is subtracted is of another trace: of another model, dtype or intervention, or of none."""
        same = self.other is not None and self.other.reading and not any(key in self.other.reading for key in CHANGES)
        return self.against is not None and not same

    @property
    def over_layers(self) -> bool:
        """Whether it takes several layers together, so that the first block may count or not."""
        return any(one.layer in SEVERAL_LAYERS for one in self.readings)

    @property
    def counts_first(self) -> tuple[First, ...]:
        """Whether the first token counts in each metric over several tokens, and then whether `under` changes it."""
        usual = [first_token_of(metric_named(name), one.position) for one in self.readings for name in self.of]
        changed: list[First | None] = ["with"] if any(one.under in EACH_TOKEN for one in self.readings) else []
        return tuple(self.first_token or first for first in (*usual, *changed) if first is not None)

    @property
    def over_models(self) -> bool:
        """Whether it compares models: one verdict on all of them, each one unit."""
        takes = statistic_named(self.statistic).takes
        return self.groups is not None or (self.fact is not None and not self.first_step) or takes.over_models

    @property
    def holds_region(self) -> Region:
        """The region a layer or prompt must lie in to count; only if `holds` is given."""
        assert self.holds is not None
        return parse_region(self.holds)

    @model_validator(mode="wrap")
    @classmethod
    def _short_for(cls, given: Any, check: ModelWrapValidatorHandler[MeasuredTest]) -> MeasuredTest:
        """Read a test whose statistic of two variables is taken along checkpoints as its long form."""
        if not isinstance(given, dict) or "along" in given or given.get("fact") not in STEP_FACTS:
            return check(given)
        if given.get("statistic") not in get_args(Along.model_fields["take"].annotation):
            return check(given)
        kept = {key: value for key, value in given.items() if key != "fact"}
        return check({**kept, "statistic": "mean", "along": {"fact": given["fact"], "take": given["statistic"]}})

    @field_validator("of")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            metric_named(name)
        return names

    @model_validator(mode="after")
    def _check(self) -> MeasuredTest:
        self._check_trajectory()
        self._check_metrics()
        self._check_intervention()
        self._check_other()
        self._check_groups()
        return self

    def _check_trajectory(self) -> None:
        if self.first_step is not None and self.along is not None:
            raise ValueError(f"`along:` has its own fact; remove `fact: {self.fact}`")
        if self.first_step is not None and self.statistic != "boundary":
            raise ValueError(
                f"fact {self.fact!r} is of the checkpoints of one model, which are no sample; take trend, slope or"
                " spearman of each prompt over them, or boundary: the first from which something holds"
            )
        if self.first_step is not None and self.holds_above is not None:
            raise ValueError(f"over {self.fact} it is asked from where on something holds; remove `holds_above:`")
        if self.first_step is not None and self.layer == "each":
            raise ValueError("the first step is of one value a prompt; name one `layer:`")
        if self.along is None:
            return
        if self.groups is not None:
            raise ValueError("groups of models are compared at one revision; remove `along:`, or compare by a `fact:`")
        takes = statistic_named(self.statistic).takes
        if takes.reads_layers(counting=self.holds is not None) or takes.parts or self.layer == "each":
            raise ValueError(
                f"`along:` takes one number of each prompt, and statistic {self.statistic!r} looks at more; write"
                " `statistic: mean`"
            )
        if self.statistic in NOT_OF_DIFFERENCES:
            raise ValueError("what is taken along checkpoints may be negative; write `statistic: mean`")

    def _check_metrics(self) -> None:
        takes, metrics = statistic_named(self.statistic).takes, [metric_named(name) for name in self.of]
        takes.check(self, metrics)
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"`of:` names {self.of[0]!r} twice; a metric always agrees with itself")
        if self.groups is not None and len(self.groups) != 2:
            raise ValueError(f"`groups:` names {len(self.groups)} group(s); write two")
        takes.check_layers(self, metrics)
        for name in self.of:
            if metric_named(name).last_only and self.position != "last":
                raise ValueError(f"metric {name!r} is read at the last token only; remove `position:`")
        if self.norm == "centred" and (why := normless(self.of)):
            raise ValueError(f"{why}; remove `norm:`")
        if self.first_token is not None and not self.counts_first:
            raise ValueError(
                f"`position: {self.position}` of {self.of[0]!r} is one token, and none is changed; remove"
                " `first_token:`, or write `position: all`"
            )
        if self.layer in ("greatest", "least") and takes.parts:
            raise ValueError(
                f"`layer: {self.layer}` is of a ratio, and not of its two lengths apart; write `statistic: mean`"
            )
        if self.layer == "trend" and self.statistic in NOT_OF_DIFFERENCES:
            raise ValueError("`layer: trend` is a slope over layers, which may be negative; write `statistic: mean`")
        if self.first_block is not None and not self.over_layers:
            raise ValueError(
                f"`first_block:` belongs to several layers; write `layer: {', '.join(SEVERAL_LAYERS)}`, or remove it"
            )

    def _check_intervention(self) -> None:
        if self.under is None:
            for name in self.of:
                if PASSES[metric_named(name).reads].compares:
                    raise ValueError(
                        f"metric {name!r} holds a changed model against the model as it is; write `evidence:"
                        f" intervention` and add `under:` (one of {', '.join(get_args(Change))})"
                    )
            if self.other is not None and (named := [key for key in CHANGES if key in self.other.reading]):
                raise ValueError(
                    f"`against: {{{named[0]}: ...}}` holds one intervention against another; write `evidence:"
                    f" intervention` and add `under:` (one of {', '.join(get_args(Change))})"
                )
            for key in ("blocks", "coordinate", "against"):
                if getattr(self, key) not in (None, self.other):
                    allowed = ", ".join(get_args(Change))
                    other = f" hold it against {AGAINST}," if key == "against" else ""
                    raise ValueError(
                        f"`{key}:` belongs to an intervention; add `under:` (one of {allowed}),{other} or remove it"
                    )
            return
        for name in self.of:
            if not PASSES[metric_named(name).reads].changeable:
                raise ValueError(
                    f"metric {name!r} is read from the pass {metric_named(name).reads!r}, which is made of the model as"
                    " it is; remove `under:` or name a metric of the forward pass"
                )
            if self.under in UNCLOSED and PASSES[metric_named(name).reads].closes:
                raise ValueError(
                    f"`under: {self.under}` changes what a block gives, so that no block closes and {name!r} cannot be"
                    " believed; name a metric of the pass 'loss' (next_token_loss) or 'agreement' (top_token_kept)"
                )
            if self.against == "plain" and PASSES[metric_named(name).reads].compares:
                raise ValueError(
                    f"metric {name!r} holds the changed model against the model as it is already; remove `against:`"
                )
        if (self.coordinate is not None) != (self.under in COORDINATE_CHANGES):
            asked = self.under if self.under in COORDINATE_CHANGES else " or ".join(COORDINATE_CHANGES)
            raise ValueError(
                f"`under: {asked}` and `coordinate:` belong together: a number from 0, as `largest_coordinate` has it;"
                " write both or neither"
            )
        if self.under == "swap-blocks" and not is_one_with_a_next(self.blocks):
            raise ValueError(
                "`under: swap-blocks` exchanges one block with the next; write `blocks: middle`, `first` or a number"
            )
        if self.under == "shuffle-tokens" and self.blocks is not None:
            raise ValueError("`under: shuffle-tokens` changes what is read, not a block; remove `blocks:`")
        if self.against is not None and self.statistic in NOT_OF_DIFFERENCES:
            raise ValueError(f"{NOT_OF_DIFFERENCES[self.statistic]}; write `statistic: mean`")
        if "prompt_length" in self.of:
            raise ValueError("metric 'prompt_length' is the same under any intervention; name another")

    def _check_other(self) -> None:
        if self.other is None:
            return
        if self.statistic in NOT_OF_DIFFERENCES:
            raise ValueError(f"{NOT_OF_DIFFERENCES[self.statistic]}; write `statistic: mean`")
        if self.over_models:
            raise ValueError(
                "`against:` pairs prompts, and here the model is the unit; remove it, or compare by prompts"
            )
        takes = statistic_named(self.statistic).takes
        self._check_reading(self.other)
        if self.other.model is not None and takes.reads_layers(counting=self.holds is not None):
            raise ValueError(
                f"statistic {self.statistic!r} looks at each layer, and two models need not have as many; name one"
                " `layer:` with another statistic, or remove `against:`"
            )
        if (self.other.dtype or self.other.revision) and "prompt_length" in self.of:
            raise ValueError("metric 'prompt_length' is the same in any dtype and at any revision; name another")

    def _check_reading(self, other: Against) -> None:
        for key, value in other.reading.items():
            if getattr(self, key) == value:
                raise ValueError(f"`against: {{{key}: {value}}}` is the test's own reading; name another")
        if any(key in other.reading for key in CHANGES) and self.other_reading is not None and self.under is not None:
            if self.other_reading.change == self.change:
                raise ValueError("`against:` names the test's own intervention; name another")
            try:
                self.other_reading._check_intervention()
            except ValueError as error:
                raise ValueError(f"in what `against:` names: {error}") from None
        if other.norm is not None and (why := normless(self.of)):
            raise ValueError(f"{why}; remove `against:`")
        last_only = [name for name in self.of if metric_named(name).last_only]
        if other.position is not None and last_only:
            raise ValueError(f"metric {last_only[0]!r} is read at the last token only; remove `against:`")
        if other.layer is not None and (self.layer in (None, "each") or other.layer == "each"):
            raise ValueError("`against:` holds one layer against another; name one as `layer:` and the other here")

    def _check_groups(self) -> None:
        statistic_named(self.statistic).takes.check_categories(self)
        if any(selector.revisions for selector in (self.groups or {}).values()):
            raise ValueError("models are compared as they are, or at the revision of --revision; remove `revisions:`")
        if self.categories is not None and len(self.categories) != 2:
            raise ValueError(f"`categories:` names {len(self.categories)} group(s); write two")
        if self.categories is not None:
            first, second = self.categories.values()
            both = sorted(set(first) & set(second))
            if both or not first or not second:
                fault = f"{', '.join(both)} is in both groups" if both else "a group is empty"
                raise ValueError(f"`categories:` {fault}; each names categories of its own")
        if self.fact in WORDS:
            raise ValueError(f"fact {self.fact!r} is a word, not a number; compare models by `groups:`")
