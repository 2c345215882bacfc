"""Words that everybody shall see and nobody record: messages that only look like `!verify`."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql

from bot.events.parse_event import receive
from storage.record_mapping import raw_of_record
from tests.door.offline import ANNA, OLGA, ROOM, Offline, offline
from tests.theatre.opened import places_of

INSULT = "Mina is a thief and everybody shall know it"
OBSERVED = {"users": {str(OLGA): 100}}


async def recorded(bot: Offline, event: str) -> str:
    """Return what the journal has of an event, as text."""
    part = next(r for r in bot.stores.journal.read() if r.parts and r.parts[0].get("ev") == event)
    return json.dumps(raw_of_record(part), ensure_ascii=False)


async def removals(bot: Offline, event: str) -> int:
    waiting = "SELECT json_extract(action, '$.event') FROM outbox WHERE action LIKE '%\"redact\"%'"
    return sum(found == event for (found,) in await bot.rows(waiting))


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


EDIT = {"rel_type": "m.replace", "event_id": "$event1"}
LOOK_LIKE_IT = {
    "a notice with HTML": text("!verify 12345678", msgtype="m.notice", formatted_body=f"<b>{INSULT}</b>"),
    "a notice": text(f"!verify {INSULT}", msgtype="m.notice"),
    "an emote": text(f"!verify {INSULT}", msgtype="m.emote"),
    "HTML beside it": text("!verify 12345678", format="org.matrix.custom.html", formatted_body=INSULT),
    "an edit": text("* !verify 1", **{"m.new_content": text(f"!verify {INSULT}"), "m.relates_to": EDIT}),
    "HTML of an edit": text(
        "* !verify 12345678",
        **{"m.new_content": text("!verify 12345678", formatted_body=INSULT), "m.relates_to": EDIT},
    ),
    "a caption": text("!verify 12345678", msgtype="m.image", filename=INSULT, url="mxc://example.org/a"),
    "words behind the command": text(f"!verify {INSULT}"),
    "words behind the code": text(f"!verify 12345678 {INSULT}"),
    "a way and words": text(f"!verify email {INSULT}"),
    "words in an address": text("!verify email Mina-ist-eine-Diebin-" + "x" * 300 + "@example.org"),
    "an extensible text": text("!verify 12345678", **{"org.matrix.msc1767.text": INSULT}),
    "a relation with words": text("!verify 12345678", **{"m.relates_to": {"rel_type": INSULT, "event_id": "$event1"}}),
    "a preview": text("!verify 12345678", **{"com.beeper.linkpreviews": [{"og:title": INSULT}]}),
}


@pytest.mark.parametrize("content", LOOK_LIKE_IT.values(), ids=LOOK_LIKE_IT)
async def test_text_that_merely_looks_like_a_verify_command_is_recorded_in_full(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    async with offline(tmp_path) as bot:
        event = await bot.event(ANNA, "m.room.message", content)
        found = await recorded(bot, event)
    assert all(json.dumps(value, ensure_ascii=False) in found for value in _leaves(content))


async def test_a_poll_that_begins_like_a_verify_command_is_recorded(tmp_path: Path) -> None:
    poll = {"question": {"m.text": "!verify 12345678"}, "answers": [{"id": "1", "m.text": INSULT}]}
    async with offline(tmp_path) as bot:
        event = await bot.event(ANNA, "m.poll.start", {"m.poll": poll})
        assert INSULT in await recorded(bot, event)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("!verify email ann@example.org", "!verify email …"),
        ("!verify 1234 5678", "!verify …"),
        ("!VERIFY:ann@example.org", "!verify …"),
        ("! verify 12345678", "!verify …"),
        ("!验证 12345678", "!verify …"),
        ("!verify roster K7QX-2MPD-9HWA-4TRC", "!verify roster …"),
    ],
)
async def test_a_code_said_in_a_group_is_left_out_of_the_record_and_the_message_removed(
    tmp_path: Path, body: str, kept: str
) -> None:
    async with offline(tmp_path) as bot:
        event = await bot.event(ANNA, "m.room.message", text(body))
        assert json.loads(await recorded(bot, event))["content"] == text(kept)
        assert await removals(bot, event) == 1
        secrets = ("ann@example.org", "1234 5678", "12345678", "K7QX-2MPD", "K7QX2MPD")
        assert [places_of(secret, bot.config.place) for secret in secrets] == [[]] * 5


async def test_a_code_said_in_a_thread_is_treated_the_same(tmp_path: Path) -> None:
    thread = {"rel_type": "m.thread", "event_id": "$e", "is_falling_back": True, "m.in_reply_to": {"event_id": "$e"}}
    async with offline(tmp_path) as bot:
        event = await bot.event(ANNA, "m.room.message", text("!verify 12345678", **{"m.relates_to": thread}))
        assert "12345678" not in await recorded(bot, event)


async def test_a_code_message_that_the_bot_cannot_remove_is_recorded(tmp_path: Path) -> None:
    async with offline(tmp_path, levels=OBSERVED) as bot:
        event = await bot.event(ANNA, "m.room.message", text("!verify email you.are.a.thief@example.org"))
        assert "you.are.a.thief" in await recorded(bot, event)


async def test_rules_still_judge_a_message_with_a_code(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.event(ANNA, "m.room.message", text("!verify email forbidden@example.org"))
        assert await bot.rows("SELECT n, excerpt FROM cases") == [(1, "")]


async def test_a_code_message_is_removed_after_a_crash_too(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        raw = bot.raw(ANNA, "m.room.message", text("! verify 12345678"))
        await bot.pipeline.take([receive(raw, ROOM, bot.time())])
        async with bot.stores.database.write() as db:  # as if the tables had not been written
            await db.execute(sql("DELETE FROM outbox"))
            await db.execute(sql("DELETE FROM events WHERE event = :event"), {"event": raw["event_id"]})
            index = bot.stores.journal.size - 1
            await db.execute(sql("UPDATE meta SET value = :at WHERE key = 'applied'"), {"at": str(index)})
    async with offline(tmp_path) as bot:
        assert await removals(bot, raw["event_id"]) == 1


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    return [value] if isinstance(value, str) and " " in value else []
