"""Which categories of prompts a claim speaks of: these, or categories like these, which is the default."""

from __future__ import annotations

from refutable.claims.measured import InitializationClaim, MeasuredClaim
from refutable.claims.measured_test import MeasuredTest
from refutable.errors import BadInput
from refutable.statistics import STATISTICS
from refutable.statistics.assumptions import Assumption
from refutable.statistics.over import Over, has_clustered, statistic_over

DEFAULT: Over = "categories_like_these"


def over_categories(claim: MeasuredClaim, categorised: bool, own: bool = True) -> MeasuredClaim:
    """Return a claim with the statistic that its estimand asks for.

    Args:
        claim: on a model's prompts, or else it has no categories to speak of.
        categorised: whether its prompts have categories in this run.
        own: whether these are the claim's own prompts; others, or a table, may lack what it needs, and then it is not
            measured.

    Raises:
        BadInput: it says which categories it is over, and its own prompts have none or its statistic no such version.
    """
    if not has_units_of_prompts(claim) or claim.test.first_step is not None:
        return claim
    if not categorised:
        if claim.test.over is not None and own:
            raise BadInput(
                f"`over: {claim.test.over}`: its prompts have no categories; remove it, or name other prompts"
            )
        return claim
    return claim.model_copy(update={"test": test_over(claim.test, claim.test.over or DEFAULT)})


def over_own_categories(claim: MeasuredClaim, categorised: bool) -> MeasuredClaim:
    """Return a claim as its own prompts have it, also where others, or a table, stand in for them: as it is locked."""
    asked = statistic_over(claim.test.statistic, claim.test.over or DEFAULT)
    return claim if asked is None else over_categories(claim, categorised, own=False)


def has_units_of_prompts(claim: MeasuredClaim) -> bool:
    """Whether each prompt is one value: not so where seeds, models or categories are the units."""
    seeds = isinstance(claim, InitializationClaim) or claim.quantifier == "pooled"
    return not (seeds or claim.test.over_models or claim.test.categories is not None)


def takes_prompts_for_units(test: MeasuredTest) -> bool:
    """Whether a statistic takes prompts for independent units and has no version of which the category is the unit.

    Such a claim can only be over these categories, whose differences it takes for noise: `slope`, `trend`,
    `partial_correlation`, `paired_difference`, `mean_anytime` and the like.
    """
    return not has_clustered(test.statistic) and Assumption.INDEPENDENT in STATISTICS[test.statistic].assumes


def test_over(test: MeasuredTest, over: Over) -> MeasuredTest:
    """Return a test with the statistic for one estimand; itself where its statistic has no such version.

    Raises:
        BadInput: the test names that estimand and there is no such version.
    """
    name = statistic_over(test.statistic, over)
    if name is None:
        alone = over == "these_categories" and takes_prompts_for_units(test)
        if test.over is not None and not alone:
            raise BadInput(
                f"`over: {over}`: there is no such version of {test.statistic!r}; name a statistic that has one"
                " (docs/claim-reference.md), or remove it"
            )
        return test
    return test.model_copy(update={"statistic": name, "over": over})
