"""Under a card stand the reactions that its case admits, and no others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.effects.desk import Desk
from moderation.model.actions.cards import Offer
from moderation.model.facts import Appealed
from moderation.values.ids import CaseNumber, EventId, RoomId
from tests.door.offline import ANNA, BOT, MINA, ROOM, RULES, Offline, offline

AT_ONCE = RULES.replace('decide = "manager"', 'decide = "auto"')


class Homeserver:
    """A homeserver that takes every message."""

    user = BOT

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def send(self, _room: RoomId, _kind: str, content: dict[str, Any], _txn: str) -> EventId:
        self.keys.append(content["m.relates_to"]["key"])
        return EventId("$reaction")


async def offered(bot: Offline, *, more: bool = False) -> Sequence[str]:
    """Return the reactions that the bot puts under the card of case 1 now."""
    homeserver, action = Homeserver(), Offer(room=ROOM, n=CaseNumber(1), more=more)
    await Desk(bot.services(homeserver), lambda _room, _index: None).offer(action, "txn")
    return homeserver.keys


async def test_a_case_that_waits_can_be_decided_either_way(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()
        assert await offered(bot) == ["✅", "❌", "🔎", "✋"]


async def test_what_a_rule_decided_can_only_be_taken_back_until_it_is_appealed(tmp_path: Path) -> None:
    async with offline(tmp_path, AT_ONCE) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()
        assert await offered(bot) == ["❌", "🔎"]
        await bot.say(ANNA, "!appeal 1 it was a quotation")
        assert len(bot.facts(Appealed)) == 1
        assert Offer(room=ROOM, n=CaseNumber(1), more=True) in [row.action for row in await bot.waiting()]
        assert await offered(bot, more=True) == ["✅", "✋"]


async def test_an_appeal_adds_nothing_where_all_is_there(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()
        await bot.say(MINA, "!uphold 1")
        await bot.say(ANNA, "!appeal 1 it was a quotation")
        assert await offered(bot, more=True) == []


async def test_an_appeal_made_before_they_are_there_changes_nothing_in_the_end(tmp_path: Path) -> None:
    async with offline(tmp_path, AT_ONCE) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()
        await bot.say(ANNA, "!appeal 1 it was a quotation")
        assert await offered(bot) == ["✅", "❌", "🔎", "✋"]
