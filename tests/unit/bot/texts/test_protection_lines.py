"""`!status` says what protects a room."""

from dataclasses import replace

from bot.texts.protection_lines import protections
from bot.texts.wave_lines import removal_lines
from moderation.model.context import Choices
from moderation.values.notices import Bracketed, Phrase, Span, line
from tests.unit.moderation.builders import policy, room, terms

HEAD = line("status.protects.head")
QUIET = policy(joins={"wave": 0})


def test_a_room_without_protections_says_so() -> None:
    assert protections(QUIET, room()) == [HEAD, line("status.protects.no-rules")]


def test_rules_that_hold_in_the_room_are_counted() -> None:
    of_all, elsewhere = terms("spam", "buy"), terms("other", "sell", rooms=["G-OTHER"])
    assert protections(policy(of_all, elsewhere, joins={"wave": 0}), room()) == [
        HEAD,
        line("status.protects.rules", count=1),
    ]


def test_what_is_asked_of_unverified_members_is_shown() -> None:
    asks = replace(room(), choices=Choices(write=1, below="restrict"))
    shown = line("status.protects.verify", level=1, below=Phrase("set.below.restrict"))
    assert protections(QUIET, asks) == [HEAD, line("status.protects.no-rules"), shown]


def test_what_newcomers_cannot_post_and_what_follows_a_wave_is_shown() -> None:
    what = Bracketed((line("held.links"),))
    on = policy(newcomers={"hold": ["links"], "unless": {}}, joins={"do": "gate"})
    assert protections(on, room())[2:] == [
        line("status.newcomers.both", every=Span(600_000), count=3, what=what),
        line("status.joins.gate", count=20, span=Span(60_000), every=Span(1_800_000)),
    ]


def test_members_read_of_waves_only_where_these_can_have_people_removed() -> None:
    gated = policy(joins={"do": "gate"})
    removing = policy(joins={"do": "gate", "undo": "kick"})
    only_told = policy(joins={"undo": "kick"})
    assert [list(removal_lines(each, room())) for each in (gated, only_told)] == [[], []]
    assert [each.key for each in removal_lines(removing, room())] == ["status.joins.gate", "status.joins.undo"]
