"""Queries for judging and for people: they return frozen values or rows, one file per subject.

Rules kept here:
- All reads go through the connection given, so inside the writing transaction they see what has just been written.

Left to others: caching what was read (`bot/pipeline/view_cache.py`), writing (`storage/projections/`).
"""

from storage.projections import get_meta, get_metas
from storage.state.owner_choices import any_asks

from .accounts import communities_of_person, ever_linked, groups_of_person, people_in, person_who_proved, persons_linked
from .balances import listed_balances
from .barred import ListedBar, barred_entries, cases_sharing_messages
from .bursts import (
    BurstView,
    burst_by_card,
    burst_card,
    burst_view,
    bursts_waiting,
    cases_of_burst,
    room_lately,
)
from .case_assignments import assigned_to, charged_for, excused_cases, gone_from, told_cases, told_of
from .case_queue import Cursor, QueueCounts, QueueFilter, QueuePage, QueueRow, cases_of_person, queue_counts, queue_page
from .case_steps import last_record_of, time_line
from .case_words import CaseNote, comments_of, notes_of, statements_of
from .cases import (
    MOST_WAITING,
    Question,
    case_by_card,
    case_view,
    cases_of,
    closable_cases,
    due_cases,
    is_reported,
    newest_case_of,
    next_case,
    question_of,
    records_of_case,
    waiting_cases,
    waiting_with,
    with_operator,
)
from .cases_listed import UNDECIDED_STATES, ListedCase, WholeCase, cases_listed, last_case, whole_case
from .console import console_link, console_links_since, console_session, console_sessions
from .daily import daily_counts
from .decisions import Figures, figures_of, messages_of_dismissed_cases
from .desks import (
    desk_used_by,
    desk_view,
    desks_before,
    desks_of_owner,
    first_in_desk,
    staff_of,
    waiting_cards,
    wanted_desk,
)
from .dossiers import Approver, Dossier, all_approvers, all_dossiers, dossier_view, hidden_from, offences_of
from .due import NextTimes, next_times, next_times_and_meta
from .duty import answers_for, away_now, duty_of, owners_of, waiting_for
from .events import (
    event_at,
    event_row,
    held_back,
    known_events,
    last_stood,
    messages_around,
    messages_standing,
    recent_messages,
    recent_times,
    redactions_since,
    unread_events,
    unwanted_events,
)
from .join_waves import comings, inviter_of, last_wave, removed_lately, shut_by_waves, who_stands
from .ledgers import ledgers, people_with_entries
from .linked_accounts import accounts_of, accounts_of_all
from .list_previews import ListPreview, list_preview, previews_asked, rooms_entered
from .lists import (
    ChosenList,
    ListedServer,
    ListFigures,
    ListMatch,
    PublishedEntry,
    Spared,
    chosen_lists,
    denied_by_lists,
    known_lists,
    list_entries,
    list_figures,
    list_matches,
    listed_servers,
    people_present,
    published_counts,
    published_entry,
    published_of_cases,
    records_sparing,
    servers_spared,
    spared_by_list,
    touched_by_lists,
)
from .many_people import people_views
from .members_listed import ListedMember, members_listed
from .old_events import events_leaving, old_record, room_at
from .own_words import in_rooms_of_ours, rooms_of_words, said_alone_in, said_in_direct_rooms
from .people import (
    came_after_us,
    display_name,
    display_names,
    everybody,
    groups_of,
    has_confirmed,
    is_or_was_in,
    joined_of,
    language_of,
    last_asked,
    memberships,
    memberships_of,
    names_in,
    people_met,
    people_of,
    person_view,
    records_of_names,
    roles,
    rooms_ever_in,
    rooms_knowing,
    rung_for,
    together,
    vouches_by,
    vouches_for,
    was_asked,
)
from .people_listed import FoundPerson, RoomOfPerson, people_found, rooms_of_person
from .policy_rooms import policy_rooms, room_that_asks, rooms_that_ask
from .readings import (
    ListedReading,
    ReadingOf,
    cases_about,
    cases_of_records,
    export_of_note,
    is_noted,
    readings_listed,
    readings_of,
    subjects_of_cases,
    was_looked_at,
)
from .reports import (
    StoredReport,
    cases_with,
    how_many,
    known_of_report,
    open_reports_by,
    outside_notices,
    reported_case,
    reporters_of,
    reports_of,
    reports_paused,
)
from .room_rules import RoomRule, policy_for, rules_named, rules_of_room
from .room_view import closed_groups, room_by_code, room_view
from .rooms import (
    RoomLabel,
    active_groups,
    all_rooms,
    are_alone,
    asking_groups,
    codes_of,
    created_event,
    desk_of,
    desks_of_community,
    direct_room,
    direct_rooms,
    direct_with,
    followed_spaces,
    founded_by,
    has_code,
    introduction,
    is_former_room,
    listed_in,
    listed_without_bot,
    lobby_of,
    notices,
    other_rooms,
    own_rooms,
    recorded_rooms,
    room_labels,
    room_language,
    room_names,
    room_numbers,
    rooms_of_community,
    upgraded_to,
    with_former_rooms,
)
from .rooms_listed import FoundRoom, role_counts, rooms_found, rooms_listed
from .sanctions import (
    DeniedServer,
    all_in_force,
    denied_servers,
    ground_of_ban,
    holds_in,
    measures_of_room,
    orders_against,
    patterns_denied,
    rooms_with_sanctions,
    rooms_with_servers,
    sanctions_due,
    sanctions_in,
    sanctions_of_accounts,
    was_removed,
)
from .sweeps import WrittenEvent, came_back, written_from, written_since
from .tasks import open_task, open_tasks, tasks_about, tasks_about_rooms, waiting_tasks
from .transparency import RuleFigures, TransparencyFigures, rule_figures, transparency_figures
from .trials import Trial, trials_of
from .verification import (
    Ending,
    demoted_unverified,
    endings,
    in_a_lobby,
    knocking_people,
    members_below,
    outside,
    pinned_keys,
    state_of_pins,
    verifications_of,
    verifications_with,
    verified_by,
    with_lobby,
)
from .vitals import cases_open_and_overdue, groups_by_condition, vital_numbers
from .withheld import said_row, withheld_events
