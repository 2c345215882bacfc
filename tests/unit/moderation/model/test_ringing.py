"""One cause notifies about a case once, by its new card or by one message in its thread."""

from moderation.consequences import consequences
from moderation.model.actions import EditCard, PostCard, TellDesk
from moderation.model.facts import Appealed, CaseMoved, CaseNoted, CaseOpened
from moderation.values.ids import CaseNumber
from moderation.values.notices import Moment, Who, line
from tests.unit.moderation.builders import ANNA, MARK, NOON, ROOM

OVERDUE = CaseMoved(room=ROOM, n=3, step="overdue", state="overdue", asked="managers", due=NOON)
TO_OWNER = CaseMoved(room=ROOM, n=3, step="escalated", state="escalated_owner", asked="owner", due=NOON)
PASSED_ON = line("desk.passed-on.owner", n=3, due=Moment(NOON))


def desk(*facts: object) -> list[TellDesk]:
    """Return the messages to the desk that follow from these facts."""
    actions = consequences(facts, lambda _user: ())  # type: ignore[arg-type]
    return [action for action in actions if isinstance(action, TellDesk)]


def test_a_deadline_that_passes_and_whom_the_case_goes_to_are_one_message_that_rings() -> None:
    overdue = line("desk.moved.overdue", n=3, due=Moment(NOON))
    assert desk(OVERDUE, TO_OWNER) == [TellDesk(room=ROOM, n=3, lines=(overdue, PASSED_ON), ring=True)]


def test_an_appeal_rings_whoever_is_to_hear_it_once_also_where_it_goes_to_the_owner() -> None:
    appeal = Appealed(room=ROOM, n=3, due=NOON, subject=ANNA, words="it was a quote")
    said = line("desk.appealed", who=Who(ANNA), n=3, words="it was a quote", due=Moment(NOON))
    assert desk(appeal) == [TellDesk(room=ROOM, n=3, lines=(said,), ring=True)]
    assert desk(appeal, TO_OWNER) == [TellDesk(room=ROOM, n=3, lines=(said, PASSED_ON), ring=True)]


def test_a_new_card_rings_by_itself() -> None:
    opened = CaseOpened(
        room=ROOM, n=3, rule="spam", grade="minor", decide="manager", state="open", due=NOON, subject=ANNA
    )
    assert PostCard(room=ROOM, n=CaseNumber(3)) in consequences((opened, TO_OWNER), lambda _user: ())
    assert desk(opened, TO_OWNER) == [TellDesk(room=ROOM, n=3, lines=(PASSED_ON,))]


def test_messages_on_several_cases_ring_each_in_its_own_thread_and_a_note_rings_nobody() -> None:
    other = CaseMoved(room=ROOM, n=4, step="reminded", state="open", asked="managers", due=NOON)
    note = CaseNoted(room=ROOM, n=3, by=MARK, words="I know her")
    assert [(each.n, each.ring) for each in desk(TO_OWNER, other, note)] == [(3, True), (4, True), (3, False)]


def test_the_card_is_edited_all_the_same() -> None:
    edits = [each for each in consequences((OVERDUE, TO_OWNER), lambda _user: ()) if isinstance(each, EditCard)]
    assert edits == [EditCard(room=ROOM, n=CaseNumber(3))] * 2
