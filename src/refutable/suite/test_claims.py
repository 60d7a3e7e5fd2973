"""Every claim, on every subject it is about."""

from refutable.pytest_plugin.hooks import announce
from refutable.verdicts.row import VerdictRow


def test_claim(verdict_row: VerdictRow) -> None:
    """Pass when the claim is supported, fail with its evidence when it is refuted, skip when it is neither."""
    announce(verdict_row)
