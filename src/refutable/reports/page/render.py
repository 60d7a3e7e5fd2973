"""HTML of what the page shows: one file that asks for nothing, neither from the network nor from another file."""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = "templates"
_SCRIPTS = ("draw.js", "page.js")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a run: its name in words, and its SVG as a data URI, in which no script of it would run."""

    name: str
    uri: str


def figure(name: str, svg: bytes) -> Figure:
    """Return a figure of an SVG's bytes."""
    return Figure(name, f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}")


def html(template: str, *, scripted: bool = True, **values: Any) -> str:
    """Return the HTML of a template.

    Args:
        template: its file's name.
        scripted: whether the page's scripts go with it; a page without them can run none.
        values: what it shows. Texts are escaped wherever they stand.
    """
    script = "\n".join(_read(name) for name in _SCRIPTS) if scripted else ""
    page = _environment().get_template(template)
    return page.render(css=_read("page.css"), script=script, policy=_policy(script), **values)


def _policy(script: str) -> str:
    """Return a content security policy under which a browser asks for nothing and runs this script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"'sha256-{digest}'" if script else "'none'"
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {scripts}; base-uri 'none'"


@functools.cache
def _environment() -> Environment:
    """Return the templates' environment; Jinja is imported only where a page is written."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("refutable.reports.page", _TEMPLATES)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@functools.cache
def _read(name: str) -> str:
    return resources.files("refutable.reports.page").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
