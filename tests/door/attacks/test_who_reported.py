"""A reported person finds out who reported them: from what others saw in the room, or from the text of the card."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.texts.report_lines import reads_along, report_lines
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Tell, TellDesk
from moderation.values.durations import DAY_MS
from moderation.values.ids import UserId
from storage import outbox, queries
from tests.door.offline import ANNA, DESK, MARK, MINA, OLGA, RULES, Offline, offline

WORDS = "he said it to my sister"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        yield served


async def report(bot: Offline, of: UserId) -> None:
    said = await bot.event(of, "m.room.message", {"msgtype": "m.text", "body": "you are all fools"})
    answers = {"m.in_reply_to": {"event_id": said}}
    reply = {"msgtype": "m.text", "body": f"!report {WORDS}", "m.relates_to": answers}
    await bot.event(ANNA, "m.room.message", reply)


async def on_the_card(bot: Offline) -> str:
    async with bot.stores.database.read() as db:
        found = await queries.case_view(db, 1)
        assert found is not None
        told = not await reads_along(db, found, DESK)
        return str(report_lines(await queries.reports_of(db, 1), names=False, words=told))


async def answers(bot: Offline) -> str:
    """Return everything that is said, except to the desk and to the owner alone."""
    actions = [action for action in await waiting(bot) if not isinstance(action, TellDesk)]
    return str([action for action in actions if not (isinstance(action, Tell) and action.subject == OLGA)])


async def told_in_desk(bot: Offline) -> list[TellDesk]:
    return [action for action in await waiting(bot) if isinstance(action, TellDesk)]


async def waiting(bot: Offline) -> list[Action]:
    async with bot.stores.database.read() as db:
        return [row.action for row in await outbox.due_rows(db, bot.time.ms + DAY_MS, 1_000)]


async def test_a_manager_who_is_reported_reads_the_words_on_the_card(bot: Offline) -> None:
    await report(bot, MARK)
    assert WORDS not in await on_the_card(bot)
    await bot.membership(MARK, "leave", DESK)
    assert WORDS in await on_the_card(bot)  # the accused is not among the others in the desk


async def test_a_manager_who_is_reported_asks_for_the_case(bot: Offline) -> None:
    await report(bot, MARK)
    for who in (MARK, MINA):
        await bot.say(who, "!case 1", DESK)
    told = await answers(bot)
    assert "card.report-alone" in told and WORDS not in told


async def test_managers_read_the_words_of_a_report_of_a_member(bot: Offline) -> None:
    await bot.say(ANNA, "hello")
    await report(bot, OLGA)
    await bot.membership(OLGA, "leave", DESK)
    await bot.say(MINA, "!case 1", DESK)
    assert WORDS in await answers(bot)


async def test_a_reporter_in_the_room_is_told_of_the_private_way(
    bot: Offline,
) -> None:
    await report(bot, MARK)
    assert "report.was-seen" in await answers(bot)


async def test_a_reported_manager_does_not_read_the_reporters_appeal(bot: Offline) -> None:
    await report(bot, MARK)
    await bot.say(MINA, "!dismiss 1 friendly talk", DESK)
    await bot.say(ANNA, "!appeal 1 she heard it herself")
    async with bot.stores.database.read() as db:
        found = await queries.case_view(db, 1)
    assert found is not None
    assert found.state == "appealed"
    discreet = [action.discreet for action in await told_in_desk(bot) if action.discreet]
    assert [[said.key for said in lines] for lines in discreet] == [
        ["desk.appealed-report-discreet", "desk.passed-on.owner"]
    ]
    assert "she heard it" not in str(discreet)
    told = [action for action in await waiting(bot) if isinstance(action, Tell) and "she heard it" in str(action)]
    assert [(action.subject, action.lines[0].key) for action in told] == [(OLGA, "desk.appealed-report")]
    await bot.say(MINA, "!case 1", DESK)
    assert "she heard it" not in await answers(bot)
    await bot.membership(MARK, "leave", DESK)
    await bot.say(MINA, "!case 1", DESK)
    assert "she heard it" in await answers(bot)
