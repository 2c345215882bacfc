"""A name means one thing: no two classes of the product have the same name."""

import ast
from collections import Counter

from tests.sources import Sources

STANDS_ALONE = "storage/export/verify.py"  # leaves with an export, and has names of its own


def test_class_names_are_unique(sources: Sources) -> None:
    names = Counter(
        definition.name for source in sources if source.name != STANDS_ALONE for definition in source.each(ast.ClassDef)
    )
    assert {name for name, times in names.items() if times > 1} == set()
    assert len(names) > 500
