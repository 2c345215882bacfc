"""A ban for several rooms on the homeserver: it takes effect in all of them, and one reversal takes back all of it."""

from moderation.model.facts import SanctionEnded, SanctionStarted
from tests.people.client import Client
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import RULES, like

TRUSTING = '[communities]\ndefault = "deployment"\n'


async def test_a_ban_everywhere_takes_effect_and_is_reversed_in_all_rooms_at_once(theatre: Theatre) -> None:
    scene = await theatre.scene(TRUSTING + RULES)
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    other = await theatre.room(bot, owner, [manager], [ann])
    never = await theatre.room(bot, owner, [manager])
    foreign = await theatre.room(bot, owner, [], [ann, manager])

    said = await ask(manager, bot, room, f"!ban {ann.user} 7d everywhere advertising")
    assert like("everywhere.count.done", count="3").search(said)
    for each in (room, other, never):
        await _until(owner, each, ann, "ban")
        assert (await owner.state(each, "m.room.member", ann.user) or {})["reason"] == "By the managers, case 1."
    word = await told(ann, bot, like("notice.command.ban", by=manager.user))
    assert like("notice.reason", reason="advertising").search(word.body)

    assert like("decided.dismissed", n="1").search(await ask(owner, bot, scene.desk, "!dismiss 1 not her own words"))
    await _until(owner, room, ann, "invite")
    await _until(owner, other, ann, "invite")
    await _until(owner, never, ann, "leave")
    await told(ann, bot, like("notice.ended.ban"))
    await bot.idle()
    there = await owner.state(never, "m.room.member", ann.user), await owner.state(foreign, "m.room.member", ann.user)
    assert [content and content["membership"] for content in there] == ["leave", "join"]
    rooms = [[fact.room for fact in bot.facts(kind)] for kind in (SanctionStarted, SanctionEnded)]
    assert rooms == [[room, other, never]] * 2


async def _until(reader: Client, room: str, person: Client, wanted: str) -> None:
    await reader.wait_state(
        room, "m.room.member", lambda content: content.get("membership") == wanted, key=person.user, what=wanted
    )
