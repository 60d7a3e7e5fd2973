"""The Debian packages whose text the twins read, all from the section `main`: free to use, change and share.

A package's licence is what its own copyright file says, which `build` copies beside the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["html", "page", "pod", "plain", "dictd", "wordnet"]


@dataclass(frozen=True, slots=True)
class Source:
    """Part of the corpus: the files of one package.

    Attributes:
        package: its name; `build` takes the version that the machine's package lists have, and records it.
        form: how its files are read (`extract`).
        files: globs below the package's root.
        licence: in short, as its copyright file has it.
    """

    package: str
    form: Form
    files: tuple[str, ...]
    licence: str


CRAWL = "usr/share/crawl/dat"

SOURCES: tuple[Source, ...] = (
    Source("linux-doc-6.1", "html", ("usr/share/doc/linux-doc-6.1/html/**/*.html",), "GPL-2"),
    Source("dict-gcide", "dictd", ("usr/share/dictd/gcide.dict.dz",), "GPL-3+"),
    Source("wordnet-base", "wordnet", ("usr/share/wordnet/data.*",), "WordNet licence"),
    Source("anarchism", "html", ("usr/share/doc/anarchism/html/*.html",), "GPL-2"),
    Source("perl-doc", "pod", ("usr/share/perl/**/*.pod",), "GPL-1+ or Artistic"),
    Source("python3.11-doc", "html", ("usr/share/doc/python3.11/html/**/*.html",), "PSF-2"),
    Source("postgresql-doc-15", "html", ("usr/share/doc/postgresql-doc-15/html/*.html",), "PostgreSQL"),
    Source("sqlite3-doc", "html", ("usr/share/doc/sqlite3/**/*.html",), "public domain"),
    Source("libreoffice-help-en-us", "html", ("usr/**/*.html",), "MPL-2.0"),
    Source("apache2-doc", "html", ("usr/share/doc/apache2-doc/manual/en/**/*.html",), "Apache-2.0"),
    Source("lilypond-doc-html", "html", ("usr/share/doc/lilypond/html/**/*.html",), "GFDL-NIV-1.3+"),
    Source("debian-handbook", "html", ("usr/share/doc/debian-handbook/html/en-US/*.html",), "GPL-2+ or CC-BY-SA-3.0"),
    Source("git-doc", "html", ("usr/share/doc/git/html/**/*.html",), "GPL-2"),
    Source("gnome-user-docs", "page", ("usr/share/help/C/**/*.page",), "CC-BY-SA-3.0"),
    Source("dict-foldoc", "dictd", ("usr/share/dictd/foldoc.dict.dz",), "GFDL-1.1+"),
    Source("dict-jargon", "dictd", ("usr/share/dictd/jargon.dict.dz",), "public domain"),
    Source("crawl-common", "plain", (f"{CRAWL}/descript/*.txt", f"{CRAWL}/database/*.txt"), "GPL-2+"),
    Source("vim-runtime", "plain", ("usr/share/vim/vim90/doc/*.txt",), "Vim licence"),
    Source("debian-policy", "html", ("usr/share/doc/debian-policy/*.html/*.html",), "GPL-2+"),
    Source("debian-reference-en", "html", ("usr/share/debian-reference/*.en.html",), "GPL-2+"),
    Source("developers-reference", "html", ("usr/share/developers-reference/*.html",), "GPL-2+"),
    Source("display-dhammapada", "plain", ("usr/share/**/*.txt", "usr/share/**/*dhammapada*"), "public domain"),
    Source("fortunes", "plain", ("usr/share/games/fortunes/literature", "usr/share/games/fortunes/wisdom"), "BSD"),
)  # fmt: skip
