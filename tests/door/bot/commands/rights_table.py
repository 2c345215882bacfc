"""The expected answers to every command and every reaction for every role.

`test_command_rights.py` checks the commands, `test_rights.py` the reactions.

A new command needs a row here, or a test fails: `everyone`, `managers` or `owners`, with the text of the answer when
it is done, and by name of a role any other answer. {code} is the group's code, {victim} and {case} are a person and a
case of the speaker's own, {foreign} is a case of another group, {link} a message in the group, {elsewhere} one in
another group.
"""

from dataclasses import dataclass

from bot.commands.registry import COMMANDS
from moderation.cases.card_reactions import CLAIM, DISMISS, HANDLED, LATER, MORE, SETTLED, TOGETHER, UPHOLD

# All of them speak in a direct room of their own; for other rooms see `tests/fuzz/test_no_path_gives_more.py`.
INSIDE = ("member", "unverified", "muted", "demoted", "manager", "owner")
ROLES = (*INSIDE, "operator", "outsider", "stranger", "banned")
# "demoted": a manager until a grave violation. "stranger": manages another group. "banned": a manager, banned by the
# owner by hand, which leaves the power level standing. "operator": is in no room.
MANAGING = ("manager", "owner", "operator")
UNKNOWN = "error.group.unknown"  # who is in no way concerned does not learn that there is such a group


@dataclass(frozen=True)
class Row:
    """A command, and the key of the answer for each role; None: this role does not say it. "a|b": either of them."""

    said: str
    answers: dict[str, str | None]

    @property
    def name(self) -> str:
        """Of the command."""
        return self.said.split()[0]


def everyone(said: str, done: str, **others: str | None) -> Row:
    """Return the row of a command for all."""
    known = dict.fromkeys(ROLES, done)
    if "{code}" in said:
        known |= dict.fromkeys(("outsider", "stranger"), UNKNOWN)
        if COMMANDS[said.split()[0]].inside:
            known["banned"] = "error.group.outside"
    return Row(said, {**known, **others})


def managers(said: str, done: str, refused: str = "error.right.manager", **others: str | None) -> Row:
    """Return the row of a command for those who run the group."""
    known = dict.fromkeys(ROLES, refused) | dict.fromkeys(MANAGING, done) | {"banned": "error.right.manager"}
    return Row(said, {**known, "outsider": UNKNOWN, "stranger": UNKNOWN, **others})


def owners(said: str, done: str, refused: str, **others: str | None) -> Row:
    """Return the row of a command for the owner."""
    return Row(said, {**managers(said, done).answers, "manager": refused, **others})


_SANCTIONED = {"muted": "statement.head", "demoted": "statement.head"}
_AWAY = dict.fromkeys(("member", "unverified", "muted", "demoted", "operator", "banned"), "error.away.nothing")
_BACK = dict.fromkeys(_AWAY, "error.away.not")
_NOT_THERE = dict.fromkeys(("outsider", "stranger", "banned"), "error.report.outside")
_FILED = "report.thanks|report.waits|report.decided"
_NO_VOUCH = "error.unvouch.none|error.unvouch.others"  # as the others have vouched for them by then, or not
_ROSTER = {**dict.fromkeys(INSIDE[:4], "error.right.roster"), "banned": "error.group.outside"}

_NO_ROOM = {"outsider": "error.console.nowhere", "stranger": "console-link", "banned": "error.console.nowhere"}

ROWS = (
    everyone("help", "help.head"),
    everyone("help mute", "command.mute.short"),
    everyone("status {code}", "status.room"),
    everyone("key", "key.shown"),
    everyone("who {code}", "who.room"),
    everyone("rules {code}", "rules.head"),
    everyone("credit {code}", "credit.now"),
    everyone("why {code}", "why.none", **_SANCTIONED),
    everyone("appeal 9999 {code} why", "error.case.none"),
    everyone("comment 9999 {code} why", "error.case.none"),
    everyone("report {code}", "error.report.reply"),
    everyone("report {link}", _FILED, **_NOT_THERE),
    everyone("report {elsewhere}", "error.report.outside", operator=_FILED, stranger=_FILED),
    everyone("lang xx {code}", "error.language"),
    everyone("receipt {code}", "error.receipt.reply"),
    everyone("mydata {code}", "own.mydata"),
    everyone("erase {code}", "own.erase.explain"),
    everyone("verify", "verify.level"),
    everyone("duty {code}", "duty.head"),
    everyone("unvouch @nobody:localhost {code}", "error.unvouch.none"),
    managers("lang en room {code}", "lang.room", refused="error.right.language"),
    managers("cases {code}", "cases.head"),
    managers("case {case} {code}", "card.head"),
    managers("case {foreign} {code}", "error.case.none"),
    everyone("case {foreign}", "error.case.none", operator="card.head", stranger="card.head"),
    managers("ack {case} {code}", "done.ack"),
    managers("claim {case} {code}", "done.claim"),
    managers("later {case} {code}", "done.later"),
    managers("together {case} {code}", "error.together.desk"),
    managers("note {case} {code} seen", "done.note"),
    managers("uphold {case} {code} yes", "decided.upheld"),
    managers("dismiss {case} {code} no", "decided.dismissed"),
    managers("dismiss-reports @nobody:localhost {code} no", "error.dismiss-reports.nothing"),
    managers("credit {victim} {code}", "credit.now", refused="error.right.history"),
    managers("history {victim} {code}", "history.head"),
    managers("warn {victim} {code}", "done.warn"),
    managers("redact {code}", "error.redact.reply"),
    managers("redact {victim} 1h {code}", "done.sweep"),
    managers("mute {victim} 1h {code}", "done-until.mute"),
    managers("unmute {victim} {code}", "done.unmute"),
    managers("vouch {victim} {code}", "done.vouch"),
    managers("unvouch {victim} {code}", "done.unvouch", refused=_NO_VOUCH, banned="error.group.outside"),
    managers("kick {victim} {code}", "done.kick"),
    managers("kick {victim} everywhere {code}", "done.kick"),
    managers("ban {victim} {code}", "done.ban"),
    managers("unban {victim} {code}", "done.unban"),
    managers("away 1h {code}", "away.until", **_AWAY),
    managers("back {code}", "away.back", **_BACK),
    managers("slow {code}", "error.pace.missing"),
    managers("rule {code}", "room-rule.head"),
    managers('rule add no-{case} terms "word {case}" minor none manager {code}', "room-rule.added"),
    managers("rule test word {case} {code}", "room-rule.test"),
    managers("rule remove no-{case} {code}", "room-rule.removed"),
    managers("rule remove tickets {code}", "error.rule.operators"),
    managers("set {code}", "set.head"),
    managers("desk {code}", "desk.shown.own", "error.right.manager-nowhere", banned="error.right.manager-nowhere"),
    managers("readonly {code}", "error.missing.duration"),
    managers("publish {case} ours {code}", "error.publish.undecided"),
    managers("acl {code}", "acl.none|acl.head"),
    managers("list {code}", "policy-list.none"),
    managers("list match {victim} {code}", "error.list.none"),
    managers("list spare {victim} {code} why", "error.list.none"),
    managers("list preview {code}", "error.list.room"),
    managers("list watch cme look 1 {code}", "error.list.number"),
    managers("list end cme {code}", "error.list.unknown"),
    managers("acl deny bad-{case}.example {code} why", "acl.denied"),
    managers("acl allow bad-{case}.example {code}", "acl.allowed"),
    managers("console", "console-link", "error.console.nowhere", operator="error.console.operator", **_NO_ROOM),
    everyone("approve D-9999 " + 64 * "0", "error.approve.operators", operator="cli.dossier.unknown"),
    owners("duty {victim} off {code}", "error.roster.not-in", refused="error.right.roster", **_ROSTER),
    owners("set language en {code}", "set.done.language", refused="error.right.set"),
    owners("leave {code}", "leave.what", refused="error.right.leave", operator="leave.what"),
    managers("policy {code}", "error.policy.none"),
    owners("adopt {code}", "adopt.what", refused="error.right.adopt", operator="error.right.adopt"),
    # One after the other, so by one of them only; the operator's way is `answerable rooms`.
    owners("lockdown {code}", "done.lockdown", refused="error.right.lockdown", operator=None),
    owners("lockdown off {code}", "done.lockdown-off", refused="error.right.lockdown", operator=None),
    owners("close {code}", "done.close", refused="error.right.close", operator=None),
    owners("reopen {code}", "done.reopen", refused="error.right.reopen", operator=None),
)  # fmt: skip

# Reactions.

DECIDES, SHOWS, REPORTS, NOTHING = "decides", "shows", "reports", "nothing"
CLAIMS, PUTS_OFF = "claims", "puts off"
IMPOSSIBLE = "impossible"  # the homeserver lets nobody press there who is not there, or is muted


@dataclass(frozen=True)
class Pressed:
    """A reaction: its key, the room, the message it is on, and its effect for each role."""

    key: str
    place: str  # desk | group | direct
    under: str  # card | copy (of a card, by a member, in the group) | message
    follows: dict[str, str]


_IN_GROUP = {"muted": IMPOSSIBLE} | dict.fromkeys(("operator", "outsider", "stranger", "banned"), IMPOSSIBLE)


def in_desk(key: str, what: str) -> Pressed:
    """Return a reaction on the card itself, for those who run the group; only they are in its desk."""
    return Pressed(key, "desk", "card", dict.fromkeys(ROLES, IMPOSSIBLE) | {"manager": what, "owner": what})


def in_group(key: str, under: str, what: str) -> Pressed:
    """Return a reaction in the group, for everybody who may write there."""
    return Pressed(key, "group", under, dict.fromkeys(ROLES, what) | _IN_GROUP)


REACTIONS = (
    in_desk(MORE, SHOWS),
    in_desk(CLAIM, CLAIMS),
    in_desk(LATER, PUTS_OFF),
    in_desk(TOGETHER, NOTHING),
    in_desk(UPHOLD, DECIDES),
    in_desk(DISMISS, DECIDES),
    in_desk(SETTLED, NOTHING),  # it is dismissed already
    in_desk(HANDLED, NOTHING),
    in_group(UPHOLD, "copy", NOTHING),
    in_group(DISMISS, "copy", NOTHING),
    # Synapse lets nothing refer to an event of another room; what if one did is in `tests/fuzz`.
    in_group(UPHOLD, "card", IMPOSSIBLE),
    Pressed(DISMISS, "direct", "card", dict.fromkeys(ROLES, IMPOSSIBLE)),
    in_group("\U0001f6a9", "message", REPORTS),
    in_group("\u26a0\ufe0f", "copy", REPORTS),
)
