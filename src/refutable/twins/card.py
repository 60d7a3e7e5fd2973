"""Makes a folder that transformers loads out of a twin's kept weights, with tokenizer and model card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file

from refutable.measurement.loading.initialise import OUTPUTS
from refutable.twins.corpus.build import sha256
from refutable.twins.corpus.sources import SOURCES
from refutable.twins.design import SIZES, Twin, cell_of, make_twin
from refutable.twins.errors import TwinsError
from refutable.twins.networks import config_of

CARD = "README.md"
_NOT_FACTS = ("architectures", "dtype", "transformers_version", "use_cache")


def twin_of(name: str) -> Twin:
    """Return the twin of a name as files carry it: size, cell and seed, with points between.

    Raises:
        TwinsError: it is no such name.
    """
    size, _, rest = name.partition(".")
    cell, _, seed = rest.rpartition(".")
    if size not in SIZES or not seed.isdigit():
        raise TwinsError(f"{name!r} is no twin; write SIZE.CELL.SEED, as in small.base.0")
    return make_twin(cell_of(cell, size), size, int(seed))


def write_card(weights: Path, tokens: Path, out: Path, facts: dict[str, Any]) -> Path:
    """Write a twin's folder and return it.

    Args:
        weights: its file, named after it, as `train` keeps it.
        tokens: folder with its tokenizer.json.
        out: folder in which the folder is made.
        facts: for the card: ``held_out`` loss, ``parameters``, and ``unigram`` and ``five_gram`` losses.
    """
    twin = twin_of(weights.name.removesuffix(".safetensors"))
    folder = out / _name(twin)
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(twin.cell, twin.size)
    config.architectures = [_class_of(config)]
    config.dtype = "bfloat16"
    config.save_pretrained(folder)
    save_file(load_file(weights), folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokens / "tokenizer.json", folder / "tokenizer.json")
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    digest = sha256(folder / "model.safetensors")
    (folder / CARD).write_text(_text(twin, config.architectures[0], facts, digest), encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def row_of(folder: Path, twin: Twin, parameters: int) -> dict[str, Any]:
    """Return the registry's row of a twin whose folder was made."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {
        "title": f"Twin {twin.cell.name}",
        "weights": folder.name,
        "family": twin.cell.family,
        "parameters": parameters,
        "organisation": "refutable",
        "licence": "Apache-2.0",
        "init": twin.cell.rule if twin.cell.family in OUTPUTS else "transformers",
        "twin": True,
        "default": True,
        "config_source": "its own configuration",
        "sha256": {name: sha256(folder / name) for name in ("model.safetensors", "tokenizer.json")},
        "config": {key: value for key, value in config.items() if key not in _NOT_FACTS and value is not None},
    }


def write_rows(out: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write the registry's rows of twins, which lie in folders of `out`."""
    head = "# The registry's rows of the twins that are shipped; written by `refutable twins card`.\n"
    text = yaml.safe_dump({"models": rows}, sort_keys=False, width=118)
    (out / "rows.yaml").write_text(head + text, encoding="utf-8")


def _name(twin: Twin) -> str:
    return f"twin-{twin.cell.name}" if twin.size.name == "shipped" else twin.name


def _beside(twin: Twin) -> str:
    if twin.size.name == "shipped":
        return ", beside others of its size that read the same text"
    return f" as one twin of a controlled experiment: it differs from `{twin.cell.against}` in {twin.cell.factor} alone"


def _class_of(config: Any) -> str:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    return str(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].__name__)


def _text(twin: Twin, architecture: str, facts: dict[str, Any], digest: str) -> str:
    cell, size, rate = twin.cell, twin.size, twin.size.rate * twin.cell.rate
    positions = "learned" if cell.rotary is None else f"rotary on {cell.rotary:.0%} of each head"
    licences = "\n".join(f"- `{source.package}`: {source.licence}" for source in SOURCES)
    return f"""# {_name(twin)}

A transformer trained from scratch by this project{_beside(twin)}. It is a subject for claims about the residual stream
of trained networks. It is too small, and read too little, to write or to know anything.

| | |
|---|---|
| class | `{architecture}`, {cell.wiring} |
| size | {facts["parameters"]:,} parameters: {cell.depth} blocks, width {size.width}, {cell.heads} heads |
| positions | {positions} |
| tokens | byte-level BPE of {size.vocabulary:,}; read {size.tokens:,} in windows of {size.context} |
| training | AdamW, {size.steps} steps of {size.batch} windows, largest rate {rate:g}, seed {twin.seed} |
| first weights | rule `{cell.rule}`, output projections times {cell.output_scale:g} |
| held-out loss | {facts["held_out"]:.3f} nats a token |
| held against | unigram {facts["unigram"]:.3f}, 5-gram {facts["five_gram"]:.3f} |
| weights | bfloat16, SHA-256 `{digest}` |

## Text

English prose from packages of Debian's section `main`, deduplicated by paragraph, one document in fifty held out:

{licences}
"""
