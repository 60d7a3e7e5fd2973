"""Which models a claim is about."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field, field_validator

from refutable._util.strict_yaml import NAMES, Frozen, Names
from refutable.errors import BadInput, NotMeasured, UnknownName
from refutable.models import config_facts
from refutable.models.registry import ModelRegistry
from refutable.models.row import ModelRow
from refutable.statistics.region import RegionText, parse_region

_GLOB = frozenset("*?[")
_BLANK = "is blank; write a branch, a tag, a commit or a glob"


class Selector(Frozen):
    """Which models a claim is about: every row that agrees with all keys."""

    names: Names = Field(default=(), min_length=1, description="names or globs", json_schema_extra={NAMES: "model"})
    except_: Names = Field(
        default=(),
        alias="except",
        min_length=1,
        description="names or globs of models that are left out",
        json_schema_extra={NAMES: "model"},
    )
    revisions: Names = Field(
        default=(),
        min_length=1,
        description="branches, tags, commits or globs of them: each of these of a model is a subject of its own",
    )
    family: Names = Field(default=(), min_length=1, json_schema_extra={NAMES: "family"})
    wiring: Literal["parallel", "sequential"] | None = None
    norm: Literal["LayerNorm", "RMSNorm"] | None = None
    positions: Literal["rotary", "learned", "alibi"] | None = None
    additive: bool | None = Field(default=None, description="whether a block's output is its input plus two updates")
    layers: RegionText | None = None
    heads: RegionText | None = None
    d_model: RegionText | None = None
    d_head: RegionText | None = None
    rotary_fraction: RegionText | None = None
    norms: RegionText | None = Field(default=None, description="number of norms in a block")
    vocabulary: RegionText | None = None
    attention: Literal["dense", "windowed"] | None = None
    projection_weights: RegionText | None = Field(
        default=None, description="of one block's query, key, value and output matrices"
    )
    parameters: RegionText | None = None
    organisation: Names = Field(default=(), min_length=1, json_schema_extra={NAMES: "organisation"})
    twins: bool | None = Field(
        default=None,
        description="true: the models that this project trained as well; else they are meant only where named",
    )
    pretrained: bool | None = Field(
        default=None,
        description="false: only stand-ins; true: no stand-in; else stand-ins only where named exactly",
    )

    @field_validator("revisions")
    @classmethod
    def _no_blank(cls, revisions: tuple[str, ...]) -> tuple[str, ...]:
        if any(not one.strip() for one in revisions):
            raise ValueError(_BLANK)
        if len(set(revisions)) < len(revisions):
            raise ValueError(f"names {next(one for one in revisions if revisions.count(one) > 1)!r} twice; keep one")
        return revisions

    def select(self, registry: ModelRegistry) -> tuple[ModelRow, ...]:
        """Return the rows this selects, in the registry's order.

        Raises:
            BadInput: a fact is asked for that a row's configuration does not hold; `except:` leaves the row out.
        """
        return tuple(row for row in registry if self._matches(row))

    def unknown(self, registry: ModelRegistry) -> Iterator[tuple[tuple[str | int, ...], UnknownName]]:
        """Yield each word of it that no model, family or organisation is called, by where it stands."""
        for key, patterns in (("names", self.names), ("except", self.except_)):
            for index, pattern in enumerate(patterns):
                try:
                    registry.matching(pattern)
                except UnknownName as error:
                    yield (key, index), error
        for key in ("family", "organisation"):
            known = {getattr(row, key) for row in registry}
            for index, name in enumerate(getattr(self, key)):
                if name not in known:
                    yield (key, index), UnknownName(key, name, known)

    def _matches(self, row: ModelRow) -> bool:
        return (
            (not self.names or _any_matches(row.name, self.names))
            and not _any_matches(row.name, self.except_)
            and (not self.family or row.family in self.family)
            and (not self.organisation or row.organisation in self.organisation)
            and self._may_stand_in(row)
            and (not row.twin or self.twins is True or _any_matches(row.name, self.names))
            and all(self._agrees(row, name) for name in (*config_facts.FACTS, "parameters"))
        )

    def _agrees(self, row: ModelRow, name: str) -> bool:
        wanted = getattr(self, name)
        if wanted is None:
            return True
        try:
            value = row.fact(name)
        except NotMeasured:
            return False
        except KeyError as error:
            what = f"{name} of models.{row.name} is not known ({error.args[0]})"
            raise BadInput(f"{what}; add it to the row's config, or leave the model out with `except:`") from None
        return value == wanted if name in config_facts.FACT_WORDS else float(value) in parse_region(wanted)

    def _may_stand_in(self, row: ModelRow) -> bool:
        if self.pretrained is None:
            return not row.stand_in or row.name in self.names
        return row.stand_in != self.pretrained


def _any_matches(name: str, patterns: Collection[str]) -> bool:
    return name in patterns or any(fnmatch.fnmatchcase(name, one) for one in patterns if _GLOB.intersection(one))
