"""A person under a demotion or ban has no rights through the bot, whatever level the room gives them."""

from pathlib import Path
from typing import Any

import pytest

from bot.commands.registry import COMMANDS
from moderation.model.facts import (
    AccountsLinked,
    ActionTaken,
    CaseAssigned,
    CaseDecided,
    CaseMoved,
    CaseOpened,
    SanctionEnded,
    SanctionKind,
    SanctionStarted,
)
from moderation.values.ids import EventId, RoomId, UserId
from tests.door.offline import ANNA, DESK, LEVELS, MARK, MINA, OLGA, ROOM, Offline, offline

Suspended = tuple[UserId, dict[str, Any], str]  # somebody whose level the bot cannot take, in which room
V12 = {"users": {user: level for user, level in LEVELS["users"].items() if user != OLGA}}
CREATOR: Suspended = (OLGA, V12, "12")
EQUAL: Suspended = (MARK, {"users": {**LEVELS["users"], OLGA: 110, MARK: 100}}, "11")  # the bot has 100 too
MANAGERS_ALONE = [each for each in COMMANDS.values() if each.who == "manager" and not each.anywhere]
WORDS = {
    "user": str(ANNA),
    "user?": str(ANNA),
    "case": "1",
    "case?": "",
    "duration": "2h",
    "word": "1",
}


async def suspend(
    bot: Offline, kind: SanctionKind = "demote", room: RoomId | None = None, *, who: UserId = OLGA
) -> int:
    """Start a sanction against somebody whose level the bot cannot take. Returns its record."""
    start = SanctionStarted(room=room, kind=kind, basis="standing", subject=who)
    await bot.pipeline.commit((start,))
    return bot.recorded(SanctionStarted)[-1][0]


async def refused(bot: Offline) -> int:
    return len(await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%error.right.suspended%'"))


async def card(bot: Offline) -> EventId:
    """Record that the card of case 1 was posted. Returns its event id."""
    made = EventId("$card")
    await bot.pipeline.commit((ActionTaken(room=ROOM, action="card", result="done", n=1, txn="-", made=made),))
    return made


async def press(bot: Offline, who: UserId, under: EventId) -> None:
    relation = {"rel_type": "m.annotation", "event_id": under, "key": "❌"}
    await bot.event(who, "m.reaction", {"m.relates_to": relation}, room=DESK)


@pytest.mark.parametrize("suspended", [CREATOR, EQUAL], ids=["creator", "equal level"])
@pytest.mark.parametrize(("kind", "room"), [("demote", None), ("demote", ROOM), ("ban", None), ("ban", ROOM)])
async def test_somebody_suspended_who_keeps_their_level_has_no_manager_commands_and_no_cards(
    tmp_path: Path, kind: SanctionKind, room: RoomId | None, suspended: Suspended
) -> None:
    who, levels, version = suspended
    async with offline(tmp_path, levels=levels, version=version) as bot:
        await bot.say(ANNA, "forbidden")
        under = await card(bot)
        record = await suspend(bot, kind, room, who=who)
        commands = {each.name: each for each in MANAGERS_ALONE}
        for name, command in commands.items():
            words = " ".join(WORDS.get(word, "") for word in command.spec.split())
            await bot.say(who, f"!{name} {words}".strip(), DESK)
        before = len(bot.facts(SanctionStarted))
        await press(bot, who, under)
        assert await refused(bot) == len(commands) + 1
        assert bot.facts(CaseDecided) == []
        assert len(bot.facts(SanctionStarted)) == before == 1

        await bot.pipeline.commit((SanctionEnded(room=room, start=record, kind=kind, why="standing", subject=who),))
        await press(bot, who, under)
        assert [fact.by for fact in bot.facts(CaseDecided)] == [who]


async def test_a_suspended_manager_with_the_level_of_the_bot_is_not_on_duty(tmp_path: Path) -> None:
    who, levels, version = EQUAL
    async with offline(tmp_path, levels=levels, version=version) as bot:
        assert set((await bot.duty()).managers) == {MARK, MINA}
        await suspend(bot, who=who)
        assert (await bot.duty()).managers == (MINA,)
        await bot.say(ANNA, "forbidden")
        assert [fact.subject for fact in bot.facts(CaseAssigned)] == [MINA]


async def test_a_suspended_manager_is_not_on_duty_and_the_case_goes_on(tmp_path: Path) -> None:
    levels = {"users": {user: level for user, level in V12["users"].items() if user not in (MARK, MINA)}}
    async with offline(tmp_path, levels=levels, version="12") as bot:
        assert (await bot.duty()).owners == (OLGA,)
        await suspend(bot)
        assert (await bot.duty()).owners == ()
        await bot.say(ANNA, "forbidden")
        assert bot.facts(CaseAssigned) == []
        assert [fact.asked for fact in bot.facts(CaseMoved)] == ["operator"]
        assert [fact.subject for fact in bot.facts(CaseOpened)] == [ANNA]  # that nobody was there is not charged


async def test_a_suspension_covers_all_accounts_of_a_person(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        start = SanctionStarted(kind="ban", basis="operator", subject=ANNA)
        await bot.pipeline.commit((start,))
        await bot.say(MARK, f"!warn {MINA} so", DESK)
        assert await refused(bot) == 0
        await bot.pipeline.commit((AccountsLinked(method="confirmed", subject=MARK, target=ANNA),))
        await bot.say(MARK, f"!warn {MINA} so", DESK)
        assert await refused(bot) == 1
        assert MARK not in (await bot.duty()).managers
