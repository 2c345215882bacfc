"""The journal has each event once and in order, also if a homeserver delivers it twice or late."""

import asyncio

from moderation.model.facts import CaseOpened
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import ServedBot


async def test_an_answer_of_sync_delivered_twice_is_recorded_once(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (member,) = scene.bot, scene.room, scene.members
    await bot.idle()
    ((old,),) = bot.rows("SELECT value FROM meta WHERE key = 'sync_token'")
    events = [await member.send_text(room, text) for text in ("one", "a purple elephant", "three")]
    # Not as the specification has it: recorded as unreadable, and likewise once.
    events.append(await member.send(room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation"}}))
    await member.request("POST", "rooms", room, "leave", json={})
    await bot.has(*events)
    await bot.until(
        lambda: bot.rows("SELECT 1 FROM members WHERE user = ? AND membership = 'leave'", member.user), "bye"
    )
    await scene.card(scene.managers[0], 1)
    await bot.idle()
    await bot.stop()
    _set_token(bot, old)
    bot.start()
    marker = await scene.owner.send_text(room, "after the restart")
    await bot.has(marker)
    recorded = bot.recorded()
    assert {event: recorded.count(event) for event in recorded} == dict.fromkeys(recorded, 1)
    assert [event for event in recorded if event in {*events, marker}] == [*events, marker]
    assert [fact.n for fact in bot.facts(CaseOpened)] == [1]


async def test_a_gap_is_recorded_once_in_order_and_judged(theatre: Theatre) -> None:
    scene = await theatre.scene(members=3)
    bot, room, owner, raised = scene.bot, scene.room, scene.owner, scene.members[0].user
    await bot.idle()
    await bot.stop()
    before = await _talk(scene, 28)
    levels = await owner.power_levels(room)
    levels["users"][raised] = 50
    inside = await owner.set_state(room, "m.room.power_levels", levels)  # its place in the gap counts
    after = await _talk(scene, 28)
    bot.start()
    marker = await owner.send_text(room, "the end")
    await bot.has(*before, inside, *after, marker)
    await bot.idle()
    events = {*before, inside, *after, marker}
    assert len(events) > 150
    recorded = bot.recorded(room)
    assert len(recorded) == len(set(recorded))
    timeline = [event["event_id"] for event in await owner.messages(room, limit=1000)]
    assert [event for event in recorded if event in events] == [event for event in timeline if event in events]
    # In order also means: a member when the first elephant was seen, a manager when the second was.
    cases = bot.facts(CaseOpened)
    assert sorted((fact.subject, fact.manages) for fact in cases) == sorted((who.user, 0) for who in scene.members)
    elephants = [
        event for event in timeline if event in {before[0], before[28], before[56], after[0], after[28], after[56]}
    ]
    gone = [await owner.is_redacted(room, event) for event in elephants]
    assert dict(zip(elephants, gone, strict=True)) == {event: event != after[0] for event in elephants}


async def _talk(scene: Scene, each: int) -> list[str]:
    """Let everybody talk at once, each with one message that breaks a rule. Returns the ids, unordered."""

    async def one(who: Client) -> list[str]:
        words = ["a purple elephant", *(f"{who.user} {n}" for n in range(each - 1))]
        return [await who.send_text(scene.room, text) for text in words]

    return [event for part in await asyncio.gather(*map(one, scene.members)) for event in part]


def _set_token(bot: ServedBot, token: str) -> None:
    bot.state.change("UPDATE meta SET value = ? WHERE key = 'sync_token'", token)
