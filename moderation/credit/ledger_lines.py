"""How an entry of a ledger is told to whom it concerns."""

from moderation.values.notices import Line, line


def entry_line(ledger: str, entry: str, cost: int, left: int) -> Line:
    """What it cost, and what is left."""
    key = f"notice.standing.{entry}" if ledger == "standing" else f"notice.credit.{entry}"
    return line(key, cost=cost, left=left)
