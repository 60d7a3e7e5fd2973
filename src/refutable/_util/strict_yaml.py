"""YAML as plain data that remembers the line of every value.

Tags, anchors and aliases (so also bombs) and duplicate keys are refused; size and depth are bounded.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict

from refutable._util.reading import read_text
from refutable._util.text import below_here, shortened, unfit
from refutable.errors import BadInput

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 30

_FLOAT = re.compile(r"[-+]?\d+[eE][-+]?\d+")  # a number to everybody but YAML 1.1, which PyYAML reads
_UNQUOTED = re.compile(r"([\w-]+):\s+([>|][^,}\]#\"']*)")  # a key, and a value that should stand in quotes
BLOCK_SCALAR = "while scanning a block scalar"  # PyYAML's words: of `predicts: > 1` on a line of its own
_NO_TOKEN = re.compile("found character '[>|]' that cannot start any token")  # of the same inside { }
_WITHIN_HINT = '; put text with brackets in quotes, as predicts: "within [0, 1]"'
FAST = getattr(yaml, "CSafeLoader", None)  # PyYAML may have been built without libyaml
Location = tuple[str | int, ...]


NAMES = "x-names"  # in a field's JSON schema: the kind of thing that its strings are names of


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Frozen(BaseModel):
    """The base class of everything read from YAML: unknown keys are refused and values immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A parsed file: its data, and the line (from 1) of every key and item by location in the data."""

    name: str
    data: Any
    lines: dict[Location, int]
    path: Path | None = None

    def where(self, location: Location) -> str:
        """Return ``file:line`` of the nearest enclosing location with a line."""
        while location and location not in self.lines:
            location = location[:-1]
        return f"{self.name}:{self.lines.get(location, 1)}"


ABSENT = "check the path, or write one as docs/adding-a-claim.md shows"


def read_yaml(path: Path, name: str | None = None, *, absent: str = ABSENT) -> YamlSource:
    """Read one YAML file; messages call it `name`, by default its path.

    Args:
        absent: what a user can do where there is no such file.

    Raises:
        BadInput: it is missing, not a file, too large, not UTF-8, not YAML, or uses what is refused. Every duplicate
            key is named.
    """
    name = name or str(below_here(path))
    text = read_text(path, name, most=MAX_BYTES, absent=absent)
    return replace(parse_yaml(text, name), path=path)


def parse_yaml(text: str, name: str) -> YamlSource:
    """Parse YAML text; see `read_yaml` for what is refused."""
    try:
        node = _composed(text, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = error.problem or error.context
        hint = _in_quotes(text, line) if error.context == BLOCK_SCALAR or _NO_TOKEN.match(str(problem)) else ""
        hint = _WITHIN_HINT if "got '['" in str(problem) and "within [" in text.splitlines()[line - 1] else hint
        raise BadInput(f"{name}:{line} is not YAML: {problem}{hint}") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{name}:1 is not YAML: {str(error).splitlines()[0]}") from None
    lines: dict[Location, int] = {}
    problems: list[str] = []
    data = _value(node, (), name, lines, problems) if node is not None else None
    if problems:
        raise BadInput("\n".join(problems))
    return YamlSource(name, data, lines)


def _in_quotes(text: str, line: int) -> str:
    """Return how to write a value that begins like a block of text, as ``> 1`` does, on this line (from 1)."""
    lines = text.splitlines()
    found = _UNQUOTED.search(lines[line - 1]) if line <= len(lines) else None
    told = f', as {found[1]}: "{found[2].strip()}"' if found is not None else ""
    return f"; put text that begins with > or | in quotes{told}"


def _composed(text: str, name: str) -> yaml.Node | None:
    """Return the tree of a text from libyaml, or on an error from PyYAML's own parser, for its messages.

    Tabs always go to PyYAML's parser, which allows them in fewer places, so a file is valid everywhere or nowhere.
    """
    if FAST is not None and "\t" not in text:
        with contextlib.suppress(yaml.YAMLError):
            _refuse_live_yaml(text, name, FAST)
            return yaml.compose(text, Loader=FAST)
    _refuse_live_yaml(text, name, yaml.SafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _refuse_live_yaml(text: str, name: str, loader: Any) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadInput(
                f"{name}:{line} uses an anchor or alias (& or *); YAML here is plain data: write the value out"
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise BadInput(f"{name}:{line} uses the tag {tag!r}; YAML here is plain data: remove it")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise BadInput(f"{name}:{line} nests deeper than {MAX_DEPTH} levels; write it flatter")


def _value(node: yaml.Node, at: Location, name: str, lines: dict[Location, int], problems: list[str]) -> Any:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, at, name, lines, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*at, i), name, lines, problems) for i, item in enumerate(node.value)]
    try:
        value = _SCALARS.construct_object(node)
        plain = getattr(node, "style", None) in (None, "")  # PyYAML and libyaml have a word each
        if isinstance(value, str) and plain and _FLOAT.fullmatch(value):
            value = float(value)
        if isinstance(value, str) and (why := unfit(value)):
            problems.append(f"{name}:{node.start_mark.line + 1} {why}")
        return value
    except (ValueError, OverflowError, yaml.YAMLError):
        shown = repr(shortened(node.value))
        problems.append(f"{name}:{node.start_mark.line + 1} {shown} cannot be read as a value; put it in quotes")
        return None


def _mapping(
    node: yaml.MappingNode, at: Location, name: str, lines: dict[Location, int], problems: list[str]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{name}:{line} has a key that is not a word; keys are plain text")
            continue
        key = str(key_node.value)
        if why := unfit(key):
            problems.append(f"{name}:{line} {why}")
        if key in result:
            first = lines[(*at, key)]
            problems.append(f"{name}:{line} repeats the key {key!r} of line {first}; keep one of the two")
            continue
        lines[(*at, key)] = line
        result[key] = _value(value_node, (*at, key), name, lines, problems)
    return result


_SCALARS = yaml.SafeLoader("")
