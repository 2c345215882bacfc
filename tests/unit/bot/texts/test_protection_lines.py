"""`!status` says what protects a room."""

from dataclasses import replace

from bot.texts.protection_lines import protections
from moderation.model.context import Choices
from moderation.values.notices import Phrase, line
from tests.unit.moderation.builders import policy, room, terms

HEAD = line("status.protects.head")


def test_a_room_without_protections_says_so() -> None:
    assert protections(policy(), room()) == [HEAD, line("status.protects.no-rules")]


def test_rules_that_hold_in_the_room_are_counted() -> None:
    of_all, elsewhere = terms("spam", "buy"), terms("other", "sell", rooms=["G-OTHER"])
    assert protections(policy(of_all, elsewhere), room()) == [HEAD, line("status.protects.rules", count=1)]


def test_what_is_asked_of_unverified_members_is_shown() -> None:
    asks = replace(room(), choices=Choices(write=1, below="restrict"))
    shown = line("status.protects.verify", level=1, below=Phrase("set.below.restrict"))
    assert protections(policy(), asks) == [HEAD, line("status.protects.no-rules"), shown]
