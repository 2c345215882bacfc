"""Finding cases that belong together."""

from typing import Any

import pytest

from moderation.cases.together import MOST, belonging_with
from moderation.model.context import CaseView
from moderation.policy import Policy
from moderation.values.ids import CaseNumber, PersonId, RoomId, UserId

MINUTE = 60_000


def case(n: int, minute: int, who: str = "", **other: Any) -> CaseView:
    who = who or f"@member-{n}:example.org"
    values: dict[str, Any] = {"rule": "tickets", "outcome": "", "manages": False, **other}
    return CaseView(
        n=CaseNumber(n),
        room=RoomId("!garden:example.org"),
        subject=UserId(who),
        person=PersonId(who),
        grade="serious",
        decide="manager",
        state="open",
        opened=minute * MINUTE,
        **values,
    )


def numbers(lead: CaseView, *waiting: CaseView) -> list[int]:
    return [each.n for each in belonging_with(lead, (lead, *waiting), Policy())]


def test_a_raid_is_a_chain_of_cases_of_one_rule() -> None:
    raid = [case(n, minute) for n, minute in ((1, 0), (2, 9), (3, 18), (4, 40))]
    assert numbers(raid[1], raid[0], *raid[2:]) == [1, 2, 3]
    assert numbers(raid[3], *raid[:3]) == []


@pytest.mark.parametrize(
    "other",
    [{"rule": "raffles"}, {"rule": "tier_links"}, {"rule": "duty_overdue"}, {"outcome": "upheld"}, {"lead": 9}],
)
def test_other_rules_decided_cases_and_those_on_other_cards_do_not_belong(other: dict[str, Any]) -> None:
    assert numbers(case(1, 0), case(2, 1, **other)) == []


def test_cases_about_one_person_belong_together_whatever_rule_and_time() -> None:
    assert numbers(case(1, 0, "@ann:x"), case(2, 500, "@ann:x", rule="raffles"), case(3, 500)) == [1, 2]


def test_of_very_many_the_nearest_are_taken() -> None:
    found = numbers(case(1, 0), *(case(n, n) for n in range(2, 200)))
    assert found == list(range(1, MOST + 1))
