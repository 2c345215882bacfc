"""Each field of a refusal is shown as the kind of value it is, in chat and at the terminal."""

from pathlib import Path

import pytest

from bot.cli.terminal.output import why_of
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from bot.texts.refusal import refusal_line
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.notices import Code, Moment, Phrase, RoomName, Span, Who

ANN, ROOM, OTHER = "@ann:example.org", "!one:example.org", "!two:example.org"


def said(refused: Refused) -> str:
    """Return a refusal as the reader of a message sees it, who knows the rooms by name."""
    speech = Speech(Catalog.load(), Policy(), "en")
    names = {ROOM: "Kitchen", OTHER: "Cellar"}
    return str(speech.message((refusal_line(refused),), "en", names=names)["body"])


def test_a_text_inside_a_text_is_shown_in_words() -> None:
    refused = Refused("error.rule.class", heaviest=Phrase("grade.moderate"), typed=Code("moderate"))
    assert said(refused).startswith("A rule of a room can be moderate at most")
    assert why_of(refused).startswith("A rule of a room can be moderate at most")


def test_both_rooms_are_shown_by_name() -> None:
    assert said(Refused("error.desk.here", room=ROOM, other=OTHER)) == "Kitchen uses the desk of Cellar already."


def test_a_field_that_has_a_type_is_shown_by_it_whatever_its_name() -> None:
    fields = {"who": Who(ANN), "room": RoomName(ROOM), "until": Moment(7), "other": Who(ANN), "most": Span(7)}
    assert refusal_line(Refused("key", **fields)).fields == fields


def test_a_field_without_a_type_is_shown_by_its_name() -> None:
    fields = {"who": ANN, "room": ROOM, "until": 7, "state": "open", "count": 7, "file": Path("/a")}
    assert refusal_line(Refused("key", **fields)).fields == {
        "who": Who(ANN),
        "room": RoomName(ROOM),
        "until": Moment(7),
        "state": Phrase("state.open"),
        "count": 7,
        "file": "/a",
    }


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (Refused("error.desk.here", room=ROOM, other=OTHER), f"{ROOM} uses the desk of {OTHER} already."),
        (Refused("cli.barred.not", who=ANN), ANN),
        (Refused("error.too-often", until=1_764_000_000_000), "24 Nov 2025, 16:00"),
    ],
)
def test_the_terminal_shows_ids_and_times(refused: Refused, words: str) -> None:
    assert words in why_of(refused)
