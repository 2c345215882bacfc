"""Words that people can read and no rule found. All disguises: `tests/unit/moderation/judge/disguises.jsonl`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.door.offline import ANNA, MARK, Offline, offline

RULES = """
[[rules]]
name = "words"
kind = "terms"
class = "serious"
decide = "auto"
measure = "redact"
terms = ["forbidden"]
[[rules]]
name = "links"
kind = "links"
deny = ["*"]
[[rules]]
name = "flood"
kind = "flood"
decide = "auto"
measure = "redact"
messages = 3
[[rules]]
name = "pictures"
kind = "media"
decide = "auto"
measure = "redact"
kinds = []
"""


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        yield served


async def removed(bot: Offline, event: str) -> bool:
    rows = await bot.rows("SELECT json_extract(action, '$.event') FROM outbox WHERE action LIKE '%\"redact\"%'")
    return (event,) in rows


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


async def test_words_turned_by_an_override(bot: Offline) -> None:
    assert await removed(bot, await bot.event(ANNA, "m.room.message", text("so \u202eneddibrof\u202c!")))


@pytest.mark.parametrize(
    "body",
    ["uǝppᴉqɹoɟ", "⠋⠕⠗⠃⠊⠙⠙⠑⠝", "ffoorrbbiiddddeenn", "for-bidden", "for😀bidden", "for\nbidden"],
    ids=["upside down", "Braille", "doubled letters", "a hyphen", "an emoji", "a line break"],
)
async def test_words_cut_turned_and_stretched(bot: Offline, body: str) -> None:
    assert await removed(bot, await bot.event(ANNA, "m.room.message", text(body)))


def answers(event: str) -> dict[str, Any]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": event}}}


async def test_words_put_into_the_quotation_of_a_reply(bot: Offline) -> None:
    said = await bot.event(MARK, "m.room.message", text("good morning"))
    put = text(f"> <{MARK}> forbidden\n\nI agree", **answers(said))
    assert await removed(bot, await bot.event(ANNA, "m.room.message", put))


async def test_words_put_into_the_mx_reply_of_a_reply(bot: Offline) -> None:
    said = await bot.event(MARK, "m.room.message", text("good morning"))
    html = (
        f'<mx-reply><blockquote><a href="https://matrix.to/#/{MARK}">{MARK}</a><br>forbidden</blockquote></mx-reply>yes'
    )
    put = text("yes", format="org.matrix.custom.html", formatted_body=html, **answers(said))
    assert await removed(bot, await bot.event(ANNA, "m.room.message", put))


async def test_a_true_quotation_is_not_judged_as_the_repliers_words(bot: Offline) -> None:
    said = await bot.event(MARK, "m.room.message", text("that is forbidden here, all of it"))
    html = (
        '<mx-reply><blockquote><a href="https://matrix.to/#/x">In reply to</a> '
        f'<a href="https://matrix.to/#/{MARK}">{MARK}</a><br>that is forbidden here, all of it'
        "</blockquote></mx-reply>I see"
    )
    body = f"> <{MARK}> that is forbidden here, all of it\n\nI see"
    reply = text(body, format="org.matrix.custom.html", formatted_body=html, **answers(said))
    assert not await removed(bot, await bot.event(ANNA, "m.room.message", reply))


async def test_words_outside_an_edit_whose_new_content_is_harmless(bot: Offline) -> None:
    said = await bot.event(ANNA, "m.room.message", text("hello"))
    relates = {"m.relates_to": {"rel_type": "m.replace", "event_id": said}}
    for new in (text("hello"), {}):
        edit = text("* forbidden", **{"m.new_content": new, **relates})
        assert await removed(bot, await bot.event(ANNA, "m.room.message", edit))


async def test_a_word_as_the_key_of_a_reaction(bot: Offline) -> None:
    said = await bot.event(MARK, "m.room.message", text("hello"))
    relates = {"rel_type": "m.annotation", "event_id": said, "key": "forbidden"}
    assert await removed(bot, await bot.event(ANNA, "m.reaction", {"m.relates_to": relates}))


@pytest.mark.parametrize(
    ("membership", "whose"), [("leave", ANNA), ("invite", "@carl:example.org")], ids=["leaving", "inviting"]
)
async def test_words_as_the_reason_of_leaving_or_inviting(bot: Offline, membership: str, whose: str) -> None:
    content = {"membership": membership, "reason": "forbidden"}
    assert await removed(bot, await bot.event(ANNA, "m.room.member", content, key=whose))


async def test_words_as_the_reason_of_a_redaction(bot: Offline) -> None:
    said = await bot.event(ANNA, "m.room.message", text("hello"))
    assert await removed(bot, await bot.event(ANNA, "m.room.redaction", {"redacts": said, "reason": "forbidden"}))


async def test_words_at_the_end_of_a_poll(bot: Offline) -> None:
    content = {"m.text": [{"body": "forbidden"}], "m.relates_to": {"rel_type": "m.reference", "event_id": "$poll"}}
    assert await removed(bot, await bot.event(ANNA, "m.poll.end", content))


async def test_a_picture_inside_the_text(bot: Offline) -> None:
    html = '<img src="mxc://example.org/a" alt="x">'
    assert await removed(bot, await bot.event(ANNA, "m.room.message", text("x", formatted_body=html)))


async def test_a_picture_as_a_reaction(bot: Offline) -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$event1", "key": "mxc://example.org/a"}
    assert await removed(bot, await bot.event(ANNA, "m.reaction", {"m.relates_to": relates}))


A_PICTURE, ANOTHER = "mxc://example.org/a", "mxc://example.org/b"
GALLERIES: dict[str, dict[str, Any]] = {
    "harmless words": {"body": "hello", "itemtypes": [{"itemtype": "m.image", "body": "a.png", "url": A_PICTURE}]},
    "no pictures": {"body": "forbidden", "itemtypes": []},
    "the name of a picture": {"body": "hello", "dm.filament.itemtypes": [{"itemtype": "m.file", "body": "forbidden"}]},
    "the caption of a picture": {
        "body": "hello",
        "itemtypes": [{"itemtype": "m.image", "body": "a", "m.caption": {"m.text": [{"body": "forbidden"}]}}],
    },
}


@pytest.mark.parametrize("gallery", GALLERIES.values(), ids=GALLERIES)
async def test_galleries(bot: Offline, gallery: dict[str, Any]) -> None:
    content = {"msgtype": "dm.filament.gallery", **gallery}
    assert await removed(bot, await bot.event(ANNA, "m.room.message", content))


async def test_a_file_of_an_unknown_type_of_message_or_event(bot: Offline) -> None:
    message = {"msgtype": "org.example.picture", "body": "x", "url": A_PICTURE}
    assert await removed(bot, await bot.event(ANNA, "m.room.message", message))
    content: dict[str, Any] = {"m.text": [{"body": "x"}], "m.file": {"url": A_PICTURE}}
    assert await removed(bot, await bot.event(ANNA, "org.matrix.msc1767.image", content))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("m.beacon_info", {"description": "forbidden", "live": True}),
        ("im.vector.modular.widgets", {"name": "forbidden", "url": "https://example.org/"}),
        ("im.vector.modular.widgets", {"name": "game", "url": "https://forbidden.example.org/"}),
    ],
    ids=["a beacon", "the name of a widget", "the address of a widget"],
)
async def test_words_of_beacons_and_widgets(bot: Offline, kind: str, content: dict[str, Any]) -> None:
    assert await removed(bot, await bot.event(ANNA, kind, content, key="x"))


async def test_all_pictures_of_an_event_are_hashed_and_no_more_than_fifty(bot: Offline) -> None:
    html = "".join(f"<img src='mxc://example.org/{number}'>" for number in range(99))
    relates = {"rel_type": "m.annotation", "event_id": "$event1", "key": ANOTHER}
    item = {"itemtype": "m.video", "body": "a", "url": A_PICTURE, "info": {"thumbnail_url": ANOTHER}}
    await bot.event(ANNA, "m.room.message", {"msgtype": "dm.filament.gallery", "body": "x", "itemtypes": [item]})
    await bot.event(ANNA, "m.reaction", {"m.relates_to": relates})
    await bot.event(ANNA, "m.room.message", text("x", formatted_body=html))
    asked = await bot.rows(
        "SELECT json_extract(action, '$.url') FROM outbox WHERE json_extract(action, '$.do') = 'media'"
    )
    assert [url for (url,) in asked[:3]] == [A_PICTURE, ANOTHER, ANOTHER]
    assert len(asked) == 3 + 50


async def test_a_picture_as_a_reaction_is_no_link(bot: Offline) -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$event1", "key": A_PICTURE}
    await bot.event(ANNA, "m.reaction", {"m.relates_to": relates})
    assert await bot.rows("SELECT rule FROM cases") == [("pictures",)]


async def test_a_flood_of_reactions(bot: Offline) -> None:
    for number in range(4):
        relates = {"rel_type": "m.annotation", "event_id": "$event1", "key": "👍" * (number + 1)}
        last = await bot.event(ANNA, "m.reaction", {"m.relates_to": relates})
    assert await bot.rows("SELECT rule FROM cases") == [("flood",)]
    assert await removed(bot, last)


async def test_a_flood_of_edits(bot: Offline) -> None:
    said = await bot.event(ANNA, "m.room.message", text("hello"))
    for number in range(3):
        new = {"m.new_content": text(f"hello {number}"), "m.relates_to": {"rel_type": "m.replace", "event_id": said}}
        last = await bot.event(ANNA, "m.room.message", text(f"* hello {number}", **new))
    assert await removed(bot, last)


async def test_a_flood_of_coming_and_going(bot: Offline) -> None:
    for _ in range(5):  # counted since the start of the bot
        await bot.membership(ANNA, "leave")
        await bot.membership(ANNA, "join")
    assert await bot.rows("SELECT rule FROM cases") == [("flood",)]


async def test_a_report_by_reaction_is_not_judged_as_words(bot: Offline) -> None:
    said = await bot.event(MARK, "m.room.message", text("hello"))
    event = await bot.event(
        ANNA, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": said, "key": "🚩"}}
    )
    assert not any(rule == "words" for (rule,) in await bot.rows("SELECT rule FROM cases"))
    assert event
