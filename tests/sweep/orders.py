"""Orders on tiny drawn models, for tests of whatever does them."""

from __future__ import annotations

from pathlib import Path

from refutable.models.registry import load_registry
from refutable.models.subject import Subject
from refutable.prompts.find import load_prompts
from refutable.sweep.jobs import Job
from refutable.sweep.work import Order
from refutable.traces.passes import Pass

PROMPTS = "grand-unified-25"


def order(
    cache: Path, model: str = "tiny-gpt2", passes: tuple[Pass, ...] = (Pass("forward", PROMPTS),), **changes: object
) -> Order:
    """Return an order of some passes over a stand-in."""
    told = {
        "job": Job(model, None, ((Subject(model, named=True), passes),)),
        "row": load_registry()[model],
        "prompts": (load_prompts(PROMPTS, Path()),),
        "environment": {"REFUTABLE_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
    }
    return Order(**{**told, **changes})  # type: ignore[arg-type]
