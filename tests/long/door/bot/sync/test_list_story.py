"""A story of two people whom lists name: one is proposed, banned, heard, spared; the other's ban ends with its entry.

Draupnir's own library writes the entries. Each list is a real room.
"""

from moderation.model.facts import CaseOpened, ListSpared, SanctionEnded, SanctionStarted
from moderation.values.ids import RoomId
from tests.door.bot.sync.test_policy_lists import until_read
from tests.draupnir.draupnir import written
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, told
from tests.theatre.served import like

LISTS = """
[[lists.watch]]
name = "careful"
room = "{careful}"
trust = "propose"
[[lists.watch]]
name = "trusted"
room = "{trusted}"
trust = "apply"
"""


async def put(writer: Client, room: RoomId, whom: str) -> tuple[str, str]:
    """Name somebody in a list as Draupnir does; return the type and the state key of the entry."""
    [event] = await written({"ban": whom})
    await writer.set_state(room, event["type"], event["content"], event["state_key"])
    return event["type"], event["state_key"]


async def until_membership(scene: Scene, user: str, membership: str) -> None:
    await scene.owner.wait_state(scene.room, "m.room.member", lambda now: now["membership"] == membership, key=user)


async def test_a_listed_member_is_proposed_banned_heard_and_spared_and_a_ban_ends_with_its_entry(
    theatre: Theatre,
) -> None:
    writer, late, ben = await theatre.people("writer", "late", "ben")
    careful, trusted = [await writer.create_room(name, private=False) for name in ("Careful", "Trusted")]
    scene = await theatre.scene(LISTS.format(careful=careful, trusted=trusted))
    bot, (manager,) = scene.bot, scene.managers
    await put(writer, careful, late.user)
    kind, key = await put(writer, trusted, ben.user)
    await until_read(scene, 1)
    await bot.until(lambda: len(bot.rows("SELECT 1 FROM list_entries")) == 2, "both lists")

    # One joins, is proposed, upheld, banned and told.
    await scene.owner.invite(scene.room, late.user)
    await scene.card(manager, 1)
    await late.join(scene.room)
    assert (await scene.owner.members(scene.room))[late.user] == "join"
    await ask(manager, bot, scene.desk, "!uphold 1 the same spam was seen here")
    await until_membership(scene, late.user, "ban")
    word = await told(late, bot, like("notice.foot", n="1"))

    # The other is banned at once, and let in again when the entry is gone.
    await scene.owner.invite(scene.room, ben.user)
    await until_membership(scene, ben.user, "ban")
    await writer.set_state(trusted, kind, {}, key)
    await until_membership(scene, ben.user, "leave")

    # The first one appeals. Somebody else reverses it, and the list touches them no more.
    await late.send_text(word.room, "!appeal 1 somebody had stolen my account")
    await scene.wait_desk(scene.owner, lambda seen: like("desk.appealed").search(seen.body) is not None, "the appeal")
    assert like("error.appeal.own-decision").search(await ask(manager, bot, scene.desk, "!dismiss 1 no"))
    await ask(scene.owner, bot, scene.desk, "!dismiss 1 it was stolen")
    await until_membership(scene, late.user, "invite")  # back
    await late.join(scene.room)
    await put(writer, careful, "@nobody:elsewhere.example")
    await until_read(scene, 2)
    await bot.idle()
    assert (await scene.owner.members(scene.room))[late.user] == "join"
    assert like("policy-list.spared-by-case", n="1").search(
        await ask(manager, bot, scene.desk, f"!list match {late.user}")
    )

    # Until that is taken back.
    await ask(manager, bot, scene.desk, f"!list unspare {late.user}")
    await scene.card(manager, 3)
    ended = [(fact.subject, fact.why) for fact in bot.facts(SanctionEnded)]
    assert ended == [(ben.user, "list"), (late.user, "reversed")]
    assert [fact.step for fact in bot.facts(ListSpared)] == ["spared", "unspared"]
    assert [fact.subject for fact in bot.facts(CaseOpened)] == [late.user, ben.user, late.user]
    assert [fact.basis for fact in bot.facts(SanctionStarted)] == ["decision", "list"]
