"""The checks of the clock by what is on this machine: what a running bot thinks of it, and what the log shows.

Rules kept here:
- Only the last days of the log are read, so that the check stays quick.
- A log that cannot be read is left to the other checks.

Left to others: the comparison with the homeserver (`homeserver.py`), when a clock is believed
(`bot/monitoring/trusted_time.py`).
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from bot.cli.access.admin_client import ask_bot
from bot.cli.access.lookup import now_ms
from bot.cli.run import running_pid
from moderation.values.durations import DAY_MS
from moderation.values.errors import AnswerableError

from .findings import Finding, note, problem

LOOK_BACK = 7  # days that have a file


def clock_findings(data_dir: Path) -> Iterator[Finding]:
    """Yield all findings about the clock."""
    if running_pid(data_dir) is not None and (found := asyncio.run(held_back(data_dir))):
        yield found
    try:
        yield from _in_log(data_dir / "records", now_ms())
    except (AnswerableError, OSError):
        return


async def held_back(data_dir: Path) -> Finding | None:
    """Ask the running bot whether it removes nothing because the clock may be wrong; None if it does not say so."""
    try:
        doubt = (await ask_bot(data_dir, "clock", {}, None))["doubt"]
    except AnswerableError:
        return None
    by_doubt = {
        "homeserver": problem("clock", "clock_held_homeserver"),
        "jump": problem("clock", "clock_held_jump"),
        "unheard": note("clock", "clock_held_unheard"),
    }
    return by_doubt.get(doubt)


def _in_log(records: Path, now: int) -> Iterator[Finding]:
    """Yield whether the open day lies in the future, and whether records of the last days have wrong times."""
    from storage.journal.clock_order import noted
    from storage.journal.line_format import day_of
    from storage.journal.reader import Log
    from storage.journal.retention.erasure_index import opened_lines

    days = Log(records).days()[-LOOK_BACK:]
    if days and not days[-1].closed and days[-1].name > day_of(now + DAY_MS):
        yield problem("clock", "clock_day_ahead", day=days[-1].name)
    notes = [line.skeleton for day in days for line in opened_lines(day, [b'"what":"clock"'])]
    if wrong := [each for each in notes if noted(each)]:
        yield note(
            "clock", "clock_jumped", count=sum(len(noted(each)) for each in wrong), last=str(wrong[-1]["t"])[:10]
        )
