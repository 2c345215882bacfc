"""The question whether this machine could take the lead now.

A machine that could not is found while the other one still leads, rather than when it must take over.

Left to others: what each check means (`storage/database/moved.py`, `postgresql.py`, `bot/account/key_files.py`).
"""

from collections.abc import Mapping
from typing import Final

from bot.account.key_files import must_have_key_files
from bot.monitoring.standby_health import Obstacle
from moderation.values.errors import Refused
from storage.database.database import refuse_newer
from storage.database.moved import refuse_moved
from storage.database.place import DatabasePlace

_OBSTACLES: Final[Mapping[str, Obstacle]] = {
    "database.moved_to_files": "moved",
    "database.not_moved": "moved",
    "database.newer": "newer",
    "cli.run.keys_missing": "keys",
    "cli.run.keys_other": "keys",
}


def refuse_unusable(place: DatabasePlace) -> None:
    """Raise `Refused` if the deployment was moved away from the database, or if a newer version made its tables."""
    refuse_moved(place)
    refuse_newer(place)


def must_be_able_to_lead(place: DatabasePlace) -> None:
    """Raise `Refused` if the database is unusable, or if this machine lacks keys of the deployment."""
    refuse_unusable(place)
    must_have_key_files(place)


def obstacle_to_leading(place: DatabasePlace) -> Obstacle:
    """Return why this machine may not lead, or "". Raises other `Refused`, and `OSError`, as the checks do."""
    try:
        must_be_able_to_lead(place)
    except Refused as error:
        if (obstacle := _OBSTACLES.get(error.key)) is None:
            raise
        return obstacle
    return ""
