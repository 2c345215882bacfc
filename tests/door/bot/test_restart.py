"""The bot is stopped at the worst moments: afterwards everything is as without stops, and nothing was done twice."""

from collections import Counter
from collections.abc import Awaitable, Callable

from moderation.model.facts import BotStarted, BotStopped, CaseOpened, CreditChanged, LevelKept, NotSeen
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, direct_room, told
from tests.theatre.served import MUTE, RULES, ServedBot, like, until

HOUR_MS = 3_600_000


async def test_stopped_just_after_a_violation_was_accepted_nothing_is_lost_or_doubled(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + MUTE)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await bot.idle()
    said = await ann.send_text(room, "a geyser")
    await bot.crash()
    bot.start()
    await _complete(scene, ann, said, "loud")
    await scene.until_level(ann.user, -1)


async def test_stopped_while_much_is_to_be_said_nothing_is_lost_or_doubled(theatre: Theatre) -> None:
    scene = await theatre.scene(members=3)
    bot, room, people = scene.bot, scene.room, scene.members
    await bot.idle()
    said = [await who.send_text(room, "a purple elephant") for who in people]
    await bot.has(*said)
    # Repeatedly, at any step: while it redacts, posts cards, creates direct rooms, offers reactions.
    for starts, left in enumerate((9, 7, 5, 3, 1), 1):
        await bot.until(lambda starts=starts: len(bot.facts(BotStarted)) == starts, "the start")  # type: ignore[misc]
        await bot.until(lambda left=left: _waiting(bot) <= left, f"{left} things to say")  # type: ignore[misc]
        await bot.crash()
        bot.start()
    await bot.until(lambda: len(bot.facts(BotStarted)) == 6, "the last start")
    await bot.idle()
    for who, event in zip(people, said, strict=True):
        await said_once(scene, who, event)
    assert bot.facts(BotStopped) == []


async def test_records_the_database_has_not_seen_are_caught_up_without_doing_anything_twice(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + MUTE, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    await bot.idle()
    kept = bot.copy_of_database()  # as after a power cut: the journal was written to disk, the database was not
    said = await ann.send_text(room, "a geyser")
    await scene.until_level(ann.user, -1)
    card = await scene.card(manager, 1)
    await bot.idle()
    await manager.react(scene.desk, card.id, "❌")
    await scene.until_level(ann.user, None)
    assert like("done.warn").search(await ask(manager, bot, room, f"!warn {ben.user} be kind"))
    await told(ben, bot, like("notice.command.warn"))
    await bot.idle()
    before = _tables(bot)
    records = [(r.kind, r.fields, r.parts) for r in bot.records()]
    await bot.stop()
    bot.put_back(kept)
    bot.start()
    marker = await ben.send_text(room, "thank you")
    await bot.has(marker)
    await bot.idle()
    assert [(r.kind, r.fields, r.parts) for r in bot.records()][: len(records)] == records
    assert {name: rows for name, rows in _tables(bot).items() if rows != before[name]} == {}
    await said_once(scene, ann, said)
    words = [e for e in await ben.messages(await direct_room(ben, bot), 100) if e["sender"] == bot.user]
    assert Counter(e["type"] for e in words if e["type"] == "m.room.message") == {"m.room.message": 1}
    assert [fact.what for fact in bot.facts(NotSeen) if fact.what != "down"] == []


async def test_facts_lost_between_two_writes_are_found_again(theatre: Theatre) -> None:
    scene = await theatre.scene(members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await bot.idle()
    size = len(bot.records())
    said = await ann.send_text(room, "a purple elephant")
    # The record of the message is on disk, what follows from it is not: stopped between the two.
    await until(_grown(bot, size), "the record of the message")
    await bot.crash()
    bot.start()
    await _complete(scene, ann, said, "no-elephants")


async def test_a_mute_that_ended_while_the_bot_was_down_gives_the_level_back_on_start(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + MUTE)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await scene.owner.set_power(room, {ann.user: 25})
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE levels LIKE '%: 25%'"), "the level")
    await ann.send_text(room, "a geyser")
    await scene.until_level(ann.user, -1)
    await bot.crash()
    bot.ahead_ms += HOUR_MS
    assert (await scene.levels())[ann.user] == -1
    bot.start()
    await scene.until_level(ann.user, 25)
    await told(ann, bot, like("notice.ended.mute"))
    await bot.idle()
    assert [f.step for f in bot.facts(LevelKept) if f.step in ("held", "released")] == ["held", "released"]


async def _complete(scene: Scene, who: Client, said: str, rule: str) -> None:
    """Check that a violation was handled completely, and once."""
    bot = scene.bot
    await bot.has(said)
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE card <> ''"), "a card")
    await bot.idle()
    assert [(fact.n, fact.rule, fact.event) for fact in bot.facts(CaseOpened)] == [(1, rule, said)]
    assert [fact.subject for fact in bot.facts(CreditChanged)] == [who.user]
    assert bot.recorded().count(said) == 1
    await said_once(scene, who, said)


async def said_once(scene: Scene, who: Client, said: str) -> None:
    """Check that the homeserver shows one redaction, one card with its reactions, one direct message."""
    bot, (manager,) = scene.bot, scene.managers
    ((n, card),) = bot.rows("SELECT n, card FROM cases JOIN evidence USING (n) WHERE event = ?", said)
    room = [e for e in await scene.owner.messages(scene.room, 500) if e["sender"] == bot.user]
    desk = [e for e in await manager.messages(scene.desk, 500) if e["sender"] == bot.user]
    direct = [e for e in await who.messages(await direct_room(who, bot), 100) if e["sender"] == bot.user]
    assert len([e for e in room if e["type"] == "m.room.redaction" and e["content"].get("redacts") == said]) == 1
    cards = [
        e["event_id"]
        for e in desk
        if str(e["content"].get("body", "")).startswith(f"Case {n} ") and "m.relates_to" not in e["content"]
    ]
    assert cards == [card]
    offers = [e["content"]["m.relates_to"] for e in desk if e["type"] == "m.reaction"]
    assert sorted(o["key"] for o in offers if o["event_id"] == card) == sorted("❌🔎")
    violation = like("notice.violation", n=str(n))
    assert len([e for e in direct if violation.search(str(e["content"].get("body", "")))]) == 1
    assert len(bot.rows("SELECT 1 FROM rooms WHERE purpose = 'direct' AND direct_with = ?", who.user)) == 1
    joined = await _rooms_made_for(bot, scene, who)
    assert joined == 1


async def _rooms_made_for(bot: ServedBot, scene: Scene, who: Client) -> int:
    """Return the number of rooms to which the bot invited somebody, besides the group."""
    answer = await who.request("GET", "sync", query={"timeout": "0"})
    rooms = answer.get("rooms", {})
    return len({*rooms.get("join", {}), *rooms.get("invite", {})} - {scene.room})


def _waiting(bot: ServedBot) -> int:
    return int(bot.rows("SELECT count(*) FROM outbox")[0][0])


def _tables(bot: ServedBot) -> dict[str, list[tuple[object, ...]]]:
    names = ("cases", "evidence", "credit", "sanctions", "holds", "verifications", "accounts")
    return {name: bot.table(name) for name in names}


def _grown(bot: ServedBot, size: int) -> Callable[[], Awaitable[object]]:
    async def once() -> bool:
        return len(bot.records()) > size

    return once
