"""Lines that tell the bot's rights in a room, and the changes to them."""

import pytest

from bot.texts.power_lines import power_changes, power_lines
from moderation.values.ids import RoomId, UserId
from moderation.values.power_levels import Power

BOT, OLGA, MARK = (UserId(f"@{name}:example.org") for name in ("bot", "olga", "mark"))
ROOM = RoomId("!r:example.org")


def power(bot: int, mark: int = 50, **levels: int) -> Power:
    return Power.of({}, {"users": {OLGA: 100, MARK: mark, BOT: bot}, **levels}, bot=BOT)


def keys(was: Power, now: Power) -> list[str]:
    return [each.key for each in power_changes(was, now, BOT, OLGA, ROOM)]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (power(0, events_default=0), ["joining.lacks", *(f"joining.missing.{right}" for right in ("redact", "kick"))]),
        (power(60), ["joining.beyond"]),
        (power(101), []),
    ],
)
def test_what_is_lacking_is_said_and_against_whom_nothing_can_be_done(now: Power, said: list[str]) -> None:
    assert [each.key for each in power_lines(now, BOT)][: len(said) or None] == said


def test_nobody_is_named_while_the_bot_has_no_power_at_all() -> None:
    assert "joining.beyond" not in [each.key for each in power_lines(power(0), BOT)]


def test_power_given_and_taken_is_said_by_right() -> None:
    rights = [f"joining.missing.{right}" for right in ("redact", "kick", "ban", "levels", "pin", "join_rules")]
    assert keys(power(0), power(60)) == ["power.given", *rights, "joining.all-well", "joining.beyond"]
    assert keys(power(60), power(0)) == ["power.taken", *rights, "power.waits", "power.ask"]
    assert keys(power(60), power(60, ban=70)) == ["power.taken", "joining.missing.ban", "power.waits", "power.ask"]
    assert keys(power(0), power(60, ban=70))[-3:] == ["power.still", "joining.missing.ban", "joining.beyond"]


def test_who_rises_to_the_level_of_the_bot_is_named_and_named_again_when_they_fall() -> None:
    assert keys(power(60), power(60, mark=60)) == ["joining.beyond"]
    assert keys(power(60, mark=60), power(60)) == ["power.within"]
    assert keys(power(60), power(60, mark=55)) == []
