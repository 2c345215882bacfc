"""The language of a room: the answer, the desk and all that stands there change to it at once, for everybody."""

from typing import Any

from tests.people.client import Client
from tests.theatre.scene import Theatre, ask
from tests.theatre.served import RULES, like


async def test_a_room_and_its_desk_speak_one_language_throughout(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, room, desk, owner, (manager,), (ann,) = (
        scene.bot,
        scene.room,
        scene.desk,
        scene.owner,
        scene.managers,
        scene.members,
    )
    await ann.send_text(room, "forbidden 1")
    card = await scene.card(manager, 1)
    await bot.idle()
    (notice,) = bot.rows("SELECT notice FROM rooms WHERE room = ?", room)[0]
    assert like("lang.own").search(await ask(manager, bot, room, "!lang en"))
    answer = await ask(manager, bot, desk, "!lang 中文 room")  # though he himself has chosen English
    assert like("lang.room", "zh", spoken="中文").fullmatch(answer)
    await bot.idle()
    assert like("desk.name", "zh").search(str(await manager.state(desk, "m.room.name")))
    assert like("card.head", "zh", n="1").search(await shown(manager, desk, card.id))
    (first,) = bot.rows("SELECT introduced FROM rooms WHERE room = ?", room)[0]
    assert like("joining.desk", "zh").search(await shown(manager, desk, first))
    assert like("joining.hello", "zh").search(await shown(owner, room, notice))
    for typed, key in {
        "!cases": "cases.head",
        "!mute": "error.missing.user",
        "!frobnicate": "error.unknown",
        "!help": "help.head",
        "!status": "status.numbers",
        "!rule list": "room-rule.head",
        "!set": "set.head",
    }.items():
        assert like(key, "zh").search(await ask(manager, bot, desk, typed)), typed
    assert like("status.numbers").search(await ask(manager, bot, room, "!status"))  # in the room, his own
    assert like("status.numbers", "zh").search(await ask(owner, bot, room, "!status"))
    assert like("set.done.language", spoken="English").search(await ask(owner, bot, desk, "!set language English"))
    await bot.idle()
    assert like("card.head", n="1").search(await shown(manager, desk, card.id))


async def shown(person: Client, room: str, event: str) -> str:
    """Return a message as it stands after its edits."""
    edits: list[dict[str, Any]] = [each["content"] for each in await person.messages(room, 200)]
    bodies = [
        each["m.new_content"]["body"]
        for each in edits
        if (to := each.get("m.relates_to", {})).get("rel_type") == "m.replace" and to.get("event_id") == event
    ]
    return str(bodies[-1]) if bodies else ""
