"""Scientific claims about transformers, put on trial with pytest.

The flow, one direction, each arrow one function (docs/decisions/0001-flow.md)::

    claims.yaml --load_claims--> Claim --build_plan--> Plan --run_pass--> Trace (stored)
    Trace --metric--> Sample --statistic--> Fit --judge--> Judgement --journal--> reports

As a library (docs/library.md)::

    trace = refutable.measure(model, tokenizer, ["The capital of France is"])
    refutable.metric("last_gain", trace).values

Importing this package imports nothing heavy: pytest loads the plugin in every project where it is installed, and the
names below are imported on first use. torch is imported by `measure` alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refutable.api import judge, load_claims, measure, metric, read_run

__version__ = "0.2.0"
__all__ = ["judge", "load_claims", "measure", "metric", "read_run"]


def __getattr__(name: str) -> object:
    """Import what `__all__` names on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'refutable' has no attribute {name!r}")
    return getattr(importlib.import_module("refutable.api"), name)


def __dir__() -> list[str]:
    """Return what is there, also what was not used yet."""
    return sorted([*globals(), *__all__])
