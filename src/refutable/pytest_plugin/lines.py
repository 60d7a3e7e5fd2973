"""The lines that a run prints besides its table of verdicts, and the options kept in its provenance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from refutable import __version__
from refutable._util.progress import task
from refutable._util.provenance import with_version
from refutable._util.text import counted, printable
from refutable.claims.cases import Case
from refutable.reports.recorder import Recorder
from refutable.session import Session
from refutable.verdicts.falsifiability.feasibility import describe_infeasible


def header_lines(session: Session, packages: Mapping[str, str | None]) -> Iterator[str]:
    """Yield what would make two runs differ."""
    options, device = session.options, session.source.finder.device
    claims = counted(len({case.claim.id for case in session.cases}), "claim")
    numbers = f"judging {options.measurements.name}" if options.measurements else "measuring what is not stored"
    yield (
        f"refutable {__version__}: {claims} ({session.claims_hash[:12]}), {counted(len(session.cases), 'case')};"
        f" {numbers}{', offline' if options.offline else ''}"
    )
    yield (
        f"{with_version('torch', packages)}, {with_version('transformers', packages)}; {device.title}"
        f" ({device.name}); {options.dtype}; weights {_weights(options.weights)}"
        f"{f' with adapter {_adapter(session)}' if options.adapter is not None else ''}"
        f"{'; prompts in chat templates' if options.chat_template else ''}"
    )
    for name in sorted(session.source.selection.named):
        if why := session.registry[name].unusable:
            yield f"{name} is not tried: {printable(why)}"
    if session.given is not None:
        yield f"prompts: {_given(session)}, instead of the claims' own"


def infeasible_lines(session: Session, cases: Iterable[Case], *, in_full: bool) -> list[str]:
    """Return which of the selected claims can never reach some verdict: a line each in full, else one line."""
    found = []
    cases = list(cases)
    with task("asking which claims can never be decided", len(cases), "cases") as asked:
        for case in cases:
            if (never := session.infeasible(case)) is not None:
                found.append((case, never))
            asked.advance()
    lines = describe_infeasible(found)
    if in_full or not lines:
        return lines
    hopeless = len({case.claim.id for case, never in found if never.hopeless})
    skipped = " (not tried)" if session.options.skip_hopeless else ""
    return [
        f"{counted(len(lines), 'claim')} can never come to some verdict with these prompts or models, {hopeless} to"
        f" neither{skipped}; --collect-only says which, and what n would do"
    ]


def closing_lines(recorder: Recorder) -> Iterator[str]:
    """Yield what else matters at the end: a selection, contradictions, reports not written, missing verdicts."""
    if recorder.selection is not None and not recorder.selection.whole:
        yield f"selected: {recorder.selection}"
    for text in recorder.contradictions:
        yield f"ERROR: {text}"
    if recorder.problem:
        yield recorder.problem
    if recorder.stopped:
        yield "the run was stopped: its reports are not complete, and are not published"
    if recorder.missing:
        yield f"{counted(len(recorder.missing), 'selected case')} left no verdict: {', '.join(recorder.missing[:5])}"


def asked_of(session: Session) -> dict[str, str]:
    """Return the options that matter, as text, for a run's provenance; never a path."""
    options, source = session.options, session.source
    return {
        "models": ", ".join(sorted(source.selection.named)),
        "weights": _weights(options.weights),
        "revision": ", ".join(options.revisions),
        "adapter": _adapter(session),
        "dtype": options.dtype,
        "device": source.finder.device.name,
        "prompts": _given(session),
        "measurements": source.table.description if source.table else "",
        "offline": str(options.offline),
        "skip_hopeless": str(options.skip_hopeless),
        **({"chat_template": "with"} if options.chat_template else {}),
    }


def _weights(asked: str) -> str:
    return asked if asked in ("pretrained", "init") else "a local path"


def _adapter(session: Session) -> str:
    """Return the name of the adapter's folder, without the path to it; its hash stands with each verdict."""
    adapter = session.options.adapter
    return "" if adapter is None else printable(adapter.resolve().name)


def _given(session: Session) -> str:
    """Return in words the prompts used instead of the claims' own."""
    if (given := session.given) is None:
        return ""
    return f"{given.name} ({counted(len(given), 'prompt')}, SHA-256 {given.hash}), --prompts"
