"""No attribute of another object is assigned: what an object needs is given to its constructor."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PACKAGES = ("bot", "storage", "moderation")
# Scripts of the demo keep what they find on its stage, for the steps after them.
NOT_LOOKED_AT = "bot/demo/"
# Libraries whose objects are set up by assignment, as their documentation says: sqlite3.Connection, PIL.
OF_LIBRARIES = {
    "row_factory",
    "isolation_level",
    "LOAD_TRUNCATED_IMAGES",
    "DEFAULT_MAX_THREADS",
}


def foreign_assignments(source: str) -> list[str]:
    """Return the assignments to attributes of objects that are neither `self` nor `cls` nor made in the same function.

    A dataclass is a record rather than an object with a life of its own: the module that defines it may fill it in.
    """
    tree = ast.parse(source)
    fields = {name for each in ast.walk(tree) if isinstance(each, ast.ClassDef) for name in _fields(each)}
    allowed = fields | OF_LIBRARIES
    return [
        f"{target.lineno}: {ast.unparse(target)}"
        for function, own in _functions(tree)
        for target in _targets(function)
        if not (isinstance(target.value, ast.Name) and target.value.id in own) and target.attr not in allowed
    ]


def _functions(tree: ast.Module) -> Iterator[tuple[ast.AST, set[str]]]:
    """Yield the outermost functions, each with the names of the objects that are its own."""
    for parent in ast.walk(tree):
        if isinstance(parent, ast.Module | ast.ClassDef):
            for child in parent.body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    made = {name for each in ast.walk(child) for name in _made_by(each)}
                    yield child, made | {"self", "cls"}


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


def _targets(function: ast.AST) -> Iterator[ast.Attribute]:
    """Yield the attributes that are assigned in a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node


def test_what_an_object_needs_is_given_to_its_constructor() -> None:
    files = [file for package in PACKAGES for file in sorted((HOUSE / package).rglob("*.py"))]
    names = {file: file.relative_to(HOUSE).as_posix() for file in files}
    looked_at = [file for file in files if not names[file].startswith(NOT_LOOKED_AT)]
    found = [f"{names[file]}:{each}" for file in looked_at for each in foreign_assignments(file.read_text("utf-8"))]
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
    assert len(foreign_assignments(f"class Bot:\n    def connect(self, pipeline, unit):\n        {line}")) == 1


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
    assert foreign_assignments(source) == []
