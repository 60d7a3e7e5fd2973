from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from twins_made_up import tokens

from twins.claims import CANNOT, CLAIMS, verdicts
from twins.design import CELLS, SIZES, Twin, cell_of
from twins.effects import OUTCOMES, contrast, difference, holm, interaction, judge, outcomes, slope
from twins.errors import TwinsError
from twins.networks import draw, network_of
from twins.report import lines, report
from twins.results import save_record, write_tables
from twins.snapshot import last_gain, measure
from twins.trainer import Record

ROOT = Path(__file__).parents[2]
SHIFT = {"sequential": 0.5}  # added to the log of the last gain


def made_up(seed: int = 0) -> dict[str, dict[str, dict[int, float]]]:
    """Return outcomes of every cell of size small: noise shared by a seed's cells, a little of their own, and SHIFT."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.1, size=8)
    return {
        outcome: {
            cell.name: {i: SHIFT.get(cell.name, 0.0) + shared[i] + rng.normal(0, 0.002) for i in range(cell.seeds)}
            for cell in CELLS
        }
        for outcome in OUTCOMES
    }


def test_a_difference_is_taken_within_a_seed() -> None:
    values = contrast(made_up()["last_gain"], difference("sequential", "base"))
    assert values.shape == (8,)
    effect = judge(values, "> 0.02")
    assert effect.decision == "SUPPORTED"
    assert effect.value == pytest.approx(0.5, abs=0.01)  # the noise of a seed, 0.1, is taken out


def test_equal_cells_are_equivalent_and_no_effect_is_found() -> None:
    values = contrast(made_up()["last_gain"], difference("heads-2", "base"))
    assert judge(values, "within [-0.02, 0.02]").decision == "SUPPORTED"
    assert judge(values, "> 0.02").decision == "REFUTED"


def test_a_slope_is_that_of_least_squares() -> None:
    levels = {"a": 0.0, "b": 1.0, "c": 3.0}
    weights = slope(levels)
    y = {"a": 2.0, "b": 2.5, "c": 9.0}
    assert sum(weights[k] * y[k] for k in y) == pytest.approx(np.polyfit(list(levels.values()), list(y.values()), 1)[0])


def test_an_interaction_is_a_difference_of_differences() -> None:
    assert interaction("ab", "a", "b", "o") == {"ab": 1, "a": -1, "b": -1, "o": 1}


def test_holm_multiplies_the_least_by_their_number_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 3 * .01, 2 * .03, and .04 raised to it


def test_a_cell_that_was_not_trained_is_named() -> None:
    with pytest.raises(TwinsError, match="not trained: heads-2"):
        contrast({"base": {0: 1.0}}, difference("heads-2", "base"))


def test_every_causal_claim_of_the_repository_has_a_rule_or_a_reason() -> None:
    entries = [
        entry for path in (ROOT / "claims").rglob("*.yaml") for entry in yaml.safe_load(path.read_text())["claims"]
    ]
    causal = {entry["id"] for entry in entries if entry["evidence"] == "causal"}
    assert causal == {claim.id for claim in CLAIMS} | set(CANNOT)


def test_every_part_of_a_claim_names_cells_and_outcomes_that_exist() -> None:
    for claim in CLAIMS:
        for part in claim.parts:
            assert part.outcome in OUTCOMES
            assert all(cell_of(cell) for cell in part.weights)


def test_planted_effects_decide_the_claims_that_speak_of_them() -> None:
    found = {one.id: one for one in verdicts(made_up(), "small")}
    assert found["parallel-wiring-lowers-the-gain"].decision == "SUPPORTED"
    assert found["positions-change-the-gain"].decision == "SUPPORTED"  # learned positions against sequential: -0.5
    assert found["partial-rotation-drives-the-gain"].decision == "REFUTED"
    assert found["layernorm-has-no-effect"].decision == "SUPPORTED"
    assert found["the-gain-has-two-phases"].decision == "NOT_MEASURED"


def test_outcomes_read_from_tables_are_those_of_the_measurement(tmp_path: Path) -> None:
    gains = {}
    for name in ("base", "sequential"):
        for seed in (0, 1):
            twin = Twin(cell_of(name), SIZES["tiny"], seed)
            network = network_of(twin.cell, twin.size).eval()
            draw(network, twin)
            values = measure(network, twin, tokens().prompts)
            gains[name, seed] = float(last_gain(values).mean())
            record = Record(
                [0, 6], [values, values], [5.0, 4.0], np.ones(6, np.float32), np.ones(6, np.float32), 4.1, 1.0
            )
            about = {"parameters": 1, "tokens": 1, "device": "cpu", "torch": "x", "corpus": "x"}
            save_record(tmp_path, twin, record, about)
    write_tables(list(tmp_path.glob("*.npz")), tmp_path)
    found = outcomes([tmp_path], "tiny")
    for (name, seed), gain in gains.items():
        assert found["last_gain"][name][seed] == pytest.approx(gain, abs=1e-6)
    assert found["held_out_loss"]["base"][0] == pytest.approx(4.1)
    told = report([tmp_path], "tiny")
    assert {row["cell"] for row in told["effects_on_log_last_gain"]} == {"sequential"}
    assert any("sequential" in line for line in lines(told))
