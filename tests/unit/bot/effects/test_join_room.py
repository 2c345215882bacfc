"""The pinned notice of what is recorded."""

import pytest

from bot.effects.join_room import recording_notice
from bot.texts.catalog import LANGUAGES, Catalog
from bot.texts.matrix_message import Speech
from moderation.policy import Policy
from moderation.values.durations import DAY_MS

MOST = 600  # characters: a pinned message that people still read


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("content", ["full", "metadata"])
def test_the_notice_is_short_and_says_where_the_rest_is(language: str, content: str) -> None:
    lines = recording_notice(content, 9_999 * DAY_MS, "!")
    said = Speech(Catalog.load(), Policy(), "en").text(lines, language, {}).plain
    assert len(said) <= MOST
    assert all(command in said for command in ("!key", "!rules", "!help"))
    assert "9,999" in said or "9999" in said
