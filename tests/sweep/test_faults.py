"""Which exceptions are tried again, and what the rest become."""

from __future__ import annotations

import pytest

from refutable.errors import (
    BadInput,
    ClosureError,
    HubFailed,
    HubUnreachable,
    NonFiniteError,
    NoSuchTap,
    WeightsUnavailable,
)
from refutable.sweep.faults import verdict_on
from refutable.sweep.record import Outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (HubFailed("the hub answered 503 for model.safetensors"), Outcome.LOST),
        (HubUnreachable("no route"), Outcome.LOST),
        (OSError(28, "No space left on device"), Outcome.LOST),
        (ConnectionResetError("reset"), Outcome.LOST),
        (MemoryError(), Outcome.LOST),
        (WeightsUnavailable("gated", "accept its licence"), Outcome.NOT_MEASURED),
        (NoSuchTap("post-norm"), Outcome.NOT_MEASURED),
        (ClosureError("layer 3 does not close"), Outcome.ERROR),
        (NonFiniteError("NaN"), Outcome.ERROR),
        (BadInput("config.json: damaged"), Outcome.ERROR),
        (TypeError("a fault of ours"), Outcome.ERROR),
    ],
)
def test_only_what_another_try_may_not_meet_is_tried_again(error: Exception, outcome: Outcome) -> None:
    found, reason = verdict_on(error)
    assert found is outcome
    assert reason
    assert "\n" not in reason


def test_a_reason_is_one_line_that_no_terminal_obeys() -> None:
    assert verdict_on(BadInput("two\nlines \x1b[31m"))[1] == "BadInput: two lines \\x1b[31m"
    with pytest.raises(KeyError) as raised:
        raise KeyError("x")
    assert "test_faults.py" in verdict_on(raised.value)[1]
