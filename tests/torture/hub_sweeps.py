"""A sweep over checkpoints through a hub that fails a tenth of the time: ``python tests/torture/hub_sweeps.py``.

``refutable measure`` fetches 8 tiny models at 20 revisions each from the stand-in hub, of whose answers a tenth are
503, 429 with ``Retry-After``, cut short or damaged. Then every number must be what the hub's own files give, or its
unit be named with its reason in one line; no file may have been sent again that had arrived whole; and the same
command, given again without faults, must fetch no more than what is missing. Exits 1 where one of these does not hold.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE / "hub"), str(HERE / "measurement")]

from many_revisions import TENTH, Models, untold  # noqa: E402
from stand_in import serving  # noqa: E402


def main() -> int:
    """Make the sweep twice, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--revisions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*", help="of refutable measure, after --")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hub-sweeps-"))
    units = asked.models * asked.revisions
    with serving(folder / "repos") as hub:
        models = Models.write(hub, folder / "user", asked.models, asked.revisions)
        hub.chance.seed(asked.seed)
        hub.faults.extend(TENTH)
        started = time.monotonic()
        status, text, records = models.measure(*asked.words)
        seconds, requests = time.monotonic() - started, len(hub.requests)
        bad, hub.faults[:] = Counter(one.status for one in hub.requests if one.status in (429, 503)), []
        silent, needless = untold(text, records), models.needless()
        again, _, later = models.measure(*asked.words)
        found, equal = models.right()
        seen = {
            "exit": status,
            "counts": records["counts"],
            "seconds": round(seconds),
            "requests": requests,
            "failed": {**bad, "cut or damaged": len(hub.spoiled)},
            "jobs begun again": sum(job["tries"] > 1 for job in records["jobs"]),
            "untold": silent,
            "sent needlessly": needless,
            "given again": {"exit": again, "counts": later["counts"], "requests": len(hub.requests) - requests},
            "right": f"{equal} of {found}",
        }
    print(json.dumps(seen, indent=1))
    shutil.rmtree(folder)
    whole = again == 0 and found == equal == units and bool(bad)
    return 0 if whole and not silent and not needless else 1


if __name__ == "__main__":
    sys.exit(main())
