"""Commands in messages: what counts as a command, pills, arguments, and arbitrary input."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.commands.parse import MAX_LENGTH, MAX_REASON, Arguments, Spoken, bind, case_number, is_command, read
from bot.commands.registry import COMMANDS
from bot.events.parse_event import receive
from moderation.values.errors import Refused
from moderation.values.events import Json, MessagePosted
from moderation.values.ids import RoomId, UserId

ANNA, BEN = UserId("@anna:example.org"), UserId("@ben:example.org")
PILL = '<a href="https://matrix.to/#/@anna:example.org">Anna</a>'


def message(body: str, formatted: str | None = None, **content: Any) -> MessagePosted:
    """Return a message as it is received."""
    whole: dict[str, Json] = {"msgtype": "m.text", "body": body, **content}
    if formatted is not None:
        whole |= {"format": "org.matrix.custom.html", "formatted_body": formatted}
    raw = {"event_id": "$e", "sender": BEN, "origin_server_ts": 1, "type": "m.room.message", "content": whole}
    event = receive(raw, RoomId("!r:x.org"), 0)
    assert isinstance(event, MessagePosted)
    return event


def words(body: str, formatted: str | None = None) -> tuple[str, ...] | None:
    spoken = read(message(body, formatted), "!")
    return (spoken.name, *spoken.words) if spoken else None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("!help", ("help",)),
        ("！help", ("help",)),
        ("！帮助 警告", ("帮助", "警告")),
        ("!Help  me\tnow\nplease", ("help", "me", "now", "please")),
        ("!mute @anna:example.org 1h spam and noise", ("mute", "@anna:example.org", "1h", "spam", "and", "noise")),
        ("!帮助 我", ("帮助", "我")),
        ("!", None),
        ("!!", None),
        ("! help", None),
        ("!1", None),
        ("!?", None),
        (" !help", None),
        ("help", None),
        ("that is it!help", None),
        ("", None),
    ],
)
def test_a_command_begins_with_the_prefix_and_a_letter(body: str, expected: tuple[str, ...] | None) -> None:
    assert words(body) == expected


@pytest.mark.parametrize("prefix", ["!", "!!", "%", ".a"])
def test_the_prefix_is_what_was_configured(prefix: str) -> None:
    assert read(message(f"{prefix}help me"), prefix) == Spoken("help", ("me",))
    assert read(message("?help me"), prefix) is None


def test_an_edit_and_a_notice_command_nothing() -> None:
    edit: dict[str, Any] = {
        "m.new_content": {"msgtype": "m.text", "body": "!help"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": "$old"},
    }
    assert read(message("!help", **edit), "!") is None
    assert read(message("!help", msgtype="m.notice"), "!") is None


def test_a_reply_is_read_without_the_quotation_in_front() -> None:
    reply: dict[str, Any] = {"m.relates_to": {"m.in_reply_to": {"event_id": "$old"}}}
    quoted = f"<mx-reply><blockquote>{PILL} !ban everybody</blockquote></mx-reply>!mute {PILL} 1h"
    event = message("> <@anna:example.org> !ban everybody\n\n!mute Anna 1h", quoted, **reply)
    assert read(event, "!") == Spoken("mute", (ANNA, "1h"), pills={ANNA: "Anna"})


@pytest.mark.parametrize(
    ("text", "group", "rest"),
    [
        ("!cases G-7F3K", "G-7F3K", ()),
        ("!cases g-7f3k", "G-7F3K", ()),
        ("!mute G-7F3K @a:x.org G-8888", "G-7F3K", ("@a:x.org", "G-8888")),
        ("!cases G-0000", None, ("G-0000",)),
    ],
)
def test_a_group_code_names_the_room(text: str, group: str | None, rest: tuple[str, ...]) -> None:
    spoken = read(message(text), "!")
    assert spoken is not None
    assert (spoken.group, spoken.words) == (group, rest)


# Pills.


@pytest.mark.parametrize(
    ("body", "formatted", "expected"),
    [
        ("!mute Anna 1h", f"!mute {PILL} 1h", ("mute", ANNA, "1h")),
        ("!mute Anna: 1h", f"<p>!mute {PILL}: 1h</p>", ("mute", f"{ANNA}:", "1h")),
        ("!mute Anna", '!mute <a href="https://matrix.to/#/%40anna%3Aexample.org">Anna</a>', ("mute", ANNA)),
        ("!mute Anna", '!mute <a href="https://matrix.to/#/@anna:example.org?via=x.org">Anna</a>', ("mute", ANNA)),
        ("!mute Anna B", '!mute <a href="https://matrix.to/#/@anna:example.org">Anna <b>B</b></a>', ("mute", ANNA)),
        ("!mute Anna\nwhy", f"!mute {PILL}<br>why", ("mute", ANNA, "why")),
        ("!mute A & B", f"!mute {PILL} &amp; B", ("mute", ANNA, "&", "B")),
        ("!help me", '!help <a href="https://example.org">me</a>', ("help", "me")),
        ("!help me", '!help <a href="https://matrix.to/#/!room:x.org">me</a>', ("help", "me")),
        ("!help me", '<b title="https://matrix.to/#/@anna:example.org">hello</b>', ("help", "me")),
    ],
)
def test_a_name_that_was_pressed_is_the_id_behind_it(body: str, formatted: str, expected: tuple[str, ...]) -> None:
    assert words(body, formatted) == expected


@pytest.mark.parametrize(
    "formatted",
    [
        "!<!-- matrix.to/#/ -->",
        f"!help you <!-- {PILL} -->",
        f"!{PILL}",
        f"! {PILL}",
        f"<![x {PILL}",
        f"<!x[ {PILL}",
        f"<![CDATA[ {PILL}",
        f"&#{'9' * 5_000};{PILL}",
        f"&#x{'f' * 5_000};{PILL}",
        f"{'<a ' * 2_000}{PILL}",
        f"!ban {PILL}" + "x" * 10_000,
        "matrix.to/#/",
        f"ban {PILL}",
    ],
)
def test_a_different_formatted_body_is_ignored(formatted: str) -> None:
    assert words("!help me", formatted) == ("help", "me")


def test_half_a_letter_becomes_a_sign_that_can_be_stored() -> None:
    spoken = read(message("!warn Anna \ud800", f"!warn {PILL} \ud800"), "!")
    assert spoken is not None
    assert spoken.words == (ANNA, "\ufffd")


# Length.


def test_a_command_has_two_thousand_characters_at_most() -> None:
    within = "!note " + "x" * (MAX_LENGTH - 6)
    assert read(message(within), "!") == Spoken("note", ("x" * (MAX_LENGTH - 6),))
    assert read(message(within + "x"), "!") == Spoken("note", (), too_long=True)
    assert read(message("!" + "x" * 65_536), "!") == Spoken("x" * 40, (), too_long=True)


# Arguments.

SPEC = "user duration? reason*"
ALL = "user duration? everywhere? reason*"


@pytest.mark.parametrize(
    ("spec", "said", "expected"),
    [
        ("", "", Arguments()),
        (SPEC, "@anna:example.org", Arguments(user=ANNA)),
        (SPEC, "@anna:example.org: 1h", Arguments(user=ANNA, duration_ms=3_600_000)),
        (SPEC, "@anna:example.org, too much", Arguments(user=ANNA, reason="too much")),
        (SPEC, "@anna:example.org 1h30m too much", Arguments(user=ANNA, duration_ms=5_400_000, reason="too much")),
        (ALL, "@anna:example.org 1h everywhere", Arguments(user=ANNA, duration_ms=3_600_000, everywhere=True)),
        (ALL, "@anna:example.org everywhere 1h", Arguments(user=ANNA, duration_ms=3_600_000, everywhere=True)),
        (ALL, "@anna:example.org 各群 spam", Arguments(user=ANNA, everywhere=True, reason="spam")),
        (ALL, "@anna:example.org Everywhere 7 spam", Arguments(user=ANNA, everywhere=True, request=7, reason="spam")),
        (
            ALL,
            "@anna:example.org 1h everywhere 2h",
            Arguments(ANNA, duration_ms=3_600_000, everywhere=True, reason="2h"),
        ),
        (ALL, "@anna:example.org spam everywhere", Arguments(user=ANNA, reason="spam everywhere")),
        (ALL, "@anna:example.org 3d 7 times", Arguments(user=ANNA, duration_ms=259_200_000, reason="7 times")),
        ("case reason*", "12 a joke", Arguments(case=12, reason="a joke")),
        ("case reason*", "#12", Arguments(case=12)),
        ("case?", "", Arguments()),
        ("case?", "7", Arguments(case=7)),
        ("request?", "7", Arguments(request=7)),
        ("word?", "zh", Arguments(word="zh")),
        ("word user?", "add @anna:example.org", Arguments(word="add", user=ANNA)),
        ("reason*", "", Arguments()),
        ("reason*", "@anna:example.org 1h", Arguments(reason="@anna:example.org 1h")),
        ("user reason*", "@anna:example.org " + "x" * MAX_REASON, Arguments(user=ANNA, reason="x" * MAX_REASON)),
    ],
)
def test_arguments_are_what_the_command_declares(spec: str, said: str, expected: Arguments) -> None:
    assert bind(spec, tuple(said.split())) == expected


@pytest.mark.parametrize(
    ("spec", "said", "key"),
    [
        (SPEC, "", "error.missing.user"),
        (SPEC, "anna", "error.missing.user"),
        (SPEC, "1h", "error.missing.user"),
        (SPEC, "@anna", "error.user.form"),
        (SPEC, "@anna:", "error.user.form"),
        (SPEC, "@anna:example.org 10", "error.duration.form"),
        (SPEC, "@anna:example.org 10y", "error.duration.form"),
        (SPEC, "@anna:example.org ²d", "error.duration.form"),
        (SPEC, "@anna:example.org " + "x" * (MAX_REASON + 1), "error.reason.long"),
        ("case reason*", "", "error.missing.case"),
        ("case reason*", "twelve", "error.case.form"),
        ("case reason*", "#", "error.case.form"),
        ("case reason*", "٣", "error.case.form"),
        ("case reason*", "1234567890", "error.case.form"),
        ("case?", "twelve", "error.superfluous"),
        ("", "more", "error.superfluous"),
        ("user", "@anna:example.org and more", "error.superfluous"),
        ("word", "", "error.missing.word"),
        (ALL, "@anna:example.org everywhere 10y", "error.duration.form"),
        ("user everywhere?", "@anna:example.org everywhere else", "error.superfluous"),
    ],
)
def test_an_error_names_the_argument(spec: str, said: str, key: str) -> None:
    with pytest.raises(Refused) as refused:
        bind(spec, tuple(said.split()))
    assert refused.value.key == key


def test_in_a_reply_the_person_may_be_left_out() -> None:
    assert bind(SPEC, ("1h", "spam"), replied_to=ANNA) == Arguments(user=ANNA, duration_ms=3_600_000, reason="spam")
    assert bind(SPEC, ("spam",), replied_to=ANNA) == Arguments(user=ANNA, reason="spam")
    assert bind(SPEC, (BEN,), replied_to=ANNA) == Arguments(user=BEN)


def test_a_refusal_quotes_a_bounded_text() -> None:
    for spec, word in ((SPEC, "@" + "x" * 999), ("case", "x" * 999), ("", "x" * 999)):
        with pytest.raises(Refused) as refused:
            bind(spec, (word,))
        assert all(len(str(value)) <= 60 for value in refused.value.fields.values())


# Anything.

anything = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
PIECES = (
    *(
        "<",
        ">",
        "<a ",
        'href="https://matrix.to/#/@a:x.org"',
        "</a>",
        "<mx-reply>",
        "</mx-reply>",
        "<br>",
        "matrix.to/#/",
    ),
    *("<!", "<![", "--", "]]", "<?", "&#", "&", ";", "9999", "!", "ban", " ", "\ud800", "\x00"),
)
html = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@given(anything, html | anything | st.none(), st.sampled_from(["!", "!!", "%"]))
@example("!a", "<![x matrix.to/#/", "!")
def test_parsing_never_raises_and_yields_a_command(body: str, formatted: Any, prefix: str) -> None:
    for text in (body, prefix + body, prefix + "a" + body):
        event = message(text, formatted)
        spoken = read(event, prefix)
        assert (spoken is not None) == is_command(event.body, prefix)
        if spoken is not None:
            assert 0 < len(spoken.name) <= 40
            assert spoken.name == spoken.name.lower() or not spoken.name.isascii()
            " ".join((spoken.name, *spoken.words)).encode()  # it can be stored


tokens = st.lists(
    st.sampled_from(
        ["@anna:example.org", "@anna", "1h", "10", "everywhere", "#3", "7", "spam", "zh", "²", "٣", "@:", ":", ","]
    )
    | anything.filter(str.strip),
    max_size=6,
).map(lambda each: tuple(" ".join(each).split()))


@given(st.sampled_from(sorted({command.spec for command in COMMANDS.values()})), tokens, st.none() | st.just(ANNA))
def test_binding_never_raises_anything_but_a_refusal(spec: str, said: tuple[str, ...], replied_to: Any) -> None:
    try:
        given_ = bind(spec, said, replied_to=replied_to)
    except Refused as refused:
        assert refused.key.startswith("error.")
        return
    for item in spec.split():
        if item[-1] not in "?*" and item != "word":
            assert getattr(given_, {"duration": "duration_ms"}.get(item, item)) is not None


@pytest.mark.parametrize(
    ("word", "number"),
    [("12", 12), ("#12", 12), ("9" * 9, 999_999_999), ("9" * 10, None), ("1" * 1900, None), ("", None), ("٣", None)],
)
def test_a_case_is_a_number_that_a_database_can_hold(word: str, number: int | None) -> None:
    assert case_number(word) == number
