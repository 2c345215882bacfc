"""Stories of gaps on a real homeserver, whose tokens lead from page to page; the door plays all of them."""

# ruff: noqa: F401 - pytest collects what is imported, with its fixtures
from tests.door.bot.sync.test_gaps import (
    short_pages,
    test_a_bot_that_was_removed_while_it_was_away_reads_up_to_its_removal,
)
from tests.long.door.bot.sync.test_gaps import test_killed_after_each_page_the_bot_goes_on_where_it_was
