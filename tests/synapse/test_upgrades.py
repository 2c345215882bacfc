"""A group continues in its upgraded room, with its code, cases, credit, measures, rules and settings."""

from moderation.model.facts import RoomEntered
from moderation.values.ids import RoomId
from tests.people.client import Client
from tests.theatre.scene import Theatre
from tests.theatre.served import like


async def test_the_bot_follows_genuine_upgrades_only(theatre: Theatre) -> None:
    bot = await theatre.bot(invites='["@owner*:localhost"]')
    owner, manager, stranger = await theatre.people("owner", "manager", "stranger")
    old, other = await theatre.room(bot, owner, [manager]), await theatre.room(bot, owner)
    desk = await theatre.enter_desk(bot, other, owner)
    claimed = await stranger.create_room(creation_content={"predecessor": {"room_id": old, "event_id": "$none"}})
    await stranger.set_state(claimed, "m.room.join_rules", {"join_rule": "public"})
    await stranger.invite(claimed, bot.user)
    await stranger.wait_state(
        claimed, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user, what="no"
    )
    await owner.set_state(other, "m.room.tombstone", {"body": "there", "replacement_room": claimed})
    await owner.wait_event(
        desk, lambda s: s.sender == bot.user and like("upgrade.unsure").search(s.body) is not None, what="a word"
    )
    await owner.set_state(old, "m.room.join_rules", {"join_rule": "public"})
    new = await upgraded(owner, old)
    await bot.until_condition(new, "protected")
    await bot.idle()
    assert [f.room_id for f in bot.facts(RoomEntered) if f.purpose == "group"] == [old, other, new]
    assert len({f.code for f in bot.facts(RoomEntered) if f.purpose == "group"}) == 2
    assert (await stranger.members(claimed)).get(bot.user) == "leave"


async def upgraded(owner: Client, room: RoomId) -> RoomId:
    made = await owner.request("POST", "rooms", room, "upgrade", json={"new_version": "12"})
    return RoomId(str(made["replacement_room"]))
