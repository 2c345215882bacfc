"""Every log line has an event name: a literal word that one can search for and alert on."""

import ast
import re
from collections.abc import Iterator

from tests.sources import Sources, dotted

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGS = ("log", "structlog.get_logger()")
DIAGRAM = "moderation/cases/lifecycle.py"  # prints its own


def calls(sources: Sources) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls in the product, each with its place."""
    for source in sources:
        for call in source.each(ast.Call):
            yield f"{source.name}:{call.lineno}", call


def log_lines(sources: Sources) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls that write to the log, each with its place."""
    for place, call in calls(sources):
        made = call.func
        if isinstance(made, ast.Attribute) and made.attr in LEVELS and ast.unparse(made.value) in LOGS:
            yield place, call


def test_a_log_line_is_an_event_with_fields(sources: Sources) -> None:
    found = list(log_lines(sources))
    assert len(found) > 30
    for place, call in found:
        (event,) = call.args
        name = re.sub(r"\{\w+\}", "x", ast.unparse(event).removeprefix("f").strip("'\""))
        assert re.fullmatch(r"[a-z]+(?:_[a-z]+)*", name), f"{place}: {name!r} is no name of an event"
        assert all(keyword.arg for keyword in call.keywords), f"{place}: fields have names"


def test_nothing_else_writes_to_the_log_or_the_terminal_of_a_running_bot(sources: Sources) -> None:
    """Code in the running bot uses only structlog; `print` and other loggers are for the command line."""
    elsewhere = [
        place
        for place, call in calls(sources)
        if not {"cli", "demo", "export"} & set(place.split("/"))
        if dotted(call.func) in ("print", "logging.getLogger", "sys.stderr.write")
    ]
    assert [place for place in elsewhere if not place.startswith(DIAGRAM)] == []
