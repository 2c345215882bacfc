"""The projections of facts and events: the only code that writes the projected tables.

The same functions run while the bot works and when the journal is read again, so the two cannot differ. Each is given
the index of the record and its time, and nothing else from outside. One file per subject; importing this registers all.
Left to others: making facts (`moderation/`), queries (`storage/queries/`, one file per subject).
"""

from . import (  # they register what they project
    cases,
    console,
    lists,
    people,
    policy_rooms,
    records,
    rooms,
    sanctions,
    shards,
    withheld,
)
from .common import (
    CASES_FROM,
    END_MISSING,
    ERA,
    EXCHANGE_TIDY,
    JOINED,
    LIST_READ,
    MANY,
    PERSON,
    POLICY_SEQ,
    POSTED,
    PURGED,
    RECKONED,
    REMOVED,
    SWEEP,
    UNREAD,
    WAVE,
    get_meta,
    get_metas,
    person_of,
    project,
    set_all_meta,
    set_meta,
    without_marks,
)
from .daily import MESSAGE, DailyCounts
from .events import project_events, project_room_state
from .old_events import (
    COUNTED,
    EVENTS_LEFT,
    LEAVING,
    SHOWN,
    Leaving,
    LeftEvents,
    OldEvent,
    digest_of,
    events_left,
    let_events_leave,
)
