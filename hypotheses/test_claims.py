"""Every claim of claims.yaml, on every subject it is about: the packaged suite's one function."""

from refutable.suite.test_claims import test_claim

__all__ = ["test_claim"]
