"""The subcommand `twins`: the experiment's own commands, and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refutable.twins.__main__ import app as twins

__all__ = ["twins"]


@twins.command()
def figures(
    course: Annotated[Path, typer.Argument(help="folder that `refutable twins table --course` wrote to")],
    out: Annotated[Path, typer.Option(help="folder for the two figures, as PNG and as CSV")] = Path(),
) -> None:
    """Draw the experiment's two figures: what each factor does, and how the last gain goes while twins are trained."""
    from refutable.figures import twin_course, twin_effects
    from refutable.figures.save import save

    out.mkdir(parents=True, exist_ok=True)
    for figure, rows in (
        (twin_effects.FIGURE, twin_effects.table()),
        (twin_course.FIGURE, twin_course.course_table(course)),
    ):
        save(figure, rows, [out / f"{figure.name}.png"])
        typer.echo(str(out / f"{figure.name}.png"))
