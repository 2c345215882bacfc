"""The source of the product, for tests that look at all of it: parsed once for all of them.

Tests that ask for `sources` run in one worker (`tests/conftest.py`), one after another.
"""

import ast
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("bot", "moderation", "storage")

Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """A module of the product."""

    name: str  # its path in the repository: bot/cli/main.py
    path: Path
    nodes: tuple[ast.AST, ...]  # of its whole tree, the outer ones first, as `ast.walk` gives them

    def each(self, kind: type[Node]) -> Iterator[Node]:
        """Yield the nodes of one kind."""
        return (node for node in self.nodes if isinstance(node, kind))


Sources: TypeAlias = tuple[Source, ...]


@pytest.fixture(scope="session")
def sources() -> Sources:
    """Return the modules of the product, by their names."""
    gc.disable()  # hundreds of thousands of nodes stay until the end, and none is garbage
    try:
        return tuple(_read(path) for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py")))
    finally:
        gc.freeze()
        gc.enable()


def _read(path: Path) -> Source:
    return Source(path.relative_to(ROOT).as_posix(), path, nodes_of(path.read_text("utf-8")))


def nodes_of(text: str) -> tuple[ast.AST, ...]:
    """Return the nodes of a module with this text."""
    return tuple(ast.walk(ast.parse(text)))


def dotted(node: ast.expr) -> str:
    """Return a name as it is written, `sys.stderr.write`; empty where something else than names is in it."""
    if isinstance(node, ast.Name):
        return node.id
    above = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{above}.{node.attr}" if above and isinstance(node, ast.Attribute) else ""
