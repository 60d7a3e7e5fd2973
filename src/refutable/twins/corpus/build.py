"""Builds the corpus: packages to one JSONL file of documents for training and one that is held out.

Paragraphs that are no English prose, or that came before anywhere, are dropped. A document goes to the held-out part if
the hash of its text says so, so the split depends on nothing but the text.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refutable.twins.corpus.extract import READERS, cleaned, is_english
from refutable.twins.corpus.sources import SOURCES, Source

HELD_OUT = 50  # one document in so many
LEAST = 200  # characters of a document


def build(folder: Path, packages: Path | None = None) -> dict[str, Any]:
    """Write train.jsonl, held-out.jsonl, licences/ and corpus.json into a folder; return what corpus.json says.

    Args:
        folder: where to.
        packages: a folder with the .deb files; None downloads them with apt-get into a folder that is then removed.
    """
    (folder / "licences").mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    told: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        (folder / "train.jsonl").open("w", encoding="utf-8") as train,
        (folder / "held-out.jsonl").open("w", encoding="utf-8") as held_out,
    ):
        for source in SOURCES:
            deb = _package(source, packages, Path(scratch))
            root = Path(scratch) / source.package
            subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
            _keep_licence(source, root, folder)
            counts = {"documents": 0, "characters": 0, "held_out_documents": 0, "held_out_characters": 0}
            for name, paragraphs in _documents(source, root, seen):
                text = "\n".join(paragraphs)
                digest = hashlib.sha256(text.encode()).digest()
                is_held_out = int.from_bytes(digest[:4], "big") % HELD_OUT == 0
                line = {"source": source.package, "document": name, "text": text}
                (held_out if is_held_out else train).write(json.dumps(line, ensure_ascii=False) + "\n")
                prefix = "held_out_" if is_held_out else ""
                counts[f"{prefix}documents"] += 1
                counts[f"{prefix}characters"] += len(text)
            version = deb.name.split("_")[1].replace("%3a", ":")
            told.append({"package": source.package, "version": version, "licence": source.licence, **counts})
    about = {
        "sources": told,
        "sha256": {name: sha256(folder / name) for name in ("train.jsonl", "held-out.jsonl")},
        "rules": f"paragraphs of English prose, each once; one document in {HELD_OUT} held out, by its hash",
    }
    (folder / "corpus.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return about


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _package(source: Source, packages: Path | None, scratch: Path) -> Path:
    if packages is None:
        subprocess.run(["apt-get", "download", source.package], cwd=scratch, check=True, capture_output=True)
        packages = scratch
    found = sorted(packages.glob(f"{source.package}_*.deb"))
    if not found:
        raise FileNotFoundError(
            f"{packages}: no file {source.package}_*.deb; download it: apt-get download {source.package}"
        )
    return found[-1]


def _documents(source: Source, root: Path, seen: set[bytes]) -> Iterator[tuple[str, list[str]]]:
    """Yield a package's documents with the paragraphs that are new; adds their hashes to `seen`."""
    paths = {path for glob in source.files for path in root.glob(glob) if path.is_file()}
    for path in sorted(paths):
        for name, paragraphs in READERS[source.form](path):
            kept = []
            for paragraph in map(cleaned, paragraphs):
                if not is_english(paragraph):
                    continue
                digest = hashlib.sha256(paragraph.lower().encode()).digest()[:16]
                if digest not in seen:
                    seen.add(digest)
                    kept.append(paragraph)
            if sum(map(len, kept)) >= LEAST:
                yield name, kept


def _keep_licence(source: Source, root: Path, folder: Path) -> None:
    copyrights = sorted(root.glob("usr/share/doc/*/copyright"))
    (folder / "licences" / f"{source.package}.txt").write_bytes(copyrights[0].read_bytes() if copyrights else b"")
