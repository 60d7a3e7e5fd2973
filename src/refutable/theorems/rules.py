"""Decision rules of the documents' notebook, as properties of the numbers they are applied to (in thousandths)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from refutable.theorems import theorem

Example = dict[str, Any]


@theorem(
    "consistent-rule-implies-dampening",
    st.fixed_dictionaries({"gain": st.integers(1, 3000), "reference": st.just(800)}),
    premise=lambda e: abs(e["gain"] - e["reference"]) < 150,
)
def consistent_rule_implies_dampening(example: Example) -> bool:
    """If a gain lies within 0.15 of the reference 0.80, then both are below 1."""
    return bool(example["gain"] < 1000 and example["reference"] < 1000)
