"""How long sweeps take against what their plans said: ``python -m benchmarks.plans``.

Each sweep has a store of its own. A first part is measured, so that rates are known; then the rest, whose estimate is
held against its time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SWEEPS = {  # the words of the first part, and of the rest
    "tiny drawn models": (["--model", "tiny-*", "-k", "tiny-gpt2"], ["--model", "tiny-*", "-k", "tiny-"]),
    "trained twins": (["-k", "twin-llama"], ["-k", "twin-"]),
    "Pythia-70M, drawn": (
        ["--model", "pythia-70m", "--weights", "init", "-k", "pythia-70m and last"],
        ["--model", "pythia-70m", "--weights", "init", "-k", "pythia-70m"],
    ),
}


def measured(words: list[str], cache: Path) -> dict[str, float]:
    """Make a sweep, and return how many units it measured, in how many jobs, its estimate and its time in seconds."""
    told = cache / "sweep.json"
    command = [sys.executable, "-c", "from refutable.cli import app; app()", "measure", *words]
    options = ["--offline", "--device", "cpu", "--json", str(told)]
    environment = {**os.environ, "REFUTABLE_CACHE": str(cache)}
    subprocess.run([*command, *options], cwd=ROOT, env=environment, capture_output=True, check=False)
    found = json.loads(told.read_text())
    jobs = [job for job in found["jobs"] if any(unit["outcome"] == "measured" for unit in job["units"])]
    units = found["counts"]["measured"]
    return {"units": units, "jobs": len(jobs), "estimate": found["estimated_seconds"], "seconds": found["seconds"]}


def main() -> None:
    """Print a line for each sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="words of the sweeps' names")
    asked = parser.parse_args()
    print("| sweep | units | jobs | estimate | time | time / estimate |\n|---|---|---|---|---|---|")
    for name, parts in SWEEPS.items():
        if asked.only and not any(word in name for word in asked.only):
            continue
        with tempfile.TemporaryDirectory(prefix="plans-") as folder:
            for part, words in zip(("first part", "rest"), parts, strict=True):
                found = measured(words, Path(folder))
                ratio = found["seconds"] / found["estimate"]
                counts, times = (found["units"], found["jobs"]), (found["estimate"], found["seconds"])
                told = " | ".join([*(f"{count:.0f}" for count in counts), *(f"{time:.0f} s" for time in times)])
                print(f"| {name}, {part} | {told} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
