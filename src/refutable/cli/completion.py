"""Words that a shell completes: names from the registries and ids from the claims file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

Complete = Callable[[str], list[str]]


def names_of(kind: str) -> Complete:
    """Return what completes the names of a registry: ``metrics``, ``statistics`` or ``passes``."""

    def complete(incomplete: str) -> list[str]:
        from refutable.metrics import METRICS
        from refutable.statistics import STATISTICS
        from refutable.traces.passes import PASSES

        registries: dict[str, Iterable[str]] = {"metrics": METRICS, "statistics": STATISTICS, "passes": PASSES}
        return _beginning(registries[kind], incomplete)

    return complete


def model_names(incomplete: str) -> list[str]:
    """Return the models of the registry that begin so."""
    from refutable.cli.defaults import known_models

    return _beginning((row.name for row in known_models(None)), incomplete)


def claim_ids(incomplete: str) -> list[str]:
    """Return the ids that begin so, of the claims file that the ini file names; none while it cannot be read."""
    from refutable.claims.file import load_claims
    from refutable.cli.defaults import claims_file
    from refutable.errors import RefutableError

    try:
        return _beginning((claim.id for claim in load_claims(claims_file(None))), incomplete)
    except (RefutableError, OSError):
        return []


def prompt_sets(incomplete: str) -> list[str]:
    """Return the packaged prompt sets, and the files, that begin so."""
    from refutable.prompts.find import known_sets

    files = (str(path) for path in Path().glob(f"{incomplete}*")) if incomplete else ()
    return [*_beginning((one.name for one in known_sets()), incomplete), *files]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
