"""The reading of the records for `answerable rules`: each event of a time is judged again by other rules.

Rules kept here:
- Nothing of the data is changed; the tables of the time are rebuilt in a temporary folder.
- Records that the database has not applied yet are left out.

Left to others: judging (`bot/pipeline/judge_again.py`), counting (`tally.py`).
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.cli.access.lookup import read
from bot.cli.terminal.output import text
from bot.cli.terminal.progress import Bar
from moderation.policy import Policy
from moderation.values.ids import SAFE_INT

from .tally import RuleTally, Tally

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config
    from storage.journal.record import Record
    from storage.queries import RuleFigures

_STEP = 500  # records between two reports of progress


@dataclass(slots=True)
class Period:
    """The records of the time, besides those that are judged again."""

    events: int = 0
    wordless: int = 0  # messages whose words were not kept, or are erased
    found: Counter[str] = field(default_factory=Counter)  # findings by rule


@dataclass(frozen=True, slots=True)
class RecordsToRead:
    """The range that is read: since when, how many records in all, and who is told how far it is."""

    since: int
    size: int
    bar: Bar


@dataclass(frozen=True, slots=True)
class RulesOutcome:
    """The result of the rules. `figures`: of all cases so far, by rule."""

    rules: dict[str, RuleTally]
    period: Period
    figures: "dict[str, RuleFigures]"


def read_again(config: "Config", policy: Policy, names: Collection[str], since: int, bar: Bar) -> RulesOutcome:
    """Judge what was recorded since a time by `policy`; `names`: the rules that are counted, empty for all."""
    size, harmless, figures = read(config, _so_far)
    tally, period = Tally(policy, names, harmless), Period()
    asyncio.run(_judge(config, policy, tally, period, RecordsToRead(since, size, bar)))
    return RulesOutcome(tally.rules, period, figures)


async def _so_far(db: "AsyncConnection") -> "tuple[int, frozenset[int], dict[str, RuleFigures]]":
    """Return how many records there are, the messages that people found harmless, and the cases of each rule."""
    from storage import queries

    size = int(await queries.get_meta(db, "applied") or 0)
    figures = {each.rule: each for each in await queries.rule_figures(db, 0, SAFE_INT)}
    return size, await queries.messages_of_dismissed_cases(db), figures


async def _judge(config: "Config", policy: Policy, tally: Tally, period: Period, reading: RecordsToRead) -> None:
    from bot.pipeline.judge_again import JudgingAgain
    from bot.pipeline.unit_of_work import PipelineSettings
    from bot.pipeline.view_cache import ViewCache
    from moderation.judge.judge import CompiledRule
    from moderation.rules.base import LONGEST_OWN_MS
    from storage.database.database import Database
    from storage.database.place import DatabasePlace
    from storage.journal.reader import Log
    from storage.scratch import scratch_folder

    log, rules = Log(config.data_dir / "records"), tuple(map(CompiledRule.of, policy.rules))
    window = max((LONGEST_OWN_MS, *(rule.window_ms() for rule in policy.rules)))
    knowledge = ViewCache(config.user, incident_ms=policy.credit.incident_window, window_ms=window)
    settings = PipelineSettings(bot=config.user, policy=policy, rules=rules, content=config.records.content)
    judging = JudgingAgain(knowledge, settings, log, since_ms=reading.since, window_ms=window, judge=tally.judge)
    with scratch_folder(config.data_dir) as folder:
        database = await Database.open(DatabasePlace(folder))
        try:
            await judging.read(_noted(log.read(0, reading.size), period, reading), database)
        finally:
            await database.close()


def _noted(records: "Iterable[Record]", period: Period, reading: RecordsToRead) -> "Iterator[Record]":
    """Yield the records, and note what those of the time show."""
    for record in records:
        if record.index % _STEP == 0:
            reading.bar(text("cli.rules.reading"), record.index, reading.size)
        if record.at_ms >= reading.since:
            _note(record, period)
        yield record


def _note(record: "Record", period: Period) -> None:
    if record.kind in ("message", "edit"):
        period.events += 1
        part = record.parts[0] if record.parts else {}
        period.wordless += not {"body", "content"} & part.keys()
    elif record.kind in ("finding", "trial"):
        period.found[str(record.fields.get("rule", ""))] += 1
