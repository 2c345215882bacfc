"""The tables of the state database, a file a subject; this one is their table of contents.

Everything here except `progress_tables`, `list_entries`, `link_requests` and `challenges...` is a projection of the
journal (`storage/projections/`): it can be thrown away and rebuilt. A row made from a record has the index of that
record, so that a row always leads back to its evidence.
"""

from .case_tables import assignments, case_notes, case_steps, cases, decisions, evidence, questions, reports, statements
from .columns import columns_of_people, metadata
from .console_tables import console_links, console_sessions
from .duty_tables import away, duty_accepted, rosters
from .event_tables import daily, events, old_events, trials, withheld
from .list_tables import (
    chosen_lists,
    list_entries,
    list_matches,
    list_previews,
    list_spared,
    listed_servers,
    published_entries,
)
from .measure_tables import credit, holds, sanctions
from .operator_tables import approvers, dossier_steps, dossiers, tasks
from .people_tables import accounts, links, members, spoke
from .personal_data_tables import readings, requests
from .progress_tables import gap_events, gap_pages, gaps, meta, outbox
from .room_tables import desk_groups, former_rooms, policy_rooms, room_rules, room_settings, rooms, space_rooms
from .shard_tables import learnt, orders, shard_keys
from .verification_tables import challenge_attempts, challenges, pinned_keys, pointed, verifications
