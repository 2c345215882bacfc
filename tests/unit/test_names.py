"""A name means one thing: no two classes of the product have the same name."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
STANDS_ALONE = ROOT / "storage" / "export" / "verify.py"  # leaves with an export, and has names of its own


def test_class_names_are_unique() -> None:
    names = Counter(
        node.name
        for layer in ("bot", "storage", "moderation")
        for path in (ROOT / layer).rglob("*.py")
        if path != STANDS_ALONE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, times in names.items() if times > 1} == set()
    assert len(names) > 500
