"""The form of records on a terminal: in words, as skeletons (``--raw``), or the lines as they stand (``--json``).

Rules kept here:
- What people wrote stays on its line and cannot control the terminal.
- Without content nothing of the parts is printed.

Left to others: the words (`bot/texts/record_words.py`), who may see the content (`bot/cli/access/access_reason.py`).
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from bot.cli.terminal.output import text
from bot.texts.record_words import Wording


def print_record(raw: bytes, wording: Wording | None, *, content: bool, json: bool) -> None:
    """Print one record on stdout; without `wording` its skeleton, and with `content` its parts."""
    record = orjson.loads(raw)
    if json:
        line = raw.decode() if content else orjson.dumps({k: v for k, v in record.items() if k != "x"}).decode()
    else:
        line = wording.line(record) if wording else "\n".join(_skeleton(record, content=content))
    sys.stdout.write(line + "\n")


def _skeleton(record: dict[str, Any], *, content: bool) -> Iterable[str]:
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
