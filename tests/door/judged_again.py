"""All records of a bot judged again, over tables that are rebuilt from them."""

from collections.abc import Sequence
from pathlib import Path

from bot.pipeline.judge_again import JudgingAgain
from bot.pipeline.judging_context import ToJudge
from bot.pipeline.view_cache import ViewCache
from moderation.judge.judge import judge
from moderation.model.facts import CaseGrew, CaseOpened, CreditChanged, Fact, Found, FoundOnTrial, SanctionStarted
from moderation.rules.base import LONGEST_OWN_MS
from storage.database.database import Database
from tests.door.offline import BOT, Offline
from tests.theatre.engine import place_in

OF_RULES = (Found, FoundOnTrial, CaseOpened, CaseGrew, CreditChanged, SanctionStarted)


async def judged_again(bot: Offline, folder: Path) -> dict[int, list[Fact]]:
    """Judge all records again, over new tables."""
    brought: dict[int, list[Fact]] = {}
    knowledge = ViewCache(BOT, incident_ms=bot.config.policy.credit.incident_window, window_ms=LONGEST_OWN_MS)
    settings, journal = bot.pipeline.settings, bot.stores.journal

    def again(index: int, due: ToJudge) -> Sequence[Fact]:
        facts = judge(due.event, due.context, settings.policy, due.rules, index)
        brought[index] = of_rules(facts)
        return facts

    database = await Database.open(place_in(folder))
    try:
        judging = JudgingAgain(knowledge, settings, journal, since_ms=0, window_ms=0, judge=again)
        await judging.read(journal.read(), database)
    finally:
        await database.close()
    return brought


def of_rules(facts: Sequence[Fact]) -> list[Fact]:
    """Return what rules brought; what people ordered has a person behind it."""
    return [fact for fact in facts if isinstance(fact, OF_RULES) and not getattr(fact, "by", "")]
