"""Rows of models that no registry describes: a folder, a GGUF file or a repository says itself what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from refutable._util.hashing import key_of
from refutable._util.reading import exists, is_file, read_text
from refutable.errors import BadInput, NotMeasured
from refutable.models.config import Config
from refutable.models.families import family_of
from refutable.models.file_hashes import FileHashes
from refutable.models.from_folder import read_config
from refutable.models.from_gguf import family_named
from refutable.models.gguf_header import read_gguf
from refutable.models.hub import fetch, listing
from refutable.models.hub_answers import Asker
from refutable.models.hub_cache import (
    Snapshot,
    cached_snapshot,
    faults,
    remember_card,
    remember_commit,
    remembered_card,
)
from refutable.models.registry import ModelRegistry, ModelRow, check_facts

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
UNKNOWN = "-"


class Completed(NamedTuple):
    """A configuration with its family's defaults, and the number of parameters of a model of that configuration."""

    config: Config
    parameters: int


@dataclass(frozen=True, slots=True)
class Describer:
    """Makes rows: to describe a model is to make its row from what it says of itself.

    Attributes:
        complete: completes a configuration and counts the parameters of a model of it.
        gguf_config: reads the configuration that a GGUF file states.
        hashes: memo of file hashes.
        offline: whether the hub may never be asked.
        revision: commit or branch of a repository.
    """

    complete: Callable[[Config], Completed]
    gguf_config: Callable[[Path], Config]
    hashes: FileHashes
    offline: bool = False
    revision: str | None = None

    def row(self, given: str, taken: Collection[str] = ()) -> ModelRow:
        """Return the row of a folder, a GGUF file or a repository.

        Args:
            given: a path, or ``owner/name``.
            taken: names, in lower case, that the row may not have.

        Raises:
            BadInput: it is none of these, or its family is not known.
            WeightsUnavailable: the hub does not give the repository's config.json.
        """
        path = Path(given)
        with _naming(given):
            if path.is_dir():
                return self._of_folder(path, taken)
            if is_file(path):
                return self._of_gguf(path, taken)
            return self.of_repository(given, taken)[0]

    def row_to_keep(self, given: str, taken: Collection[str] = ()) -> ModelRow:
        """Return a row to write down: of a repository with its commit, of a path without hashes.

        A hash that a user registers of his own files shows nothing about who made them: they stay ``local``.

        Args:
            given: a path, or ``owner/name``.
            taken: names, in lower case, that the row may not have.

        Raises:
            BadInput, WeightsUnavailable: as `row`.
        """
        path = Path(given)
        if exists(path):
            return self.row(given, taken)
        with _naming(given):
            row, commit = self.of_repository(given, taken, anew=True)
        return row.model_copy(update={"revision": commit})

    def _of_folder(self, folder: Path, taken: Collection[str]) -> ModelRow:
        if not is_file(folder / "config.json"):
            raise BadInput(f"{folder}: {_without_config(sorted(path.name for path in folder.iterdir()), str(folder))}")
        config = read_config(folder / "config.json")
        place = folder.resolve()
        return self._made(
            given=str(folder),
            config=config,
            taken=taken,
            parts=place.parts,
            weights=str(place),
            licence=_licence(folder) or UNKNOWN,
            config_source="its own config.json",
        )

    def _of_gguf(self, path: Path, taken: Collection[str]) -> ModelRow:
        header = read_gguf(path)
        family_of(family_named(header.architecture))
        config = self.gguf_config(path)
        place = path.resolve()
        return self._made(
            given=str(path),
            config=config,
            taken=taken,
            parts=place.with_suffix("").parts,
            weights=str(place),
            licence=str(header.values.get("general.license", UNKNOWN)),
            organisation=str(header.values.get("general.organization", UNKNOWN)),
            config_source="its own header",
        )

    def of_repository(self, repo: str, taken: Collection[str] = (), *, anew: bool = False) -> tuple[ModelRow, str]:
        """Return the row of a repository, and the commit that it describes.

        Args:
            repo: ``owner/name``.
            taken: names, in lower case, that the row may not have.
            anew: whether to ask the hub in any case.

        Raises:
            BadInput: it is no model of transformers, or the hub may not be asked.
            WeightsUnavailable: the hub does not give its config.json.
        """
        if exists(Path(repo)) or not REPOSITORY.fullmatch(repo):
            raise BadInput(
                f"{repo}: no such folder or file; give a folder of safetensors and config.json, a GGUF file, OWNER/NAME"
                " of a repository on the hub, or a name of the registry (refutable models)"
            )
        records, at = self.hashes.folder, "" if self.revision is None else f" at {self.revision}"
        found = cached_snapshot(repo, self.revision, records)
        told = None
        if anew or found is None or not self._is_whole(found):
            if self.offline:
                raise BadInput(
                    f"{repo}: its config.json{at} is not in the hub's cache, or is damaged there, and --offline was"
                    " given; run once without it, or give a folder"
                )
            ask = Asker(repo, repo, f"pytest --model {repo}", "pytest --model PATH", self.revision)
            told = listing(repo, self.revision, ask)
            if "config.json" not in told.etags:
                raise BadInput(f"{repo}: the repository{at} is {_without_config(sorted(told.etags), '')}")
            found = fetch(told, ["config.json"], ask, self.hashes)
            remember_commit(repo, self.revision, told.commit)
            remember_card(repo, told.commit, told.card, records)
        card = remembered_card(repo, found.commit, records) if told is None else told.card
        row = self._made(
            given=repo,
            config=read_config(found.folder / "config.json"),
            taken=taken,
            parts=repo.split("/"),
            hub=repo,
            organisation=repo.split("/")[0],
            licence=card.licence or _licence(found.folder) or UNKNOWN,
            gated=card.gated,
            config_source="its own config.json",
        )
        return row, found.commit

    def _is_whole(self, found: Snapshot) -> bool:
        """Whether a snapshot has its config.json, with the content that its ETag stands for."""
        return not any(faults(found, {"config.json": (found.etags or {}).get("config.json")}, self.hashes))

    def _made(
        self, *, given: str, config: Config, taken: Collection[str], parts: Iterable[str], **known: Any
    ) -> ModelRow:
        family = family_of(config["model_type"])
        whole, parameters = self.complete(config)
        name = _free_name(parts, taken)
        known = {"organisation": UNKNOWN, "licence": UNKNOWN, **known}
        row = ModelRow(
            name=name, title=name, family=family.model_type, parameters=parameters, config=dict(whole), **known
        )
        check_facts(row)
        return row.called(given)


def known_as(given: str, registry: ModelRegistry) -> ModelRow | None:
    """Return the row that a word of ``--model`` means, by what it is called or where its weights lie; None without one.

    A word that is somebody's name is never taken for a path.
    """
    return registry.named(given) or registry.at(Path(given))


def is_own(given: str, registry: ModelRegistry) -> bool:
    """Whether a word of ``--model`` is a path or a repository, and not that of a model of the registry."""
    return known_as(given, registry) is None and ("/" in given or is_gguf(given) or Path(given).is_dir())


def is_gguf(path: str) -> bool:
    """Whether a file's name says that it is a GGUF file."""
    return path.lower().endswith(".gguf")


def with_own(
    registry: ModelRegistry, asked: Iterable[str], describer: Callable[[], Describer]
) -> tuple[ModelRegistry, tuple[str, ...]]:
    """Return the registry with a row of each model that is asked for by path or repository, and the names of all asked.

    One that cannot be described stops only itself: its row says why, and nothing is measured of it.

    Args:
        registry: the known models.
        asked: words of ``--model``.
        describer: returns what makes such rows; only called for one.

    Raises:
        BadInput: a word is empty, or an address.
    """
    asked = tuple(_trimmed(given) for given in asked)
    names: dict[str, str] = {}
    for given in dict.fromkeys(asked):
        row = known_as(given, registry)
        if is_own(given, registry):
            row = _described(given, registry.called, describer())
            registry = ModelRegistry([*registry, row])
        names[given] = given if row is None else row.name
    return registry, tuple(names[given] for given in asked)


def _trimmed(given: str) -> str:
    """Return a word of ``--model`` without slashes at its end."""
    if not given.strip():
        raise BadInput(
            "--model is empty; give a name of the registry (refutable models), a folder, a GGUF file or OWNER/NAME"
        )
    address = re.fullmatch(r"https?://[^/]+/+([^/]+/[^/]+?)(?:/.*)?", given)
    if address:
        raise BadInput(f"--model {given}: an address is the name of no model; write OWNER/NAME: --model {address[1]}")
    return given.rstrip("/") or given


@contextmanager
def _naming(given: str) -> Iterator[None]:
    """Name the model in whatever is wrong with it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(str(error) if given in str(error) else f"{given}: {error}") from None


def _without_config(names: Sequence[str], folder: str) -> str:
    """Return why what has these files, and no config.json, is no model of transformers, and what to do.

    Args:
        names: of the files.
        folder: where they lie; empty for a repository's.
    """
    get = "" if folder else "download it and "
    if "adapter_config.json" in names:
        return f"an adapter, of no use without its model; {get}give it as --adapter FOLDER, and its model as --model"
    if found := next((name for name in names if is_gguf(name)), ""):
        return f"one of GGUF files, without a config.json; {get}give one by its path: --model {Path(folder) / found}"
    return "without a config.json, so it is no model of transformers; give one that `save_pretrained` wrote"


def _described(given: str, taken: Collection[str], describer: Describer) -> ModelRow:
    """Return the row of a model, or one that stands for it and says why it cannot be described."""
    try:
        return describer.row(given, taken)
    except (BadInput, NotMeasured) as error:
        here = Path(given).resolve() if exists(Path(given)) else None
        name = _free_name(given.split("/") if here is None else here.parts, taken)
        empty = ModelRow(
            name=name,
            title=name,
            weights=str(here) if here else None,
            family=UNKNOWN,
            parameters=1,
            organisation=UNKNOWN,
            licence=UNKNOWN,
            config={},
        )
        return empty.called(given, error.with_traceback(None))


def _free_name(parts: Iterable[str], taken: Collection[str]) -> str:
    """Return a name that is not taken: the last part, with parts before it where it must be longer."""
    words = [word for part in parts if (word := _word(part))]
    names = ["-".join(words[-count:]) for count in range(1, len(words) + 1)] or ["model"]
    numbered = (f"{names[-1]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (*names, *numbered) if name not in taken)


def _word(part: str) -> str:
    """Return a part of a path in the letters of a name; one with other letters ends in a hash, to stay itself."""
    word = re.sub(r"[^a-z0-9._-]+", "-", part.lower()).strip("._-")
    return word if part.isascii() else f"{word}-{key_of({'part': part})[:6]}".lstrip("-")


def _licence(folder: Path) -> str | None:
    """Return the licence that a model card states in its head; None where it cannot be read."""
    with suppress(BadInput, ValueError, RecursionError, yaml.YAMLError):
        match = re.match(r"---\n(.*?)\n---\s", read_text(folder / "README.md"), re.DOTALL)
        head = yaml.safe_load(match[1]) if match else None
        licence = head.get("license") if isinstance(head, Mapping) else None
        return licence[:60] if isinstance(licence, str) else None
    return None
