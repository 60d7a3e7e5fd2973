"""Loads a subject: reads its weights, or draws them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from refutable._util.progress import task
from refutable._util.text import whole_reason
from refutable.errors import BadInput, InstrumentError
from refutable.measurement.instrument.attention_probe import REGISTERED, register
from refutable.measurement.loading.accounted import check_accounted, check_counted, check_named, without_scales
from refutable.measurement.loading.adapted import merged
from refutable.measurement.loading.bars import loading_told
from refutable.measurement.loading.bin_files import map_tensors, stored_of
from refutable.measurement.loading.converted import converted_gguf
from refutable.measurement.loading.initialise import TRANSFORMERS, initialise, undrawn
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.packed import cast, unpacked
from refutable.measurement.loading.read_fast import Layout, read_tensors
from refutable.measurement.loading.room import check_room, room_to_read
from refutable.measurement.loading.shape import configured, on_meta
from refutable.measurement.loading.tokens import load_tokenizer
from refutable.models.chat_template import chat_template
from refutable.models.device import EVERY_GPU
from refutable.models.families import family_of
from refutable.models.from_folder import read_config
from refutable.models.quantised import packing_of
from refutable.models.row import ModelRow
from refutable.models.safetensors_header import SafetensorsHeader, StoredTensor, read_header
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.models.weight_files import weight_files

ROOM = 0.8  # share of a GPU's free memory that weights may take while they are read


def load_model(row: ModelRow, subject: Subject, source: WeightsSource, cache: Path) -> LoadedModel:
    """Load a subject in evaluation mode.

    Args:
        row: its row of the registry.
        subject: dtype, device and seed.
        source: the weights, already found.
        cache: folder for converted weights.

    Raises:
        BadInput: a weight file cannot be read.
        InstrumentError: weights are missing, left over, or not those of the model that was named.
    """
    quiet()
    attention = attention_of(row)
    tokenizer = source.tokenizer
    if source.form == "draw":
        with task(f"{row.name}: drawing weights"):
            network = draw(source.config, subject, attention, row.init)
        if tokenizer is not None and tokenizer.is_file():
            tokenizer = converted_gguf(tokenizer, source.tokenizer_digest.removeprefix("gguf:"), cache)
    else:
        assert source.location is not None
        folder = source.location if source.form != "gguf" else converted_gguf(source.location, source.digest, cache)
        files, _ = weight_files(folder)
        read = subject if source.adapter is None else replace(subject, dtype="float32")
        check_room(row.name, room_to_read(row.parameters, read, files), cache)
        with task(f"{row.name}: reading weights"):
            network = _read(folder, files, row, source, read, attention)
        if source.adapter is not None:  # merged in float32, so that each weight is rounded once
            with task(f"{row.name}: merging the adapter"):
                network = merged(network, source.adapter, subject.dtype)
        tokenizer = folder if source.form == "gguf" else tokenizer
    fuse_activations(network)
    network.eval()
    vocabulary = int(network.get_input_embeddings().num_embeddings)
    template = chat_template(source.tokenizer, row.name) if subject.chat_template else None
    return LoadedModel(row, subject, source, network, load_tokenizer(tokenizer, vocabulary, template), attention)


def draw(config: Mapping[str, Any], subject: Subject, attention: str = "eager", rule: str = TRANSFORMERS) -> Any:
    """Draw a model's weights at the shape of `config`, on the device, without a second copy of them.

    Args:
        config: the configuration's own keys, `model_type` among them.
        subject: dtype, device and seed.
        attention: how transformers runs attention.
        rule: by which training code's scheme (`initialise.RULES`), or ``transformers``: N(0, initializer_range) for
            every matrix in most families, which is not how GPT-NeoX models or GPT-J were drawn.
    """
    from transformers import AutoModelForCausalLM

    shape = configured(config)
    own = rule != TRANSFORMERS
    if not own:
        torch.manual_seed(subject.seed)
    home = "cuda" if subject.device == EVERY_GPU else subject.device
    with undrawn() if own else nullcontext(), torch.device(home):
        network = AutoModelForCausalLM.from_config(
            shape, dtype=getattr(torch, subject.dtype), attn_implementation=attention, trust_remote_code=False
        )
    if own:
        network.tie_weights()
        initialise(network, family_of(config["model_type"]), rule, subject.seed)
    return _spread(network) if subject.device == EVERY_GPU else network


def _spread(network: Any) -> Any:
    """Deal the blocks of a network on one GPU out to all of them, as `device_map` does with weights that are read."""
    from accelerate import dispatch_model, infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole = list(network._no_split_modules)
    memory = get_balanced_memory(network, no_split_module_classes=whole)
    device_map = infer_auto_device_map(network, max_memory=memory, no_split_module_classes=whole)
    return dispatch_model(network, device_map)


def attention_of(row: ModelRow) -> str:
    """Return how transformers must run a model's attention for its probabilities to be seen."""
    if row.architecture.attention_implementation == "eager":
        return "eager"
    register()
    return REGISTERED


def fuse_activations(network: Any) -> None:
    """Put torch's fused tanh GELU in the place of the two that transformers writes out in eight launches.

    The function is the same (tests hold them to each other); in 16 bits the fused one rounds once instead of eight
    times. On GPT-J in bfloat16 the written-out one takes an eighth of the pass.
    """
    from transformers.activations import FastGELUActivation, GELUTanh, NewGELUActivation

    for module in network.modules():
        for name, child in module.named_children():
            if type(child) in (NewGELUActivation, FastGELUActivation):
                setattr(module, name, GELUTanh())


def _read(
    folder: Path, files: Sequence[Path], row: ModelRow, source: WeightsSource, subject: Subject, attention: str
) -> Any:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    config = _config(folder, source, subject)
    options: dict[str, Any] = {
        "dtype": getattr(torch, subject.dtype),
        "device_map": "balanced" if subject.device == EVERY_GPU else {"": subject.device},
        "attn_implementation": attention,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,  # so that they are named; they are refused
    }
    tensors, stored = _tensors(files, source.form, subject, packed=source.kind is WeightsKind.QUANTISED)
    plain = None
    if source.kind is WeightsKind.QUANTISED:  # packed, a network does not say how many numbers it holds
        packing = packing_of(source.config["quantization_config"], str(folder))
        plain, stored = on_meta(source.config, subject.dtype, attention), unpacked(stored, packing, str(folder))
        check_counted(plain, stored, row.name)
    read_by_us = {"state_dict": tensors} if tensors is not None else None
    how: dict[str, Any] = read_by_us or {"local_files_only": True, "use_safetensors": True}
    try:
        chosen = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        with loading_told({name: tensor.end - tensor.start for name, tensor in stored.items()}):
            network, report = chosen.from_pretrained(None if read_by_us else folder, config=config, **how, **options)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError, OSError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BadInput(f"{folder}: cannot be loaded as {row.name}: {whole_reason(error)}") from None
    if plain is None:
        plain, stored = network, without_scales(stored, config.to_dict(), str(folder))
    check_accounted(plain, report, stored, f"{row.name} ({source.location})")
    own = None if source.config == row.config else configured(row.config).to_dict()
    check_named(plain, row, own, str(source.location))
    if "quantization_config" in source.config:  # transformers reads such weights in the dtype in which they are stored
        cast(network, subject.dtype)
    if network.get_input_embeddings().weight.dtype != getattr(torch, subject.dtype):
        raise InstrumentError(f"{row.name}: was read in {network.dtype}, and {subject.dtype} was asked for")
    if network.config._attn_implementation != attention:
        raise InstrumentError(f"{row.name}: runs attention by {network.config._attn_implementation}, not {attention}")
    return network


def _config(folder: Path, source: WeightsSource, subject: Subject) -> Any:
    """Return the configuration that was found with the weights; a GGUF file's is its own, in its converted folder."""
    config = read_config(folder / "config.json") if source.form == "gguf" else source.config
    try:
        made = configured(config)
    except BadInput as error:
        raise BadInput(f"{folder / 'config.json'}: {error}") from None
    if made.to_dict().get("is_causal") is False:
        raise BadInput(
            f"{source.location}: config.json says that its attention is not causal, and causal models are read"
        )
    if "quantization_config" in config:
        ours = {"dequantize": True} if source.kind is not WeightsKind.QUANTISED else _computed_in(config, subject)
        made.quantization_config = {**config["quantization_config"], **ours}
    return made


def _computed_in(config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """Return the setting by which packed weights are unpacked to the subject's dtype, whatever their own one is."""
    asked = config["quantization_config"].get("load_in_4bit")
    return {"bnb_4bit_compute_dtype": subject.dtype} if asked else {}


def _tensors(
    files: Sequence[Path], form: str, subject: Subject, *, packed: bool
) -> tuple[dict[str, torch.Tensor] | None, Mapping[str, StoredTensor]]:
    """Return the tensors of some files, None where transformers reads them itself, and what the files say they hold."""
    if form == "bin":
        mapped = map_tensors(files)
        return mapped, stored_of(mapped)
    headers = [read_header(file) for file in files]
    return None if packed else _read_fast(headers, subject), _stored(headers)


def _stored(headers: Sequence[SafetensorsHeader]) -> dict[str, StoredTensor]:
    stored: dict[str, StoredTensor] = {}
    for header in headers:
        twice = sorted(stored.keys() & header.tensors.keys())
        if twice:
            raise BadInput(f"{header.path}: holds {twice[0]!r}, which another shard holds too; fetch them again")
        stored |= header.tensors
    return stored


def _read_fast(headers: Sequence[SafetensorsHeader], subject: Subject) -> dict[str, torch.Tensor] | None:
    """Return the weights on the one GPU they go to; None where transformers must read them itself.

    That is on a CPU, on several GPUs, with a dtype that torch has not, and where both the weights as stored and as
    asked for would not fit.
    """
    if subject.device_type != "cuda" or subject.device == EVERY_GPU:
        return None
    layouts = [Layout(header) for header in headers]
    if not all(layout.readable for layout in layouts):
        return None
    device, dtype = torch.device(subject.device), getattr(torch, subject.dtype)
    stored = sum(layout.size for layout in layouts)
    wanted = sum(layout.bytes_as(dtype) for layout in layouts)
    free = torch.cuda.mem_get_info(device)[0]
    return read_tensors(layouts, device) if stored + (wanted if wanted != stored else 0) < ROOM * free else None


def quiet() -> None:
    """Keep transformers' progress bars and advice off the terminal: what matters is in the report."""
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
