"""The Typer application, with one error handler for all subcommands."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from refutable._util.display import showing
from refutable.cli.cache import cache
from refutable.cli.claims import check, schema
from refutable.cli.doctor import doctor
from refutable.cli.dry_run import dry_run
from refutable.cli.extensions import load_extensions
from refutable.cli.figure import figure
from refutable.cli.init import init
from refutable.cli.lock import lock
from refutable.cli.measure import OTHERS, measure
from refutable.cli.models import draw, models, prompts
from refutable.cli.published import catalogue, page, publish
from refutable.cli.reference import metrics, passes, statistics
from refutable.cli.runs import diff, report, runs
from refutable.cli.show import show
from refutable.cli.twins import twins
from refutable.cli.view import view
from refutable.errors import RefutableError

UNUSABLE = 4  # pytest's exit status for unusable input
STATUSES = {"diff": 2}  # as diff(1), whose 1 says that the files differ


class Commands(TyperGroup):
    """The subcommands; an error of any becomes a message that says what to fix, without a traceback."""

    def invoke(self, ctx: Any) -> Any:  # click's Context or typer's own, depending on typer's version
        """Run the extensions' callback and the subcommand, and show meanwhile what takes long."""
        try:
            with showing():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `refutable models | head`: click ends quietly
        except (RefutableError, OSError) as error:
            typer.echo(f"ERROR: {_message(error)}", err=True)
            raise typer.Exit(STATUSES.get(ctx.invoked_subcommand, UNUSABLE)) from None


def _message(error: RefutableError | OSError) -> str:
    if isinstance(error, RefutableError):
        return str(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}cannot be used ({error.strerror or error}); check the path and its permissions"


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Scientific claims about transformers, on trial.",
)
app.callback()(load_extensions)
app.add_typer(models, name="models")
app.add_typer(cache, name="cache")
app.add_typer(twins, name="twins")
for commands in (
    (init, check, lock, show, schema),
    (metrics, statistics, passes, prompts),
    (doctor, draw, dry_run),
    (report, view, runs, figure, diff, publish, page, catalogue),
):
    for command in commands:
        app.command()(command)
app.command(context_settings=OTHERS)(measure)
