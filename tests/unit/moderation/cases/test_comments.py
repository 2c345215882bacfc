"""Comments: by the person whom a case concerns, before it is decided, and few."""

import pytest

from moderation.cases.comments import MOST, MOST_A_DAY, comment_on
from moderation.model.facts import CaseCommented
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ANNA, MARK, ROOM, known

TWIN = UserId("@anna2:example.org")
OPEN = known(state="open", outcome="", accounts=frozenset({ANNA, TWIN})).cases[3].case


@pytest.mark.parametrize("by", [ANNA, TWIN])
def test_the_person_concerned_comments_by_any_account(by: UserId) -> None:
    said = CaseCommented(room=ROOM, on=9, n=3, subject=by, words="a quotation")
    assert comment_on(OPEN, by=by, words="a quotation", earlier=MOST - 1, today=MOST_A_DAY - 1, on=9) == (said,)


@pytest.mark.parametrize(
    ("by", "words", "earlier", "today", "why"),
    [
        (MARK, "let him off", 0, 0, "error.case.none"),
        (ANNA, "  ", 0, 0, "error.missing.words"),
        (ANNA, "once more", MOST, MOST, "error.comment.enough"),
        (ANNA, "once more", 0, MOST_A_DAY, "error.comment.enough-today"),
    ],
)
def test_comments_by_others_without_words_or_without_end_are_refused(
    by: UserId, words: str, earlier: int, today: int, why: str
) -> None:
    with pytest.raises(Refused) as refused:
        comment_on(OPEN, by=by, words=words, earlier=earlier, today=today, on=9)
    assert refused.value.key == why


@pytest.mark.parametrize("state", ["decided", "appealed", "affirmed"])
def test_after_a_decision_there_is_the_appeal(state: str) -> None:
    with pytest.raises(Refused, match=r"error\.comment\.decided"):
        comment_on(known(state=state).cases[3].case, by=ANNA, words="but", earlier=0, today=0, on=9)  # type: ignore[arg-type]
