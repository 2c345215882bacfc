"""One cause notifies about a case once, by its new card or by one notification in its thread."""

from moderation.consequences import Consequence, consequences
from moderation.model.actions.cards import EditCard, PostCard
from moderation.model.facts import Appealed, CaseMoved, CaseNoted, CaseOpened, Fact
from moderation.model.notifications import NotifyDesk
from moderation.values.ids import CaseNumber
from tests.unit.moderation.builders import ANNA, MARK, NOON, ROOM

OVERDUE = CaseMoved(room=ROOM, n=3, step="overdue", state="overdue", asked="managers", due=NOON)
TO_OWNER = CaseMoved(room=ROOM, n=3, step="escalated", state="escalated_owner", asked="owner", due=NOON)


def following(*facts: Fact) -> tuple[Consequence, ...]:
    return consequences(facts, lambda _user: ())


def desk(*facts: Fact) -> list[NotifyDesk]:
    """Return what the desk is told because of these facts."""
    return [each for each in following(*facts) if isinstance(each, NotifyDesk)]


def test_a_deadline_that_passes_and_whom_the_case_goes_to_are_one_notification_that_rings() -> None:
    assert desk(OVERDUE, TO_OWNER) == [NotifyDesk(room=ROOM, n=3, facts=(OVERDUE, TO_OWNER), ring=True)]


def test_an_appeal_rings_its_hearer_once() -> None:
    appeal = Appealed(room=ROOM, n=3, due=NOON, subject=ANNA, words="it was a quote")
    assert desk(appeal) == [NotifyDesk(room=ROOM, n=3, facts=(appeal,), ring=True)]
    assert desk(appeal, TO_OWNER) == [NotifyDesk(room=ROOM, n=3, facts=(appeal, TO_OWNER), ring=True)]


def test_a_new_card_rings_by_itself() -> None:
    opened = CaseOpened(
        room=ROOM, n=3, rule="spam", grade="minor", decide="manager", state="open", due=NOON, subject=ANNA
    )
    assert PostCard(room=ROOM, n=CaseNumber(3)) in following(opened, TO_OWNER)
    assert desk(opened, TO_OWNER) == [NotifyDesk(room=ROOM, n=3, facts=(TO_OWNER,))]


def test_notifications_on_several_cases_ring_each_in_its_own_thread_and_a_note_rings_nobody() -> None:
    other = CaseMoved(room=ROOM, n=4, step="reminded", state="open", asked="managers", due=NOON)
    note = CaseNoted(room=ROOM, n=3, by=MARK, words="I know her")
    assert [(each.n, each.ring) for each in desk(TO_OWNER, other, note)] == [(3, True), (4, True), (3, False)]


def test_the_card_is_edited_all_the_same() -> None:
    edits = [each for each in following(OVERDUE, TO_OWNER) if isinstance(each, EditCard)]
    assert edits == [EditCard(room=ROOM, n=CaseNumber(3))] * 2
