"""Policy lists between Draupnir and us: a list that its library wrote acts here, and ours is read by it."""

from typing import Any

from moderation.lists.publishing import state_key
from moderation.values.ids import RoomId
from tests.door.bot.commands.test_publish import GRAVE, LIST, OURS
from tests.door.bot.sync.test_policy_lists import until_read, watching
from tests.draupnir.draupnir import who_is_banned, written
from tests.people.client import Client
from tests.theatre.scene import Theatre, ask

TYPE = "m.policy.rule.user"


async def whole_state(keeper: Client, room: RoomId) -> list[dict[str, Any]]:
    return list(await keeper.request("GET", "rooms", room, "state"))


async def test_a_list_written_by_draupnir_bans_here(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    (ann, ben) = scene.members
    for event in await written({"ban": ann.user}, {"takedown": ben.user, "hashed": True}):
        await writer.set_state(room, event["type"], event["content"], event["state_key"])
    await until_read(scene, 2)
    for each in (ann, ben):
        await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=each.user)


async def test_draupnir_reads_our_entries_until_we_take_them_back(theatre: Theatre) -> None:
    (keeper,) = await theatre.people("keeper")
    room = await keeper.create_room("Ours", private=False)
    scene = await theatre.scene(LIST.replace(OURS, room) + GRAVE)
    bot, (ann, *others) = scene.bot, scene.members
    users = [ann.user, *(each.user for each in (*others, scene.owner))]
    await keeper.wait_state(room, "m.room.member", lambda now: now.get("membership") == "join", key=bot.user)
    await keeper.set_power(room, {bot.user: 50})
    await ann.send_text(scene.room, "forbidden")
    await scene.card(scene.managers[0], 1)
    await ask(scene.owner, bot, scene.desk, "!uphold 1 yes")
    await ask(scene.owner, bot, scene.desk, "!publish 1 ours spam")
    key = state_key(ann.user)
    await keeper.wait_state(room, TYPE, lambda now: now != {}, key=key)
    [draupnirs_key] = [event["state_key"] for event in await written({"ban": ann.user})]
    assert await who_is_banned(await whole_state(keeper, room), users) == {ann.user: (draupnirs_key, "spam")}
    assert key == draupnirs_key
    await ask(scene.owner, bot, scene.desk, "!dismiss 1 we were wrong")
    await keeper.wait_state(room, TYPE, lambda now: now == {}, key=key)
    assert await who_is_banned(await whole_state(keeper, room), users) == {}
