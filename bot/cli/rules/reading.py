"""The reading of the records for `answerable rules`: each event of a time is judged again by other rules.

Rules kept here:
- Nothing of the data is changed; the tables of the time are rebuilt in a temporary folder.
- Records that the database has not applied yet are left out.

Left to others: judging (`bot/pipeline/judge_again.py`), counting (`tally.py`).
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.terminal.output import text
from bot.cli.terminal.progress import Bar
from moderation.policy import Policy

from .tally import RuleTally, Tally

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.journal.record import Record
    from storage.queries import RuleFigures

_STEP = 500  # records between two reports of progress


@dataclass(slots=True)
class Period:
    """What was recorded in the time, besides what is judged again."""

    events: int = 0
    wordless: int = 0  # messages whose words were not kept, or are erased
    found: Counter[str] = field(default_factory=Counter)  # findings by rule


@dataclass(frozen=True, slots=True)
class RulesOutcome:
    """What the rules would have done. `figures`: of all cases so far, by rule."""

    rules: dict[str, RuleTally]
    period: Period
    figures: "dict[str, RuleFigures]"


async def read_again(config: "Config", policy: Policy, names: Collection[str], since: int, bar: Bar) -> RulesOutcome:
    """Judge what was recorded since a time by `policy`; `names`: the rules that are counted, empty for all."""
    from bot.pipeline.judge_again import JudgingAgain
    from bot.pipeline.unit_of_work import PipelineSettings
    from bot.pipeline.view_cache import ViewCache
    from moderation.judge.judge import CompiledRule
    from moderation.rules.base import LONGEST_OWN_MS
    from storage import queries
    from storage.database import Database
    from storage.journal.reader import Log

    log, period = Log(config.data_dir / "records"), Period()
    live = await Database.open(config.data_dir, read_only=True)
    try:
        async with live.read() as db:
            size = int(await queries.get_meta(db, "applied") or 0)
            harmless = await queries.messages_of_dismissed_cases(db)
            figures = {each.rule: each for each in await queries.rule_figures(db, 0, 1 << 62)}
    finally:
        await live.close()
    window = max((LONGEST_OWN_MS, *(rule.window_ms() for rule in policy.rules)))
    knowledge = ViewCache(config.user, incident_ms=policy.credit.incident_window, window_ms=window)
    rules = tuple(map(CompiledRule.of, policy.rules))
    settings = PipelineSettings(bot=config.user, policy=policy, rules=rules, content=config.records.content)
    tally = Tally(policy, names, harmless)
    judging = JudgingAgain(knowledge, settings, log, since_ms=since, window_ms=window, judge=tally.judge)
    with tempfile.TemporaryDirectory(prefix=".rules-", dir=config.data_dir) as folder:
        database = await Database.open(Path(folder))
        try:
            await judging.read(_noted(log.read(0, size), period, since, size, bar), database)
        finally:
            await database.close()
    return RulesOutcome(tally.rules, period, figures)


def _noted(records: "Iterable[Record]", period: Period, since: int, size: int, bar: Bar) -> "Iterator[Record]":
    """Yield the records, and note what those of the time show."""
    for record in records:
        if record.index % _STEP == 0:
            bar(text("cli.rules.reading"), record.index, size)
        if record.at_ms >= since:
            _note(record, period)
        yield record


def _note(record: "Record", period: Period) -> None:
    if record.kind in ("message", "edit"):
        period.events += 1
        part = record.parts[0] if record.parts else {}
        period.wordless += not {"body", "content"} & part.keys()
    elif record.kind in ("finding", "trial"):
        period.found[str(record.fields.get("rule", ""))] += 1
