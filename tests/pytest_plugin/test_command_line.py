"""How words of the command line are read before pytest reads them."""

from __future__ import annotations

import pytest

from refutable.pytest_plugin.command_line import _fused


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-n", "2", "--reports", "not-there-yet", "-q"], ["-n", "2", "--reports=not-there-yet", "-q"]),
        (["--weights", ".", "tests"], ["--weights=.", "tests"]),
        (["--reports=rep", "-k", "a"], ["--reports=rep", "-k", "a"]),
        (["--reports", "-q"], ["--reports", "-q"]),
        (["--reports"], ["--reports"]),
    ],
)
def test_a_path_is_joined_to_its_option_whether_it_is_there_or_not(words, expected):
    assert _fused(words) == expected
    assert _fused(expected) == expected  # what xdist's workers are given starts no pytest anew
