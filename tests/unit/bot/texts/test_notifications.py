"""Notifications to the desk, the operators and people, in words."""

from bot.texts.notifications import in_words
from moderation.consequences import consequences
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.facts import AccountsLinked, Appealed, CaseMoved
from moderation.model.notifications import NotifyDesk, NotifyPerson
from moderation.values.ids import UserId
from moderation.values.notices import Moment, Quoted, Who, line
from tests.unit.moderation.builders import ANNA, MARK, NOON, ROOM

TWIN = UserId("@anna2:example.org")
OVERDUE = CaseMoved(room=ROOM, n=3, step="overdue", state="overdue", asked="managers", due=NOON)
TO_OWNER = CaseMoved(room=ROOM, n=3, step="escalated", state="escalated_owner", asked="owner", due=NOON)
PASSED_ON = line("desk.passed-on.owner", n=3, due=Moment(NOON))


def test_everything_that_one_notification_tells_the_desk_is_one_message() -> None:
    overdue = line("desk.moved.overdue", n=3, due=Moment(NOON))
    assert in_words([NotifyDesk(room=ROOM, n=3, facts=(OVERDUE, TO_OWNER), ring=True)]) == (
        TellDesk(room=ROOM, n=3, lines=(overdue, PASSED_ON), ring=True),
    )


def test_the_hearer_of_a_reporters_appeal_is_told_in_any_case() -> None:
    appeal = Appealed(room=ROOM, n=3, due=NOON, report=1, subject=MARK, words="look at the link")
    due = Moment(NOON)
    assert in_words([NotifyDesk(room=ROOM, n=3, facts=(appeal, TO_OWNER), ring=True)]) == (
        TellDesk(
            room=ROOM,
            n=3,
            lines=(line("desk.appealed-report", n=3, words=Quoted("look at the link"), due=due), PASSED_ON),
            discreet=(line("desk.appealed-report-discreet", n=3, due=due), PASSED_ON),
            ring=True,
        ),
    )


def test_each_of_two_linked_accounts_is_told_of_the_other() -> None:
    linked = AccountsLinked(room=ROOM, method="confirmed", subject=ANNA, target=TWIN)
    told = [each for each in consequences((linked,), lambda _user: (ROOM,)) if isinstance(each, NotifyPerson)]
    means = line("notice.linked-means")
    assert in_words(told) == (
        Tell(room=ROOM, subject=ANNA, lines=(line("notice.linked", who=Who(TWIN)), means), alone=True),
        Tell(room=ROOM, subject=TWIN, lines=(line("notice.linked", who=Who(ANNA)), means), alone=True),
    )
