"""The share of prompts where something holds, with bounds that hold however often one looks."""

from __future__ import annotations

import numpy as np

from refutable.errors import Undecidable
from refutable.statistics import STATISTICS, Data, Statistic
from refutable.statistics.assumptions import Assumption
from refutable.statistics.bounded_mean import BoundedFit
from refutable.statistics.region import Region
from refutable.statistics.shapes import Counted
from refutable.statistics.share_of_prompts import indicators


def share_anytime(data: Data) -> BoundedFit:
    """The share of units where `holds` is true, with bounds that hold at every look, wherever one stops.

    The bets of `bounded_mean`: their capital is a martingale, so that prompts may be added until the claim is decided.
    """
    (held,) = indicators(data)
    if held.n == 0:
        raise Undecidable("no unit, no share")
    return BoundedFit(held.values, held.unit, method="betting, at every look")


def _extremes(n: int, region: Region) -> tuple[BoundedFit, ...]:
    counts = {round(share * n) for share in region.extremes((0.0, 1.0))}
    return tuple(BoundedFit((np.arange(n) < count).astype(float), "prompt") for count in sorted(counts))


STATISTICS.add(
    Statistic(
        "share_anytime",
        (Assumption.INDEPENDENT,),
        share_anytime,
        caveats=("units are looked at in an order that does not depend on their values",),
        takes=Counted(),
        extremes=_extremes,
        varies=indicators,
        powerless="it depends on how often one looks",
        anytime=True,
    ),
)
