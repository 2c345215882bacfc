"""Lines as Matrix messages: language, escaping, mentions, and the place of a message."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.texts.catalog import LANGUAGES, Catalog, fields_of
from bot.texts.matrix_message import Speech, in_reply, in_thread, replacing
from moderation.policy import Policy
from moderation.values.ids import EventId, UserId
from moderation.values.notices import Code, Link, Moment, Phrase, RoomName, RuleText, Span, Who, line

ANNA = UserId("@anna:example.org")
NOON = 1_795_521_600_000
RULES: list[dict[str, Any]] = [
    {"name": "spam", "kind": "terms", "terms": ["spam"], "text": {"en": "No advertising", "zh": "不做广告"}},
    {"name": "tea", "kind": "terms", "terms": ["tea"], "text": {"en": "No tea"}},
    {"name": "bare", "kind": "terms", "terms": ["bare"]},
]
CATALOG = Catalog.load().with_clock(lambda: NOON - 86_400_000)
SPEECH = Speech(CATALOG, Policy.model_validate({"rules": RULES}), "en")
ROOMS = {"!r:x.org": "Garden (G-7F3K)"}


def test_what_the_bot_says_is_a_notice_in_text_and_html_that_rings_nobody() -> None:
    said = SPEECH.message(
        (line("notice.reason", reason="a <b> & more"), line("measure.within", until=Moment(NOON))), "en", {}
    )
    assert said == {
        "msgtype": "m.notice",
        "body": "Reason: a <b> & more\nDeadline: in 24 h (24 Nov, 12:00 UTC).",
        "format": "org.matrix.custom.html",
        "formatted_body": "Reason: a &lt;b&gt; &amp; more<br>Deadline: in 24 h (24 Nov, 12:00 UTC).",
        "m.mentions": {},
    }


def test_on_a_site_with_pages_of_people_links_lead_there_and_a_link_to_a_message_has_words() -> None:
    speech = Speech(CATALOG.with_people_at("/people/").with_prefix("?"), Policy(), "en")
    place = Link("https://matrix.to/#/!r:x.org/$e?via=x.org&via=y.org")
    lines = (line("card.link", link=place), line("desk.restored", who=Who(UserId('@a"/b:x.org'))))
    message, person = (speech.text([each], "en", {}) for each in lines)
    assert message.html == (
        'Message: <a href="https://matrix.to/#/!r:x.org/$e?via=x.org&amp;via=y.org">open in Matrix</a>'
    )
    assert message.plain == f"Message: {place.url}"
    assert '<a href="/people/@a%22%2Fb:x.org">@a&quot;/b:x.org</a>' in person.html


def test_a_message_to_somebody_rings_them_and_an_answer_to_a_command_rings_nobody() -> None:
    said = [
        SPEECH.message((line("notice.linked-means"),), "en", {}, to=[ANNA], answer=answer) for answer in (False, True)
    ]
    assert [(each["msgtype"], each["m.mentions"]) for each in said] == [
        ("m.text", {"user_ids": [ANNA]}),
        ("m.notice", {"user_ids": [ANNA]}),
    ]


def test_only_addressees_are_mentioned() -> None:
    of_anna = line("desk.restored", who=Who(ANNA))
    assert SPEECH.message((of_anna,), "en", {})["m.mentions"] == {}
    assert SPEECH.message((of_anna,), "en", {}, to=[UserId("@mark:x.org")])["m.mentions"] == {
        "user_ids": ["@mark:x.org"]
    }


@pytest.mark.parametrize(
    ("name", "language", "words"),
    [
        ("spam", "en", "No advertising"),
        ("spam", "zh", "不做广告"),
        ("tea", "zh", "No tea"),
        ("bare", "en", "bare"),
        ("gone", "en", "gone"),
        ("tier_slow", "en", "slower posting while credit is low"),
    ],
)
def test_a_rule_is_said_in_the_operators_words_in_the_readers_language_or_else_by_its_name(
    name: str, language: str, words: str
) -> None:
    assert SPEECH.rule(name, language) == words


@pytest.mark.parametrize(("room", "words"), [("!r:x.org", "Garden (G-7F3K)"), ("!other", "!other")])
def test_a_room_is_said_by_its_name_and_code_or_else_by_its_id(room: str, words: str) -> None:
    assert words in SPEECH.text((line("rules.none", room=RoomName(room)),), "en", ROOMS).plain


def test_a_phrase_is_a_text_of_the_readers_language_inside_another() -> None:
    for language in LANGUAGES:
        inner = Catalog.load().text(language, "why-ended.time")
        assert inner in SPEECH.text((line("measure.ended.slow", why=Phrase("why-ended.time")),), language, {}).plain


@pytest.mark.parametrize(
    ("chosen", "language"), [((), "en"), (("",), "en"), (("", "zh"), "zh"), (("zh", "en"), "zh"), (("en", "zh"), "en")]
)
def test_the_first_language_that_was_chosen_is_spoken(chosen: tuple[str, ...], language: str) -> None:
    assert SPEECH.language(*chosen) == language


hostile = st.text(max_size=30) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</a><b>",
        '"><img src=x onerror=y>',
        "a\nb",
        "{room}",
        "`code`",
        "@room",
        "\u202eevil",
        "&amp;",
    ]
)


@given(hostile, st.sampled_from(LANGUAGES))
def test_names_and_words_of_people_stay_one_line(text: str, language: str) -> None:
    lines = (
        line("notice.command.warn", room=RoomName("!r"), by=Who(text)),
        line("notice.reason", reason=text),
        line("help.usage", usage=Code(text)),
        line("notice.violation", room=RoomName("!r"), rule=RuleText(text), n=1),
        line("notice.words", words=text),
        line("joining.records", what=text, days=190, check="!key"),
    )
    for each in lines:
        said = SPEECH.text((each,), language, {"!r": text})
        empty = SPEECH.text(
            (line(each.key, **{name: _blank(value) for name, value in each.fields.items()}),), language, {"!r": ""}
        )
        assert said.html.count("<") == empty.html.count("<")
        assert said.plain.count("\n") == empty.plain.count("\n")
        assert "\u202e" not in said.plain


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_that_rings_begins_like_a_command_whatever_a_room_is_called(language: str) -> None:
    for key in sorted(CATALOG.keys(language)):
        template = CATALOG.template(language, key)
        words, times = "!ban @anna:example.org", Moment(NOON)
        fields = {name: times if f"{{{name}:" in template else words for name in fields_of(template)}
        said = SPEECH.message((line(key, **fields),), language, {}, to=[ANNA])
        assert str(said["body"])[:1].isalnum() or str(said["body"]).startswith("· "), key
        assert str(said["formatted_body"])[:1] in ("<", "·") or str(said["formatted_body"])[:1].isalnum(), key


def test_a_silent_text_keeps_its_leading_sign() -> None:
    assert SPEECH.message((line("desk.back", who=Who(ANNA)),), "en", {})["body"] == f"{ANNA} is back."
    rung = SPEECH.message((line("desk.back", who=Who(ANNA)),), "en", {}, to=[ANNA])
    assert rung["body"] == f"· {ANNA} is back."
    assert str(rung["formatted_body"]).startswith("· <a href=")


def _blank(value: Any) -> Any:
    return value if isinstance(value, int | RoomName) else type(value)("x")


def test_times_and_lengths_are_written_as_the_language_writes_them() -> None:
    said = [
        SPEECH.text((line("joining.records", what=Span(3_600_000), days=190, check="!key"),), language, {}).plain
        for language in LANGUAGES
    ]
    assert "1 hour" in said[0]
    assert "1 小时" in said[1]


# The place of a message.

CONTENT: dict[str, Any] = {"msgtype": "m.text", "body": "hello", "m.mentions": {"user_ids": [ANNA]}}


def test_a_reply() -> None:
    assert in_reply(CONTENT, EventId("$e")) == {**CONTENT, "m.relates_to": {"m.in_reply_to": {"event_id": "$e"}}}
    assert in_reply(CONTENT, None) == CONTENT


def test_a_reply_to_what_was_said_in_a_thread_stays_in_it() -> None:
    relation = in_reply(CONTENT, EventId("$e"), EventId("$root"))["m.relates_to"]
    assert relation == {
        "rel_type": "m.thread",
        "event_id": "$root",
        "is_falling_back": False,
        "m.in_reply_to": {"event_id": "$e"},
    }


def test_a_word_in_a_thread_that_older_clients_show_as_a_reply() -> None:
    assert in_thread(CONTENT, EventId("$root")) == {
        **CONTENT,
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": "$root",
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": "$root"},
        },
    }
    assert in_thread(CONTENT, None) == CONTENT


def test_an_edit_has_the_whole_new_content_and_mentions_nobody() -> None:
    assert replacing(CONTENT, EventId("$e")) == {
        "msgtype": "m.text",
        "body": "* hello",
        "m.mentions": {},
        "m.new_content": CONTENT,
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"},
    }
    assert CONTENT["body"] == "hello"
