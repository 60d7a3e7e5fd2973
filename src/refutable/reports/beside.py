"""What a run is shown with and its journal does not keep: the claims as their file says them, and other runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from refutable.claims import BaseClaim
from refutable.claims.file import Loaded

if TYPE_CHECKING:
    from refutable.reports.journal import RunResult


@dataclass(frozen=True, slots=True)
class KnownClaim:
    """A claim as it is now.

    Attributes:
        claim: as it was read.
        yaml: its lines in the claims file; empty if it was not read from a file.
        hash: of what it says now; a verdict with another `claim_hash` is of an earlier form.
        folder: of its claims file, to which paths that it names are relative.
    """

    claim: BaseClaim
    yaml: str
    hash: str
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class Beside:
    """What a run is shown with.

    Attributes:
        claims: those of the claims file, by id, in its order; none where there is no file at hand.
        baseline: the run it is compared with, if any.
        on_tables: verdicts on numbers that somebody published, if any.
        all_tables: whether those on claims without a verdict in the run are shown as well: the run was of every claim,
            and says nothing of what it did not measure.
    """

    claims: Mapping[str, KnownClaim] = field(default_factory=dict)
    baseline: RunResult | None = None
    on_tables: RunResult | None = None
    all_tables: bool = False


def known_claims(loaded: Loaded, hashes: Mapping[str, str]) -> dict[str, KnownClaim]:
    """Return the claims of a file that have a hash, by id, in the file's order."""
    yaml = loaded.yaml()
    found = (claim for claim in loaded.claims if claim.id in hashes)
    return {
        claim.id: KnownClaim(claim, yaml.get(claim.id, ""), hashes[claim.id], loaded.places.folder) for claim in found
    }
