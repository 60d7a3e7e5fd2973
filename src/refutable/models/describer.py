"""Makes rows of models that no registry describes: a folder, GGUF file or repository says itself what it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from refutable._util.reading import exists, is_file, is_folder
from refutable.errors import BadInput
from refutable.models.config import Config
from refutable.models.config_checks import check_config
from refutable.models.families import family_of
from refutable.models.file_hashes import FileHashes
from refutable.models.free_name import free_name
from refutable.models.from_folder import read_config
from refutable.models.from_gguf import family_named
from refutable.models.gguf_header import check_places, read_gguf
from refutable.models.lacking import folder_lack
from refutable.models.model_card import licence_of
from refutable.models.naming import REPOSITORY, misnamed
from refutable.models.repository import read_repository
from refutable.models.row import ModelRow

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
        return self._of_repository(given, taken)[0]

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
        row, commit = self._of_repository(given, taken, anew=True)
        return row.model_copy(update={"revision": commit})

    def _of_folder(self, folder: Path, taken: Collection[str]) -> ModelRow:
        if not is_file(folder / "config.json"):
            raise BadInput(folder_lack(folder))
        config = read_config(folder / "config.json")
        place = whereabouts(folder)
        return self._made(
            given=str(folder),
            place=str(folder / "config.json"),
            config=config,
            taken=taken,
            parts=place.parts,
            weights=str(place),
            licence=licence_of(folder) or UNKNOWN,
            config_source="its own config.json",
        )

    def _of_gguf(self, path: Path, taken: Collection[str]) -> ModelRow:
        header = read_gguf(path)
        check_places(header)
        with _at(str(path)):
            family_of(family_named(header.architecture))
        config = self.gguf_config(path)
        place = whereabouts(path)
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

    def _of_repository(self, given: str, taken: Collection[str], *, anew: bool = False) -> tuple[ModelRow, str]:
        """Return the row of a repository, and the commit that it describes; `anew`: the hub is asked in any case."""
        repo = given.rstrip("/")
        if exists(Path(given)) or not REPOSITORY.fullmatch(repo):
            raise BadInput(misnamed(given))
        found = read_repository(repo, self.revision, self.hashes, offline=self.offline, anew=anew)
        row = self._made(
            given=repo,
            place=f"{repo}: config.json",
            config=found.config,
            taken=taken,
            parts=repo.split("/"),
            hub=repo,
            organisation=repo.split("/")[0],
            licence=found.card.licence or licence_of(found.folder) or UNKNOWN,
            gated=found.card.gated,
            config_source="its own config.json",
        )
        return row, found.commit

    def _made(
        self, *, given: str, place: str, config: Config, taken: Collection[str], parts: Iterable[str], **known: Any
    ) -> ModelRow:
        """Return the row of a configuration; what is wrong with that is told with the place it was read from."""
        with _at(place):
            family = family_of(config["model_type"])
            check_config(family, config)
            whole, parameters = self.complete(config)
            check_config(family, whole)
        name = free_name(parts, taken)
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


def whereabouts(path: Path) -> Path:
    """Return where a path is, however it was written; a file keeps its name, which in the hub's cache is a link's."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name
