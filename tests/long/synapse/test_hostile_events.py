"""Hostile events from real clients, as far as a real homeserver accepts them: the bot records them and goes on."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from moderation.model.facts import CaseDecided, CaseOpened, NotSeen
from moderation.values.ids import EventId
from tests.fuzz import events
from tests.fuzz.vocabulary import BIDI, NUMBERS, deep
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, answer, ask, open_direct, told
from tests.theatre.served import RULES, like

_numbers = itertools.count()


async def test_hostile_messages_are_recorded_and_the_bot_goes_on(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    contents = [raw["content"] for raw in events.heavy().values() if raw["type"] == "m.room.message"]
    contents += [{"msgtype": "m.text", "body": "x", "deep": deep(levels)} for levels in (60, 400, 900, 1500, 4000)]
    contents += [{"msgtype": "m.text", "body": "x", **odd} for odd in _odd()]
    sent = await _send_all(scene, [("m.room.message", content) for content in contents])
    assert len(sent) > len(contents) // 2  # most of it a homeserver lets through
    await _goes_on(scene, sent)


async def test_hostile_events_of_every_type_are_recorded_and_the_bot_goes_on(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    card = await _card(scene)
    types = (*events.MESSAGES, *events.OTHERS, "m.room.redaction", "org.answerable.card")
    relation = {"rel_type": "m.annotation", "event_id": card, "key": "\u2705"}
    contents: list[Any] = [{}, {"body": 1}, {"m.relates_to": 1}, {"m.relates_to": relation}, {"m.new_content": []}]
    contents += [{"m.relates_to": {"rel_type": "m.replace", "event_id": "$nowhere"}, "m.new_content": {"body": "!ban"}}]
    sent = await _send_all(scene, [(type_, content) for type_ in types for content in contents])
    assert len(sent) > len(types)
    await _goes_on(scene, sent)
    assert [fact for fact in scene.bot.facts(NotSeen) if fact.what == "failed"] == []


async def test_hostile_state_of_a_room_is_recorded_and_the_bot_goes_on(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    room, owner, ann = scene.room, scene.owner, scene.members[0]
    name = f"<h1>{BIDI}</h1>\n=1+1 {{who}} ../../x"
    states: list[tuple[str, str, Mapping[str, Any]]] = [
        ("m.room.name", "", {"name": name}),
        ("m.room.name", "", {"name": ["x"]}),
        ("m.room.topic", "", {"topic": name, "m.topic": {"m.text": [{"body": name, "mimetype": "text/html"}, 1]}}),
        ("m.room.pinned_events", "", {"pinned": [1, None, "$x", name]}),
        ("m.room.join_rules", "", {"join_rule": "restricted", "allow": [1, {"type": name}]}),
        ("m.room.server_acl", "", {"allow": ["*"], "deny": [name]}),
        ("m.room.power_levels", "..", {"users": {ann.user: 100}}),
        ("org.answerable.made_for", "../x", {"purpose": "desk", "served": "G-2222"}),
        ("m.room.member", ann.user, {"membership": "join", "displayname": name}),
    ]
    sent = []
    for type_, key, content in states:
        who = ann if type_ == "m.room.member" else owner
        status, event = await _put(who, room, f"state/{type_}/{quote(key, safe='')}", content)
        sent += [event] if status == 200 else []
    assert len(sent) > len(states) // 2
    await _goes_on(scene, sent)
    assert (await ask(scene.managers[0], scene.bot, scene.desk, "!status")).count("\n") < 10


async def test_numbers_of_old_rooms_are_recorded_and_the_bot_goes_on(theatre: Theatre) -> None:
    """Before room version 6 a homeserver takes fractions and numbers of any size."""
    scene = await theatre.scene(RULES, members=2, version="5")
    sent = await _send_all(
        scene, [("m.room.message", {"msgtype": "m.image", "body": "x", "info": {"size": number}}) for number in NUMBERS]
    )
    assert len(sent) > len(NUMBERS) // 2
    await _goes_on(scene, sent)


async def test_copies_of_bot_messages_have_no_effect(theatre: Theatre) -> None:
    """A member copies a card, the bot's marks, a code, or a decision in the bot's words, in every room."""
    scene = await theatre.scene(RULES, members=2)
    bot, (ann, ben) = scene.bot, scene.members
    card = await _card(scene)
    seen = next(each for each in scene.managers[0].seen if each.id == card)
    direct, sent = await open_direct(ben, bot), []
    for room in (scene.room, direct):
        copied = await ben.send(room, "m.room.message", {**seen.content, "msgtype": "m.notice"})
        sent += [copied, await ben.react(room, copied, "\u274c")]
        card_like = {"org.answerable.card": {"case": 1, "request": "x"}}
        sent.append(await ben.send_text(room, "Dismissed by the owner.", **card_like))
        sent.append(await ben.send_text(room, "1234 5678"))
    await bot.has(*sent)
    await _goes_on(scene, [])
    assert bot.facts(CaseDecided) == []
    assert [fact.n for fact in bot.facts(CaseOpened) if fact.subject == ann.user] == [1]


def _odd() -> list[dict[str, Any]]:
    edit = {"m.new_content": {"msgtype": "m.text", "body": "!ban @all:localhost"}}
    return [
        {"m.mentions": {"user_ids": [f"@u{number}:x.org" for number in range(4000)], "room": "yes"}},
        {"m.relates_to": {"m.in_reply_to": {"event_id": "$../../../../etc/passwd"}}},
        {**edit, "m.relates_to": {"rel_type": "m.replace", "event_id": "$somebody-elses"}},
        {"__proto__": {"body": "y"}, "constructor": {"prototype": {}}, "": 1, "__class__": None},
        {"formatted_body": ["x"], "format": 7, "m.mentions": [1], "m.relates_to": "x", "msgtype": 5},
        {"body": f"{BIDI}@room {BIDI}" * 500},
        {"body": "half a pair \ud800 here", "\udfff": "\ud800"},
        {"n": float("nan"), "i": float("inf")},
        {"n": 10**400},
        {"n": 2**53},
        {"msgtype": "m.key.verification.request", "to": "@nobody:localhost", "from_device": "../x", "methods": [1]},
    ]


async def _card(scene: Scene) -> EventId:
    await scene.members[0].send_text(scene.room, "forbidden 17")
    return EventId((await scene.card(scene.managers[0], 1)).id)


async def _send_all(scene: Scene, what: list[tuple[str, Any]]) -> list[str]:
    """Send events, and return those that the homeserver accepted."""
    ann, room = scene.members[-1], scene.room
    sent = await asyncio.gather(*(_put(ann, room, f"send/{quote(t, safe='')}/h{next(_numbers)}", c) for t, c in what))
    return [event for status, event in sent if status == 200]


async def _goes_on(scene: Scene, sent: list[str]) -> None:
    """Check that all events are recorded and judged, and questions are answered; the theatre verifies the log."""
    bot, manager = scene.bot, scene.managers[0]
    asked = await manager.send_text(scene.desk, "!status")
    assert like("status.room").search((await answer(manager, bot, scene.desk, asked)).body)
    await bot.has(*sent, asked)
    assert set(sent) <= set(bot.recorded(scene.room))
    bot.must_live()


async def _put(who: Client, room: str, path: str, content: Any) -> tuple[int, str]:
    """Send JSON as Python writes it, which allows content that a careful client would not send."""
    headers = {"Authorization": f"Bearer {who.token}", "Content-Type": "application/json"}
    url = f"{who.url}/_matrix/client/v3/rooms/{quote(room)}/{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, data=_written(content), headers=headers) as response,
    ):
        return response.status, str((await response.json(content_type=None)).get("event_id", ""))


def _written(content: Any) -> str:
    try:
        return json.dumps(content)
    except RecursionError:  # the text itself is easily made
        levels = 4000
        return '{"msgtype":"m.text","body":"x","deep":' + "[" * levels + "]" * levels + "}"


async def test_ciphertext_in_a_plain_room_is_told_to_its_sender_and_the_desk(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    content = {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "s", "ciphertext": "A", "sender_key": "k"}
    await ann.send(scene.room, "m.room.encrypted", content)
    await told(ann, bot, like("sealed.plain"))
    await scene.wait_desk(
        manager, lambda seen: like("desk.sealed.plain", who=ann.user).search(seen.body) is not None, "a word"
    )
