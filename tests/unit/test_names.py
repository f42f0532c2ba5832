"""Public names follow docs/glossary.md: nouns for values, infinitives for methods, no participles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import evolink_mcp

ROOT = Path(evolink_mcp.__file__).parent
BANNED = frozenset(
    "asked beating found given grown hear kept knows known leave left look looked looks made missed named said saw say "
    "seen sent shown submitted taken tell told wanted watched written".split()
)
# Terms of RFC 8615 and of asyncio; a name of the answers that hosts rely on.
ALLOWED = frozenset({"well_known", "connection_made", "asked_differs"})


def public_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Functions, classes, parameters, module constants and attributes that do not begin with an underscore."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node.lineno
            case _:
                pass
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.lineno) for target in node.targets if isinstance(target, ast.Name))


PACKAGE = sorted(path for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
ROOMS = [*PACKAGE, ROOT.parent / "benchmarks", ROOT.parent / "manifests"]


@pytest.mark.parametrize(
    "room", [*ROOMS, ROOT.parent / "benchmarks", ROOT.parent / "manifests"], ids=lambda room: room.name
)
def test_public_names_are_nouns_and_infinitives(room: Path) -> None:
    files = sorted(room.rglob("*.py")) or [room]
    offenders = [
        f"{path.relative_to(ROOT.parent)}:{line} {name}"
        for path in files
        for name, line in public_names(ast.parse(path.read_text(encoding="utf-8")))
        if not name.startswith("_") and name not in ALLOWED and BANNED & set(name.lower().split("_"))
    ]
    assert not offenders
