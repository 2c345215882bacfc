"""The words for what the bot can do in a room, and for how that has changed.

Left to others: what a right takes (`moderation/values/power_levels.py`), saying it (`bot/effects/show_power.py`).
"""

from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line, RoomName, Value, Who, line
from moderation.values.power_levels import NEEDED_TO_PROTECT, Lack, Power


def power_lines(power: Power, bot: UserId) -> tuple[Line, ...]:
    """Say what the bot lacks, and against whom it can do nothing; nothing if all is well."""
    missing = power.missing_for(bot)
    lacks = line("joining.lacks", bot=Who(bot), level=max((each.level for each in missing), default=0))
    return (*((lacks, *_rights(missing)) if missing else ()), *_beyond(beyond(power, bot)))


def power_changes(was: Power, now: Power, bot: UserId, by: UserId, room: RoomId) -> tuple[Line, ...]:
    """Say which rights `by` has given the bot or taken from it, and against whom it can act no more, or again."""
    before, after = was.missing_for(bot), now.missing_for(bot)
    taken = [each for each in after if each.right not in {lack.right for lack in before}]
    given = [each for each in before if each.right not in {lack.right for lack in after}]
    runs = now.owners() | now.managers()
    out, back = beyond(now, bot) - beyond(was, bot), (beyond(was, bot) - beyond(now, bot)) & runs
    if not (taken or given or out or (back and beyond_is_told(now, bot))):
        return ()
    where: dict[str, Value] = {"by": Who(by), "room": RoomName(room)}
    return (
        *((line("power.taken", **where), *_rights(taken)) if taken else ()),
        *((line("power.given", **where), *_rights(given)) if given else ()),
        *((line("power.still"), *_rights(after)) if given and after and not taken else ()),
        *((line("joining.all-well"),) if given and not after else ()),
        *((line("power.waits"),) if NEEDED_TO_PROTECT & {each.right for each in taken} else ()),
        *((line("power.ask", bot=Who(bot), level=max(each.level for each in after)),) if taken else ()),
        *_beyond(out),
        *((line("power.within", names=", ".join(sorted(back))),) if back and beyond_is_told(now, bot) else ()),
    )


def beyond(power: Power, bot: UserId) -> frozenset[UserId]:
    """Return the people who run the room and against whom the bot can do nothing; none while it has no power at all."""
    runs = power.owners() | power.managers()
    return power.cannot_demote(bot, runs) if beyond_is_told(power, bot) else frozenset()


def beyond_is_told(power: Power, bot: UserId) -> bool:
    """Tell whether the bot was given any power: else it can act against nobody, which goes without saying."""
    return power.level(bot) > power.users_default


def _rights(lacks: tuple[Lack, ...] | list[Lack]) -> tuple[Line, ...]:
    return tuple(line(f"joining.missing.{each.right}", level=each.level) for each in lacks)


def _beyond(people: frozenset[UserId]) -> tuple[Line, ...]:
    return (line("joining.beyond", names=", ".join(sorted(people))),) if people else ()
