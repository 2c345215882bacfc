"""A process for long work on the records: checking, searching, looking for what was not seen, exporting.

It gets one line of JSON on stdin (`do`, `with`) and writes lines of JSON on stdout: `at` (what is done, how much, of
how much), `found` (a line of the log), `rows` (some of a list in the result: its name, and they), and at the end `done`
or `failed` (`text`, or `key` of the message files).

Rules kept here:
- It gives way to everything else on the machine.
- It ends when nobody reads what it writes.

Left to others: starting and ending it (`jobs.py`), who may ask for it (`pages/`).
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from moderation.values.errors import Broken, Invalid, Refused
from storage.journal.query import Query

_NICE = 10
_MOST_PROCESSES = 4  # for one check, and half of the processors at most: the bot goes first
_ROWS = 50  # in one line
_EACH_S = 0.2  # between two words of progress

Asked = Mapping[str, Any]


class Report:
    """The lines that the work sends to the console."""

    def __init__(self, out: BinaryIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._next = 0.0

    def at(self, what: str, done: int, total: int) -> None:
        """Tell how far the work is, now and then."""
        if self._clock() >= self._next:
            self._next = self._clock() + _EACH_S
            self.write({"at": [what, done, total]})

    def write(self, said: Mapping[str, Any]) -> None:
        """Write one line. Raises `OSError` if nobody reads it."""
        self._out.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))
        self._out.flush()


def query_of(asked: Asked) -> Query:
    """Return what the records are looked through for."""
    return Query(
        groups=frozenset(asked.get("groups", ())),
        person=asked.get("person", ""),
        kinds=frozenset(asked.get("kinds", ())),
        case=asked.get("case", 0),
        since_ms=asked.get("since_ms"),
        until_ms=asked.get("until_ms"),
    )


def verify(asked: Asked, report: Report) -> dict[str, Any]:
    """Check the log."""
    from storage.journal.transparency.cosignature import Cosigner
    from storage.journal.verify.pool import processors
    from storage.journal.verify.verify import verify as check

    witnesses = [Cosigner.parse(each) for each in asked["witnesses"]]
    found = check(
        Path(asked["records"]),
        against=asked["against"] or None,
        progress=lambda done, total: report.at("checking", done, total),
        witnesses=witnesses,
        processes=max(1, min(_MOST_PROCESSES, processors() // 2)),
    )
    return found.reaching(asked["applied"]).as_json()


def coverage(asked: Asked, report: Report) -> dict[str, Any]:
    """Look for what was not seen."""
    from storage.journal.coverage import coverage_of

    found = coverage_of(Path(asked["records"]), query_of(asked), lambda done, total: report.at("looking", done, total))
    for name, rows in found.as_json().items():
        for start in range(0, len(rows), _ROWS):
            report.write({"rows": [name, rows[start : start + _ROWS]]})
    return {"unseen": [], "off": []}


def search(asked: Asked, report: Report) -> dict[str, Any]:
    """Go through the records, newest first; what fits is told as it is found."""
    from storage.journal.newest import newest_first

    found = newest_first(
        Path(asked["records"]),
        query_of(asked),
        asked["words"],
        below=asked["below"],
        most=asked["most"],
        progress=lambda done, total: report.at("searching", done, total),
    )
    count = 0
    for count, raw in enumerate(found, 1):  # noqa: B007  (told below)
        report.write({"found": raw.decode("utf-8", "replace")})
    return {"count": count}


def export(asked: Asked, report: Report) -> dict[str, Any]:
    """Make an export as `logs export` does: the bot records it, or it is not made."""
    import asyncio

    from bot.texts.catalog_words import CatalogWords
    from storage.export.contents import Contents
    from storage.export.export import ExportRequest
    from storage.export.export import export as make
    from storage.export.media import kept_files
    from storage.export.selection import Selection
    from storage.journal import disk
    from storage.journal.access import note_access

    data, query = Path(asked["data_dir"]), query_of(asked)
    selection = Selection(
        groups=query.groups,
        persons=frozenset(asked["persons"]),
        cases=frozenset(asked["cases"]),
        kinds=query.kinds,
        since_ms=query.since_ms,
        until_ms=query.until_ms,
        everything=asked["everything"],
    )
    request = ExportRequest(selection, asked["at_ms"], asked["by"], asked["reason"], id=asked["id"])

    def record(contents: Contents) -> int:
        what = {"records": contents.count, "listed": contents.records, "contents": contents.files}
        filters = {**asked["noted"], **what}
        note = note_access(
            data, at_ms=request.made_at_ms, by=request.by, reason=request.reason, filters=filters, name=request.id
        )
        try:
            return asyncio.run(_asked_bot(data, request.id))
        except BaseException:
            note.unlink(missing_ok=True)
            raise

    out = Path(asked["out"])
    summary = make(
        data / "records",
        out,
        request,
        CatalogWords(asked["language"]),
        media=kept_files(data),
        record=record,
        progress=report.at,
    )
    done = {"id": request.id, "by": request.by, "at": request.made_at_ms, "reason": request.reason, **asdict(summary)}
    disk.create_once(out.with_suffix(".json"), orjson.dumps(done), disk.SECRET_MODE)
    for path in (out, out.with_suffix(".json")):
        disk.give_to_owner_of(data, path)
    return done


async def _asked_bot(data_dir: Path, note: str) -> int:
    """Have the bot record an export; return the number of its record. Raises `Refused`."""
    from bot.runtime.asking import NO_DOOR, ask_bot

    try:
        return int((await ask_bot(data_dir, "export-record", {"note": note}))["record"])
    except Refused as refused:
        raise Refused("console.exports.bot_off") if refused.key == NO_DOOR else refused from None


WORK: Mapping[str, Callable[[Asked, Report], dict[str, Any]]] = {
    "verify": verify,
    "coverage": coverage,
    "search": search,
    "export": export,
}


def main() -> None:
    """Do what is asked for."""
    with contextlib.suppress(OSError):  # a service may not be allowed to
        os.nice(_NICE)
        Path("/proc/self/autogroup").write_text(str(_NICE), "ascii")  # on Linux, sessions share the processors first
    asked = orjson.loads(sys.stdin.buffer.readline())
    report = Report(sys.stdout.buffer)
    try:
        done = WORK[asked["do"]](asked["with"], report)
    except BrokenPipeError:
        os._exit(1)  # nobody waits for it any more
    except Refused as refused:
        fields = {name: str(value) for name, value in refused.fields.items()}
        report.write({"failed": {"key": refused.key, "fields": fields}})
    except (Invalid, Broken, OSError) as error:
        report.write({"failed": {"key": "", "text": str(error)}})
    else:
        report.write({"done": done})


if __name__ == "__main__":
    main()
