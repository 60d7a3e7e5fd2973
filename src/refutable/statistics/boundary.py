"""Does a threshold in one variable (a fact such as d_head) separate where a claim holds from where it does not?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.bounded_mean import BoundedFit
from refutable.statistics.region import Region
from refutable.statistics.shapes import Split
from refutable.statistics.share_of_prompts import indicators


def boundary(data: Data) -> BoundedFit:
    """How much better a threshold in the second variable predicts where the first `holds` than the majority does.

    Each unit is predicted twice: from the threshold with the fewest errors on all other units, and as the majority of
    units, itself included (a tie predicts that it holds). Ties between thresholds go to the widest gap, then to the
    lowest threshold, then to holding above it; a unit on the threshold counts as below it. The value is the difference
    of the two accuracies, in [-1, 1], bounded by betting on the units' differences. `predicts: "> 0"` asks whether
    there is a boundary at all. With `holds_above: true` only thresholds above which it holds are tried, with
    `holds_above: false` only those below which it holds.
    """
    outcome_of, at = data.paired()
    assert data.holds is not None
    x, holds = at.values, data.holds.contains(outcome_of.values)
    if at.n < 3:
        raise Undecidable(f"a boundary needs at least 3 {at.unit}s, here {at.n}")
    if holds.all() or not holds.any():
        what = "holds for every" if holds.all() else "holds for no"
        raise Undecidable(f"it {what} {at.unit}: there is no boundary between outcomes that are all the same")
    if len(np.unique(x)) < 2:
        raise Undecidable(f"every {at.of} is {x[0]:.6g}: a constant separates nothing")
    order = np.argsort(x, kind="stable")
    x, holds = x[order], holds[order]
    others = ~np.eye(at.n, dtype=bool)
    right = np.array([_predicted(x[o], holds[o], x[i], data.holds_above) == holds[i] for i, o in enumerate(others)])
    majority = holds == (2 * holds.sum() >= at.n)
    gained = right.astype(float) - majority  # (n,), of -1, 0 and 1
    threshold, _ = _best(x, holds, data.holds_above)
    side = {None: "", True: ", holding above it", False: ", holding below it"}[data.holds_above]
    method = (
        f"{at.of} {threshold:.4g}{side}, leave one out: accuracy {right.mean():.3g} against the majority's"
        f" {majority.mean():.3g}; betting"
    )
    return BoundedFit((gained + 1) / 2, at.unit, -1.0, 1.0, method)


def _predicted(x: NDArray[np.float64], holds: NDArray[np.bool_], new: float, side: bool | None) -> bool:
    if x[0] == x[-1]:
        return bool(2 * holds.sum() >= len(holds))
    threshold, above = _best(x, holds, side)
    return above if new > threshold else not above


def _best(x: NDArray[np.float64], holds: NDArray[np.bool_], side: bool | None) -> tuple[float, bool]:
    """Return the threshold on ascending values with the fewest errors, and whether it holds above it."""
    cuts = np.flatnonzero(np.diff(x) > 0)  # a threshold between x[i] and x[i + 1]
    held_below = np.cumsum(holds)[cuts]
    above_wrong = held_below + (len(x) - 1 - cuts) - (holds.sum() - held_below)  # if predicted to hold above only
    below_wrong = len(x) - above_wrong
    wrong = np.minimum(above_wrong, below_wrong) if side is None else above_wrong if side else below_wrong
    gaps = x[cuts + 1] - x[cuts]
    best = int(np.argmax(np.where(wrong == wrong.min(), gaps, -1.0)))
    cut = int(cuts[best])
    above = bool(above_wrong[best] <= below_wrong[best]) if side is None else side
    return float((x[cut] + x[cut + 1]) / 2), above


def _extremes(n: int, region: Region) -> tuple[BoundedFit, ...]:
    gained = np.repeat([0.0, 1.0], [(n + 1) // 2, n // 2])  # perfect separation, against a majority of one half
    lost = np.repeat([0.0, -1.0], [0, n])
    return tuple(BoundedFit((values + 1) / 2, "model", -1.0, 1.0) for values in (gained, lost))


STATISTICS.add(
    Statistic(
        "boundary",
        (Assumption.INDEPENDENT, Assumption.STABLE),
        boundary,
        caveats=(
            "where there is no boundary, `> 0` is still SUPPORTED in no more than alpha of runs",
            "at alpha 1 % its bounds around a noisy boundary of 25 units err in up to 2.7 %",
        ),
        least_alpha=0.05,
        takes=Split(),
        range=(-1.0, 1.0),
        least=3,
        extremes=_extremes,
        varies=indicators,
        powerless="it depends on how the units lie about the boundary",
    ),
)
