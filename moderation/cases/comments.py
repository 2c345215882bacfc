"""Comments: what the person whom a case concerns says before it is decided.

Rules kept here:
- Only that person comments, and only while nothing is decided; afterwards there is the appeal.
- A case takes few comments, and so does a day, since each is shown to the people who decide.
"""

from moderation.model.context import CaseView
from moderation.model.facts import CaseCommented
from moderation.values.errors import Refused
from moderation.values.ids import UserId

MOST = 3  # of one case
MOST_A_DAY = 10  # of one person


def comment_on(
    case: CaseView, *, by: UserId, words: str, earlier: int, today: int, on: int
) -> tuple[CaseCommented, ...]:
    """Return the comment. Raises `Refused` if there can be none.

    `earlier` is how many the case has, `today` how many the person gave in the last day.
    """
    if not case.is_about(by):
        raise Refused("error.case.none", n=case.n)
    if case.outcome:
        raise Refused("error.comment.decided", n=case.n)
    if not words.strip():
        raise Refused("error.missing.words")
    if earlier >= MOST:
        raise Refused("error.comment.enough", n=case.n, limit=MOST)
    if today >= MOST_A_DAY:
        raise Refused("error.comment.enough-today", limit=MOST_A_DAY)
    return (CaseCommented(room=case.room, on=on, n=case.n, subject=by, words=words),)
