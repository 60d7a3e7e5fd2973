"""Protocols: what an input shape needs to know about a claim's test and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Asked(Protocol):
    """What a shape reads of a claim's test."""

    @property
    def statistic(self) -> str:
        """Its statistic."""

    @property
    def of(self) -> tuple[str, ...]:
        """Its metrics."""

    @property
    def fact(self) -> str | None:
        """A fact of the models, as the last variable."""

    @property
    def holds(self) -> str | None:
        """The region a value must lie in to count."""

    @property
    def holds_above(self) -> bool | None:
        """On which side of a boundary the claim holds."""

    @property
    def layer(self) -> str | int | None:
        """Which layer."""

    @property
    def groups(self) -> Mapping[str, object] | None:
        """Two groups of models."""

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]] | None:
        """Two groups of prompt categories."""


class OfMetric(Protocol):
    """What a shape reads of a metric."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def per(self) -> str:
        """Whether it has one value per prompt or per layer."""

    @property
    def is_ratio(self) -> bool:
        """Whether it is a ratio of two lengths."""
