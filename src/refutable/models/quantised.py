"""Weights that stay packed in a few bits: which are read, in which words they are told, and what running them needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refutable._util.extras import require_extra
from refutable._util.provenance import version_of
from refutable._util.reading import read_json
from refutable.errors import BadInput, WeightsUnavailable
from refutable.models.device import Device
from refutable.models.safetensors_header import SafetensorsHeader, read_header
from refutable.models.subject import Subject, WeightsKind, WeightsSource
from refutable.models.weight_files import weight_files

RUNS_ON = ("cuda",)  # types of device
PLAIN = ("F64", "F32", "F16", "BF16")  # dtypes of safetensors


@dataclass(frozen=True, slots=True)
class Method:
    """A way of packing weights.

    Attributes:
        packages: what transformers runs it by; an extra of the method's name installs them.
        dtypes: in which its products can be computed.
    """

    packages: tuple[str, ...]
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")


METHODS: Mapping[str, Method] = {
    "bitsandbytes": Method(("bitsandbytes",)),
    "gptq": Method(("gptqmodel", "optimum"), ("float16", "bfloat16")),
    "awq": Method(("gptqmodel",), ("float16",)),
}


@dataclass(frozen=True, slots=True)
class Packing:
    """How weights are packed, as config.json says.

    Attributes:
        method: a key of `METHODS`.
        bits: of one weight.
        code: what the bits stand for (bitsandbytes' ``nf4`` or ``fp4``), empty for integers.
    """

    method: str
    bits: int
    code: str = ""

    def __str__(self) -> str:
        return f"{self.method}, {self.bits} bit{f' {self.code}' if self.code else ''}"


def packing_of(settings: Mapping[str, Any], where: str) -> Packing:
    """Return how weights with these quantisation settings are packed.

    Raises:
        BadInput: the settings do not say in how many bits.
    """
    method = str(settings["quant_method"])
    if method != "bitsandbytes":
        bits = settings.get("bits")
        if type(bits) is int and 2 <= bits <= 8:
            return Packing(method, bits)
    elif settings.get("load_in_8bit") is True:
        return Packing(method, 8)
    elif settings.get("load_in_4bit") is True:
        code = settings.get("bnb_4bit_quant_type", "fp4")
        if code in ("fp4", "nf4"):
            return Packing(method, 4, code)
    raise BadInput(
        f"{where}: quantised by {method}, but its settings do not say in how many bits (`bits`; for bitsandbytes"
        " `load_in_8bit`, or `load_in_4bit` with `bnb_4bit_quant_type` fp4 or nf4); give the model's own config.json"
    )


def holds_quantised(headers: Iterable[SafetensorsHeader]) -> bool:
    """Whether any weight of some files is stored otherwise than as a plain number, whatever config.json says.

    Numbers of 16 bits may still hold packed ones (bitsandbytes' quant storage): then what unpacks a weight lies beside.
    """
    return any(
        ".weight." in name or (name.endswith("weight") and tensor.dtype not in PLAIN)
        for header in headers
        for name, tensor in header.tensors.items()
    )


def run_by(method: str) -> str:
    """Return the packages by which weights are run, with their versions, in words."""
    return "run by " + " and ".join(f"{name} {version_of(name)}" for name in METHODS[method].packages)


def check_runnable(source: WeightsSource, subject: Subject, device: Device) -> None:
    """Check that packed weights can be run here, before anything heavy is imported.

    Raises:
        NotMeasured: a package, a device that runs them or a dtype in which they are computed is missing.
    """
    if source.kind is not WeightsKind.QUANTISED:
        return
    name = source.config["quantization_config"]["quant_method"]
    method = METHODS[name]
    require_extra(name, method.packages, f"weights quantised by {name}")
    if device.type not in RUNS_ON:
        raise WeightsUnavailable(
            f"weights quantised by {name} are run on a CUDA device, and {device.title} is none",
            f"the same command on a machine with one, or the plain weights of {subject.model}",
        )
    if subject.dtype not in method.dtypes:
        raise WeightsUnavailable(
            f"weights quantised by {name} are computed in {' or '.join(method.dtypes)}, not in {subject.dtype}",
            f"the same command with --dtype {method.dtypes[0]}",
        )


def packed_size(folder: Path) -> int | None:
    """Return the bytes of the weights of a folder if they stay packed, else None; what cannot be read is None too."""
    try:
        settings = read_json(folder / "config.json")["quantization_config"]
        files = weight_files(folder)[0] if settings["quant_method"] in METHODS else []
        packed = any(file.suffix != ".safetensors" or holds_quantised([read_header(file)]) for file in files)
        return sum(file.stat().st_size for file in files) if packed else None
    except (BadInput, OSError, KeyError, TypeError):
        return None
