"""The summary at the end of a run: its verdicts, what they stand on, and what was not measured and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from refutable._util.text import counted, few
from refutable.models.subject import WeightsKind
from refutable.reports.baseline import Comparison
from refutable.reports.collections import collection_lines
from refutable.reports.journal import RunResult
from refutable.reports.terminal.blocks import verdict_lines
from refutable.reports.terminal.consoles import as_text, hanging
from refutable.reports.terminal.not_measured import not_measured_lines
from refutable.verdicts import whole_report
from refutable.verdicts.multiplicity import KEY, family_lines
from refutable.verdicts.preregistration.status import registration_lines
from refutable.verdicts.row import VerdictRow
from refutable.verdicts.verdict import UNVERIFIED_FACT, Verdict

MOST_DRAWN = 2  # ways of drawing weights that are told one by one
MOST_REVISIONS = 3  # commits told one by one; more are told together
MOST_LISTED = 8  # cases of one kind of difference to the baseline that are no fault


def render(
    run: RunResult,
    comparison: Comparison | None,
    closing: Iterable[str] = (),
    *,
    width: int,
    colour: bool,
    in_full: bool = False,
) -> str:
    """Return the summary of a run as text; with a baseline, how the two compare, in one line where they agree.

    Args:
        run: what is shown.
        comparison: to its baseline, if any; its outcome is the last line.
        closing: what else matters, such as reports that could not be written.
        width: columns; what is longer is wrapped, and neither an id nor any other word is cut.
        colour: whether verdicts have their colours.
        in_full: whether every look-up and every subject is named.
    """
    tried = [row for row in run.rows if row.verdict is not Verdict.NOT_MEASURED]
    told = [
        *collection_lines(run.rows),
        *_weights(tried),
        *family_lines(run.rows, run.provenance.get(KEY, {})),
        *(f"multiplicity: {line}" for line in report_lines(run)),
        *registration_lines(run.rows),
        *dict.fromkeys(f"prompts: {row.prompts_told}" for row in tried if row.prompts_told),
        *_unverified(tried),
        *not_measured_lines(run),
        *closing,
        *(comparison_lines(comparison, tried) if comparison is not None else ()),
    ]
    lines = [*verdict_lines(run.rows, width, in_full=in_full)]
    lines += [line for paragraph in told for line in hanging(paragraph, width)]
    return as_text(lines, colour=colour)


def report_lines(run: RunResult) -> list[str]:
    """Return the multiplicity of the whole report, a sentence a line."""
    return whole_report.report_lines(run.rows, run.provenance.get(whole_report.KEY))


def comparison_lines(comparison: Comparison, tried: Iterable[VerdictRow]) -> list[str]:
    """Return how a run compares to its baseline; that nothing is wrong is one line, the last."""
    lines = []
    for word, entries in (
        ("not compared, other weights than the baseline's", comparison.other_weights),
        ("new, not in the baseline", comparison.new),
        ("not re-measured", comparison.not_remeasured),
    ):
        if len(entries) > MOST_LISTED:
            lines.append(f"{word}: {counted(len(entries), 'verdict')}")
        else:
            lines += [f"{word}: {entry}" for entry in entries]
    if unselected := comparison.not_selected:
        lines.append(f"not selected: {counted(len(unselected), 'verdict')} of the baseline: {few(unselected)}")
    lines += [f"CHANGED against the baseline: {entry}" for entry in comparison.changed]
    lines += [f"ERROR: {entry}" for entry in comparison.errors]
    if comparison.fails:
        changed, errors = len(comparison.changed), len(comparison.errors)
        wrong = [f"{counted(changed, 'verdict')} changed"] * bool(changed) + [counted(errors, "error")] * bool(errors)
        return [*lines, f"baseline: {' and '.join(wrong)}"]
    beside = len(comparison.new) + len(comparison.other_weights)
    same = sum(row.verdict.looked for row in tried) - beside
    return [*lines, f"baseline: no verdict changed; {same} {'is' if same == 1 else 'are'} as in the baseline"]


def _weights(rows: Iterable[VerdictRow]) -> list[str]:
    """Return one line for each kind of weights behind the verdicts: a drawn or local model is not the real one."""
    told: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row in rows:
        if "weights_detail" in row.weights:
            beside = (row.weights.get(name, "") for name in ("dtype", "device_title", "tokens"))
            story = ", ".join(filter(None, (f"({row.weights['weights_detail']})", *beside)))
            told[row.weights_kind, story].update(dict.fromkeys(row.weights.get("models", row.subject).split(", ")))
    drawn = [key for key in told if key[0] == WeightsKind.INITIALISATION]
    if len(drawn) > MOST_DRAWN:
        models = dict.fromkeys(model for key in drawn for model in told.pop(key))
        told[drawn[0][0], f"(freshly drawn in {len(drawn)} ways; verdicts.json says how each)"] = models
    at = [key for key, models in told.items() if all("@" in model for model in models)]
    if len(at) > MOST_REVISIONS:
        models = dict.fromkeys(model for key in at for model in told.pop(key))
        told[at[0][0], f"({counted(len(models), 'revision')}; verdicts.json says the commit of each)"] = models
    return [f"weights: {few(list(models))}: {kind} {story}" for (kind, story), models in told.items()]


def _unverified(rows: Iterable[VerdictRow]) -> list[str]:
    """Return how many decided verdicts turn on a fact that too few sources state, and so do not count as decided."""
    count = sum(row.verdict.decided and not row.decided for row in rows)
    return [f"{count} {UNVERIFIED_FACT}: stated by fewer than two independent public sources"] if count else []
