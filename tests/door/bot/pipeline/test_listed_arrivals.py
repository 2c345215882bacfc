"""Somebody whom a policy list names is met as they arrive, whatever else looks at arrivals."""

from pathlib import Path

import pytest

from moderation.model.facts import SanctionStarted
from tests.door.bot.pipeline.test_join_waves import STRANGERS, come
from tests.door.lists import entries
from tests.door.offline import offline
from tests.unit.moderation.lists.made import made

WAVE = '[joins]\nwave = 5\ndo = "gate"\n'


@pytest.mark.parametrize("settings", ["", "[joins]\nwave = 0\n", WAVE])
async def test_those_who_join_a_public_room_are_met(tmp_path: Path, settings: str) -> None:
    named = STRANGERS[3:5]
    async with offline(tmp_path, settings) as bot:
        await entries(bot, *(made("user", user, key=user) for user in named), trust="apply")
        await come(bot, STRANGERS[5:8])
        await come(bot, named)  # who complete the wave
        assert {fact.subject for fact in bot.facts(SanctionStarted) if fact.kind == "ban"} == set(named)
