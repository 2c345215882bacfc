"""More stories of the door in which the homeserver has a say of its own, on a real Synapse.

That is what levels, a lobby and a space allow, what becomes of what was edited and pressed, who is left in a room, and
files.
"""

# ruff: noqa: F401 - pytest collects what is imported, with the fixtures of this folder
import pytest

from tests.door.bot.bot_rooms.test_company_in_a_direct_room import (
    test_the_bot_leaves_says_why_and_speaks_in_a_room_of_two_again,
)
from tests.door.bot.commands.test_adoption import (
    test_an_owner_gives_up_standing_above_everybody_and_the_group_goes_on,
    test_an_owner_of_an_adopted_room_is_demoted_like_anybody,
)
from tests.door.bot.commands.test_measures import (
    test_a_level_changed_by_hand_is_set_again_twice_then_left_alone_and_told,
)
from tests.door.bot.commands.test_personal_data import test_a_file_is_noted_by_its_hash_and_size
from tests.door.bot.commands.test_sweep import test_what_somebody_wrote_lately_goes_with_one_case_and_one_word
from tests.door.bot.console.test_whole_story import (
    test_a_case_is_decided_in_the_browser_and_everybody_learns_of_it_as_by_chat,
)
from tests.door.bot.effects.test_cases_and_desk import (
    test_a_case_decided_by_its_rule_has_a_card_and_is_reversed_by_a_reaction,
)
from tests.door.bot.effects.test_join_waves import (
    test_a_wave_is_removed_and_nobody_follows_until_a_manager_says_that_it_is_none,
)
from tests.door.bot.effects.test_known_pictures import (
    test_a_known_picture_is_gone_from_the_room_and_its_sender_told_why,
)
from tests.door.bot.effects.test_quote_message import (
    test_a_waiting_picture_is_shown_in_the_desk_and_posted_from_there,
)
from tests.door.bot.effects.test_room_measures import (
    test_an_owner_closes_the_room_and_opens_it_again,
)
from tests.door.bot.effects.test_server_acl import (
    test_a_denial_is_written_on_the_homeserver_told_to_the_room_and_taken_back,
)
from tests.door.bot.effects.test_several_rooms import (
    test_a_ban_everywhere_takes_effect_and_is_reversed_in_all_rooms_at_once,
)
from tests.door.bot.effects.test_shared_desks import (
    test_a_manager_of_one_room_only_never_comes_into_the_desk_of_several,
)
from tests.door.bot.identity.test_verification_rooms import (
    test_nobody_writes_in_the_lobby_and_verified_people_are_invited,
)
from tests.door.bot.pipeline.test_judge_event import test_each_kind_of_rule_is_found_redacted_and_charged_once
from tests.door.bot.sync.test_coming_back import (
    test_a_bot_removed_and_invited_during_downtime_starts_afresh,
    test_nothing_is_recorded_after_a_removal_in_the_answer_or_page_that_tells_of_it,
)
from tests.door.bot.sync.test_followed_spaces import (
    test_decisions_count_in_all_rooms_that_a_space_lists,
)
from tests.door.bot.sync.test_joining import (
    test_a_bot_that_was_removed_has_left_and_comes_back_under_the_same_code,
    test_a_person_who_joins_during_entry_counts_as_joined,
    test_a_room_without_enough_power_is_observed_until_the_power_is_given,
    test_a_space_is_not_joined_and_the_inviter_is_told_why,
    test_an_invitation_is_accepted_when_a_glob_matches_and_declined_otherwise,
    test_each_room_the_bot_makes_for_itself_is_recorded_under_one_code,
    test_the_desk_is_told_what_is_missing_and_whom_the_bot_could_never_demote,
)
from tests.door.test_people import (
    test_messages_before_leaving_are_not_requested_after_a_new_invitation,
    test_more_than_one_answer_can_hold_is_found_once_each_and_in_order,
)
from tests.long.door.bot.sync.test_list_story import (
    test_a_listed_member_is_proposed_banned_heard_and_spared_and_a_ban_ends_with_its_entry,
)

pytestmark = pytest.mark.usefixtures("short_waits")
