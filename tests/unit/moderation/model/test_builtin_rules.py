"""The bot's own rules: distinct from an operator's, and each with a higher level to decide it."""

import re

import pytest
from pydantic import ValidationError

from moderation.model import builtin_rules
from moderation.model.builtin_rules import OWN_RULES, decided_by, has_card, ledger_of, report_rule
from moderation.policy import Policy, ReportSettings
from tests.unit.moderation.builders import policy, terms

DUTIES = ("duty_overdue", "duty_error", "duty_bad_faith", "duty_own_case", "duty_vouch", "duty_identity")


def test_no_rule_of_an_operator_can_have_the_name_of_one_of_the_bots() -> None:
    for name in OWN_RULES:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+|reported", name)
        if "_" in name:
            with pytest.raises(ValidationError):
                policy(terms(name))


def test_every_name_has_its_rule() -> None:
    named = {value for name, value in vars(builtin_rules).items() if name.isupper() and isinstance(value, str)}
    assert named == set(OWN_RULES)


def test_duties_are_counted_in_standing_and_decided_above_those_who_share_them() -> None:
    assert [(ledger_of(rule), decided_by(rule)) for rule in DUTIES] == [("standing", "owner")] * len(DUTIES)
    assert (ledger_of("duty_nobody"), decided_by("duty_nobody")) == ("standing", "operator")
    standing = {rule for rule, own in OWN_RULES.items() if own.ledger == "standing"}
    assert standing == {*DUTIES, "duty_nobody"}


def test_only_the_operator_decides_room_measures_and_barred_entries() -> None:
    above = {rule for rule, own in OWN_RULES.items() if own.decided_by == "operator"}
    assert above == {"duty_nobody", "barred_list", "room_neglect", "room_order"}


def test_rules_of_the_operator_count_as_credit_go_to_managers_and_have_cards() -> None:
    assert (ledger_of("spam"), decided_by("spam"), has_card("spam")) == ("credit", "managers", True)


def test_only_waiting_cases_have_cards() -> None:
    waiting = {"reported", "outside_notice", "policy_list", "listed_server", "tier_links"}
    assert {rule for rule in OWN_RULES if has_card(rule)} == waiting


def test_a_report_brings_what_its_settings_say() -> None:
    found = report_rule(ReportSettings.model_validate({"class": "severe", "measure": "ban", "mute_for": "2h"}))
    shown = (found.name, found.grade, found.measure, found.mute_for, found.ban_for, found.decide)
    assert shown == ("reported", "severe", "ban", 7_200_000, 604_800_000, "manager")
    assert report_rule(Policy().reports).measure == "redact"
