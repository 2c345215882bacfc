"""The checks of the identity store and its key: it must be there, kept elsewhere, and the right one.

Rules kept here:
- It only reads.
- A running bot may have its key from its own environment or a credential, which nobody else can see. Then the store is
  asked, not the key.
"""

from typing import TYPE_CHECKING

from bot.cli.access.lookup import identity_store

from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config

_WRONG: dict[str, str] = {
    "missing": "identity_missing",
    "unreadable": "identity_unreadable",
    "open": "identity_open",
    "inside": "identity_inside",
    "not_a_key": "identity_not_a_key",
}


def identity(config: "Config") -> Finding:
    """Report the one thing that matters most about the identity store."""
    given, state = identity_store(config)
    used = state.used if state else ()
    if given.wrong:
        return problem("identity", _WRONG[given.wrong], file=given.path or given.source)
    if given.kek is None:
        if used:
            return warning("identity", "identity_elsewhere", needed=", ".join(used))
        return note("identity", "identity_none")
    if state is not None and used:
        if state.lock == "other_key":
            return problem("identity", "identity_other_key", id=given.kek.id, needed=", ".join(used))
        if state.lock == "damaged":
            return problem("identity", "identity_damaged", id=given.kek.id, needed=", ".join(used))
        if state.changing_to:
            return problem("identity", "identity_unfinished", needed=state.changing_to)
        if state.forgotten:
            return note("identity", "identity_forgotten", count=state.forgotten)
    return ok("identity", "identity", id=given.kek.id)
