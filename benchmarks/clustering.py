"""The command: how much of a metric's variance lies between the categories of a prompt set, and what that costs."""

from __future__ import annotations

from typing import Annotated

import typer

import refutable
from benchmarks.table import console, plain_table
from refutable.errors import RefutableError
from refutable.statistics import Data
from refutable.statistics.check_assumptions import clustering
from refutable.statistics.clustered_mean import clustered_mean

SETS = ["grand-unified-500", "many-kinds", "many-kinds-exploration", "many-kinds-confirmation"]
METRICS = {"prompt_length": None, "last_gain": None, "output_entropy": None, "attention_over_mlp": "last"}
TAIL = 0.05  # one-sided: the interval of clustered_mean at the usual alpha


def main(
    model: Annotated[str, typer.Option(help="registry name, or a folder")] = "smollm2",
    prompts: Annotated[list[str], typer.Option(help="a packaged set or a file; repeat it")] = SETS,
) -> None:
    """Print, for each prompt set, the ICC of some metrics and the mean over categories with its 90 % interval."""
    table = plain_table("metric", "prompts", "n", "categories", "ICC", "mean over categories", "half-width")
    try:
        traces = {name: refutable.measure(model, prompts=name) for name in prompts}
    except RefutableError as error:
        typer.echo(f"ERROR: {error}", err=True)
        raise typer.Exit(4) from None
    for name, layer in METRICS.items():
        for on, trace in traces.items():
            sample = refutable.metric(name, trace, layer=layer)
            found, fit = clustering(sample), clustered_mean(Data((sample,)))
            icc = "-" if found is None else f"{found.icc:.2f}"
            half = fit.upper(TAIL) - fit.value
            table.add_row(name, on, str(sample.n), str(fit.n), icc, f"{fit.value:.3f}", f"{half:.3f}")
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
