"""The command line of a refutable run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from refutable._util.pytest_ini import ini_path
from refutable._util.reading import exists
from refutable._util.text import printable
from refutable.errors import BadInput
from refutable.models.naming import is_gguf
from refutable.options import Options
from refutable.pytest_plugin.worker_device import device_of

_PREFIX = "refutable_"
_REPEATED = ("model", "revision")
_PASSED_OVER = {"--last-failed": "lf", "--stepwise": "stepwise"}  # and where pytest keeps them

VALUES: dict[str, str] = {
    "claims": "FILE: the claims to try",
    "model": "NAME: also try this model (repeat it): name, alias or glob of the registry, OWNER/NAME on the hub, or the"
    " path of a folder or a GGUF file; it may be downloaded",
    "weights": "pretrained (default), init (freshly drawn), or the PATH of a safetensors folder or a GGUF file",
    "revision": "REV: also a branch, tag or commit of the named models (repeat it), or a glob of the hub's list",
    "adapter": "DIR: a LoRA, as peft saves it, to be merged into the weights of the named model",
    "dtype": "float32 (default), bfloat16 or float16, for weights and activations; norms are always float32",
    "device": "auto (default), cpu, cuda, cuda:N, cuda:all (one model over every GPU) or mps",
    "prompts": "FILE: use these prompts (YAML, JSONL or one per line), or a packaged set, instead of the claims' own",
    "measurements": "FILE: judge these published numbers (CSV, JSON or Parquet) instead of measuring",
    "measurements-map": "FILE: what the columns of --measurements are, if they are not this project's (YAML)",
    "baseline": "FILE: a verdicts.json; exit 0 when no verdict changed, 1 when one did",
    "require-verdicts": "N: exit 6 unless this many cases were looked at (SUPPORTED, REFUTED or INCONCLUSIVE)",
    "require-decided": "N: exit 6 unless this many cases were decided (SUPPORTED or REFUTED)",
    "reports": "FOLDER: where reports are written",
}
FLAGS: dict[str, str] = {
    "offline": "never ask the hub",
    "chat-template": "put each prompt, as a user's message, into the chat template of the model's tokenizer",
    "skip-hopeless": "do not try claims that these prompts or models can neither support nor refute",
}
PATHS = ("claims", "weights", "adapter", "prompts", "measurements", "measurements-map", "baseline", "reports")


def add(parser: pytest.Parser) -> None:
    """Add every option under its full name, and under its short name if no other plugin has that."""
    group = parser.getgroup("refutable", "scientific claims on trial")
    taken = _taken(parser)

    def option(name: str, text: str, **told: Any) -> None:
        short = [f"--{name}"] if f"--{name}" not in taken else []
        group.addoption(f"--refutable-{name}", *short, dest=dest(name), help=text, **told)

    for name, text in VALUES.items():
        kind = int if name.startswith("require-") else str
        action = "append" if name in _REPEATED else "store"
        option(name, text, action=action, type=kind, default=None, metavar=text.split(":")[0].split()[0])
    for name, text in FLAGS.items():
        option(name, text, action="store_true", default=False)


def options_of(config: pytest.Config) -> Options:
    """Return what the command line and the ini file ask for.

    Raises:
        pytest.UsageError: no claims file is named.
    """
    claims = _path(config, value(config, "claims")) or _ini_path(config, "refutable_claims")
    if claims is None:
        raise pytest.UsageError("no claims file: give --claims FILE or set refutable_claims in the ini file")
    return Options(
        claims=claims,
        models_file=_ini_path(config, "refutable_models"),
        models=tuple(_model(config, str(each)) for each in value(config, "model") or ()),
        weights=_weights(config),
        revisions=tuple(dict.fromkeys(value(config, "revision") or ())),
        adapter=_path(config, value(config, "adapter")),
        dtype="float32" if value(config, "dtype") is None else value(config, "dtype"),
        device=device_of(value(config, "device")),
        prompts=_prompts(config),
        measurements=_path(config, value(config, "measurements")),
        measurements_map=_path(config, value(config, "measurements-map")),
        skip_hopeless=value(config, "skip-hopeless"),
        offline=value(config, "offline"),
        chat_template=value(config, "chat-template"),
    )


def value(config: pytest.Config, name: str) -> Any:
    """Return an option's value; None or False if it was not given."""
    return config.getoption(dest(name))


def reports_folder(config: pytest.Config) -> Path:
    """Return the folder for reports: from the option, or else from the ini key, below the root."""
    given = _path(config, value(config, "reports"))
    return given or config.rootpath / str(config.getini("refutable_reports"))


def baseline_file(config: pytest.Config) -> Path | None:
    """Return the baseline to compare with, or None."""
    return _path(config, value(config, "baseline"))


def selected_by(config: pytest.Config) -> tuple[str, ...]:
    """Return what on the command line selects tests, in its words and without any folder's name."""
    option = config.option
    told = [f"{word} {shlex.quote(text)}" for word, text in (("-k", option.keyword), ("-m", option.markexpr)) if text]
    told += [f"--deselect {_without_folder(one)}" for one in option.deselect or ()]
    told += [word for word, given in _PASSED_OVER.items() if getattr(option, given, False)]
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        told += [_without_folder(str(one)) for one in config.args]
    return tuple(printable(one) for one in told)


def on_tables_file(config: pytest.Config) -> Path | None:
    """Return the verdicts on published numbers that the ini file names, or None where there are none yet."""
    named = _ini_path(config, "refutable_on_tables")
    return named if named is not None and exists(named) else None


def restart_if_split(config: pytest.Config, args: list[str]) -> None:
    """Run pytest again with ``--weights=PATH`` if ``--weights PATH`` was written.

    pytest finds its root and ini file before it loads any plugin, and takes a separate word that is a path for a place
    with tests: its root would be the weights, and it would never see the project's ini file.
    """
    fused = _fused(args)
    if fused == args or not (_names_claims(fused) or _ini_names_claims(config)):
        return
    raise SystemExit(pytest.main(fused, config.invocation_params.plugins))


_MODEL_OPTIONS = frozenset(("--model", "--refutable-model"))
_PATH_OPTIONS = frozenset(f"--{prefix}{name}" for name in PATHS for prefix in ("", "refutable-"))


def _fused(args: list[str]) -> list[str]:
    fused: list[str] = []
    rest = iter(args)
    for arg in rest:
        follower = next(rest, None) if arg in (*_PATH_OPTIONS, *_MODEL_OPTIONS) else None
        if follower is None:
            fused.append(arg)
        elif follower.startswith("-") or (arg in _MODEL_OPTIONS and not _may_be_path(follower)):
            fused += [arg, follower]
        else:  # even if there is no such path yet: xdist's workers get the same words, and it may exist by then
            fused.append(f"{arg}={follower}")
    return fused


def _names_claims(args: list[str]) -> bool:
    return any(arg.startswith(("--claims", "--refutable-claims")) for arg in args)


def _ini_names_claims(config: pytest.Config) -> bool:
    try:
        return ini_path("refutable_claims", Path(config.invocation_params.dir)) is not None
    except BadInput as error:
        raise pytest.UsageError(str(error)) from None


def _weights(config: pytest.Config) -> str:
    given = "pretrained" if value(config, "weights") is None else str(value(config, "weights"))
    if not given.strip():
        raise BadInput("--weights: is empty; write pretrained, init or a path")
    return given if given in ("pretrained", "init") else str(_path(config, given))


def _may_be_path(word: str) -> bool:
    return "/" in word or exists(Path(word))


def _model(config: pytest.Config, given: str) -> str:
    """Return the path that was given, or the word itself if there is no such path: it may be a name or a repository."""
    path = config.invocation_params.dir / given
    return str(path) if ("/" in given or is_gguf(given)) and exists(path) else given


def _prompts(config: pytest.Config) -> str | None:
    """Return the path that was given, or the word itself if there is no such file: it may name a packaged set."""
    path = _path(config, value(config, "prompts"))
    return str(value(config, "prompts") if path is None or not exists(path) else path) if path else None


def _path(config: pytest.Config, given: object | None) -> Path | None:
    return Path(config.invocation_params.dir) / str(given) if given is not None else None


def _ini_path(config: pytest.Config, key: str) -> Path | None:
    given = str(config.getini(key))
    return ini_folder(config) / given if given else None


def ini_folder(config: pytest.Config) -> Path:
    """Return the folder of the ini file, or the root without one."""
    return config.inipath.parent if config.inipath is not None else config.rootpath


def dest(name: str) -> str:
    """Return where pytest keeps an option's value."""
    return _PREFIX + name.replace("-", "_")


def _without_folder(arg: str) -> str:
    """Return a node id, a file or a folder that pytest was given, by its own name alone."""
    path, mark, name = arg.partition("::")
    return f"{Path(path).name}{mark}{name}"


def _taken(parser: pytest.Parser) -> set[str]:
    """Return the option names that pytest and other plugins use; empty if pytest keeps them elsewhere."""
    groups = [*getattr(parser, "_groups", ()), getattr(parser, "_anonymous", None)]
    return {name for group in groups if group is not None for option in group.options for name in option.names()}
