"""Which categories a claim speaks of: these, or categories like these. Each has statistics and error rates of its own.

These categories are fixed, and prompts vary inside them: the stratified statistics. Categories like these are a sample
of others, so that the category is the unit: the clustered ones. No data decide between them; the claim does.
"""

from __future__ import annotations

from typing import Literal

Over = Literal["these_categories", "categories_like_these"]

STRATIFIED = {
    "mean": "stratified_mean",
    "geometric_mean": "stratified_geometric_mean",
    "layers_passing": "stratified_layers_passing",
    "pearson": "pearson_within_categories",
    "spearman": "spearman_within_categories",
    "share_of_prompts": "share_of_prompts",  # Clopper-Pearson and bets hold for units of unequal probabilities
    "bounded_mean": "bounded_mean",
}
CLUSTERED = {
    "mean": "clustered_mean",
    "geometric_mean": "clustered_geometric_mean",
    "median": "clustered_median",
    "trimmed_mean": "clustered_trimmed_mean",
    "ratio_of_means": "clustered_ratio_of_means",
    "layers_passing": "clustered_layers_passing",
    "pearson": "clustered_pearson",
    "spearman": "clustered_spearman",
    "share_of_prompts": "clustered_share",
}


def other_statistic(name: str) -> tuple[Over, str] | None:
    """Return the other estimand of a statistic that has one, and the statistic that estimates it; else None."""
    for plain, clustered in CLUSTERED.items():
        stratified = STRATIFIED.get(plain)
        if stratified is not None and name == clustered:
            return "these_categories", stratified
        if name == stratified:
            return "categories_like_these", clustered
    return None


def has_clustered(name: str) -> bool:
    """Whether a statistic has, or is, a version over categories like these."""
    return name in CLUSTERED or name in CLUSTERED.values()


def units_over(name: str, units: int, categories: int) -> int:
    """Return how many units a statistic has of so many prompts: the categories are those of the clustered ones."""
    return categories if name in CLUSTERED.values() else units


def speaks_over(name: str, over: Over) -> bool:
    """Whether a statistic's error rates hold over these categories, or over categories like these.

    Over categories like these the category has to be the unit. Over these ones, statistics of independent prompts hold
    too: they take the differences between categories for noise, and their bounds are only wider for it.
    """
    return (name in CLUSTERED.values()) == (over == "categories_like_these")


def statistic_over(name: str, over: Over) -> str | None:
    """Return the statistic that estimates what `name` does over these categories or over categories like these.

    None if there is no such statistic.
    """
    return (STRATIFIED if over == "these_categories" else CLUSTERED).get(name)
