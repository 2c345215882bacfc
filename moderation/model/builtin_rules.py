"""The bot's own rules: grounds of cases that no rule of the operator's covers.

Rules kept here:
- Their names have an underscore, which no rule of the operator's can have.
- A case about a duty is counted in the ledger of standing, and is decided by the owner or the operator, not among those
  who share the duty.

Left to others: the words for them (`bot/texts`, `rule.NAME`).
"""

from dataclasses import dataclass
from typing import get_args

from moderation.policy import Grade, Held, ReportSettings, RuleBase

from .facts import Asked
from .facts.ledger import Ledger

OVERDUE = "duty_overdue"  # a case was not decided in time
NOBODY = "duty_nobody"  # nobody was on duty
CLEAR_ERROR = "duty_error"  # a decision was reversed for clear error
BAD_FAITH = "duty_bad_faith"  # a decision was reversed for bad faith
OWN_CASE = "duty_own_case"  # somebody decided about themselves, outside the bot
FALSE_VOUCH = "duty_vouch"  # somebody vouched for a person they did not know
IDENTITY = "duty_identity"  # somebody read identity data without reason
BY_ORDER = "by_order"  # a manager's own sanction, by command
REPORTED = "reported"  # reports by members
OUTSIDE = "outside_notice"  # a notice from outside about a room, not about one message
MISUSE = "report_misuse"  # reports without ground, again and again
UNDECIDED = "reports_undecided"  # more reports than the managers of a room decided in time
PAUSES_REPORTS = (MISUSE, UNDECIDED)
CAP_MEMBERS = "cap_members"  # the room is full
CAP_JOINED = "cap_joined"  # somebody is in too many rooms
BARRED = "barred_list"  # put on the barred list by the operator
NEGLECT = "room_neglect"  # a room whose cases nobody decided
ROOM_ORDER = "room_order"  # an order of the operator for a room
UNVERIFIED = "unverified_writes"  # writes below the level that a room asks of its members
UNVERIFIED_MANAGER = "unverified_manages"  # manages below the level that managing the room takes
LISTED = "policy_list"  # an entry of a policy list means somebody who is here
LISTED_SERVER = "listed_server"  # an entry of a policy list means a server of which people are here
TIER_LINKS = "tier_links"  # links and media that wait for a manager while credit is low
JOIN_WAVE = "join_wave"  # many people came into a room at once
IN_WAVE = "in_join_wave"  # somebody came with them and said nothing
ABOUT_NOBODY = frozenset({JOIN_WAVE, LISTED_SERVER})  # whose cases are about a room or a server
# What people who are new in a room cannot post yet (`[newcomers] hold`).
NEW_MEMBER: dict[Held, str] = {each: f"new_member_{each}" for each in get_args(Held)}
NEW_MEMBER_RULES = frozenset(NEW_MEMBER.values())


@dataclass(frozen=True, slots=True)
class OwnRule:
    """Properties of cases under one of these rules."""

    ledger: Ledger = "credit"
    decided_by: Asked = "managers"  # the lowest level that decides and hears appeals
    card: bool = False  # whether a card is posted at once; otherwise when there is something to decide
    grade: Grade = "moderate"


_DUTY = OwnRule(ledger="standing", decided_by="owner")
OWN_RULES: dict[str, OwnRule] = {
    OVERDUE: _DUTY,
    NOBODY: OwnRule(ledger="standing", decided_by="operator"),
    CLEAR_ERROR: _DUTY,
    BAD_FAITH: _DUTY,
    OWN_CASE: _DUTY,
    FALSE_VOUCH: _DUTY,
    IDENTITY: _DUTY,
    BY_ORDER: OwnRule(),
    REPORTED: OwnRule(card=True),
    OUTSIDE: OwnRule(card=True),
    MISUSE: OwnRule(),
    UNDECIDED: OwnRule(),
    CAP_MEMBERS: OwnRule(),
    CAP_JOINED: OwnRule(),
    BARRED: OwnRule(decided_by="operator", grade="severe"),
    NEGLECT: OwnRule(decided_by="operator", grade="serious"),
    ROOM_ORDER: OwnRule(decided_by="operator", grade="serious"),
    UNVERIFIED: OwnRule(grade="minor"),
    UNVERIFIED_MANAGER: OwnRule(decided_by="owner", grade="minor"),
    LISTED: OwnRule(card=True, grade="serious"),
    LISTED_SERVER: OwnRule(card=True, grade="serious"),
    TIER_LINKS: OwnRule(card=True, grade="minor"),
    JOIN_WAVE: OwnRule(grade="minor"),
    IN_WAVE: OwnRule(grade="minor"),
}
_OF_OPERATOR = OwnRule(card=True)  # a rule of the operator's, or of a room


def decided_by(rule: str) -> Asked:
    """Return the lowest level that may decide a case under this rule."""
    return OWN_RULES.get(rule, _OF_OPERATOR).decided_by


def has_card(rule: str) -> bool:
    """Return whether a case under this rule is shown in the desk from the beginning."""
    return OWN_RULES.get(rule, _OF_OPERATOR).card


def ledger_of(rule: str) -> Ledger:
    """Return the ledger in which a case under this rule counts."""
    return OWN_RULES.get(rule, _OF_OPERATOR).ledger


def report_rule(settings: ReportSettings) -> RuleBase:
    """Return reports by members as a rule: the consequences of upholding one."""
    return RuleBase.model_construct(
        name=REPORTED,
        grade=settings.grade,
        measure=settings.measure,
        mute_for=settings.mute_for,
        ban_for=settings.ban_for,
        decide="manager",
    )
