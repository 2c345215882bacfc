"""No attribute of another object is assigned: what an object needs is given to its constructor."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import pytest

from tests.sources import Sources, nodes_of

OWN = frozenset({"self", "cls"})
# Scripts of the demo keep what they find on its stage, for the steps after them.
NOT_LOOKED_AT = "bot/demo/"
# Libraries whose objects are set up by assignment, as their documentation says: sqlite3.Connection, PIL.
OF_LIBRARIES = {
    "row_factory",
    "isolation_level",
    "LOAD_TRUNCATED_IMAGES",
    "DEFAULT_MAX_THREADS",
}


def foreign_assignments(nodes: Sequence[ast.AST]) -> list[str]:
    """Return the assignments to attributes of objects that are neither `self` nor `cls` nor made in the same function.

    A dataclass is a record rather than an object with a life of its own: the module that defines it may fill it in.
    """
    if all(_is_of(target, OWN) for target in _targets(nodes)):
        return []  # as in most modules, which need no longer look
    fields = {name for each in nodes if isinstance(each, ast.ClassDef) for name in _fields(each)}
    allowed = fields | OF_LIBRARIES
    return [
        f"{target.lineno}: {ast.unparse(target)}"
        for function, own in _functions(nodes)
        for target in _targets(ast.walk(function))
        if not _is_of(target, own) and target.attr not in allowed
    ]


def _is_of(target: ast.Attribute, own: AbstractSet[str]) -> bool:
    return isinstance(target.value, ast.Name) and target.value.id in own


def _functions(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.AST, set[str]]]:
    """Yield the outermost functions, each with the names of the objects that are its own."""
    for parent in nodes:
        if isinstance(parent, ast.Module | ast.ClassDef):
            for child in parent.body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    made = {name for each in ast.walk(child) for name in _made_by(each)}
                    yield child, made | OWN


def _made_by(node: ast.AST) -> Iterator[str]:
    """Yield the names to which this statement assigns a new object."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_class(node.value.func):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_class(function: ast.expr) -> bool:
    """Tell whether calling this makes an object: a class, or an alternative constructor of it."""
    if isinstance(function, ast.Attribute):
        return function.attr[:1].isupper() or _is_class(function.value)
    return isinstance(function, ast.Name) and (function.id == "cls" or function.id.lstrip("_")[:1].isupper())


def _fields(definition: ast.ClassDef) -> Iterator[str]:
    if any(ast.unparse(each).startswith("dataclass") for each in definition.decorator_list):
        for line in definition.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                yield line.target.id


def _targets(nodes: Iterable[ast.AST]) -> Iterator[ast.Attribute]:
    """Yield the attributes that are assigned."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node


def test_what_an_object_needs_is_given_to_its_constructor(sources: Sources) -> None:
    looked_at = [source for source in sources if not source.name.startswith(NOT_LOOKED_AT)]
    found = [f"{source.name}:{each}" for source in looked_at for each in foreign_assignments(source.nodes)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "pipeline.decipher = reader.read",
        "self._watch.mended = reading.wake",
        "pipeline.decipher, self.read = reader.read, None",
        "unit.queued += 1",
        "for pipeline.event in events: pass",
        "unit: Unit = open_unit(); unit.queued = 1",
    ],
)
def test_an_assignment_to_another_object_is_found(line: str) -> None:
    source = f"class Bot:\n    def connect(self, pipeline, unit):\n        {line}"
    assert len(foreign_assignments(nodes_of(source))) == 1


def test_a_function_may_assign_to_its_own_objects() -> None:
    source = """
@dataclass(slots=True)
class Tries:
    count: int = 0

class Gaps:
    def wait(self, tries: Tries) -> None:
        self.again = True
        tries.count += 1
        options = library.Options()
        options.limit = 5
        made = Tree.of(self)
        made.size = 0
"""
    assert foreign_assignments(nodes_of(source)) == []
