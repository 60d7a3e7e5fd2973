"""The figure `entropy-against-gain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from refutable.errors import RefutableError
from refutable.figures import FIGURES, Figure
from refutable.figures.estimates import LEVEL, TAIL, fitted
from refutable.figures.measured import Measured, Of, by_subject, measured
from refutable.metrics import Values, evaluate
from refutable.statistics.sample import Sample
from refutable.traces.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from refutable.reports.journal import RunResult

Entropy = Literal["output_entropy", "attention_entropy_normalised"]
ENTROPIES: dict[Entropy, str] = {
    "output_entropy": "entropy of the next token, nats",
    "attention_entropy_normalised": "attention entropy over log of keys, mean of layers",
}
COEFFICIENTS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "pearson_within_categories": "r within categories",
}
POINTS = 25  # of the line


@dataclass(frozen=True, slots=True, kw_only=True)
class EntropyGain(Of):
    """A prompt's entropy and last gain, a point of the fitted line, or a correlation.

    Attributes:
        entropy: the metric on the x axis; attention entropy is the mean over layers.
        kind: ``prompt``, ``line``, or the statistic of a correlation: ``pearson``, ``spearman`` or
            ``pearson_within_categories``.
        x: the entropy; empty for a correlation.
        value: the last gain (raw, last token), the line's, or the coefficient.
        low, high: of the line, its band at that x; of a coefficient, its bounds; at 5 % each.
        n, method: of the line and the coefficients.
        prompt, category: of a prompt.
    """

    entropy: Entropy
    kind: str
    x: float | None
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    method: str = ""
    prompt: str = ""
    category: str = ""


def table(run: RunResult, store: Store) -> list[EntropyGain]:
    """Return prompts' entropies and last gains of trained models, least-squares lines, and correlations."""
    subjects = [one for one in measured(run, store) if not one.of.drawn]
    return [row for one in subjects for entropy in ENTROPIES for row in _of_subject(one, entropy)]


def _of_subject(one: Measured, entropy: Entropy) -> Iterator[EntropyGain]:
    (trace,) = one.traces
    try:
        gain = evaluate("last_gain", trace)
        layer = "mean" if entropy == "attention_entropy_normalised" else None
        x = evaluate(entropy, trace, layer=layer)  # type: ignore[arg-type]
    except RefutableError:
        return
    kept = np.isfinite(gain.values) & np.isfinite(x.values)
    if kept.sum() < 3:
        return
    known: dict[str, Any] = {**one.facts, "entropy": entropy}
    pairs = zip(x.values.tolist(), gain.values.tolist(), gain.prompts, gain.clusters, kept.tolist(), strict=True)
    for value, other, prompt, category, finite in pairs:
        if finite:
            yield EntropyGain(**known, kind="prompt", x=value, value=other, prompt=prompt, category=category or "")
    yield from _line(known, x.values[kept], gain.values[kept])
    clusters = tuple(label for label, finite in zip(gain.clusters, kept, strict=True) if finite)
    samples = [Sample(s.of, s.values[kept], s.unit, clusters) for s in (gain, x)]
    for statistic in COEFFICIENTS:
        found = fitted(statistic, *samples)
        if found is not None:
            told: dict[str, Any] = {
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "n": found.n,
                "method": found.method,
            }
            yield EntropyGain(**known, kind=statistic, x=None, **told)


def _line(known: dict[str, Any], x: Values, y: Values) -> Iterator[EntropyGain]:
    """Yield points of the least-squares line and of the band in which its true value lies, at 5 % each side."""
    n, centre = len(x), x.mean()
    spread = float(((x - centre) ** 2).sum())
    if spread == 0:
        return
    slope = float(((x - centre) * (y - y.mean())).sum() / spread)
    left = y - y.mean() - slope * (x - centre)
    error = np.sqrt((left @ left) / (n - 2))
    for at in np.linspace(x.min(), x.max(), POINTS):
        value = float(y.mean() + slope * (at - centre))
        reach = float(special.stdtrit(n - 2, 1 - TAIL) * error * np.sqrt(1 / n + (at - centre) ** 2 / spread))
        band: dict[str, Any] = {"low": value - reach, "high": value + reach, "n": n, "method": "least squares, t band"}
        yield EntropyGain(**known, kind="line", x=float(at), value=value, **band)


def draw(rows: Sequence[EntropyGain], canvas: Canvas) -> None:
    """Entropy of the next token and of attention against the last block's gain, with a line and correlations."""
    from refutable.figures import style

    groups = by_subject(rows)
    entropies = [entropy for entropy in ENTROPIES if any(row.entropy == entropy for row in rows)]
    grid = canvas.subplots(len(groups), len(entropies), squeeze=False, sharey="row")
    for line, group in zip(grid, groups, strict=True):
        colours = style.colours([row.category for row in group if row.category])
        for axes, entropy in zip(line, entropies, strict=True):
            of = style.label(group[0], prompts=style.several_sets(rows)) if len(groups) > 1 else ""
            chosen = [row for row in group if row.entropy == entropy]
            _draw_panel(axes, chosen, colours, of if axes is line[0] else "")
            axes.set_xlabel(ENTROPIES[entropy], fontsize=8)
        line[0].set_ylabel("last gain")
    methods = "; ".join(dict.fromkeys(f"{COEFFICIENTS[row.kind]}: {row.method}" for row in rows if row.x is None))
    sentences = (
        f"Line and band: least squares and its {LEVEL} band. Brackets: {LEVEL} intervals ({methods}).",
        "Within categories, the categories' own means are taken off first. Black line: 1, the norm is kept.",
        style.weights_told(rows),
    )
    under = f"{style.label(rows[0])}, {style.prompts_told(rows)}" if len(groups) == 1 else style.prompts_told(rows)
    handles = () if style.several_sets(rows) else grid[0][0].get_legend_handles_labels()[0]
    style.frame(canvas, "Entropy against the gain of the last block", under, sentences, handles)


def _draw_panel(axes: Axes, rows: Sequence[EntropyGain], colours: Mapping[str, str], heading: str) -> None:
    from refutable.figures import style

    style.at_one(axes, vertical=False)
    for category, colour in {**colours, "": style.GREY}.items():
        chosen = [row for row in rows if row.kind == "prompt" and row.category == category]
        if chosen:
            several = len(set(colours.values())) > 1 and bool(category)
            x, y = [row.x for row in chosen], [row.value for row in chosen]
            axes.plot(x, y, "o", color=colour, markersize=4.5, label=category if several else None, zorder=3)  # type: ignore[arg-type]
    line = [row for row in rows if row.kind == "line"]
    x = [row.x for row in line]
    axes.fill_between(x, [row.low for row in line], [row.high for row in line], color=style.LIGHT, linewidth=0)  # type: ignore[arg-type]
    axes.plot(x, [row.value for row in line], color=style.INK, zorder=2)  # type: ignore[arg-type]
    told = [
        f"{COEFFICIENTS[row.kind]} = {row.value:.2f} [{row.low:.2f}, {row.high:.2f}], n = {row.n}"
        for row in rows
        if row.kind in COEFFICIENTS
    ]
    axes.set_title("\n".join(filter(None, (heading, *told))), fontsize=7.5, fontweight="normal", loc="left")


def height(rows: Sequence[EntropyGain]) -> float:
    """Return the height for so many subjects."""
    return 1.1 + 2.9 * len(by_subject(rows))


FIGURES.add(Figure("entropy-against-gain", EntropyGain, table, draw, height))
