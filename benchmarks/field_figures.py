"""Draws the figures of docs/field.md from what a run of the field's claims measured.

    pytest --offline --claims claims/field/field.yaml hypotheses/test_claims.py -k smollm2 --reports REPORTS
    python -m benchmarks.field_figures REPORTS [REPORTS ...]

Reads `layers.csv` of each folder of reports: values at the last token of each prompt, or over all of its tokens where
the metric is. Lines are medians over prompts, bands run from the 10th to the 90th percentile; freshly drawn weights, of
all seeds together, are dashed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

OUT = Path(__file__).parent.parent / "docs" / "figures" / "field"
FIGURES = {  # file: metric, what the axis says, whether it is logarithmic, a level that the field's claims name
    "norm-over-depth": ("residual_norm", "norm of a block's output, last token", True, None),
    "massive-activation": ("largest_activation", "largest coordinate of a text's states", True, 100.0),
    "sinks-over-depth": ("sink_rate", "share of heads with a sink on the first token", False, 0.1818),
    "influence-over-depth": ("block_influence", "1 - cosine of a block's input and output", True, None),
    "lens-over-depth": ("lens_divergence", "KL from the lens to the output, nats", False, 1.0),
}
TRAINED, DRAWN = "#0b62a4", "#777777"
STYLE = {"svg.hashsalt": "refutable", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False}


def main() -> None:
    """Draw every figure that the reports have data for, and say which they have none for."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("reports", nargs="+", type=Path)
    asked.add_argument("--model", default="SmolLM2-135M-Instruct")
    asked.add_argument("--out", type=Path, default=OUT)
    given = asked.parse_args()
    layers = pd.concat([pd.read_csv(folder / "layers.csv") for folder in given.reports]).drop_duplicates()
    layers = layers[layers.Model == given.model]
    given.out.mkdir(parents=True, exist_ok=True)
    for name, (metric, told, logarithmic, level) in FIGURES.items():
        rows = layers.dropna(subset=[metric]) if metric in layers else layers.iloc[:0]
        rows = rows[~rows.Prompt_Set.eq("grand-unified-25") | rows.Weights_Kind.eq("initialisation")]
        if rows.empty:
            print(f"{name}: nothing measured")
            continue
        draw(rows, metric, told, logarithmic, level, given.out / f"{name}.svg")
        print(f"wrote {given.out / name}.svg")


def draw(rows: pd.DataFrame, metric: str, told: str, logarithmic: bool, level: float | None, path: Path) -> None:
    """Draw one metric over depth, of trained and of freshly drawn weights."""
    with plt.rc_context(STYLE):
        canvas, axes = plt.subplots(figsize=(5.2, 2.8), layout="constrained")
        for weights, of in rows.groupby("Weights_Kind", sort=True):
            band(axes, of, metric, str(weights))
        if level is not None:
            axes.axhline(level, color="black", linewidth=0.8, linestyle=":")
        axes.set(xlabel="block", ylabel=told, yscale="log" if logarithmic else "linear")
        sets = ", ".join(sorted(rows.Prompt_Set.unique()))
        axes.set_title(f"{rows.Model.iloc[0]}, {sets}", fontsize=9, loc="left")
        axes.legend(frameon=False)
        canvas.savefig(path, metadata={"Date": None, "Creator": "refutable"})
        plt.close(canvas)


def band(axes: Axes, rows: pd.DataFrame, metric: str, weights: str) -> None:
    """Draw the median over prompts and the band around it."""
    drawn = weights == "initialisation"
    spread = rows.groupby("Layer")[metric].quantile([0.1, 0.5, 0.9]).unstack()
    colour = DRAWN if drawn else TRAINED
    axes.fill_between(spread.index, spread[0.1], spread[0.9], color=colour, alpha=0.2, linewidth=0)
    label = "freshly drawn" if drawn else weights
    axes.plot(spread.index, spread[0.5], color=colour, linestyle="--" if drawn else "-", label=label)


if __name__ == "__main__":
    main()
