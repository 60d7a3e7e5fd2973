"""Identifies an adapter: a folder with a LoRA's adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from refutable._util.extras import require_extra
from refutable._util.hashing import key_of
from refutable._util.provenance import version_of
from refutable._util.reading import is_file, read_json
from refutable._util.text import few, printable
from refutable.errors import BadInput
from refutable.models.file_hashes import FileHashes
from refutable.models.row import ModelRow
from refutable.models.safetensors_header import read_header
from refutable.models.subject import WeightsKind, WeightsSource

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# What decides the merged weights; peft is given these keys of the file and no others.
SETTINGS = (
    *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules", "exclude_modules", "layers_to_transform"),
    *("layers_pattern", "fan_in_fan_out", "bias", "lora_bias", "use_rslora", "use_dora", "modules_to_save"),
)
# What is of training alone, or only describes the file.
_IMMATERIAL = (
    *("peft_type", "task_type", "peft_version", "base_model_name_or_path", "revision", "auto_mapping"),
    *("inference_mode", "lora_dropout", "init_lora_weights", "eva_config", "runtime_config", "megatron_core"),
    *("qalora_group_size", "ensure_weight_tying"),
)
_PLAIN_START = (None, True, False, "gaussian", "eva", "orthogonal")  # others begin from base weights they changed
_HUB_NAME = re.compile(r"(?!.*\.\.)[\w-][\w.-]*(/[\w-][\w.-]*)?")


def with_adapter(source: WeightsSource, row: ModelRow, folder: Path, hashes: FileHashes) -> WeightsSource:
    """Return weights as they are with an adapter merged into them.

    Args:
        source: the weights by themselves.
        row: the model that they are of.
        folder: the adapter's.
        hashes: memo of file hashes.

    Raises:
        BadInput: there is no adapter that can be merged, or these weights cannot carry one.
        NotMeasured: the package that merges it is missing.
    """
    settings = read_adapter(folder)
    if source.kind is WeightsKind.QUANTISED:
        raise BadInput(f"--adapter {folder}: {source.label} weights cannot carry it; give the model's plain weights")
    require_extra("peft", ("peft",), "an adapter is merged by peft")
    digest = hashes.of_files([folder / CONFIG, folder / WEIGHTS])
    made_for = _made_for(settings, row)
    detail = (
        f"adapter {printable(folder.resolve().name)} (SHA-256 {digest[:12]}){made_for}, merged by peft"
        f" {version_of('peft')} into {source.label} weights: {source.detail}"
    )
    together = key_of({"weights": source.digest, "adapter": digest})
    return replace(source, kind=WeightsKind.ADAPTED, detail=detail, digest=together, adapter=folder)


def read_adapter(folder: Path) -> dict[str, Any]:
    """Return the settings of an adapter, after checking that it is one that can be merged.

    Raises:
        BadInput: a file is missing or damaged, it is no LoRA, or has a setting that is not known here.
    """
    for name in (CONFIG, WEIGHTS):
        if is_file(folder / name):
            continue
        pickled = " (adapter_model.bin is not read)" if is_file(folder / "adapter_model.bin") else ""
        raise BadInput(
            f"--adapter {folder}: holds no {name}{pickled}; give the folder that peft's `save_pretrained` writes"
        )
    read_header(folder / WEIGHTS)
    path = folder / CONFIG
    settings = read_json(path, fix="fetch it again")
    if not isinstance(settings, dict):
        raise BadInput(f"{path}: holds no settings by name; fetch it again")
    if settings.get("peft_type") != "LORA":
        raise BadInput(f"{path}: peft_type is {settings.get('peft_type')!r}, and only LORA is merged into weights here")
    start = settings.get("init_lora_weights")
    if not isinstance(start, bool | str | None) or start not in _PLAIN_START:
        raise BadInput(
            f"{path}: init_lora_weights is {start!r}: it was trained on weights that were changed first, and not on the"
            " model's own; convert it to a plain LoRA (peft: `path_initial_model_for_weight_conversion`)"
        )
    unknown = sorted(key for key, value in settings.items() if value and key not in (*SETTINGS, *_IMMATERIAL))
    if unknown:
        raise BadInput(f"{path}: {few(unknown)} would be left out; merge it yourself, and name the merged folder")
    return settings


def _made_for(settings: Mapping[str, Any], row: ModelRow) -> str:
    """Return in words which weights an adapter says it was trained on, if they are not the row's; never a path."""
    base = settings.get("base_model_name_or_path")
    if not base or base == row.hub:
        return ""
    return f", made for {base}" if isinstance(base, str) and _HUB_NAME.fullmatch(base) else ", made for a local folder"
