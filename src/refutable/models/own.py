"""Rows of models that no registry describes: a folder, a GGUF file or a repository says itself what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from refutable._util.hashing import key_of
from refutable._util.reading import exists, is_file, is_folder, read_text
from refutable.errors import BadInput, NotMeasured
from refutable.models.config import Config
from refutable.models.config_checks import check_config
from refutable.models.families import family_of
from refutable.models.file_hashes import FileHashes
from refutable.models.from_folder import read_config
from refutable.models.from_gguf import family_named
from refutable.models.gguf_header import check_places, read_gguf
from refutable.models.hub import fetch, has_weights, listing
from refutable.models.hub_answers import Asker
from refutable.models.hub_cache import (
    Snapshot,
    cached_snapshot,
    faults,
    remember_card,
    remember_commit,
    remembered_card,
)
from refutable.models.lacking import folder_lack, repository_lack
from refutable.models.naming import REPOSITORY, is_gguf, misnamed
from refutable.models.registry import BY_PATH, ModelRegistry, ModelRow

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
        if not given.strip():
            raise BadInput(misnamed(given))
        if is_folder(path):
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
        row, commit = self.of_repository(given, taken, anew=True)
        return row.model_copy(update={"revision": commit})

    def _of_folder(self, folder: Path, taken: Collection[str]) -> ModelRow:
        if not is_file(folder / "config.json"):
            raise BadInput(folder_lack(folder))
        config = read_config(folder / "config.json")
        place = _place(folder)
        return self._made(
            given=str(folder),
            place=str(folder / "config.json"),
            config=config,
            taken=taken,
            parts=place.parts,
            weights=str(place),
            licence=_licence(folder) or UNKNOWN,
            config_source="its own config.json",
        )

    def _of_gguf(self, path: Path, taken: Collection[str]) -> ModelRow:
        header = read_gguf(path)
        check_places(header)
        with _at(str(path)):
            family_of(family_named(header.architecture))
        config = self.gguf_config(path)
        place = _place(path)
        return self._made(
            given=str(path),
            place=str(path),
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
        given, repo = repo, repo.rstrip("/")
        if exists(Path(given)) or not REPOSITORY.fullmatch(repo):
            raise BadInput(misnamed(given))
        records, at = self.hashes.folder, "" if self.revision is None else f" at revision {self.revision!r}"
        found, told = cached_snapshot(repo, self.revision, records), None
        if anew or found is None or not self._is_whole(found):
            if self.offline:
                raise BadInput(
                    f"{repo}: its config.json{at} is not in the hub's cache, or is damaged there, and --offline was"
                    " given; run once without it, or give a folder"
                )
            again = f"refutable models add {repo}" if anew else f"pytest --model {repo}"
            ask = Asker(repo, repo, again, BY_PATH, self.revision)
            told = listing(repo, self.revision, ask)
            if "config.json" not in told.etags:
                lack = repository_lack(told.etags, weights=has_weights(told.etags))
                assert lack is not None
                raise BadInput(f"{repo}: the repository{at} {lack.what}; {lack.fix or BY_PATH}")
            found = fetch(told, ["config.json"], ask, self.hashes)
            remember_commit(repo, self.revision, told.commit)
            remember_card(repo, told.commit, told.card, records)
        card = remembered_card(repo, found.commit, records) if told is None else told.card
        with _at(repo):
            config = read_config(found.folder / "config.json")
        row = self._made(
            given=repo,
            place=f"{repo}: config.json",
            config=config,
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
        self, *, given: str, place: str, config: Config, taken: Collection[str], parts: Iterable[str], **known: Any
    ) -> ModelRow:
        """Return the row of a configuration; what is wrong with that is told with the place it was read from."""
        with _at(place):
            family = family_of(config["model_type"])
            check_config(family, config)
            whole, parameters = self.complete(config)
            check_config(family, whole)
        name = _free_name(parts, taken)
        known = {"organisation": UNKNOWN, "licence": UNKNOWN, **known}
        row = ModelRow(
            name=name, title=name, family=family.model_type, parameters=parameters, config=dict(whole), **known
        )
        return row.called(given)


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Name the place of whatever is wrong."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from None


def _place(path: Path) -> Path:
    """Return where a path is, however it was written; a file keeps its name, which in the hub's cache is a link's."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def known_as(given: str, registry: ModelRegistry) -> ModelRow | None:
    """Return the row that a word of ``--model`` means, by what it is called or where its weights lie; None without one.

    A word that is somebody's name is never taken for a path.
    """
    return registry.named(given) or (registry.at(Path(given)) if given.strip() else None)


def is_own(given: str, registry: ModelRegistry) -> bool:
    """Whether a word of ``--model`` is a path or a repository, or no name at all, and not a model of the registry."""
    may_be_own = not given.strip() or "/" in given or is_gguf(given) or exists(Path(given))
    return may_be_own and known_as(given, registry) is None


def with_own(
    registry: ModelRegistry, asked: Iterable[str], describer: Callable[[], Describer]
) -> tuple[ModelRegistry, tuple[str, ...]]:
    """Return the registry with a row of each model that is asked for by path or repository, and the names of all asked.

    One that cannot be described stops only itself: its row says why, and nothing is measured of it.

    Args:
        registry: the known models.
        asked: words of ``--model``.
        describer: returns what makes such rows; only called for one.
    """
    asked = tuple(asked)
    names: dict[str, str] = {}
    for given in dict.fromkeys(asked):
        row = known_as(given, registry)
        if is_own(given, registry):
            row = _described(given, registry.called, describer())
            registry = ModelRegistry([*registry, row])
        names[given] = given if row is None else row.name
    return registry, tuple(names[given] for given in asked)


def _described(given: str, taken: Collection[str], describer: Describer) -> ModelRow:
    """Return the row of a model, or one that stands for it and says why it cannot be described."""
    try:
        return describer.row(given, taken)
    except (BadInput, NotMeasured) as error:
        here = _place(Path(given)) if given.strip() and exists(Path(given)) else None
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
