"""The filter that the bot sends with each `/sync` (section "Filtering")."""

from typing import Any, Final

# Synapse gives at most 100 events of a room in one answer (`filter_timeline_limit`), whatever is asked for;
# the rest comes as a gap. Account data is left out as well: nothing here is driven by it, and
# `Homeserver.account_data` reads it when it is wanted.
SYNC_FILTER: Final[dict[str, Any]] = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "timeline": {"limit": 100, "lazy_load_members": True},
        "state": {"lazy_load_members": True},
        "ephemeral": {"types": []},  # typing and receipts
        "account_data": {"types": []},
    },
}
