"""The policy lists that count in a room, in words: for `!status`, and for members in `!rules`."""

from collections.abc import Iterable, Iterator

from moderation.lists.matching import Watch
from moderation.model.context import RoomView
from moderation.values.notices import Line, line


def list_lines(watches: Iterable[Watch], room: RoomView) -> Iterator[Line]:
    """Yield a line that names the lists which count in a room, if there are any."""
    names = [each.name for each in watches if each.holds_in(room)]
    if names:
        yield line("status.protects.lists", lists=", ".join(names))


def ban_list_lines(watches: Iterable[Watch], room: RoomView) -> Iterator[Line]:
    """Yield a line that names the lists which may bring a ban in a room, if there are any."""
    names = [each.name for each in watches if each.trust != "look" and each.holds_in(room)]
    if names:
        yield line("rules.lists", lists=", ".join(names))
