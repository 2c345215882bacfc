"""The line that tells a person of an entry in their ledger."""

from moderation.values.notices import Line, line


def entry_line(ledger: str, entry: str, cost: int, left: int) -> Line:
    """Return the line with the cost of an entry and the points left."""
    key = f"notice.standing.{entry}" if ledger == "standing" else f"notice.credit.{entry}"
    return line(key, cost=cost, left=left)
