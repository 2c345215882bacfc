"""approve: an operator approves a file on a person from their own account.

Rules kept here:
- Only operators approve, and only in a direct room.
- They name the file and the full SHA-256 of its content, so that they approve what they looked at.

Left to others: comparing and recording it (`bot/admin/dossiers.py`), keys instead of accounts (`bot/cli/dossier.py`).
"""

import re

from moderation.duty.responsibility import is_operator
from moderation.model.actions.people import ApproveDossier
from moderation.values.errors import Refused
from moderation.values.notices import line
from storage import queries

from .invocation import Call, Command, Reply

_FILE = re.compile(r"(?:D-)?([0-9]{1,15})", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


async def approve(call: Call) -> Reply:
    """Approve a file on a person."""
    if not is_operator(call.caller, call.policy):
        raise Refused("error.approve.operators")
    if call.here.purpose != "direct":
        raise Refused("error.approve.direct")
    digest, _, reason = call.given.reason.partition(" ")
    file = _FILE.fullmatch(call.given.word)
    if file is None or not _DIGEST.fullmatch(digest.lower()):
        raise Refused("error.approve.form")
    n = int(file[1])
    if await queries.dossier_view(call.db, n) is None:
        raise Refused("cli.dossier.unknown", n=n)
    asked = ApproveDossier(
        room=call.here.room,
        subject=call.caller,
        n=n,
        digest=digest.lower(),
        on=call.on,
        reason=reason.strip(),
    )
    return Reply((line("dossier.approve.comparing", n=n),), actions=(asked,), private=True)


SUBJECT = "dossiers"
COMMANDS = (Command("approve", "manager", "word reason*", approve, anywhere=True, shown_to="operator"),)
