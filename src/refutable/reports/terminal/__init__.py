"""What a run says on a terminal: its verdicts, the evidence, and what was not measured and why."""

from __future__ import annotations

from refutable.reports.terminal.consoles import memory_console, plain_table
from refutable.reports.terminal.evidence import Chosen, evidence_blocks
from refutable.reports.terminal.numbers import alpha_text, interval_text
from refutable.reports.terminal.summary import render
from refutable.reports.terminal.words import COLOURS

__all__ = [
    "COLOURS",
    "Chosen",
    "alpha_text",
    "evidence_blocks",
    "interval_text",
    "memory_console",
    "plain_table",
    "render",
]
