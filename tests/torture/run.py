"""The campaign: `make torture`, or ``python tests/torture/run.py --minutes 18 --seed 0``.

Prints a table of what was tried and how often, and every fault with what was done; exits 1 when there is one.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "torture"), str(TESTS / "measurement"), str(TESTS)]

from cache import Bench, flips, hostile_weights  # noqa: E402
from processes import Runs, disks, kills, workers  # noqa: E402
from readers import fuzz, readers  # noqa: E402
from tally import Tally, table  # noqa: E402

SHARES = {"fuzz": 0.15, "cache": 0.2, "weights": 0.05, "kills": 0.25, "workers": 0.2, "disks": 0.15}


def campaign(folder: Path, seed: int, seconds: float, most: int = 10**9) -> Iterator[Tally]:
    """Yield the counts of each kind of trial.

    Args:
        folder: an empty one, to work in.
        seed: of every random choice.
        seconds: for all kinds together; setting up takes some more.
        most: trials of one kind.
    """
    part = {name: share * seconds for name, share in SHARES.items()}
    every = readers(folder)
    for name, reader in every.items():
        rng = random.Random(f"{seed} {name}")
        yield fuzz(name, reader, folder, rng, seconds=part["fuzz"] / len(every), most=most)
    yield hostile_weights(folder, random.Random(seed), seconds=part["weights"], most=most)
    benches = {}
    for form in ("gguf", "bin"):
        (folder / form).mkdir()
        benches[form] = Bench(folder / form, form)
        kind = f"cache damaged ({form})"
        yield flips(benches[form], kind, random.Random(seed), seconds=part["cache"] / 2, most=most)
    runs = Runs(benches["gguf"], random.Random(seed))
    yield kills(runs, seconds=part["kills"], most=most)
    yield workers(runs, seconds=part["workers"], most=most)
    yield disks(runs, seconds=part["disks"], most=most)


def main() -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=17.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    folder, tallies = Path(tempfile.mkdtemp(prefix="torture-")), []
    try:
        for tally in campaign(folder, asked.seed, 60 * asked.minutes):
            tallies.append(tally)
            print(f"{tally.kind}: {tally.trials} trials, {tally.faults} faults", file=sys.stderr, flush=True)
            for example in tally.examples:
                print(f"  {example}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(tallies))
    trials, faults = sum(tally.trials for tally in tallies), sum(tally.faults for tally in tallies)
    print(f"\nseed {asked.seed}: {trials:,} trials, {faults} of them wrong, lost, stuck or unclear")
    return 1 if faults or not all(tally.trials for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
