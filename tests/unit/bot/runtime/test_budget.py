"""Budgets count for each person, however many others take something."""

from bot.runtime.budget import _MOST_PEOPLE, Budget
from moderation.values.ids import UserId


def test_many_accounts_give_nobody_back_what_they_have_taken() -> None:
    budget = Budget(1)
    people = [UserId(f"@{number}:x") for number in range(_MOST_PEOPLE + 1)]
    assert {budget.take(user, 1) for user in people} == {"granted"}
    assert {budget.take(user, 1) for user in people[1:]} == {"spent"}
    assert {budget.take(user, 1) for user in people[1:]} == {"told"}
