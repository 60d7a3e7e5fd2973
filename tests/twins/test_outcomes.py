from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from twins_made_up import tokens

from refutable.claims.experiment import ExperimentClaim
from refutable.claims.file import read_claims
from refutable.experiments.table import START, TRAINED, load_experiment
from refutable.twins.design import CELLS, SIZES, Twin, cell_of
from refutable.twins.networks import draw, network_of
from refutable.twins.outcomes import OUTCOMES, experiment_table, made_at, outcomes, write_experiment
from refutable.twins.report import lines, report
from refutable.twins.results import save_record, write_tables
from refutable.twins.snapshot import last_gain, measure
from refutable.twins.trainer import Record

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, int], float]]:
    """A folder of tables of two cells with two seeds each, and the log last gain of each as measured."""
    folder, gains = tmp_path_factory.mktemp("runs"), {}
    for name in ("base", "sequential"):
        for seed in (0, 1):
            twin = Twin(cell_of(name), SIZES["tiny"], seed)
            network = network_of(twin.cell, twin.size).eval()
            draw(network, twin)
            values = measure(network, twin, tokens().prompts)
            gains[name, seed] = float(last_gain(values).mean())
            steps = np.ones(6, np.float32)
            record = Record([0, 6], [values, values], [5.0, 4.0], steps, steps, 4.1, 1.0)
            about = {"parameters": 1, "tokens": 1, "device": "cpu", "torch": "x", "corpus": "x"}
            save_record(folder, twin, record, {**about, "made": f"2026-01-0{seed + 1}T00:00:00+00:00"})
    write_tables(list(folder.glob("*.npz")), folder)
    return folder, gains


def test_outcomes_read_from_tables_are_those_of_the_measurement(
    trained: tuple[Path, dict[tuple[str, int], float]],
) -> None:
    folder, gains = trained
    found = outcomes([folder], "tiny")
    for (name, seed), gain in gains.items():
        assert found["log_last_gain"][name][seed] == pytest.approx(gain, abs=1e-6)
    assert found["held_out_loss"]["base"][0] == pytest.approx(4.1)
    assert set(found) == set(OUTCOMES)


def test_the_table_of_the_experiment_is_read_back(
    trained: tuple[Path, dict[tuple[str, int], float]], tmp_path: Path
) -> None:
    folder, gains = trained
    assert made_at([folder]) == datetime(2026, 1, 2, tzinfo=UTC)
    write_experiment(tmp_path, experiment_table([folder], ["tiny"]), made_at([folder]))
    found = load_experiment("twins.csv", tmp_path)
    assert found.outcomes == tuple(OUTCOMES)
    assert found.seeds("tiny", "base") == (0, 1)
    read = found.contrast("log_last_gain", {"base": 1.0, "sequential": -1.0}, "tiny")
    assert read == pytest.approx([gains["base", seed] - gains["sequential", seed] for seed in (0, 1)], abs=1e-7)
    assert found.contrast("held_out_loss", {"base": 1.0}, "tiny", START) == pytest.approx([5.0, 5.0])
    assert np.isnan(found.values["tiny", "base", START][0]["log_largest_gradient"])
    assert found.values["tiny", "base", TRAINED][0]["log_largest_gradient"] == 0.0


def test_a_report_shows_every_cell_and_its_difference(
    trained: tuple[Path, dict[tuple[str, int], float]], tmp_path: Path
) -> None:
    write_experiment(tmp_path, experiment_table([trained[0]], ["tiny"]), None)
    told = report(load_experiment("twins.csv", tmp_path), "tiny")
    assert [cell.cell for cell in told.cells] == ["base", "sequential"]
    assert [(effect.cell, effect.against, effect.n) for effect in told.effects] == [("sequential", "base", 2)]
    assert any("sequential" in line for line in lines(told))


def test_the_packaged_experiment_declares_the_design() -> None:
    found = load_experiment("twins")
    assert found.cells == tuple(cell.name for cell in CELLS)
    assert found.outcomes == tuple(OUTCOMES)


def test_every_causal_claim_of_the_repository_meets_the_experiment_or_says_why_not() -> None:
    causal = [claim for claim in read_claims(ROOT / "claims.yaml").claims if claim.evidence == "causal"]
    tested = [claim for claim in causal if isinstance(claim, ExperimentClaim)]
    untested = [claim for claim in causal if not isinstance(claim, ExperimentClaim)]
    assert len(tested) >= 17
    assert all("The twins do not decide it" in claim.needs for claim in untested)  # type: ignore[attr-defined]


def test_every_cell_that_a_claim_compares_is_trained_at_its_sizes() -> None:
    for claim in read_claims(ROOT / "claims.yaml").claims:
        if not isinstance(claim, ExperimentClaim):
            continue
        for contrast in claim.test.contrasts:
            for name in contrast.sum:
                size, _, cell = name.rpartition("/")
                assert {size} - {""} <= set(cell_of(cell).sizes)
                assert set(claim.sizes) <= set(cell_of(cell).sizes), (claim.id, cell)
