"""Messages that were refused before their delivery, so that nobody saw them."""

from typing import Literal

from moderation.policy import Grade
from moderation.values.events import Where
from moderation.values.ids import EventId, UserId

from .base import Fact, person, private
from .sanctions import Basis

WithheldBy = Literal["policy_server", "antispam"]


class MessageWithheld(Fact, kind="withheld", changes="nothing"):
    """An event was refused before its delivery, as `by` was asked to say; it is no event of its room.

    `rule` to `limit` say why it was refused, as in `Found`; `basis` is that of the measure. `every` and `messages` are
    as in `SanctionStarted`. What follows are facts of their own, as of an event (`judge_withheld`).
    """

    by: WithheldBy
    refused: int  # when, in milliseconds since 1970
    rule: str
    grade: Grade
    basis: Basis = "rule"
    where: Where | Literal["-"] = "-"
    count: int = 0
    limit: int = 0
    every: int = 0
    messages: int = 1
    state: int = 0  # 1: it would have changed the state of its room
    subject: UserId = person()
    event: EventId = private("subject")  # or the key of one that has no id yet
    sent: str = private("subject")  # when, in milliseconds since 1970, as its sender claims
    type: str = private("subject")
    key: str = private("subject")  # the state key
    sha256: str = private("subject")  # of its content
    matched: str = private("subject", words=True)
    body: str = private("subject", words=True)
    content: str = private("subject", words=True)  # the rest of it: JSON
