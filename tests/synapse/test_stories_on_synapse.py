"""One story of each feature, played by the door on a simulated homeserver, is played here on a real Synapse.

`STORIES=synapse make test ARGS=tests/door` plays all of them on a real one.
"""

# ruff: noqa: F401 - pytest collects what is imported, with the fixtures of this folder
import pytest

from tests.door.bot.admin.test_barred import test_an_appeal_that_is_granted_lifts_the_bans_everywhere
from tests.door.bot.admin.test_erasing_everywhere import test_a_marked_word_in_every_field_is_nowhere_afterwards
from tests.door.bot.admin.test_members import test_a_vouched_member_is_shown_as_verified_next_to_the_responsible_people
from tests.door.bot.bot_rooms.test_company_in_a_direct_room import (
    test_the_bot_leaves_says_why_and_speaks_in_a_room_of_two_again,
)
from tests.door.bot.commands.test_duty import (
    test_a_case_goes_to_managers_on_duty_and_stays_with_them,
)
from tests.door.bot.commands.test_measures import (
    test_a_level_changed_by_hand_is_set_again_twice_then_left_alone_and_told,
    test_kicks_and_bans_happen_are_told_and_end,
)
from tests.door.bot.commands.test_personal_data import test_a_file_is_noted_by_its_hash_and_size
from tests.door.bot.commands.test_report import test_a_reporting_reaction_is_removed_at_once_and_answered_in_private
from tests.door.bot.commands.test_report_appeals import (
    test_a_reporters_appeal_goes_to_somebody_else_and_names_nobody_in_the_desk,
)
from tests.door.bot.commands.test_reports_together import (
    test_all_waiting_reports_of_one_member_are_dismissed_at_once,
)
from tests.door.bot.commands.test_rule import (
    test_a_room_rule_is_tried_applied_told_and_outlived_by_its_cases,
)
from tests.door.bot.commands.test_vouch import test_a_false_vouch_costs_the_voucher_standing_and_can_be_appealed
from tests.door.bot.effects.test_cases_and_desk import (
    test_a_case_decided_by_its_rule_has_a_card_and_is_reversed_by_a_reaction,
    test_an_appeal_goes_to_somebody_else_and_a_reversal_undoes_everything,
)
from tests.door.bot.effects.test_demotion import (
    test_a_demotion_ends_with_the_case_it_rests_on_and_with_no_other,
)
from tests.door.bot.effects.test_quote_message import (
    test_a_waiting_picture_is_shown_in_the_desk_and_posted_from_there,
)
from tests.door.bot.effects.test_room_measures import test_an_owner_closes_the_room_and_opens_it_again
from tests.door.bot.effects.test_slow_mode import test_slow_mode_ends_by_command_or_time_and_its_pace_can_change
from tests.door.bot.identity.test_verification_rooms import (
    test_a_knock_is_admitted_after_a_vouch_or_at_once_if_verified,
    test_nobody_writes_in_the_lobby_and_verified_people_are_invited,
)
from tests.door.bot.pipeline.test_judge_event import test_each_kind_of_rule_is_found_redacted_and_charged_once
from tests.door.bot.pipeline.test_member_limits import (
    test_a_newcomer_to_a_full_room_is_removed_kindly_and_members_stay,
)
from tests.door.bot.pipeline.test_replay import test_the_journal_replayed_into_an_empty_database_gives_the_same_tables
from tests.door.bot.scheduler.test_due_cases import test_an_untouched_case_escalates_and_charges_people_on_duty
from tests.door.bot.sync.test_followed_spaces import (
    test_decisions_count_in_all_rooms_that_a_space_lists,
)
from tests.door.bot.sync.test_refused_invitations import (
    test_a_barred_person_brings_the_bot_into_no_room_and_can_still_ask_it_why,
)
from tests.door.bot.test_restart import (
    test_records_the_database_has_not_seen_are_caught_up_without_doing_anything_twice,
)

pytestmark = pytest.mark.usefixtures("short_waits")
