"""The subcommand `measure`: makes every pass that claims read, so that pytest afterwards only judges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OTHERS = {"allow_extra_args": True, "ignore_unknown_options": True}  # are pytest's
QUIET = ("--collect-only", "-p", "no:terminal")  # no reports, and nothing but what the sweep says


def measure(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="print the plan, and stop there")] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="only part I of N, which are cut so that they end together")
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="ENGINE", help="ray, ray://auto or ray://HOST:PORT; by default this host")
    ] = "",
    devices: Annotated[str, typer.Option(metavar="GPUS", help="a process for each: cuda:all, or cuda:0,cuda:1")] = "",
    processes: Annotated[int, typer.Option(min=1, max=1024, help="processes for each device")] = 1,
    tries: Annotated[int, typer.Option(min=1, max=100, help="of a job whose network, disk or process fails")] = 3,
    keep_weights: Annotated[
        str, typer.Option(metavar="cache|none", help="whether weights that it fetches stay in the hub's cache")
    ] = "cache",
    disk_budget: Annotated[
        str | None, typer.Option(metavar="SIZE", help="most that it may have fetched and not dropped: 200GB")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="write what became of each unit")] = None,
) -> None:
    """Measure what claims read, and judge nothing: pytest with the same words then finds every number stored.

    Takes the words of pytest too: --claims, --model, --weights, --revision, --dtype, --device, --prompts, --offline,
    -k, -m and test ids. Exit 0 where all is stored, 1 where something failed, 4 for unusable input.
    """
    import pytest

    from refutable._util.progress import unheard
    from refutable.pytest_plugin.measuring import Measuring
    from refutable.sweep.asked import Asked, read_kept, read_size
    from refutable.sweep.shards import read_shard

    part = None if shard is None else read_shard(shard)
    asked = Asked(
        plan_only=plan,
        shard=part,
        on=on,
        devices=devices,
        processes=processes,
        tries=tries,
        keep_weights=read_kept(keep_weights),
        disk_budget=None if disk_budget is None else read_size(disk_budget),
        json=json,
    )
    words = list(context.args)
    if devices and not any(word.startswith(("--device", "--refutable-device")) for word in words):
        words.append("--device=cuda")
    plugin = Measuring(asked)
    with unheard():  # pytest shows what it does itself, past its capture
        status = int(pytest.main([*words, *QUIET], plugins=[plugin]))
    raise typer.Exit(plugin.status if plugin.status is not None and status in (0, 5) else status)
