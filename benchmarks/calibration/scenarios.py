"""For each statistic: data on the boundary of a prediction, the true value, and its point estimate in bulk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration import points
from benchmarks.calibration.noise import (
    Values,
    categories,
    dissent,
    mean_of,
    median_of,
    noise,
    sd_of,
    share_below_mean,
    trimmed_mean_of,
)
from refutable.statistics import Data
from refutable.statistics.assumptions import Shape
from refutable.statistics.region import Region, parse_region
from refutable.statistics.sample import Sample
from refutable.statistics.trimmed_mean import TRIM

Rng = np.random.Generator
Draw = Callable[[Rng, Shape, int], Data]
True_ = Callable[[Shape, int], float]
Point = Callable[..., Values]

RHO = 0.5
LAYERS = 6
PROMPTS = 10
PLAIN = (Shape.NORMAL, Shape.SKEWED, Shape.HEAVY, Shape.CLUSTERED, Shape.UNANIMOUS)
MEDIANS = (Shape.NORMAL, Shape.HEAVY, Shape.CLUSTERED)  # of which the median of category centres is known
ODD = (Shape.TWO_ENDS, Shape.ONE_HEAVY, Shape.ROUNDED)
MEANS = (*PLAIN, *ODD, Shape.REAL)
ALIKE = (*PLAIN[:-1], Shape.FEW_PROMPTS)
RANKED = (Shape.NORMAL, Shape.CLUSTERED, Shape.UNANIMOUS, Shape.SIGNS)
GROUPED = (*PLAIN, Shape.UNEQUAL, Shape.LOPSIDED, Shape.TWO_ENDS, Shape.ONE_HEAVY, Shape.REAL)
PAIRS = (*PLAIN, Shape.SIGNS, Shape.TWO_ENDS)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Data on the boundary for one statistic.

    Attributes:
        statistic: its name.
        draw: draws the data of one run.
        true: the true value; None if it is the mean of the estimates over all runs.
        point: the estimate in bulk, from resampled values of shape (resamples, n) per sample, for the bootstrap.
        together: whether a run's samples are of the same units and so resampled together.
        shapes: the shapes it is tried on.
        below: whether the truth may also lie below `true`, so that only verdicts in favour of more are errors.
        note: distinguishes it from other scenarios of the same statistic.
    """

    statistic: str
    draw: Draw
    true: True_ | None
    point: Point | None = None
    together: bool = True
    shapes: tuple[Shape, ...] = PLAIN
    note: str = ""
    below: bool = False


def sample(values: Values, unit: str = "prompt", labelled: bool = True) -> Sample:
    """Return values as a sample, in five categories of equal size."""
    clusters = tuple(f"category {c}" for c in categories(len(values))) if labelled else ()
    return Sample("drawn", np.asarray(values, dtype=float), unit, clusters)


def _one(transform: Callable[[Values, Shape], Values], holds: Region | None = None) -> Draw:
    return lambda rng, shape, n: Data((sample(transform(noise(rng, shape, n), shape)),), holds)


def _bounded(rng: Rng, shape: Shape, n: int) -> Data:
    """Values in [0, 1]: bell-shaped, skewed, at both ends, or uniform in categories."""
    if shape is Shape.CLUSTERED:
        return Data((sample(points.normal_cdf(noise(rng, shape, n))),))
    if shape is Shape.UNANIMOUS:
        return Data((sample(noise(rng, shape, n)),))
    a, b = {Shape.NORMAL: (10, 10), Shape.SKEWED: (0.5, 4.5), Shape.HEAVY: (0.2, 0.2)}[shape]
    return Data((sample(rng.beta(a, b, n)),))


def _bounded_mean(shape: Shape, n: int) -> float:
    return {Shape.SKEWED: 0.1, Shape.UNANIMOUS: 1 - dissent(n)}.get(shape, 0.5)


def _shared(rng: Rng, shape: Shape, n: int) -> Data:
    region = parse_region("> 0.5") if shape is Shape.UNANIMOUS else parse_region("< 0")
    return Data((sample(noise(rng, shape, n)),), region)


def _share(shape: Shape, n: int) -> float:
    return 1 - dissent(n) if shape is Shape.UNANIMOUS else share_below_mean(shape)


def _paired(rng: Rng, shape: Shape, n: int) -> Data:
    shared = rng.normal(size=n)
    shared = np.round(shared) if shape is Shape.UNANIMOUS else shared  # which makes differences exact
    return Data((sample(shared + noise(rng, shape, n)), sample(shared)))


def _first(shape: Shape, n: int) -> int:
    """Return how many of n units are in the first group."""
    return 2 if shape is Shape.LOPSIDED else max(2, n // 3) if shape is Shape.UNEQUAL else n // 2


def _grouped(rng: Rng, shape: Shape, n: int) -> Data:
    n1 = _first(shape, n)
    drawn = noise(rng, shape, n, np.arange(n) // max(2, n // 6)) if shape is Shape.CLUSTERED else noise(rng, shape, n)
    first, second = drawn[:n1], drawn[n1:]
    first = 3 * first if shape is Shape.UNEQUAL else first
    return Data((sample(first, "model", labelled=False), sample(second, "model", labelled=False)))


def _parts(rng: Rng, shape: Shape, n: int) -> Data:
    """Ratios of a given shape around 2, times lengths that differ threefold."""
    below = rng.gamma(9.0, 1.0, n)
    return Data((sample(below * (2 + noise(rng, shape, n))), sample(below)))


def _drawn_models(alike: bool) -> Draw:
    """Models of ten prompts whose noise differs up to threefold; the models, or their prompts, vary with the shape."""

    def draw(rng: Rng, shape: Shape, n: int) -> Data:
        if shape is Shape.FEW_PROMPTS:
            sizes = np.where(np.arange(n) < max(1, n // 4), 50, 2)
            return Data(tuple(sample(rng.normal(size=size), labelled=False) for size in sizes))
        spreads = np.geomspace(0.5, 1.5, n)
        if alike:
            models = [spread * (noise(rng, shape, PROMPTS) - mean_of(shape, PROMPTS)) for spread in spreads]
        else:
            means = noise(rng, shape, n)
            models = [m + s * rng.normal(size=PROMPTS) for m, s in zip(means, spreads, strict=True)]
        return Data(tuple(sample(values, labelled=False) for values in models))

    return draw


def _layered(holds: str) -> Draw:
    def draw(rng: Rng, shape: Shape, n: int) -> Data:
        values = np.stack([noise(rng, shape, n) - mean_of(shape, n) for _ in range(LAYERS)], axis=1)  # (n, layers)
        return Data((Sample("drawn", values, "prompt"),), parse_region(holds))

    return draw


def _many_models(holds: str) -> Draw:
    def draw(rng: Rng, shape: Shape, n: int) -> Data:
        drawn = [noise(rng, shape, n) - mean_of(shape, n) for _ in range(LAYERS)]
        return Data(tuple(Sample("drawn", values, "prompt") for values in drawn), parse_region(holds))

    return draw


def pair(rng: Rng, shape: Shape, n: int, rho: float = RHO) -> tuple[Values, Values]:
    """Return two variables of a shape with Pearson correlation rho, or 0 for `UNANIMOUS` and `SIGNS`."""
    if shape is Shape.UNANIMOUS:
        return noise(rng, shape, n), rng.normal(size=n)
    if shape is Shape.SIGNS:
        x = rng.normal(size=n)
        return x, x * rng.choice([-1, 1], n)
    x, y = noise(rng, shape, n), noise(rng, shape, n)
    return x, rho * x + math.sqrt(1 - rho**2) * y


def _correlated(rng: Rng, shape: Shape, n: int) -> Data:
    return Data(tuple(map(sample, pair(rng, shape, n))))


def _ranked(rng: Rng, shape: Shape, n: int) -> Data:
    """A bivariate normal distribution with transformed margins, so that its rank correlation is known."""
    x, y = pair(rng, shape if shape in (Shape.CLUSTERED, Shape.UNANIMOUS, Shape.SIGNS) else Shape.NORMAL, n)
    bend = {Shape.SKEWED: np.exp, Shape.HEAVY: points.normal_to_heavy}.get(shape, lambda v: v)
    return Data((sample(bend(x)), sample(bend(y))))


def _rho(shape: Shape, n: int) -> float:
    return 0.0 if shape in (Shape.UNANIMOUS, Shape.SIGNS) else RHO


def _rank_rho(shape: Shape, n: int) -> float:
    return 0.0 if shape in (Shape.UNANIMOUS, Shape.SIGNS) else 6 / math.pi * math.asin(RHO / 2)


def _given(rng: Rng, shape: Shape, n: int) -> Data:
    x, y = pair(rng, shape, n)
    third = rng.normal(size=n)
    return Data((sample(third + x), sample(third + y), sample(third)))


def _within(rng: Rng, shape: Shape, n: int) -> Data:
    """Pairs that correlate within categories; in `CLUSTERED`, categories also have large, unrelated differences."""
    x, y = pair(rng, Shape.NORMAL if shape is Shape.CLUSTERED else shape, n)
    if shape is Shape.CLUSTERED:
        labels = categories(n)
        x, y = (v + 3 * rng.normal(size=labels.max() + 1)[labels] for v in (x, y))
    return Data((sample(x), sample(y)))


def _of_categories(rng: Rng, shape: Shape, n: int) -> Data:
    """Pairs whose categories are a sample of others: both variables have category effects, unrelated to each other."""
    labels = categories(n, max(5, n // 5))
    x, y = rng.normal(size=(2, n)) + rng.normal(size=(2, labels.max() + 1))[:, labels]
    if shape is Shape.SIGNS:
        y = x * rng.choice([-1, 1], labels.max() + 1)[labels]
    clusters = tuple(map(str, labels))
    return Data((Sample("drawn", x, "prompt", clusters), Sample("drawn", y, "prompt", clusters)))


def _stratified(transform: Callable[[Values], Values], holds: Region | None = None, layers: int = 0) -> Draw:
    """Five fixed categories with large differences, about a mean of 0, and noise of the shape inside them."""

    def draw(rng: Rng, shape: Shape, n: int) -> Data:
        apart = 3 * (categories(n) - categories(n).mean())
        drawn = [apart + noise(rng, shape, n) - mean_of(shape, n) for _ in range(max(layers, 1))]
        values = transform(np.stack(drawn, axis=1) if layers else drawn[0])
        return Data((Sample("drawn", values, "prompt", sample(drawn[0]).clusters),), holds)

    return draw


def _shares_of_categories(rng: Rng, shape: Shape, n: int) -> Data:
    """A sample of categories, each with a probability of its own that something holds, uniform in [0, 1]."""
    labels = categories(n, max(5, n // 5))
    held = rng.random(n) < rng.random(labels.max() + 1)[labels]
    return Data((Sample("drawn", held.astype(float), "prompt", tuple(map(str, labels))),), parse_region("> 0.5"))


def _between(share: float) -> Draw:
    """Categories with equally spaced means that take this share of the variance, and noise of the shape within them."""

    def draw(rng: Rng, shape: Shape, n: int) -> Data:
        labels = categories(n)
        steps = labels - labels.mean()
        apart = math.sqrt(n * share / (1 - share) / (steps @ steps)) * steps  # of noncentrality n share / (1 - share)
        return Data((sample(apart + noise(rng, shape, n) / sd_of(shape)),))

    return draw


def _on_a_line(rng: Rng, shape: Shape, n: int, logarithms: bool = False) -> Data:
    x = noise(rng, shape, n) if shape is Shape.CLUSTERED else rng.normal(size=n)
    errors = noise(rng, shape, n)
    if shape is Shape.LEVER:
        x[0] = 30.0
        errors = np.where(rng.random(n) < 0.1, 50 * rng.choice([-1, 1], n), errors)
    y = 2 * x + errors / (50 if logarithms and shape in (Shape.LEVER, Shape.ONE_HEAVY) else 1)
    return Data(tuple(sample(np.exp(v / 4) if logarithms else v) for v in (y, x)))


def _on_a_log_line(rng: Rng, shape: Shape, n: int) -> Data:
    return _on_a_line(rng, shape, n, logarithms=True)


def _rising(rng: Rng, shape: Shape, n: int) -> Data:
    if shape is Shape.CLUSTERED:
        x = np.round(100 * noise(rng, shape, n))
        return Data((sample(2 * x + 100 * noise(rng, shape, n), "model"), sample(x, "model")))
    x = rng.permutation(np.repeat(np.arange(n), 2)[:n]).astype(float)  # every value twice, as models share sizes
    return Data((sample(2 * x + noise(rng, shape, n), "model"), sample(x, "model")))


def _rising_by_category(rng: Rng, shape: Shape, n: int) -> Data:
    """A number per category, and an outcome that rises with it by 2; prompts of one category are alike or not."""
    number = rng.permutation(5).astype(float)[categories(n)]
    return Data((sample(2 * number + noise(rng, shape, n)), sample(number)))


def _separated(related: bool, holds_above: bool | None = None) -> Draw:
    def draw(rng: Rng, shape: Shape, n: int) -> Data:
        x = rng.permutation(n).astype(float)
        labels = np.argsort(np.argsort(x)) * 5 // n  # families differ in the fact
        outcome = noise(rng, shape, n, labels) - median_of(shape)
        outcome = outcome + (2 if related else 0) * (x / n - 0.5) * (shape is not Shape.UNANIMOUS)
        return Data((sample(outcome, "model"), sample(x, "model")), parse_region(">= 0"), holds_above)

    return draw


def _trimmed(shape: Shape, n: int) -> float:
    return trimmed_mean_of(shape, TRIM)


def _zero(shape: Shape, n: int) -> float:
    return 0.0


def _two(shape: Shape, n: int) -> float:
    return 2.0


def _constant(value: float) -> True_:
    return lambda shape, n: value


SCENARIOS = (
    Scenario("mean", _one(lambda v, s: v), mean_of, points.mean, shapes=MEANS),
    Scenario(
        "geometric_mean",
        _one(lambda v, s: np.exp(v / (50 if s is Shape.ONE_HEAVY else 1))),
        lambda s, n: math.exp(mean_of(s, n)),
        points.geometric_mean,
        shapes=MEANS,
    ),
    Scenario("mean_anytime", _one(lambda v, s: v), mean_of, points.mean, shapes=MEANS, note="one look"),
    Scenario("trimmed_mean", _one(lambda v, s: v), _trimmed, points.trimmed_mean, shapes=MEANS[:-1]),
    Scenario("median", _one(lambda v, s: v), lambda s, n: median_of(s), points.median, shapes=MEANS[:-1]),
    Scenario("bounded_mean", _bounded, _bounded_mean, points.mean),
    Scenario("clustered_mean", _one(lambda v, s: v), mean_of, points.mean),
    Scenario("clustered_geometric_mean", _one(lambda v, s: np.exp(v)), lambda s, n: math.exp(mean_of(s, n))),
    Scenario("clustered_median", _one(lambda v, s: v), lambda s, n: median_of(s), shapes=MEDIANS),
    Scenario("clustered_trimmed_mean", _one(lambda v, s: v), mean_of, shapes=MEDIANS),
    Scenario("clustered_ratio_of_means", _parts, lambda s, n: 2 + mean_of(s, n), shapes=MEANS),
    Scenario("clustered_share", _shares_of_categories, _constant(0.5), shapes=(Shape.CLUSTERED,)),
    Scenario("clustered_layers_passing", _layered("< 0"), _constant(0.0), note="none passes"),
    Scenario("clustered_pearson", _of_categories, _zero, shapes=(Shape.CLUSTERED, Shape.SIGNS)),
    Scenario("clustered_spearman", _of_categories, _zero, shapes=(Shape.CLUSTERED, Shape.SIGNS)),
    Scenario("stratified_mean", _stratified(lambda v: v), _zero, shapes=(*PLAIN[:3], *ODD)),
    Scenario("stratified_geometric_mean", _stratified(lambda v: np.exp(v / 50)), _constant(1.0), shapes=PLAIN[:3]),
    Scenario(
        "stratified_layers_passing",
        _stratified(lambda v: v, parse_region("< 0"), LAYERS),
        _constant(0.0),
        shapes=(*PLAIN[:3], *ODD),
        note="none passes",
    ),
    Scenario("share_between_categories", _between(0.0), _constant(0.0), shapes=PLAIN[:3], note="none"),
    Scenario("share_between_categories", _between(0.2), _constant(0.2), shapes=PLAIN[:3], note="a fifth"),
    Scenario("share_of_prompts", _shared, _share, points.share),
    Scenario("share_anytime", _shared, _share, points.share, note="one look"),
    Scenario("layers_passing", _layered("< 0"), _constant(0.0), points.layers(False), shapes=MEANS, note="none passes"),
    Scenario("layers_passing", _layered("<= 0"), _constant(1.0), points.layers(True), shapes=MEANS, note="all pass"),
    Scenario("models_passing", _many_models("< 0"), _constant(0.0), note="none passes"),
    Scenario("models_passing", _many_models("<= 0"), _constant(float(LAYERS)), note="all pass"),
    Scenario("paired_difference", _paired, mean_of, points.difference, shapes=MEANS),
    Scenario("difference_of_groups", _grouped, _zero, points.difference, together=False, shapes=GROUPED),
    Scenario("difference_of_categories", _grouped, _zero, points.difference, together=False, shapes=GROUPED),
    Scenario("permutation_difference", _grouped, _zero, points.difference, together=False, shapes=GROUPED),
    Scenario("ratio_of_means", _parts, lambda s, n: 2 + mean_of(s, n), points.ratio, shapes=MEANS),
    Scenario("random_effects", _drawn_models(False), mean_of, shapes=MEANS[:-1], note="models differ"),
    Scenario("random_effects", _drawn_models(True), _zero, shapes=ALIKE, note="models alike"),
    Scenario("pearson", _correlated, _rho, points.pearson, shapes=PAIRS),
    Scenario("spearman", _ranked, _rank_rho, points.spearman, shapes=(*PLAIN, Shape.SIGNS)),
    Scenario("partial_correlation", _given, _rho, shapes=PAIRS),
    Scenario("pearson_within_categories", _within, _rho, shapes=PAIRS),
    Scenario("spearman_within_categories", _within, _rank_rho, shapes=RANKED),
    Scenario("slope", _on_a_line, _two, points.slope, shapes=(*MEANS, Shape.LEVER)),
    Scenario("power_law_exponent", _on_a_log_line, _two, points.exponent, shapes=(*PLAIN, Shape.LEVER)),
    Scenario("trend", _rising, _two),
    Scenario("trend_over_categories", _rising_by_category, _two),
    Scenario("boundary", _separated(False), _zero, note="none, > 0", below=True),
    Scenario("boundary", _separated(False), None, shapes=(Shape.UNRELATED,), note="none, > its mean"),
    Scenario("boundary", _separated(True), None, note="a noisy one"),
    Scenario("boundary", _separated(False, True), _zero, note="none above it, > 0", below=True),
)
