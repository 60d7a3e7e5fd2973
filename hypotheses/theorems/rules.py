"""Decision rules of the documents, as properties of what they are applied to: gains in thousandths, samples, worlds.

A world is a list of models, each of which may be parallel and may dampen, in any way that logic allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from scipy import stats

from refutable.theorems import theorem

Example = dict[str, Any]


@theorem(
    "consistent-rule-implies-dampening",
    st.fixed_dictionaries({"gain": st.integers(600, 1000), "reference": st.just(800)}),
    premise=lambda e: abs(e["gain"] - e["reference"]) < 150,
)
def consistent_rule_implies_dampening(example: Example) -> bool:
    """If a gain lies within 0.15 of the reference 0.80, then both are below 1."""
    return bool(example["gain"] < 1000 and example["reference"] < 1000)


@theorem(
    "gains-within-0.15-are-both-below-one",
    st.fixed_dictionaries({"gain": st.integers(1, 3000), "reference": st.integers(1, 3000)}),
    premise=lambda e: abs(e["gain"] - e["reference"]) < 150,
)
def gains_within_015_are_both_below_one(example: Example) -> bool:
    """If two gains lie within 0.15 of each other, then both are below 1."""
    return bool(example["gain"] < 1000 and example["reference"] < 1000)


_MODEL = st.fixed_dictionaries({"parallel": st.booleans(), "narrow": st.booleans(), "dampens": st.booleans()})
_WORLDS = st.fixed_dictionaries({"world": st.lists(_MODEL, min_size=2, max_size=5)})


def _with_first(**known: bool) -> st.SearchStrategy[Example]:
    """Return worlds of whose first two models something is known."""
    return _WORLDS.map(lambda e: {"world": [{**one, **known} for one in e["world"][:2]] + e["world"][2:]})


def _some(example: Example, test: Callable[[dict[str, bool]], bool]) -> bool:
    return any(test(one) for one in example["world"])


@theorem("two-dampening-parallel-models-confirm", _with_first(parallel=True, dampens=True))
def two_dampening_parallel_models_confirm(example: Example) -> bool:
    """If two parallel models dampen, then every parallel model does and no sequential one does."""
    return all(one["dampens"] == one["parallel"] for one in example["world"])


def _expander(example: Example) -> bool:
    return _some(example, lambda one: one["parallel"] and not one["dampens"])


@theorem("one-expanding-parallel-model-rejects-sufficiency", _with_first(parallel=True), premise=_expander)
def one_expanding_parallel_model_rejects_sufficiency(example: Example) -> bool:
    """If some parallel model does not dampen, it is false that every parallel model dampens."""
    return not all(one["dampens"] for one in example["world"] if one["parallel"])


def _both_kinds(example: Example) -> bool:
    return _expander(example) and _some(example, lambda one: one["parallel"] and one["dampens"])


@theorem("one-expanding-parallel-model-rejects-architecture", _with_first(parallel=True), premise=_both_kinds)
def one_expanding_parallel_model_rejects_architecture(example: Example) -> bool:
    """If one parallel model dampens and one does not, no two properties of their architecture tell which does."""
    seen: dict[tuple[bool, bool], bool] = {}
    return any(
        seen.setdefault((one["parallel"], one["narrow"]), one["dampens"]) != one["dampens"] for one in example["world"]
    )


_GAINS = st.fixed_dictionaries(
    {"gains": st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=3)}
)


def _differ_on_the_first(example: Example) -> bool:
    return bool(len(set(example["gains"][0])) > 1)


@theorem("shared-data-alone-make-no-difference", _GAINS, premise=_differ_on_the_first)
def shared_data_alone_make_no_difference(example: Example) -> bool:
    """If two models trained on the same data (a row of gains) differ, their gains do not follow from the data alone."""
    return not all(one == other for one, other in example["gains"])


@theorem("shared-data-have-no-part-in-a-difference", _GAINS, premise=_differ_on_the_first)
def shared_data_have_no_part_in_a_difference(example: Example) -> bool:
    """If two models trained on the same data differ, they would differ by as much on any other data (another row)."""
    return len({one - other for one, other in example["gains"]}) == 1


_SAMPLES = st.fixed_dictionaries({"gains": st.lists(st.integers(0, 3000), min_size=3, max_size=8)})


def _above_one(example: Example) -> bool:
    gains = example["gains"]
    return len(set(gains)) > 1 and sum(gains) > 1000 * len(gains)


@theorem("one-sided-p-is-one-minus-half", _SAMPLES, premise=_above_one)
def one_sided_p_is_one_minus_half(example: Example) -> bool:
    """Where the mean lies above 1, the one-sided p-value of "the mean is above 1" is 1 - p/2 of the two-sided p."""
    gains = [gain / 1000 for gain in example["gains"]]
    two_sided, above = (float(stats.ttest_1samp(gains, 1.0, alternative=a).pvalue) for a in ("two-sided", "greater"))
    return math.isclose(1 - two_sided / 2, above, abs_tol=1e-9)


VOCABULARY, CLIP = 50400, 1e-10


@theorem(
    "clipping-leaves-the-entropy",
    st.fixed_dictionaries(
        {"weights": st.lists(st.integers(1, 1000), min_size=1, max_size=8), "rest": st.sampled_from((0.0, 1e-12, 1e-9))}
    ),
)
def clipping_leaves_the_entropy(example: Example) -> bool:
    """Clipping the probabilities of 50400 tokens at 1e-10 and renormalising moves the entropy by less than 0.001."""
    rest, others = example["rest"], VOCABULARY - len(example["weights"])
    share = (1 - others * rest) / sum(example["weights"])
    likely = [share * weight for weight in example["weights"]]
    clipped = [max(p, CLIP) for p in likely]
    total = sum(clipped) + others * max(rest, CLIP)
    before = _entropy(likely) + others * _entropy([rest])
    after = _entropy([p / total for p in clipped]) + others * _entropy([max(rest, CLIP) / total])
    return abs(after - before) < 1e-3


def _entropy(probabilities: list[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)


@theorem("gelu-saturates", st.fixed_dictionaries({"z": st.integers(-50, 50)}))
def gelu_saturates(example: Example) -> bool:
    """GELU is bounded as a sigmoid is: it never leaves [-1, 1]."""
    z = example["z"]
    return bool(abs(z * (1 + math.erf(z / math.sqrt(2))) / 2) <= 1)


@theorem("gelu-shortens-what-passes", st.fixed_dictionaries({"z": st.integers(-30, 30).filter(bool)}))
def gelu_shortens_what_passes(example: Example) -> bool:
    """GELU of a number other than 0 is smaller in size: |z| - |GELU(z)| = |z| (1 - Phi(z)) is above 0."""
    z = example["z"]
    return bool(abs(z) * math.erfc(z / math.sqrt(2)) / 2 > 0)
