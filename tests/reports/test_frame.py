"""Verdicts as tables: what a reader finds of an estimate's numbers."""

from __future__ import annotations

from dataclasses import fields

from refutable.reports.formats.robustness_csv import ESTIMATE_COLUMNS, NUMBERS
from refutable.reports.frame import COLUMNS
from refutable.verdicts.verdict import Estimate


def test_e_values_stand_beside_p_values_in_every_table() -> None:
    names = {one.name for one in fields(Estimate)}
    for columns in (COLUMNS, NUMBERS):
        assert {"p", "e", "e_refuted"} <= set(columns) <= names
    assert {"P", "E", "E_Refuted"} <= set(ESTIMATE_COLUMNS)
