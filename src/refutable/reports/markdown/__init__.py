"""The verdicts as Markdown: an index, a page for each section of a document, and two lists over all claims."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from refutable._util.atomic import write_whole
from refutable._util.text import slug
from refutable.claims import BaseClaim
from refutable.reports.catalogue import states
from refutable.reports.journal import RunResult
from refutable.reports.markdown.claim import anchor, claim_lines, plain, table_line
from refutable.reports.markdown.front import GENERATED, front_lines, tally_text
from refutable.verdicts.row import VerdictRow

Place = tuple[str, str]  # document, section
_LEADING = re.compile(r"^([\d.]*).*$", re.DOTALL)
_NUMBERS = re.compile(r"\d+")
_SECTIONS = "| section | claims | measured | on published tables |"


def verdict_pages(
    claims: Sequence[BaseClaim],
    run: RunResult,
    hashes: Mapping[str, str],
    on_tables: RunResult | None = None,
    *,
    name: str = "verdicts",
) -> dict[str, str]:
    """Return the pages by file name: the index ``NAME.md``, and the others in the folder ``NAME``.

    Args:
        claims: those to show; documents, their sections and the claims of each stand in this order, but sections that
            are numbered throughout a document in the order of their numbers.
        run: has the published verdicts.
        hashes: of each claim as it is now, by id (`status.current_hashes`).
        on_tables: verdicts on numbers that somebody published, which follow a claim's measured ones, if any.
        name: of the index and its folder.
    """
    sections = _sections(claims)
    files = {place: f"{slug(place[0])}/{slug(place[1] or 'no section')}.md" for place in sections}
    return {
        f"{name}.md": _index(claims, sections, files, run, on_tables, name),
        f"{name}/all-claims.md": _all_claims(claims, files, run),
        f"{name}/contradictions.md": _contradictions(claims, files, run),
        **{
            f"{name}/{files[place]}": _section(place, members, hashes, (run, on_tables), f"../../{name}.md")
            for place, members in sections.items()
        },
    }


def write_pages(pages: Mapping[str, str], folder: Path) -> None:
    """Write pages under a folder; remove generated ones in their folders that are no longer among them."""
    for file, text in pages.items():
        write_whole(folder / file, text)
    for top in {folder / Path(file).parts[0] for file in pages if len(Path(file).parts) > 1}:
        for path in top.rglob("*.md"):
            if path.relative_to(folder).as_posix() not in pages and GENERATED in path.read_text(encoding="utf-8"):
                path.unlink()


def _sections(claims: Sequence[BaseClaim]) -> dict[Place, list[BaseClaim]]:
    sections: dict[Place, list[BaseClaim]] = {}
    for claim in claims:
        sections.setdefault(_place(claim), []).append(claim)
    documents: dict[str, list[Place]] = {}
    for place in sections:
        documents.setdefault(place[0], []).append(place)
    return {place: sections[place] for places in documents.values() for place in _ordered(places)}


def _ordered(places: Sequence[Place]) -> Sequence[Place]:
    numbers = {place: [int(one) for one in _NUMBERS.findall(_LEADING.sub(r"\1", place[1]))] for place in places}
    return sorted(places, key=numbers.__getitem__) if all(numbers.values()) else places


def _index(
    claims: Sequence[BaseClaim],
    sections: Mapping[Place, Sequence[BaseClaim]],
    files: Mapping[Place, str],
    run: RunResult,
    on_tables: RunResult | None,
    name: str,
) -> str:
    lines = [
        *front_lines(claims, run, on_tables),
        f"[Every claim by name]({name}/all-claims.md) · [claims that cannot both hold]({name}/contradictions.md)",
    ]
    document = collection = None
    several = len({claim.collection for claim in claims}) > 1
    for (of, section), members in sections.items():
        if several and members[0].collection != collection:
            collection = members[0].collection
            lines += ["", f"## {plain(collection or 'Other claims')}"]
        if of != document:
            lines += [
                "",
                f"{'###' if several else '##'} {plain(of)}",
                "",
                "| section | claims | measured | on published tables |",
                "|---" * 4 + "|",
            ]
            document = of
        ids = {claim.id for claim in members}
        counts = [_counts(each, ids) for each in (run, on_tables)]
        title = plain(section or "no section").replace("[", "\\[").replace("]", "\\]")
        lines.append(table_line([f"[{title}]({name}/{files[of, section]})", str(len(members)), *counts]))
    return _joined(lines)


def _counts(run: RunResult | None, claims: set[str]) -> str:
    return tally_text(row for row in (run.rows if run is not None else ()) if row.claim in claims) or "–"


def _section(
    place: Place,
    claims: Sequence[BaseClaim],
    hashes: Mapping[str, str],
    runs: Sequence[RunResult | None],
    index: str,
) -> str:
    rows: dict[str, list[VerdictRow]] = {claim.id: [] for claim in claims}
    for of in runs:
        for row in sorted(of.rows if of is not None else (), key=lambda row: row.id):
            rows.get(row.claim, []).append(row)
    lines = [f"# {plain(place[1] or place[0])}", "", f"{plain(place[0])} · [all verdicts]({index}) · {GENERATED}", ""]
    for claim in claims:
        lines += claim_lines(claim, rows[claim.id], hashes[claim.id])
    return _joined(lines)


def _all_claims(claims: Sequence[BaseClaim], files: Mapping[Place, str], run: RunResult) -> str:
    stand = states(claims, run.rows)
    lines = ["# Every claim by name", "", GENERATED, "", "| claim | it says | how it stands |", "|---" * 3 + "|"]
    for claim in sorted(claims, key=lambda claim: claim.id):
        lines.append(table_line([_link(claim, files), claim.statement, stand[claim.id]]))
    return _joined(lines)


def _contradictions(claims: Sequence[BaseClaim], files: Mapping[Place, str], run: RunResult) -> str:
    by_id, stand = {claim.id: claim for claim in claims}, states(claims, run.rows)
    pairs = {tuple(sorted((claim.id, other))): (claim, by_id[other]) for claim in claims for other in claim.contradicts}
    lines = ["# Claims that cannot both hold", "", GENERATED, ""]
    lines += ["| one | how it stands | the other | how it stands |", "|---" * 4 + "|"] if pairs else ["None."]
    for pair in pairs.values():
        told = [(f"{_place(claim)[0]}: {claim.statement} ({_link(claim, files)})", stand[claim.id]) for claim in pair]
        lines.append(table_line([cell for both in told for cell in both]))
    return _joined(lines)


def _link(claim: BaseClaim, files: Mapping[Place, str]) -> str:
    return f"[`{claim.id}`]({files[_place(claim)]}#{anchor(claim.id)})"


def _place(claim: BaseClaim) -> Place:
    return ("no document", "") if claim.source is None else (claim.source.document, claim.source.section or "")


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"
