"""Each person counts once, however they are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.rules.check import Hit, View
from moderation.rules.mentions import Mentions, MentionSettings, mentioned
from moderation.values.events import Text
from moderation.values.ids import UserId
from tests.unit.moderation.rules.posting import SENDER, named, posted

TWO = Mentions(MentionSettings(limit=2))
NO_ROOM = Mentions(MentionSettings(room="deny"))


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("hi @a:x.org, @b:x.org.", {"@a:x.org", "@b:x.org"}),
        ("(@a.b_c=d/e+f-g:x.org:8448)", {"@a.b_c=d/e+f-g:x.org:8448"}),
        ("@a:[2001:db8::1]:80 @a:1.2.3.4", {"@a:[2001:db8::1]:80", "@a:1.2.3.4"}),
        ("https://matrix.to/#/@a:x.org", {"@a:x.org"}),
        ("https://matrix.to/#/%40a%3Ax.org?via=x.org", {"@a:x.org"}),
        ("matrix:u/a:x.org?action=chat", {"@a:x.org"}),
        ("[a](https://matrix.to/#/@a:x.org) @a:x.org", {"@a:x.org"}),
        ("mail a@x.org:25, see x@y:z, #room:x.org", set()),
        ("@room: hello", set()),
        ("https://matrix.to/#/@a\ud800:x.org matrix:u/%ED%A0%80:x", {"@\ufffd\ufffd\ufffd:x"}),
        ("你好@a:x.org你", {"@a:x.org"}),
    ],
)
def test_ids_are_read_from_texts(text: str, users: set[str]) -> None:
    assert mentioned(text) == users


def test_people_are_counted_once_and_the_sender_not_at_all() -> None:
    both = frozenset({UserId("@a:x"), UserId("@b:x"), SENDER})
    assert TWO.check(posted(f"@a:x and @b:x {SENDER}", mentions=both), View()) is None
    assert TWO.check(posted("@b:x @c:x", mentions=frozenset({UserId("@a:x")})), View()) == Hit(
        numbers={"count": 3, "limit": 2}
    )


def test_an_invisible_character_hides_no_id() -> None:
    assert TWO.check(posted("@a\u200b:x @b:\u2060x ＠c:x"), View()) == Hit(numbers={"count": 3, "limit": 2})


def test_the_room_may_be_called_unless_denied() -> None:
    assert TWO.check(posted("@room", mentions_room=True), View()) is None
    assert NO_ROOM.check(posted("hey @Room!"), View()) == Hit(where="body", matched="@Room")
    assert NO_ROOM.check(posted("hey", mentions_room=True), View()) == Hit()


@pytest.mark.parametrize("body", ["@roommate", "@room:x.org", "mail@room", "room", "@rooms"])
def test_text_that_merely_begins_like_room_is_no_mention(body: str) -> None:
    assert NO_ROOM.check(posted(body), View()) is None


def test_only_the_places_asked_for_are_read() -> None:
    event = posted("fine", Text("caption", "@room"))
    assert Mentions(MentionSettings(room="deny"), frozenset({"body"})).check(event, View()) is None
    assert NO_ROOM.check(named("@room"), View()) is None


@given(st.text(st.characters(), max_size=60) | st.text(st.sampled_from("@:.a[]%#/ matrix.to"), max_size=60))
def test_no_text_fails(body: str) -> None:
    TWO.check(posted(body, f"https://matrix.to/#/@{body}"), View())
