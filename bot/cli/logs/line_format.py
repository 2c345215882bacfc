"""The form of records on a terminal: one line for the skeleton, one for each part, or the lines as they stand.

Rules kept here:
- What people wrote stays on its line and cannot control the terminal.
- Without content nothing of the parts is printed.

Left to others: who may see the content (`bot/cli/access/access_reason.py`).
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from bot.cli.console.output import text


def print_record(raw: bytes, *, content: bool, json: bool) -> None:
    """Print one record on stdout."""
    record = orjson.loads(raw)
    if json:
        line = raw.decode() if content else orjson.dumps({k: v for k, v in record.items() if k != "x"}).decode()
    else:
        line = "\n".join(_words(record, content=content))
    sys.stdout.write(line + "\n")


def _words(record: dict[str, Any], *, content: bool) -> Iterable[str]:
    """Yield one line for the skeleton, and one for each part."""
    fields = {k: v for k, v in record.items() if k not in ("i", "t", "k", "g", "p", "c", "x")}
    people = [] if content else record["p"]
    at = record["t"].replace("T", " ").removesuffix("Z")
    yield _tame("  ".join([f"{record['i']:>7}", at, record.get("g", "-" * 6), record["k"], *_pairs(fields), *people]))
    for part in record["x"] if content else ():
        yield " " * 9 + _part_words(part)


def _part_words(part: Any) -> str:
    if not isinstance(part, dict):
        return _tame(part)
    if "erased" in part:
        return text("cli.logs.erased", date=str(part["erased"]), by=str(part.get("by")))
    return "  ".join(_pairs({k: v for k, v in part.items() if k not in ("p", "s")}))


def _pairs(data: Mapping[str, Any]) -> list[str]:
    return [f"{_tame(name)}={_tame(value)}" for name, value in data.items()]


def _tame(value: object) -> str:
    """Put a value on one line, without what would control the terminal."""
    return text("cli.value", value=value if isinstance(value, str) else orjson.dumps(value).decode())
