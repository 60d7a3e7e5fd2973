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
    "layers_passing": "clustered_layers_passing",
    "pearson": "clustered_pearson",
    "spearman": "clustered_spearman",
    "share_of_prompts": "clustered_share",
}


def statistic_over(name: str, over: Over) -> str | None:
    """Return the statistic that estimates what `name` does over these categories or over categories like these.

    None if there is no such statistic.
    """
    return (STRATIFIED if over == "these_categories" else CLUSTERED).get(name)
