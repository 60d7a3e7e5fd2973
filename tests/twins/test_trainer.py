from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from twins_made_up import tokens

from refutable.twins.design import SIZES, Twin, cell_of
from refutable.twins.trainer import Record, Settings, Trainer, batches_of, rates_of, snapshot_steps

BASE = Twin(cell_of("depth-4"), SIZES["tiny"], 3)

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from twins_made_up import tokens
from refutable.twins.design import SIZES, Twin, cell_of
from refutable.twins.trainer import Settings, Trainer
twin = Twin(cell_of("depth-4"), SIZES["tiny"], 3)
trainer = Trainer(twin, tokens(), Settings(save_seconds=0.0))
trainer.run(twin, Path(sys.argv[1]), tell=lambda step, loss: step >= 4 and os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Record:
    record = Trainer(BASE, tokens(), Settings()).run(BASE, tmp_path_factory.mktemp("unbroken"))
    assert record is not None
    return record


def assert_same(one: Record | None, other: Record) -> None:
    assert one is not None
    assert one.steps == other.steps
    np.testing.assert_array_equal(one.loss, other.loss)
    np.testing.assert_array_equal(one.norm, other.norm)
    np.testing.assert_array_equal(np.stack(one.blocks), np.stack(other.blocks))
    assert one.held_out == other.held_out
    assert one.last_held_out == other.last_held_out


def test_training_lowers_the_loss_and_takes_every_snapshot(unbroken: Record) -> None:
    assert unbroken.steps == snapshot_steps(BASE.size)
    assert unbroken.held_out[-1] < unbroken.held_out[0]
    assert np.isfinite(unbroken.loss).all()


def test_a_killed_training_carries_on_to_the_very_loss_of_an_unbroken_one(unbroken: Record, tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), here], env=environment, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert (tmp_path / f"{BASE.name}.pt").exists()
    assert_same(Trainer(BASE, tokens(), Settings()).run(BASE, tmp_path), unbroken)


def test_the_same_seed_gives_the_same_numbers_in_a_trainer_that_trained_another_twin(
    unbroken: Record, tmp_path: Path
) -> None:
    trainer = Trainer(BASE, tokens(), Settings())
    other = trainer.run(Twin(BASE.cell, BASE.size, 4), tmp_path)
    assert other is not None
    assert other.loss[0] != unbroken.loss[0]
    assert_same(trainer.run(BASE, tmp_path), unbroken)


def test_a_stopped_training_leaves_a_checkpoint_and_no_record(unbroken: Record, tmp_path: Path) -> None:
    trainer = Trainer(BASE, tokens(), Settings())
    assert trainer.run(BASE, tmp_path, stop=lambda: True) is None
    assert_same(trainer.run(BASE, tmp_path), unbroken)


def test_every_cell_of_a_seed_reads_the_same_windows_in_the_same_order() -> None:
    size = SIZES["tiny"]
    base = batches_of(Twin(cell_of("base"), size, 1), tokens())
    np.testing.assert_array_equal(base, batches_of(Twin(cell_of("sequential"), size, 1), tokens()))
    assert not np.array_equal(base, batches_of(Twin(cell_of("base"), size, 2), tokens()))
    shuffled = batches_of(Twin(cell_of("shuffled"), size, 1), tokens())
    np.testing.assert_array_equal(np.sort(shuffled, axis=-1), np.sort(base, axis=-1))
    assert not np.array_equal(shuffled, base)


def test_the_rate_warms_up_to_its_largest_and_falls_to_a_tenth() -> None:
    cell, size = cell_of("rate-half"), SIZES["small"]
    rates = rates_of(cell, size)
    assert rates.max() == pytest.approx(size.rate / 2, rel=1e-4)
    assert rates[0] < rates.max() / 10
    assert rates[-1] == pytest.approx(size.rate / 20, rel=0.01)
