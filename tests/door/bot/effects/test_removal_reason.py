"""The reason that a room sees for a removed message is a neutral word, unless the operator chose otherwise."""

import pytest

from tests.theatre.scene import Scene, Theatre, ask
from tests.theatre.served import RULES, phrase


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("", phrase("removal.reason")),
        ('removal_reason = "rule"', "no-elephants"),
        ('removal_reason = "none"', None),
    ],
)
async def test_a_removal_shows_what_is_configured(theatre: Theatre, setting: str, shown: str | None) -> None:
    scene = await theatre.scene(RULES, bot=setting)
    assert await _reason_shown(scene) == shown


async def test_the_neutral_word_is_in_the_rooms_language(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    await ask(scene.managers[0], scene.bot, scene.room, "!lang zh room")
    assert await _reason_shown(scene) == phrase("removal.reason", "zh")


async def _reason_shown(scene: Scene) -> object:
    (ann,) = scene.members
    said = await ann.send_text(scene.room, "a purple elephant")
    await scene.bot.has(said)
    await scene.bot.idle()
    removed = (await ann.event(scene.room, said))["unsigned"]["redacted_because"]
    return removed["content"].get("reason")
