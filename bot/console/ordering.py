"""Orders of an operator: the bot records their account here, the operator they act as, and the reason."""

from typing import Any

from moderation.values.access_reasons import says_why

from .asking import ask
from .visit import Bad, Visit


async def order(visit: Visit, do: str, **arguments: Any) -> dict[str, Any]:
    """Have the bot do something, for the reason that the form gives, and return what it answers.

    Raises `Refused` if the bot refuses; `Bad` if it gives no answer, or if reason or operator are missing.
    """
    if not visit.operator:
        raise Bad("console.problem.no_operator", 403)
    reason = visit.said("reason")
    if not says_why(reason):
        raise Bad("console.problem.no_reason")
    return await ask(visit.site, do, by=visit.operator, reader=visit.visitor.by, reason=reason, **arguments)
