"""The documents' own figures as a table: each is printed where it says, and this is what the claims come to on them."""

from __future__ import annotations

import csv
import re

import pytest
from places import ROOT, SHARED

from refutable.claims.file import load_claims
from refutable.evidence.published.read import read_table
from refutable.models.registry import load_registry
from refutable.reports.formats.verdicts_json import read_verdicts

FOLDER = ROOT / "fixtures" / "published"
SECTIONS = {  # what a section is called in a document, where that is not its heading
    "Cell 3": "# Cell 3:",
    "Cell 7": "# Cell 7:",
    "1. Executive Introduction": "1. Executive Introduction",
    "7.3 Isomorphisms from Physics (Phase Transitions)?": "7.3 Isomorphisms from Physics",
}


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def section(document: str, name: str) -> str:
    """Return the text of a document from a section's heading on, as far as the next heading of its kind."""
    text = (SHARED / "documents" / f"{document}.txt").read_text(encoding="utf-8")
    heading = SECTIONS.get(name, f"# {name}" if f"# {name}" in text else name)
    start = text.index(heading)
    ends = [at for mark in ("\n## ", "\n### ", "\nIn [None]", "\n________") if (at := text.find(mark, start + 1)) > 0]
    return text[start : min(ends, default=len(text))]


@pytest.mark.documents
@pytest.mark.parametrize("row", rows("documents.csv"), ids=lambda row: row["Model"])
def test_each_figure_of_a_model_is_printed_beside_its_name(row: dict[str, str]) -> None:
    found = 0
    for source, columns in (("Gain", ["Gain"]), ("Table", ["Attn Contract %", "Last MLP Gain"])):
        if not row[f"{source} Document"]:
            assert not any(row[column] for column in columns)
            continue
        text = section(row[f"{source} Document"], row[f"{source} Section"])
        lines = [line for line in text.splitlines() if row["Model"].lower() in line.lower()]
        for column in columns:
            figure = re.compile(rf"(?<![\d.]){re.escape(row[column])}(?!\d)")
            assert any(figure.search(line) for line in lines), (row["Model"], column)
            found += 1
    assert found


@pytest.mark.documents
@pytest.mark.parametrize("row", rows("thresholds.csv"), ids=lambda row: row["Claim"])
def test_each_threshold_is_printed_in_its_section(row: dict[str, str]) -> None:
    assert row["Value"].removesuffix("%") in section(row["Document"], row["Section"])


def test_each_threshold_is_that_of_a_claim() -> None:
    assert {row["Claim"] for row in rows("thresholds.csv")} <= {claim.id for claim in load_claims(ROOT / "claims.yaml")}


def test_the_table_holds_the_gains_of_eight_models_and_two_figures_of_eight_pythias() -> None:
    table = read_table(FOLDER / "documents.csv", load_registry(), FOLDER / "documents.yaml")
    held = {
        name: [row.cells[column.column] for of in table.rows.values() for row in of]
        for name, column in table.columns.items()
    }
    assert {name: len([*filter(None, cells)]) for name, cells in held.items()} == {
        "last_gain": 8,
        "attention_gain": 8,
        "mlp_gain": 8,
    }


EXPECTED = {
    "pythia-6.9b-dampens-pythia-6.9b": "SUPPORTED",
    "gptj-dampens-gptj": "REFUTED",
    "gptj-gain-1.065-gptj": "SUPPORTED",
    "attention-contracts-97-pythia-pythia-6.9b": "INCONCLUSIVE",  # 97 % is [96.5, 97.5)
    "attention-contracts-97-pythia-pythia-70m": "SUPPORTED",
    "attention-contracts-always-pythia": "REFUTED",
    "attention-contracts-in-all-pythias": "SUPPORTED",
    "last-mlp-expands-in-all-pythias": "SUPPORTED",
    "only-pythia-6.9b-dampens": "SUPPORTED",
    "one-of-pythia-6.9b-and-the-gpt2s-dampens": "SUPPORTED",
    "narrow-heads-dampen-mistral-7b": "REFUTED",
    "all-pythias-dampen": "INCONCLUSIVE",  # one of eight is printed
}


def test_the_published_verdicts_on_them_are_of_recorded_values_and_say_so() -> None:
    published = read_verdicts(ROOT / "reports" / "published" / "documents" / "verdicts.json")
    verdicts = {row.id: row for row in published.rows}
    assert {name: verdicts[name].verdict.value for name in EXPECTED} == EXPECTED
    assert {row.weights_kind for row in published.rows} == {"published table"}
    for row in published.rows:
        of_models = row.estimate is not None and row.estimate.unit == "model"
        undecided = row.verdict.value == "INCONCLUSIVE" and row.estimate is None
        assert of_models or undecided or "there is no error rate" in row.why, row.id
        if row.estimate is not None and not of_models:
            assert (row.estimate.p, row.estimate.level) == (None, None)
    assert "gptj-gain-differs-from-1-gptj" not in verdicts  # at the 5 % level: a lone mean has none
