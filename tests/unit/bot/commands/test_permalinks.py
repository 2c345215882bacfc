"""Links to messages, as clients copy them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.permalinks import MessageLink, is_link, message_link
from moderation.values.ids import EventId, RoomId

ROOM, EVENT = RoomId("!garden:example.org"), EventId("$abc-_123")
FOUND = MessageLink(EVENT, ROOM)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (f"https://matrix.to/#/{ROOM}/{EVENT}", FOUND),
        (f"https://matrix.to/#/{ROOM}/{EVENT}?via=example.org&via=a.example", FOUND),
        (f"<https://matrix.to/#/{ROOM}/{EVENT}>", FOUND),
        (f"https://matrix.to/#/{quote(ROOM)}/{quote(EVENT)}?via=example.org", FOUND),
        (f"HTTPS://Matrix.to/#/{ROOM}/{EVENT}", FOUND),
        (f"https://matrix.to/#/!hash/{EVENT}", MessageLink(EVENT, RoomId("!hash"))),  # room version 12
        (f"https://matrix.to/#/#alias:example.org/{EVENT}", MessageLink(EVENT)),
        (f"https://matrix.to/#/%23alias%3Aexample.org/{EVENT}", MessageLink(EVENT)),
        ("https://matrix.to/#/!a:b/$x%2Fy", MessageLink(EventId("$x/y"), RoomId("!a:b"))),  # room version 3
        (f"matrix:roomid/garden:example.org/e/{EVENT[1:]}?via=example.org", FOUND),
        (f"matrix:roomid/garden%3Aexample.org/e/{EVENT[1:]}", FOUND),
        (f"matrix:r/alias:example.org/e/{EVENT[1:]}", MessageLink(EVENT)),
        (f"https://matrix.to/#/{ROOM}", None),
        (f"https://matrix.to/#/{ROOM}/", None),
        (f"https://matrix.to/#/@ann:example.org/{EVENT}", None),
        (f"https://matrix.to.example.org/#/{ROOM}/{EVENT}", None),
        (f"https://example.org/#/{ROOM}/{EVENT}", None),
        ("matrix:u/ann:example.org", None),
        ("matrix:roomid/garden:example.org", None),
        (f"https://matrix.to/#/{ROOM}/$" + "x" * 300, None),
        ("https://matrix.to/#/!a%20b/$x", None),
        ("", None),
    ],
)
def test_a_link_is_read_in_every_form_clients_write(word: str, found: MessageLink | None) -> None:
    assert message_link(word) == found


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("https://matrix.to/#/!a:b", True),
        ("<https://matrix.to/#/!a:b/$c>", True),
        ("http://matrix.to/#/!a:b/$c", True),
        ("matrix:u/ann:example.org", True),
        ("https://example.org", False),
        ("matrix", False),
        ("unkind", False),
        ("", False),
    ],
)
def test_a_link_is_distinguished_from_a_reason(word: str, meant: bool) -> None:
    assert is_link(word) is meant


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    for start in ("", "https://matrix.to/#/", "https://matrix.to/#/!a:b/$", "matrix:roomid/", "matrix:r/a/e/"):
        assert isinstance(message_link(start + text), MessageLink | None)
        assert isinstance(is_link(start + text), bool)
