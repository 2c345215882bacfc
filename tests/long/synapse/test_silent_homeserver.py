"""A story of silence on a real homeserver, which does what it was asked to once; the door plays all of them."""

# ruff: noqa: F401 - pytest collects what is imported, with its fixtures
from tests.door.bot.sync.test_silent_homeserver import (
    impatient,
    test_a_request_without_an_answer_takes_effect_once,
)
