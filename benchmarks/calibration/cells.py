"""One cell: how often a statistic's verdicts err over many draws of data of one shape and size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.calibration.scenarios import SCENARIOS, Scenario
from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Fit
from refutable.statistics.assumptions import Shape
from refutable.statistics.region import Region
from refutable.verdicts.judge import decide
from refutable.verdicts.verdict import Verdict

ALPHA = 0.05
ALPHAS = (0.01, ALPHA, 0.1)
SIZES = (2, 5, 25, 100, 200)
RESAMPLES = 400
BOOTSTRAPPED = 5  # every fifth run is bootstrapped too
CONFIDENCE = 0.01  # probability that any cell of a table fails by chance alone


@dataclass(frozen=True, slots=True)
class Bounds:
    """A fit's bounds at the error probabilities that verdicts read, computed once."""

    lowers: dict[float, float]
    uppers: dict[float, float]

    @classmethod
    def of(cls, fit: Fit) -> Bounds:
        tails = {tail for alpha in ALPHAS for tail in (alpha, alpha / 2)}
        return cls({tail: fit.lower(tail) for tail in tails}, {tail: fit.upper(tail) for tail in tails})

    def lower(self, tail: float) -> float:
        return self.lowers[tail]

    def upper(self, tail: float) -> float:
        return self.uppers[tail]


@dataclass(frozen=True, slots=True)
class Cell:
    """How often verdicts erred.

    Attributes:
        scenario: index into `SCENARIOS`.
        shape: of the data.
        n: number of units.
        alpha: the error probability allowed.
        runs: number of draws.
        supported: rate of SUPPORTED when the prediction is just false.
        refuted: rate of REFUTED when it is just true.
        undecidable: rate of data to which the statistic could not be fitted.
        bootstrap: rate at which a percentile bootstrap errs on the same data, on its worse side; None if not computed.
        rule: rate at which "the estimate lies on that side" errs, on its worse side.
    """

    scenario: int
    shape: Shape
    n: int
    alpha: float
    runs: int
    supported: float
    refuted: float
    undecidable: float
    bootstrap: float | None
    rule: float

    @property
    def of(self) -> Scenario:
        """The scenario that was tried."""
        return SCENARIOS[self.scenario]

    @property
    def inside(self) -> bool:
        """Whether the statistic promises its error rates here."""
        return STATISTICS[self.of.statistic].keeps(self.shape, self.n, self.alpha)

    def keeps(self, cells: int) -> bool:
        """Whether no rate exceeds alpha by more than the Monte-Carlo error of a table with this many cells."""
        return max(self.supported, self.refuted) <= allowed(self.runs, cells, self.alpha)


def allowed(runs: int, cells: int, alpha: float = ALPHA) -> float:
    """Return the rate that errors of probability alpha exceed in 1 of 100 tables of this many cells, two rates each."""
    return float(stats.binom.isf(CONFIDENCE / (2 * cells), runs, alpha)) / runs


def wanted(names: Sequence[str] = (), sizes: Sequence[int] = SIZES) -> list[tuple[int, Shape, int]]:
    """Return every cell's scenario, shape and size."""
    return [
        (i, shape, n)
        for i, scenario in enumerate(SCENARIOS)
        if not names or scenario.statistic in names
        for shape in scenario.shapes
        for n in sizes
        if n >= STATISTICS[scenario.statistic].least
    ]


def run_cell(scenario: int, shape: Shape, n: int, runs: int, bootstrap: bool = True) -> Cell:
    """Return the cell at alpha 5 %."""
    return run_cells(scenario, shape, n, runs, bootstrap)[ALPHAS.index(ALPHA)]


def run_cells(scenario: int, shape: Shape, n: int, runs: int, bootstrap: bool = True) -> tuple[Cell, ...]:
    """Draw the data `runs` times, judge five predictions on the boundary each time, and count the errors at each alpha.

    The percentile bootstrap and the bare rule are held against alpha 5 %.
    """
    chosen = SCENARIOS[scenario]
    seed = [zlib.crc32(f"{chosen.statistic} {chosen.note}".encode()), [*Shape].index(shape), n]
    rng = np.random.default_rng(seed)
    data = [chosen.draw(rng, shape, n) for _ in range(runs)]
    fits = [fit for one in data if (fit := _fitted(chosen, one)) is not None]
    values = np.array([fit.value for fit in fits])
    true = chosen.true(shape, n) if chosen.true is not None else float(values.mean())
    predictions = [one for one in _predictions(true) if not chosen.below or one[0].text in ("> true", "<= true")]
    wrong = np.zeros((len(ALPHAS), len(predictions)), dtype=np.int64)
    for fit in fits:
        bounds = Bounds.of(fit)
        for i, (region, error) in enumerate(predictions):
            wrong[:, i] += [decide(bounds, region, alpha) is error for alpha in ALPHAS]  # type: ignore[arg-type]
    supports = np.array([error is Verdict.SUPPORTED for _, error in predictions])
    few = data[::BOOTSTRAPPED] if bootstrap else []
    seen = chosen.point(*_stacked(data)) if chosen.point is not None else values
    bootstrapped = _bootstrap_errs(chosen, few, true, rng) if few and chosen.point is not None else None
    ruled = max(int((seen < true).sum()), int((seen > true).sum())) / runs
    return tuple(
        Cell(
            scenario,
            shape,
            n,
            alpha,
            runs,
            int(row[supports].max(initial=0)) / runs,
            int(row[~supports].max(initial=0)) / runs,
            1 - len(fits) / runs,
            bootstrapped,
            ruled,
        )
        for alpha, row in zip(ALPHAS, wrong, strict=True)
    )


def _predictions(true: float) -> list[tuple[Region, Verdict]]:
    """Return predictions with the truth on their boundary, each with the verdict that would be wrong."""
    inf = float("inf")
    return [
        (Region(-inf, true, True, False, "< true"), Verdict.SUPPORTED),
        (Region(true, inf, False, True, "> true"), Verdict.SUPPORTED),
        (Region(-inf, true, True, True, "<= true"), Verdict.REFUTED),
        (Region(true, inf, True, True, ">= true"), Verdict.REFUTED),
        (Region(true, true, True, True, "within [true, true]"), Verdict.REFUTED),
    ]


def _fitted(chosen: Scenario, data: Data) -> Fit | None:
    try:
        return STATISTICS[chosen.statistic].fit(data)
    except Undecidable:
        return None


def _values(data: Data) -> Iterator[np.ndarray]:
    return (sample.values for sample in data.samples)


def _stacked(data: list[Data]) -> list[np.ndarray]:
    """Return each sample's values over all runs; shape (runs, n) or (runs, n, layers)."""
    return [np.stack(values) for values in zip(*map(_values, data), strict=True)]


def _bootstrap_errs(chosen: Scenario, data: list[Data], true: float, rng: np.random.Generator) -> float:
    """Return how often the 5 % or 95 % percentile of resampled estimates is beyond the truth, whichever is worse."""
    assert chosen.point is not None
    above = below = 0
    for one in data:
        values = list(_values(one))
        picks = [rng.integers(0, len(v), (RESAMPLES, len(v))) for v in values]
        picks = [picks[0]] * len(values) if chosen.together else picks
        estimates = chosen.point(*(v[pick] for v, pick in zip(values, picks, strict=True)))
        estimates = estimates[np.isfinite(estimates)]
        if len(estimates):
            low, high = np.quantile(estimates, (ALPHA, 1 - ALPHA))
            above, below = above + (low > true), below + (high < true)
    return max(above, below) / len(data)
