"""Small faults put into a source file, one at a time, which a good test suite must notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_BOUNDS = {"lower": "upper", "low": "high", "low_closed": "high_closed"}
_BOUNDS |= {other: one for one, other in _BOUNDS.items()}
_SIDES = {"above": "below", "below": "above"}
_PROBABILITIES = ("alpha", "tail")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one fault.

    Attributes:
        line: line of the fault in the original source.
        change: the code before and after.
        source: the whole file with the fault.
    """

    line: int
    change: str
    source: str


def mutants_of(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a source, in line order.

    Comparisons are swapped (< and <=, > and >=, == and !=, is and is not), as are + and -, lower and upper bounds,
    sides, and alpha and alpha / 2; guards (an `if` that only raises or returns) are dropped.
    """
    tree = ast.parse(source)
    sites = [(index, change) for index, node in enumerate(_nodes(tree)) for change in _changes(node)]
    for index, change in sorted(sites, key=lambda site: _nodes(tree)[site[0]].lineno):  # type: ignore[attr-defined]
        mutated = copy.deepcopy(tree)
        node = _nodes(mutated)[index]
        was = _shown(node)
        change(node)
        yield Mutant(node.lineno, f"{was} -> {_shown(node)}", ast.unparse(mutated))  # type: ignore[attr-defined]


def _nodes(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes that affect behaviour, which excludes annotations, the words of Literal types and docstrings."""
    found: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        found.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child)

    visit(tree)
    return found


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """Yield the changes that can be made to a node."""
    match node:
        case ast.Compare(ops=ops):
            yield from (_turned(i) for i, op in enumerate(ops) if type(op) in _COMPARE)
        case ast.BinOp(op=ast.Add() | ast.Sub()) if not any(map(_is_text, (node.left, node.right))):
            yield lambda n: setattr(n, "op", ast.Sub() if isinstance(n.op, ast.Add) else ast.Add())  # type: ignore[attr-defined]
        case ast.BinOp(left=ast.Name(id=name), op=ast.Div(), right=ast.Constant(value=2)) if name in _PROBABILITIES:
            yield lambda n: setattr(n, "right", ast.Constant(1))
        case ast.Call(args=args):
            yield from (_halved(i) for i, one in enumerate(args) if _is_probability(one))
        case ast.Attribute(attr=name) if name in _BOUNDS:
            yield lambda n: setattr(n, "attr", _BOUNDS[n.attr])  # type: ignore[attr-defined]
        case ast.Constant(value=str(text)) if text in _SIDES:
            yield lambda n: setattr(n, "value", _SIDES[n.value])  # type: ignore[attr-defined]
        case ast.If(body=[ast.Raise() | ast.Return()], orelse=[]):
            yield lambda n: setattr(n, "body", [ast.Pass()])


def _turned(index: int) -> Callable[[ast.AST], None]:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.Compare)
        node.ops[index] = _COMPARE[type(node.ops[index])]()

    return change


def _halved(index: int) -> Callable[[ast.AST], None]:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.Call)
        node.args[index] = ast.BinOp(node.args[index], ast.Div(), ast.Constant(2))

    return change


def _is_probability(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in _PROBABILITIES


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Tuple) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node).replace("\n", " ")
    return text if len(text) <= 110 else f"{text[:107]}..."
