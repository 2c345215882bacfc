"""A homeserver with default rate limits: the most important requests come first, and nothing is lost."""

import asyncio
from collections import Counter

from bot.outbox.selection import URGENT_IN_A_ROW
from moderation.model.actions.base import URGENT
from moderation.model.facts import ActionTaken, CaseOpened, SanctionStarted
from tests.people.client import Client
from tests.theatre.scene import Theatre
from tests.theatre.served import RULES, ServedBot

# So many that a bot with limits needs minutes to remove them: a test that orders something first has time for it.
MANY = 40


async def test_a_burst_of_violations_is_redacted_while_the_rest_has_its_share(theatre_limited: Theatre) -> None:
    admin = await theatre_limited.stage.person("admin", admin=True)
    scene = await theatre_limited.scene(
        RULES, managers=1, members=4, started=lambda bot: _limits(admin, bot, lifted=True)
    )
    bot, room, owner, (manager,), people = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await bot.idle()
    await _limits(admin, bot, lifted=False)  # from here on the bot may send ten events, then one every five seconds
    talk = [await manager.send_text(scene.desk, "!status") for _ in range(3)]
    await bot.has(*talk)
    await bot.idle()
    before = len(bot.facts(ActionTaken))
    said = [event for both in await asyncio.gather(*(_several(who, room) for who in people)) for event in both]
    await bot.has(*said)
    await bot.idle(up_to=URGENT)
    assert await asyncio.gather(*(owner.is_redacted(room, event) for event in said)) == [True] * 8
    outcomes = [fact.action for fact in bot.facts(ActionTaken)[before:]]
    last = max(number for number, action in enumerate(outcomes) if action == "redact")
    # Between them come the cards, what was under way when the first violation came, and every fifth request at most.
    between = Counter(outcomes[: last + 1]) - Counter(redact=8, card=4)
    assert between.total() <= 1 + 8 // URGENT_IN_A_ROW
    assert outcomes.index("card") < last
    assert "tell" in _waiting(bot)

    # An admin lifts the limit, as `answerable init` offers: now all that waited is said, each once.
    await _limits(admin, bot, lifted=True)
    await bot.idle()
    ended = [(fact.action, fact.result) for fact in bot.facts(ActionTaken)[before:]]
    cases = bot.facts(CaseOpened)
    assert (sorted(fact.subject for fact in cases), {fact.state for fact in cases}) == (
        sorted(who.user for who in people),
        {"decided"},
    )
    done = Counter(action for action, result in ended if result == "done")
    assert (sum(done.values()), done["redact"], done["card"], done["offer"]) == (len(ended), 8, 4, 4)
    told = {subject for (subject,) in bot.rows("SELECT direct_with FROM rooms WHERE purpose = 'direct'")}
    assert told == {who.user for who in people}
    for n in range(1, 5):
        await scene.card(manager, n)


async def test_a_mute_is_in_force_before_what_was_said_is_removed(theatre_limited: Theatre) -> None:
    admin = await theatre_limited.stage.person("admin", admin=True)
    scene = await theatre_limited.scene(
        RULES, managers=1, members=3, started=lambda bot: _limits(admin, bot, lifted=True)
    )
    bot, room, (manager,), people = scene.bot, scene.room, scene.managers, scene.members
    await bot.idle()
    await _limits(admin, bot, lifted=False)
    for person in people:
        await _limits(admin, person, lifted=True)
    several = await asyncio.gather(*(_several(who, room, MANY // len(people)) for who in people))
    said = [event for sent in several for event in sent]
    await bot.has(*said)
    await manager.send_text(room, f"!mute {people[0].user} 1h")
    await scene.until_level(people[0].user, -1)
    facts = [fact for _, fact in bot.numbered_facts()]
    ordered = next(n for n, fact in enumerate(facts) if isinstance(fact, SanctionStarted) and fact.kind == "mute")
    since = [fact.action for fact in facts[ordered:] if isinstance(fact, ActionTaken)]
    before = since[: since.index("align")] if "align" in since else since
    assert len(before) <= 4  # what was under way
    assert len(said) > Counter(fact.action for fact in facts if isinstance(fact, ActionTaken))["redact"]
    await _limits(admin, bot, lifted=True)
    await bot.idle()


async def test_a_ban_hides_all_that_is_left_of_somebody_who_wrote_nothing_else(theatre_limited: Theatre) -> None:
    admin = await theatre_limited.stage.person("admin", admin=True)
    scene = await theatre_limited.scene(
        RULES, managers=1, members=1, started=lambda bot: _limits(admin, bot, lifted=True)
    )
    bot, room, owner, (manager,), (spammer,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await bot.idle()
    await bot.came_first()
    await _limits(admin, bot, lifted=False)
    for person in (manager, spammer):
        await _limits(admin, person, lifted=True)
    talk = [await manager.send_text(scene.desk, "!status") for _ in range(8)]  # answers use up what the bot may send
    await bot.has(*talk)
    await bot.idle()
    said = await _several(spammer, room, MANY)
    await bot.has(*said)
    await manager.send_text(room, f"!ban {spammer.user} 1d")
    await owner.wait_state(
        room, "m.room.member", lambda content: content["membership"] == "ban", key=spammer.user, what="the ban"
    )
    assert await asyncio.gather(*(owner.is_redacted(room, event) for event in said)) == [True] * MANY
    await bot.idle(up_to=URGENT)
    removed = [fact for fact in bot.facts(ActionTaken) if fact.action == "redact" and fact.result == "done"]
    assert (len(removed), sum(not fact.made for fact in removed) >= 5) == (MANY, True)
    await _limits(admin, bot, lifted=True)
    await bot.idle()


async def _several(who: Client, room: str, times: int = 2) -> list[str]:
    return [await who.send_text(room, f"{n} purple elephant") for n in range(times)]


async def _limits(admin: Client, who: ServedBot | Client, *, lifted: bool) -> None:
    """Lift or restore somebody's limits (Synapse's admin API, "Override ratelimiting for users")."""
    path = ("v1", "users", who.user, "override_ratelimit")
    free = {"messages_per_second": 0, "burst_count": 0}
    await admin.request("POST" if lifted else "DELETE", *path, base="/_synapse/admin", json=free if lifted else None)


def _waiting(bot: ServedBot) -> set[str]:
    return {str(action) for (action,) in bot.rows("SELECT json_extract(action, '$.do') FROM outbox")}
