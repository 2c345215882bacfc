"""Every log line has an event name: a literal word that one can search for and alert on."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
CALLS = [
    (path.relative_to(ROOT).as_posix(), node)
    for folder in ("bot", "storage", "moderation")
    for path in sorted((ROOT / folder).rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
    if ast.unparse(node.func.value) in ("log", "structlog.get_logger()")
]


@pytest.mark.parametrize(("file", "call"), CALLS, ids=[f"{file}:{call.lineno}" for file, call in CALLS])
def test_a_log_line_is_an_event_with_fields(file: str, call: ast.Call) -> None:
    (event,) = call.args
    name = re.sub(r"\{\w+\}", "x", ast.unparse(event).removeprefix("f").strip("'\""))
    assert re.fullmatch(r"[a-z]+(?:_[a-z]+)*", name), f"{file}:{call.lineno}: {name!r} is no name of an event"
    assert all(keyword.arg for keyword in call.keywords), "fields have names"


def test_nothing_else_writes_to_the_log_or_the_terminal_of_a_running_bot() -> None:
    """Code in the running bot uses only structlog; `print` and other loggers are for the command line."""
    elsewhere = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("bot", "storage", "moderation")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not {"cli", "demo", "export"} & set(path.parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "logging.getLogger", "sys.stderr.write")
    ]
    diagram = "moderation/cases/lifecycle.py"  # prints its own
    assert [place for place in elsewhere if not place.startswith(diagram)] == []


def test_there_are_such_calls() -> None:
    assert len(CALLS) > 30
