"""Loads a subject: reads its weights (GGUF and .bin are converted once), or draws them."""

from __future__ import annotations

import copy
import logging
import shutil
import struct
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from refutable._util.atomic import new_folder
from refutable._util.hashing import key_of
from refutable.errors import BadInput, InstrumentError
from refutable.measurement.instrument.attention_probe import REGISTERED, register
from refutable.measurement.loading.initialise import TRANSFORMERS, initialise, undrawn
from refutable.measurement.loading.loaded import LoadedModel
from refutable.measurement.loading.read_fast import layout_of, read_tensors
from refutable.measurement.loading.tokens import load_tokenizer
from refutable.models.device import EVERY_GPU
from refutable.models.families import family_of
from refutable.models.registry import ModelRow
from refutable.models.subject import Subject, WeightsSource
from refutable.models.weight_files import weight_files

CONVERTER_VERSION = 1
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
        InstrumentError: the file lacks weights that the architecture needs.
    """
    quiet()
    attention = attention_of(row)
    tokenizer = source.tokenizer
    if source.form == "draw":
        network = draw(source.config, subject, attention, row.init)
        if tokenizer is not None and tokenizer.is_file():
            tokenizer = _converted_gguf(tokenizer, source.tokenizer_digest.removeprefix("gguf:"), cache)
    else:
        folder = _as_safetensors(source, cache)
        network = _read(folder, row, source, subject, attention)
        tokenizer = folder if source.form == "gguf" else tokenizer
    fuse_activations(network)
    network.eval()
    vocabulary = int(network.get_input_embeddings().num_embeddings)
    return LoadedModel(row, subject, source, network, load_tokenizer(tokenizer, vocabulary), attention)


def draw(config: Mapping[str, Any], subject: Subject, attention: str = "eager", rule: str = TRANSFORMERS) -> Any:
    """Draw a model's weights at the shape of `config`, on the device, without a second copy of them.

    Args:
        config: the configuration's own keys, `model_type` among them.
        subject: dtype, device and seed.
        attention: how transformers runs attention.
        rule: by which training code's scheme (`initialise.RULES`), or ``transformers``: N(0, initializer_range) for
            every matrix in most families, which is not how GPT-NeoX models or GPT-J were drawn.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = copy.deepcopy({key: value for key, value in config.items() if key != "model_type"})
    shape = AutoConfig.for_model(config["model_type"], **settings)
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


def _read(folder: Path, row: ModelRow, source: WeightsSource, subject: Subject, attention: str) -> Any:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM

    config = None
    if not (folder / "config.json").is_file():
        settings = copy.deepcopy({key: value for key, value in row.config.items() if key != "model_type"})
        config = AutoConfig.for_model(row.family, **settings)
    options: dict[str, Any] = {
        "dtype": getattr(torch, subject.dtype),
        "device_map": "balanced" if subject.device == EVERY_GPU else {"": subject.device},
        "attn_implementation": attention,
        "output_loading_info": True,
    }
    try:
        tensors = _read_fast(folder, subject)
        if tensors is not None:
            config = config or AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            chosen = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
            network, report = chosen.from_pretrained(None, config=config, state_dict=tensors, **options)
        else:
            network, report = AutoModelForCausalLM.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
            )
    except (RuntimeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise BadInput(f"{folder}: cannot be loaded as {row.name}: {_first_line(error)}") from None
    wrong = sorted(report["missing_keys"]) + sorted(str(key[0]) for key in report["mismatched_keys"])
    if wrong:
        raise InstrumentError(
            f"{row.name}: {len(wrong)} weights are missing from the files or of another shape ({', '.join(wrong[:3])},"
            " ...); transformers would have drawn them at random"
        )
    return network


def _read_fast(folder: Path, subject: Subject) -> dict[str, torch.Tensor] | None:
    """Return the weights on the one GPU they go to; None where transformers must read them itself.

    That is on a CPU, on several GPUs, with a dtype that torch has not, and where both the weights as stored and as
    asked for would not fit.
    """
    if subject.device_type != "cuda" or subject.device == EVERY_GPU:
        return None
    layouts = [layout_of(file) for file in weight_files(folder)[0]]
    if not all(layout.readable for layout in layouts):
        return None
    device, dtype = torch.device(subject.device), getattr(torch, subject.dtype)
    stored = sum(layout.size for layout in layouts)
    wanted = sum(layout.bytes_as(dtype) for layout in layouts)
    free = torch.cuda.mem_get_info(device)[0]
    return read_tensors(layouts, device) if stored + (wanted if wanted != stored else 0) < ROOM * free else None


def _as_safetensors(source: WeightsSource, cache: Path) -> Path:
    assert source.location is not None
    match source.form:
        case "gguf":
            return _converted_gguf(source.location, source.digest, cache)
        case "bin":
            return _converted_bin(source.location, source, cache)
    return source.location


def _converted_bin(folder: Path, source: WeightsSource, cache: Path) -> Path:
    """Convert ``.bin`` shards to one safetensors file, once; unpickled only with ``weights_only=True``."""
    from safetensors.torch import save_file

    place = _place(cache, key_of({"weights": source.digest, "config": source.config}))
    if place.is_dir():
        return place
    tensors: dict[str, torch.Tensor] = {}
    for shard in weight_files(folder)[0]:
        try:  # files older than torch 1.6 are no zip archives and cannot be mapped into memory
            loaded = torch.load(shard, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(shard))
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            raise BadInput(
                f"{shard}: cannot be read with weights_only=True ({_first_line(error)}); fetch it again"
            ) from None
        if not isinstance(loaded, dict) or not all(map(torch.is_tensor, loaded.values())):
            raise BadInput(f"{shard}: holds no tensors by name; give the weights that `save_pretrained` writes")
        tensors |= loaded

    with new_folder(place) as aside:
        owned = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
        save_file(owned, aside / "model.safetensors", metadata={"format": "pt"})
        for name in folder.glob("*.json"):
            if not name.name.endswith(".index.json"):
                shutil.copy(name, aside / name.name)
    return place


def _converted_gguf(path: Path, digest: str, cache: Path) -> Path:
    """Convert a GGUF file to safetensors, config and tokenizer, once: reading it takes some 20 s each time."""
    place = _place(cache, digest)
    if place.is_dir():
        return place
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(
            path.parent, gguf_file=path.name, local_files_only=True, trust_remote_code=False
        )
    except (ValueError, KeyError, NotImplementedError, struct.error) as error:
        raise BadInput(
            f"{path}: transformers cannot read this GGUF file ({_first_line(error)}); give safetensors instead"
        ) from None
    plain = type(model)(model.config)  # save_pretrained refuses a dequantised model: its quantizer is not serialisable
    plain.load_state_dict(model.state_dict())
    if hasattr(plain.config, "quantization_config"):
        del plain.config.quantization_config

    with new_folder(place) as aside:
        plain.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
    return place


def _place(cache: Path, digest: str) -> Path:
    import transformers

    return cache / "converted" / key_of({"of": digest, "by": [CONVERTER_VERSION, transformers.__version__]})[:32]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def quiet() -> None:
    """Keep transformers' progress bars and advice off the terminal: what matters is in the report."""
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
