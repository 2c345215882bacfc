"""The checks of the identity store and its key: it must be there, kept elsewhere, and the right one.

Rules kept here:
- It only reads.
- A running bot may have its key from its own environment or a credential, which nobody else can see. Then the store is
  asked, not the key.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.config.identity_key import GivenKey
    from storage.identity.store import IdentityStoreState

_WRONG: dict[str, str] = {
    "missing": "identity_missing",
    "unreadable": "identity_unreadable",
    "open": "identity_open",
    "inside": "identity_inside",
    "not_a_key": "identity_not_a_key",
}


def identity(config: "Config") -> Iterator[Finding]:
    """Yield all findings about the identity store."""
    from bot.config.identity_key import given_key
    from storage.identity.store import open_for_reading

    given = given_key(config)
    store = open_for_reading(config.data_dir, given.kek)
    try:
        yield _finding(given, store.state() if store else None)
    finally:
        if store:
            store.close()


def _finding(given: "GivenKey", state: "IdentityStoreState | None") -> Finding:
    """Report the one thing that matters most."""
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
