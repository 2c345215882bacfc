"""The checks of encryption: whether people's clients give the bot keys, and what a loss would cost.

Rules kept here:
- A running bot is asked, since it holds the keys. Else they are opened here, under the lock, and nothing of them
  changes except what is noted of the homeserver's own word. Those in PostgreSQL are left to the machine that leads.
"""

from typing import TYPE_CHECKING, Any

from bot.cli.access.admin_client import ask_bot
from bot.cli.keys.perform import opened
from bot.cli.run import only_instance, running_pid
from bot.cli.terminal.output import why_of
from moderation.values.errors import AnswerableError, Refused

from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.login import Session


async def keys(config: "Config", session: "Session") -> Finding:
    """Report the one thing that matters most."""
    if config.place.url is not None and running_pid(config.data_dir) is None:
        return note("encryption", "keys_elsewhere")
    try:
        found = await _status(config, session)
    except AnswerableError as error:
        if isinstance(error, Refused) and error.key == "cli.operate.stands_by":
            return note("encryption", "keys_elsewhere")
        return problem("encryption", "keys_failed", why=why_of(error))
    return note("encryption", "keys_later") if found is None else _finding(found)


async def _status(config: "Config", session: "Session") -> dict[str, Any] | None:
    """Return the state of the keys; None: there are no keys on this machine yet."""
    from bot.crypto.store import place_of
    from storage.database.small_store import is_there

    if running_pid(config.data_dir) is not None:
        return await ask_bot(config.data_dir, "keys-status", {}, None)
    if not is_there(place_of(config.place, session.device)):
        return None
    with only_instance(config.data_dir):
        async with opened(config, session) as keys:
            return await keys.status()


def _finding(found: dict[str, Any]) -> Finding:
    match found["state"]:
        case "lost":
            return problem("encryption", "keys_lost", device=found["device"])
        case "replaced":
            return problem("encryption", "keys_replaced")
        case "locked":
            return warning("encryption", "keys_locked")
        case "absent":
            return note("encryption", "keys_absent")
        case "unsigned":
            return note("encryption", "keys_unsigned")
    if found["backup"] == "foreign":
        return warning("encryption", "keys_backup_foreign")
    if found["backup"] == "none" or not found["recovery"]:
        return note("encryption", "keys_no_backup")
    return ok("encryption", "keys_ready", device=found["device"], keys=found["keys"])
