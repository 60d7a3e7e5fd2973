"""The subcommand `doctor`: what there is to measure with, and what a run without options would skip."""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refutable.cli.defaults import ClaimsArgument, ModelsOption, claims_file, models_file
from refutable.cli.kept_traces import bytes_below, other_parts, size_text

if TYPE_CHECKING:
    from refutable.claims.cases import Case
    from refutable.session import Session
    from refutable.traces.store import Store

PACKAGES = ("torch", "transformers", "tokenizers", "huggingface_hub", "numpy", "scipy", "pyarrow", "pytest")
NO_NETWORK = "not asked (--online asks; nothing else here uses the network)"


def doctor(
    claims: ClaimsArgument = None,
    models: ModelsOption = None,
    online: Annotated[bool, typer.Option("--online", help="also ask whether the hub answers")] = False,
) -> None:
    """Say what there is to measure with: versions, devices, caches; and what plain `pytest` would skip, and why.

    Exit 1 where claims cannot be tried at all: a package is missing, or the claims file cannot be used.
    """
    from refutable.errors import RefutableError

    _tell("versions", _versions())
    _tell("devices", _devices())
    _tell("caches", _caches())
    typer.echo(f"hub: {_hub() if online else NO_NETWORK}")
    file = claims_file(claims)
    if not file.is_file() and claims is None:
        typer.echo(f"claims: no {file} here, and none in an ini file; refutable init FOLDER starts a suite")
        return
    try:
        _tell(f"plain pytest on {file}", _run(file, models_file(models)))
    except RefutableError as error:
        typer.echo(f"plain pytest on {file}: ends at once, since\n{error}")
        raise typer.Exit(1) from None


def _tell(title: str, lines: Iterator[str]) -> None:
    typer.echo(f"{title}:")
    for line in lines:
        typer.echo(f"  {line}")


def _versions() -> Iterator[str]:
    from refutable import __version__
    from refutable._util.provenance import version_of

    yield f"refutable {__version__}, Python {platform.python_version()} ({sys.executable}), {platform.platform()}"
    told = {name: version_of(name) for name in PACKAGES}
    yield ", ".join(f"{name} {version}" for name, version in told.items() if version is not None)
    if missing := [name for name, version in told.items() if version is None]:
        yield f"NOT installed: {', '.join(missing)}"


def _devices() -> Iterator[str]:
    from refutable.models.device import choose_device, cuda_devices

    for device in (*cuda_devices(), choose_device("cpu")):
        yield f"{device.name}: {device.title}, {device.memory / 1e9:.1f} GB"
    yield f"a run takes {choose_device('auto').name} unless --device says otherwise"


def _caches() -> Iterator[str]:
    from huggingface_hub import constants

    from refutable.errors import RefutableError
    from refutable.traces.store import cache_folder, open_store

    folder = cache_folder()
    try:
        store = open_store()
        told = _traces_in(store)
    except RefutableError as error:
        yield f"measurements: NOT to be used: {error}"
    else:
        if store.place == folder:
            yield f"measurements: {_sizes(folder, told)}"
        else:
            yield f"measurements: {store} ({told})"
            yield f"what stays on this machine: {_sizes(folder)}"
    hub = Path(constants.HF_HUB_CACHE)
    yield f"weights of the hub: {_sizes(hub, size_text(bytes_below(hub)), parts=False)}"


def _traces_in(store: Store) -> str:
    from refutable._util.text import counted

    stored = [*store.stored(described=False)]
    return f"{counted(len(stored), 'trace')} {size_text(sum(one.bytes for one in stored))}"


def _sizes(folder: Path, *told: str, parts: bool = True) -> str:
    """Return a folder with what it holds, and how much its disk has left."""
    from refutable._util.host import free_disk

    sizes = [f"{name} {size_text(size)}" for name, size in other_parts(folder).items()] if parts else []
    return f"{folder} ({'; '.join(filter(None, (', '.join((*told, *sizes)), f'{size_text(free_disk(folder))} free')))})"


def _hub() -> str:
    from huggingface_hub import HfApi, constants

    from refutable._util.text import first_line

    try:
        HfApi(endpoint=constants.ENDPOINT).model_info("openai-community/gpt2", timeout=10)
    except Exception as error:  # whatever its client raises is the finding
        return f"does not answer ({type(error).__name__}: {first_line(error)})"
    return "answers"


def _run(claims: Path, models: Path | None) -> Iterator[str]:
    """Yield what a run without options would try and skip; raises RefutableError where it would not begin."""
    from refutable._util.extras import require_measure
    from refutable._util.text import counted, few
    from refutable.options import Options
    from refutable.session import Session

    session = Session.prepare(Options(claims, models, offline=True))
    require_measure()
    skipped = skipped_cases(session)
    left_out = sum(map(len, skipped.values()))
    yield f"{counted(len(session.cases), 'case')}: {len(session.cases) - left_out} tried, {left_out} skipped"
    for reason, cases in sorted(skipped.items(), key=lambda item: -len(item[1])):
        of = sorted({model for case in cases for model in case.models})
        names = f" ({counted(len(of), 'model')}: {few(of, 6)})" if of else ""
        yield f"{len(cases)} skipped: {reason}{names}"


def skipped_cases(session: Session) -> dict[str, list[Case]]:
    """Return the cases that a run would not measure, by the reason, with ``it`` or ``they`` for the models.

    A case on several models is skipped where none of them can be measured.
    """
    found: dict[str, list[Case]] = defaultdict(list)
    for case in session.cases:
        if (reason := _why_skipped(case, session)) is not None:
            found[reason].append(case)
    return dict(found)


def _why_skipped(case: Case, session: Session) -> str | None:
    from refutable.claims import InitializationClaim, MeasuredClaim, PendingClaim, UntestableClaim, WiringClaim
    from refutable.errors import NotMeasured
    from refutable.evidence.plan import wiring_subject
    from refutable.models.subject import Subject
    from refutable.traces.passes import Pass

    claim = case.claim
    if isinstance(claim, PendingClaim):
        return "it needs an experiment that has not been made; `refutable show CLAIM` says which"
    if isinstance(claim, UntestableClaim):
        return "it cannot be tested; `refutable show CLAIM` says why"
    if not isinstance(claim, MeasuredClaim | WiringClaim):
        return None
    selection, reasons = session.source.selection, []

    def look(subject: Subject, spec: Pass) -> None:
        session.source.find_weights(subject, spec, download=False)

    for model in case.models:
        try:
            if isinstance(claim, WiringClaim):
                look(wiring_subject(model, selection), Pass(claim.test.reads))
            elif isinstance(claim, InitializationClaim):
                look(selection.subject(model, seed=0), Pass("forward", claim.prompts))
            else:
                look(selection.subject(model), Pass("forward", claim.prompts))
        except NotMeasured as error:
            fix = f"; to measure: {error.fix.replace(model, 'NAME')}" if error.fix else ""
            reasons.append(f"{error.reason.replace(model, 'it')}{fix}")
        else:
            return None
    return reasons[0] if reasons else None
