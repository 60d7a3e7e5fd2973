"""Runs whose page is known: a handful of verdicts with every kind of answer, and a run of any size."""

from __future__ import annotations

from refutable.reports.journal import Check, RunResult
from refutable.verdicts.robustness import Control, Variation
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import Estimate, Verdict

EVIL = "</script><script>window.evil = 1</script><img src=x onerror='window.evil = 2'>{{ 7 * 7 }} & \"quoted\""
PROVENANCE = {
    "started": "2026-11-28T08:20:12+00:00",
    "device": "CPU, 2 cores",
    "claims_hash": "0",
    "packages": {"refutable": "0.2.0", "torch": "2.13.0", "transformers": "5.23.0"},
    "git_commit": "0123456789abcdef",
    "options": {},
}
MEASURED = {
    "weights_kind": "pretrained",
    "weights_detail": "from the hub",
    "dtype": "float32",
    "tokens": "own tokenizer",
    "prompt_set": "grand-unified-25",
}
TABLE = {"weights_kind": "published table", "weights_detail": "table.csv", "dtype": "as published"}
DRAWN = {"weights_kind": "initialisation", "weights_detail": "freshly drawn, seeds 0, 1", "dtype": "float32"}


def estimate(value=1.1, low=1.05, high=1.2, **changes):
    given = {"level": 0.9, "n": 25, "unit": "prompt", "p": 0.9, "p_refuted": 0.01, "method": "t"}
    given |= {"statistic": "mean", "of": ("last_gain",)} | changes
    return Estimate(value=value, low=low, high=high, **given)


def row(claim, subject, verdict="REFUTED", *, evidence="measured", found=None, weights=None, about=None, **changes):
    name = f"{claim}-{subject.split(', ')[0]}" if subject != "-" else claim
    source = {"document": "the report", "section": "1. Gains", "quote": "Parallel attention dampens."}
    told = {
        "statement": f"It is said of {claim}.",
        "evidence": evidence,
        "alpha": 0.05,
        "source": source,
        "for": "each",
    }
    given = {"predicts": "< 1", "why": f"why of {name}", "labels": (), "weights": weights or {}} | changes
    return VerdictRow(
        id=name,
        claim=claim,
        subject=subject,
        verdict=Verdict(verdict),
        estimate=found,
        about=told | (about or {}),
        **given,
    )


def small_run():
    """Return a run of eight claims: refuted, supported, inconclusive, not measured, in error; one is hostile."""
    variations = {
        "norm centred": Variation(Verdict.SUPPORTED, "", estimate(0.9, 0.8, 0.95), {"norm": "centred"}),
        "over these categories": Variation(Verdict.REFUTED, "", estimate(), {"over": "these categories"}),
    }
    controls = {"initialization": Control(Verdict.SUPPORTED, "holds there", estimate(0.8, 0.7, 0.9), 1.0)}
    rows = (
        row(
            "dampens",
            "gpt2",
            found=estimate(),
            weights=MEASURED,
            about={"headline": True},
            labels=("fragile",),
            variations=variations,
            controls=controls,
            recorded={"gpt2": {"value": 1.0652, "n": 25}},
        ),
        row(
            "dampens", "gptj", "SUPPORTED", found=estimate(0.8, 0.75, 0.85), weights=MEASURED, about={"headline": True}
        ),
        row("dampens", "opt", "NOT_MEASURED", why="opt was not selected. To measure: pytest --model opt"),
        row(
            "grows",
            "gpt2",
            "INCONCLUSIVE",
            found=estimate(1.0, 0.9, 1.1),
            weights=MEASURED,
            labels=("uncalibrated below n = 12",),
            details={"n that would decide": "40 to 90 prompts", "smallest effect": "0.2 above 1"},
        ),
        row("starts", "tiny", found=estimate(unit="seed", n=6), weights=DRAWN, evidence="initialization"),
        row(
            "parallel",
            "gptj",
            "SUPPORTED",
            evidence="architecture",
            predicts="equals parallel",
            details={"seen": "parallel"},
            about={"source": {"document": "the notebook"}},
        ),
        row("folds", "-", evidence="theorem", predicts="It folds.", details={"seen": "x = 1"}),
        row("breaks", "gpt2", "ERROR", why="a fault"),
        row(
            "hostile",
            "gpt2",
            found=estimate(),
            weights=MEASURED,
            why=EVIL,
            labels=(EVIL,),
            about={"statement": EVIL, "headline": True, "source": {"document": EVIL, "section": EVIL, "quote": EVIL}},
            details={EVIL: EVIL},
        ),
        row("never", "-", "NOT_MEASURED", evidence="none", why="cannot be tested: no measure"),
    )
    return RunResult(PROVENANCE, rows, (Check("tests/instrument", "passed", "", 0.1),))


def table_run():
    """Return verdicts on published tables: one on a claim of `small_run`, one on another claim."""
    rows = (
        row(
            "dampens",
            "pythia",
            "SUPPORTED",
            found=estimate(0.8, 0.795, 0.805, level=None, unit="census", n=1),
            weights=TABLE,
        ),
        row("elsewhere", "pythia", "SUPPORTED", found=estimate(0.8, 0.7, 0.9), weights=TABLE),
    )
    return RunResult(PROVENANCE, rows)


def large_run(claims=200, models=25):
    """Return a run in which every claim was measured on every model, each with a specification curve."""
    names = [f"model-{at}-{at}b" for at in range(models)]
    rows = []
    for at in range(claims):
        about = {"source": {"document": f"report {at // 80}", "section": f"section {at // 8}", "quote": "As it says."}}
        about |= {"statement": f"Claim {at} says at some length of a model's last block that it lowers the norm."}
        about |= {"headline": True} if at % 20 == 0 else {}
        for number, name in enumerate(names):
            shift = ((7 * at + 3 * number) % 40) / 100
            verdict = ("SUPPORTED", "REFUTED", "INCONCLUSIVE")[(at + number) % 3]
            curve = {
                f"norm {n}, position {p}, statistic {s}": Variation(
                    Verdict(verdict),
                    "clustered_mean of last_gain: does not settle < 1",
                    estimate(0.8 + shift + place / 50, 0.7 + shift, 1 + shift + place / 40),
                    {"norm": n, "position": p, "statistic": s},
                )
                for place, (n, p, s) in enumerate(
                    (n, p, s) for n in ("raw", "centred") for p in ("last", "all") for s in ("mean", "median", "ratio")
                )
            }
            found = estimate(0.9 + shift, 0.8 + shift, 1.02 + shift)
            control = {"initialization": Control(Verdict.INCONCLUSIVE, "undecided: 2 of 5 seeds", found, 0.4)}
            why = f"mean of last_gain = {found.value:.4g} [{found.low:.4g}, {found.high:.4g}] at 90 %, n = 25 prompts"
            rows.append(
                row(
                    f"claim-{at:03}",
                    name,
                    verdict,
                    found=found,
                    weights={**MEASURED, "weights_hash": f"{at * number:012x}", "models": name},
                    why=why,
                    about=about,
                    labels=("uncalibrated below n = 12", "gauge: stream-mean"),
                    variations=curve,
                    controls=control,
                    details={"assumes": "prompts are independent; values are not skewed"},
                    traces=(f"{at * 1000 + number:064x}",),
                )
            )
    return RunResult(PROVENANCE, tuple(rows))
