"""Messages, stickers, polls and edits: their texts, mentions and relations."""

from typing import Any

import pytest

from bot.events.parse_event import receive
from moderation.values.events import Media, MessagePosted, Received, Text
from moderation.values.ids import EventId, UserId
from tests.unit.bot.events.raw_events import NOW, ROOM, base, raw

REPLY = {"m.in_reply_to": {"event_id": "$earlier"}}


def read(event: object, **options: bool) -> Received:
    return receive(event, ROOM, NOW, **options)


def posted(**content: object) -> MessagePosted:
    message = read(raw(content={"msgtype": "m.text", **content}))
    assert isinstance(message, MessagePosted)
    return message


def texts(**content: object) -> list[tuple[str, str]]:
    return [(text.where, text.value) for text in posted(**content).texts]


# --- ordinary messages


def test_a_plain_message_keeps_its_body_and_its_raw_content() -> None:
    event = raw(content={"msgtype": "m.text", "body": "你好"})
    assert read(event) == MessagePosted(**base(event), texts=(Text("body", "你好"),))


def test_a_decrypted_message_says_that_it_was_encrypted() -> None:
    event = raw(content={"msgtype": "m.text", "body": "hi"})
    expected = MessagePosted(**base(event), texts=(Text("body", "hi"),), encrypted=True)
    assert read(event, encrypted=True) == expected


def test_a_notice_is_marked_so_that_no_bot_answers_it() -> None:
    assert posted(msgtype="m.notice", body="I am a bot").is_notice


@pytest.mark.parametrize("msgtype", ["m.emote", "org.example.new", None, 7, ["m.image"]])
def test_a_message_of_any_type_is_judged_by_its_body(msgtype: object) -> None:
    assert texts(msgtype=msgtype, body="hi") == [("body", "hi")]


def test_an_empty_body_is_a_message_without_texts() -> None:
    assert posted(body="").texts == ()


def test_formatted_text_counts_only_where_it_says_something_else() -> None:
    html = "<p>one</p>\n<p>two &amp; <b>three</b></p>"
    assert texts(body="one\ntwo & three", formatted_body=html) == [("body", "one\ntwo & three")]
    assert texts(body="hello", formatted_body="<i>other</i>") == [("body", "hello"), ("formatted", "other")]


def test_a_message_with_only_a_formatted_text_is_read() -> None:
    assert texts(formatted_body="<i>other</i>") == [("formatted", "other")]


def test_extensible_texts_count_where_they_say_something_else() -> None:
    content = {
        "body": "hello",
        "m.text": [{"body": "hello"}, {"mimetype": "text/html", "body": "<b>rich</b>"}, {"body": "more"}, 3],
        "org.matrix.msc1767.text": "old",
    }
    expected = [("body", "hello"), ("formatted", "rich"), ("body", "more"), ("body", "old")]
    assert texts(**content) == expected


def test_lone_surrogates_become_replacement_characters() -> None:
    assert texts(body="a\ud800b") == [("body", "a\ufffdb")]


# --- files, stickers, polls

INFO = {"mimetype": "image/png", "size": 1234}
PICTURE = Media(kind="image", mimetype="image/png", size=1234, url="mxc://example.org/abc")


def test_a_file_without_a_filename_is_named_by_its_body() -> None:
    message = posted(msgtype="m.image", body="cat.png", url="mxc://example.org/abc", info=INFO)
    assert (message.texts, message.media) == ((Text("filename", "cat.png"),), (PICTURE,))


def test_a_file_with_another_filename_has_its_body_as_caption() -> None:
    content = {
        "msgtype": "m.file",
        "body": "my cat",
        "filename": "cat.png",
        "formatted_body": "<b>fat</b> cat",
    }
    assert texts(**content) == [("caption", "my cat"), ("filename", "cat.png"), ("formatted", "fat cat")]


def test_a_filename_that_repeats_the_body_is_no_caption() -> None:
    assert texts(msgtype="m.video", body="a.mp4", filename="a.mp4") == [("filename", "a.mp4")]


def test_an_encrypted_file_has_its_address_inside() -> None:
    message = posted(msgtype="m.audio", body="a.ogg", file={"url": "mxc://example.org/abc"})
    assert message.media == (Media(kind="audio", url="mxc://example.org/abc", sealed={"url": "mxc://example.org/abc"}),)


@pytest.mark.parametrize("size", [-1, 2**53, 1.5, True, "10", None])
def test_wrong_fields_of_a_file_are_left_out(size: object) -> None:
    message = posted(msgtype="m.file", body="a", url="https://e.org/a", info={"size": size, "mimetype": 1})
    assert message.media == (Media(kind="file"),)


def test_a_location_is_judged_by_its_description_too() -> None:
    message = posted(msgtype="m.location", body="geo:1,2", **{"m.location": {"description": "my home"}})
    assert message.texts == (Text("body", "geo:1,2"), Text("body", "my home"))
    assert message.media == (Media(kind="location"),)


def test_a_sticker_is_a_message_with_media() -> None:
    event = raw("m.sticker", {"body": "a cat", "url": "mxc://example.org/abc", "info": {}})
    media = (Media(kind="sticker", url="mxc://example.org/abc"),)
    assert read(event) == MessagePosted(**base(event), texts=(Text("body", "a cat"),), media=media)


STABLE_POLL = {
    "m.text": [{"body": "Lunch?\n1. Rice\n2. Soup"}],
    "m.poll": {
        "question": {"m.text": [{"body": "Lunch?"}]},
        "answers": [
            {"m.id": "1", "m.text": [{"body": "Rice"}]},
            {"m.id": "2", "m.text": [{"body": "Soup"}]},
        ],
    },
}
UNSTABLE_POLL = {
    "org.matrix.msc1767.text": "Lunch?\n1. Rice\n2. Soup",
    "org.matrix.msc3381.poll.start": {
        "question": {"org.matrix.msc1767.text": "Lunch?", "body": "Lunch?", "msgtype": "m.text"},
        "answers": [
            {"id": "1", "org.matrix.msc1767.text": "Rice"},
            {"id": "2", "org.matrix.msc1767.text": "Soup"},
        ],
    },
}
POLLS = [("m.poll.start", STABLE_POLL), ("org.matrix.msc3381.poll.start", UNSTABLE_POLL)]


@pytest.mark.parametrize(("type_", "content"), POLLS)
def test_question_and_answers_of_a_poll_are_texts(type_: str, content: dict[str, object]) -> None:
    event = raw(type_, content)
    expected = tuple(Text("poll", value) for value in ("Lunch?", "Rice", "Soup"))
    assert read(event) == MessagePosted(**base(event), texts=expected)


def test_a_poll_whose_fallback_says_more_is_judged_by_it_too() -> None:
    event = raw("m.poll.start", {**STABLE_POLL, "m.text": "Lunch? Buy coins"})
    message = read(event)
    assert isinstance(message, MessagePosted)
    assert message.texts[-1] == Text("poll", "Lunch? Buy coins")


def test_a_changed_poll_is_judged_by_the_new_one() -> None:
    relates = {"rel_type": "m.replace", "event_id": "$earlier"}
    message = read(raw("m.poll.start", {"m.relates_to": relates, "m.new_content": STABLE_POLL}))
    assert isinstance(message, MessagePosted)
    assert (message.replaces, message.body) == (EventId("$earlier"), "Lunch?")


# --- relations


def test_an_edit_has_the_texts_of_the_new_content() -> None:
    event = raw(
        content={
            "msgtype": "m.text",
            "body": "* new",
            "m.new_content": {
                "msgtype": "m.notice",
                "body": "new",
                "m.mentions": {"user_ids": ["@bob:b.org"]},
            },
            "m.mentions": {"user_ids": ["@cy:c.org"]},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$earlier"},
        }
    )
    assert read(event) == MessagePosted(
        **base(event),
        texts=(Text("body", "new"),),
        replaces=EventId("$earlier"),
        mentions=frozenset({UserId("@bob:b.org"), UserId("@cy:c.org")}),
        is_notice=True,
    )


@pytest.mark.parametrize("new", [None, "text", []])
def test_an_edit_that_no_client_applies_is_a_message_of_its_own(new: object) -> None:
    relates = {"rel_type": "m.replace", "event_id": "$earlier"}
    message = posted(body="* new", **{"m.new_content": new, "m.relates_to": relates})
    assert (message.replaces, message.body) == (None, "* new")


def test_the_quotation_in_front_of_a_reply_is_not_the_senders_text() -> None:
    message = posted(
        body="> <@bob:b.org> buy coins\n> now\n\nplease stop",
        formatted_body="<mx-reply><blockquote>buy coins</blockquote></mx-reply><b>please</b> stop",
        **{"m.relates_to": REPLY},
    )
    assert message.texts == (Text("body", "please stop"),)
    assert message.reply_to == EventId("$earlier")


@pytest.mark.parametrize(
    "body",
    [
        "> <@bob:b.org> buy coins",
        "> <@bob:b.org> buy coins\nnow",
        "> buy coins\n\nnow",
        "> <@bob:b.org> a\n\n ",
    ],
)
def test_a_text_that_merely_looks_like_a_quotation_is_judged(body: str) -> None:
    assert posted(body=body, **{"m.relates_to": REPLY}).body == body


def test_a_quotation_outside_a_reply_is_judged() -> None:
    body, html = "> <@bob:b.org> buy\n\ncoins", "<mx-reply>buy</mx-reply> more"
    assert texts(body=body, formatted_body=html) == [("body", body), ("formatted", "buy more")]


@pytest.mark.parametrize(("falls_back", "reply_to"), [(True, None), (False, "$earlier"), (None, "$earlier")])
def test_a_thread_reply_counts_as_reply_only_where_it_is_meant(falls_back: object, reply_to: str) -> None:
    relates = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": falls_back, **REPLY}
    message = posted(body="hi", **{"m.relates_to": relates})
    assert (message.thread, message.reply_to) == (EventId("$root"), reply_to)


def test_declared_and_linked_people_are_mentioned() -> None:
    message = posted(
        body="hi Cy",
        formatted_body='hi <a href="https://matrix.to/#/%40cy%3Ac.org?via=c.org">Cy</a>',
        **{"m.mentions": {"user_ids": ["@bob:b.org", "bob", 7, "@\ud800:b.org"], "room": True}},
    )
    assert message.mentions == {UserId("@bob:b.org"), UserId("@cy:c.org")}
    assert message.mentions_room


@pytest.mark.parametrize("mentions", [[], "@bob:b.org", {"user_ids": "@bob:b.org", "room": 1}])
def test_malformed_mentions_name_nobody(mentions: object) -> None:
    message = posted(body="hi", **{"m.mentions": mentions})
    assert (message.mentions, message.mentions_room) == (frozenset(), False)


# --- malformed content


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("field", ["msgtype", "formatted_body", "m.mentions", "m.relates_to", "info", "m.text"])
@pytest.mark.parametrize(
    "value",
    [nested(20_000), 1 << 20_000, float("nan"), "\ud800", {"": {}}],
    ids=["deep", "big", "nan", "surrogate", "object"],
)
def test_a_malformed_detail_does_not_exempt_a_message(field: str, value: object) -> None:
    message = posted(body="buy coins", **{field: value})
    assert message.body == "buy coins"
