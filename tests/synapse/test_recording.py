"""Everything said and done in a room is in the journal."""

from moderation.model.facts import RoleChanged
from tests.theatre.scene import Theatre


async def test_all_kinds_of_events_are_in_the_journal_with_their_ids_and_words(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, owner, (manager,), (ann, ben) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    said = await ann.send_text(room, "hello 你好")
    await bot.has(said)  # before the homeserver takes its words away
    edited = await ann.edit(room, said, "hello again")
    liked = await ben.react(room, said, "👍")
    taken = await ann.redact(room, said, "changed my mind")
    named = await owner.set_state(room, "m.room.name", {"name": "Teahouse"})
    odd = await ben.send(room, "org.example.odd", {"any": {"thing": [1, "two"]}})
    await ben.leave(room)
    await owner.set_power(room, {ann.user: 50})
    await bot.has(said, edited, liked, taken, named, odd)
    await bot.until(lambda: any(fact.subject == ann.user for fact in bot.facts(RoleChanged)), "a change of role")
    gone = await owner.request("GET", "rooms", room, "state", "m.room.member", ben.user, query={"format": "event"})

    record = {name: bot.record_of(event) for name, event in locals_of(said, edited, liked, taken, named, odd)}
    relation = {"m.relates_to": {"rel_type": "m.replace", "event_id": said}}
    assert {name: (r.kind, _words(r)) for name, r in record.items()} == {
        "said": ("message", {"body": "hello 你好", "content": {"msgtype": "m.text"}}),
        "edited": (
            "edit",
            {
                "body": "* hello again",
                "content": {"msgtype": "m.text", "m.new_content": {"msgtype": "m.text", "body": "hello again"}}
                | relation,
            },
        ),
        "liked": (
            "message",
            {
                "type": "m.reaction",
                "content": {"m.relates_to": {"rel_type": "m.annotation", "event_id": said, "key": "👍"}},
            },
        ),
        "taken": (
            "redact",
            {
                "type": "m.room.redaction",
                "content": {"redacts": said, "reason": "changed my mind"},
                "target": said,
            },
        ),
        "named": ("state", {"type": "m.room.name", "key": "", "content": {"name": "Teahouse"}}),
        "odd": ("message", {"type": "org.example.odd", "content": {"any": {"thing": [1, "two"]}}}),
    }
    left = bot.record_of(gone["event_id"])
    assert (left.kind, left.fields, left.parts[0]["key"]) == ("leave", {"membership": "leave"}, ben.user)
    changes = [(fact.subject, fact.was, fact.role) for fact in bot.facts(RoleChanged)]
    assert changes == [
        *sorted([(manager.user, "member", "manager"), (owner.user, "member", "owner")]),
        (ann.user, "member", "manager"),
    ]
    # The message is gone from the room, its words stay on record.
    assert await owner.is_redacted(room, said)


def locals_of(*events: str) -> list[tuple[str, str]]:
    return list(zip(("said", "edited", "liked", "taken", "named", "odd"), events, strict=True))


def _words(record: object) -> dict[str, object]:
    part = record.parts[0]  # type: ignore[attr-defined]
    return {name: part[name] for name in ("type", "body", "content", "key", "target") if name in part}
