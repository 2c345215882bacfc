"""Comments: what the person whom a case concerns says before it is decided.

Rules kept here:
- Only that person comments, and only while nothing is decided; afterwards there is the appeal.
- A case takes few comments, since each is shown to the people who decide.
"""

from moderation.model.context import CaseView
from moderation.model.facts import CaseCommented
from moderation.values.errors import Refused
from moderation.values.ids import UserId

MOST = 3  # of one case


def comment_on(case: CaseView, *, by: UserId, words: str, earlier: int, on: int) -> tuple[CaseCommented, ...]:
    """Return the comment; `earlier` is how many there are. Raises `Refused` if there can be none."""
    if not case.is_about(by):
        raise Refused("error.case.none", n=case.n)
    if case.outcome:
        raise Refused("error.comment.decided", n=case.n)
    if not words.strip():
        raise Refused("error.missing.words")
    if earlier >= MOST:
        raise Refused("error.comment.enough", n=case.n, limit=MOST)
    return (CaseCommented(room=case.room, on=on, n=case.n, subject=by, words=words),)
