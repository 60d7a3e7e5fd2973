"""What a call tells of a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from refutable.errors import RefutableError


def fault(make: Callable[[], Any]) -> str:
    """Return what a call says of a fault, after checking that it is one line."""
    with pytest.raises(RefutableError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)
