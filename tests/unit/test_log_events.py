"""Every log line has an event name: a literal word that one can search for and alert on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGS = ("log", "structlog.get_logger()")
DIAGRAM = "moderation/cases/lifecycle.py"  # prints its own


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls in the product, each with its place."""
    for path in (path for folder in ("bot", "storage", "moderation") for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno}", node


def log_lines() -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls that write to the log, each with its place."""
    for place, call in calls():
        made = call.func
        if isinstance(made, ast.Attribute) and made.attr in LEVELS and ast.unparse(made.value) in LOGS:
            yield place, call


def test_a_log_line_is_an_event_with_fields() -> None:
    found = list(log_lines())
    assert len(found) > 30
    for place, call in found:
        (event,) = call.args
        name = re.sub(r"\{\w+\}", "x", ast.unparse(event).removeprefix("f").strip("'\""))
        assert re.fullmatch(r"[a-z]+(?:_[a-z]+)*", name), f"{place}: {name!r} is no name of an event"
        assert all(keyword.arg for keyword in call.keywords), f"{place}: fields have names"


def test_nothing_else_writes_to_the_log_or_the_terminal_of_a_running_bot() -> None:
    """Code in the running bot uses only structlog; `print` and other loggers are for the command line."""
    elsewhere = [
        place
        for place, call in calls()
        if not {"cli", "demo", "export"} & set(place.split("/"))
        if ast.unparse(call.func) in ("print", "logging.getLogger", "sys.stderr.write")
    ]
    assert [place for place in elsewhere if not place.startswith(DIAGRAM)] == []
