"""The policy lists that count in a room, in words: for `!list`, `!status`, the console, and for members in `!rules`."""

from collections.abc import Iterable, Iterator

from moderation.lists.matching import Watch
from moderation.model.context import RoomView
from moderation.policy import Policy, PublishedList
from moderation.values.notices import Code, Line, Moment, Phrase, Who, line
from storage.queries import ChosenList, ListFigures


def list_lines(watches: Iterable[Watch], room: RoomView, policy: Policy) -> Iterator[Line]:
    """Yield lines that name the lists which count in a room, and our own lists of its cases, if there are any."""
    names = [each.name for each in watches if each.holds_in(room)]
    if names:
        yield line("status.protects.lists", lists=", ".join(names))
    if own := own_lists(policy, room):
        yield line("status.protects.own-lists", lists=", ".join(each.name for each in own))


def own_lists(policy: Policy, room: RoomView) -> tuple[PublishedList, ...]:
    """Return our own lists in which people can be put for cases of a room."""
    return tuple(each for each in policy.lists.publish if room.is_among(each.rooms))


def ban_list_lines(watches: Iterable[Watch], room: RoomView) -> Iterator[Line]:
    """Yield a line that names the lists which may bring a ban in a room, if there are any."""
    names = [each.name for each in watches if each.trust != "look" and each.holds_in(room)]
    if names:
        yield line("rules.lists", lists=", ".join(names))


def chosen_line(watch: Watch, figures: ListFigures, chosen: ChosenList | None) -> tuple[Line, ...]:
    """Say of a list how far it is trusted, what it brought, and who chose it if that was in chat."""
    shown = line(
        "policy-list.one",
        list=watch.name,
        trust=Phrase(f"policy-list.trust.{watch.trust}"),
        entries=figures.entries,
        read=Moment(figures.read) if figures.read else Phrase("policy-list.unread"),
        cases=figures.cases,
        waiting=figures.waiting,
    )
    if chosen is None or not chosen.in_chat:
        return (shown,)
    return (shown, line("policy-list.by", who=Who(chosen.by), since=Moment(chosen.since)))


def own_list_line(own: PublishedList, count: int) -> Line:
    """Say of a list of our own how many people stand there."""
    return line("policy-list.own", list=own.name, room=Code(own.room), count=count)
