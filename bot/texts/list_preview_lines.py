"""The words for a policy list that somebody wants to choose: what it says, whom it would touch, and what has changed.

Everything that a list says is shown as code, since strangers wrote it.
"""

from collections.abc import Iterator, Sequence

from moderation.lists.entries import Entry
from moderation.lists.preview import Touched, authors_of, kinds_of, widest_of
from moderation.values.ids import RoomId
from moderation.values.notices import Code, Line, Moment, RoomName, line

MOST_SHOWN = 3  # authors and patterns
MOST_ROOMS = 10
MOST_CHANGED = 5  # entries
LONGEST = 120  # characters of what a list says


def preview_lines(
    list_room: RoomId, entries: Sequence[Entry], people: Sequence[Touched], prefix: str, number: int, most: int
) -> tuple[Line, ...]:
    """Say what a list says, and what would follow if it were applied; of more than `most` people only so much."""
    kinds, authors = kinds_of(entries), authors_of(entries)
    globs = sum(each.is_glob for each in entries)
    head = line(
        "policy-list.preview.head",
        room=Code(list_room),
        users=kinds.get("user", 0),
        servers=kinds.get("server", 0),
        rooms=kinds.get("room", 0),
        globs=globs,
    )
    written = (
        line("policy-list.preview.author", by=_code(each.by), count=each.entries, at=Moment(each.at))
        for each in authors[:MOST_SHOWN]
    )
    others = len(authors) - MOST_SHOWN
    typed = Code(f"{prefix}list watch NAME look {number}")
    return (
        head,
        *written,
        *((line("policy-list.preview.authors", count=others),) if others > 0 else ()),
        *_touched(people, most),
        line("policy-list.preview.next", typed=typed),
    )


def _touched(people: Sequence[Touched], most: int) -> Iterator[Line]:
    if not people:
        yield line("policy-list.preview.nobody")
        return
    for entity, count in widest_of(people)[:MOST_SHOWN]:
        yield line("policy-list.preview.widest", entity=_code(entity), count=count)
    rooms = dict.fromkeys(each.room for each in people)
    for room in list(rooms)[:MOST_ROOMS]:
        here = [each for each in people if each.room == room]
        yield line(
            "policy-list.preview.room",
            room=RoomName(room),
            count=len(here),
            ban=_count(here, "apply"),
            propose=_count(here, "propose"),
            spared=_count(here, "spared"),
            exempt=_count(here, "exempt"),
            managers=sum(each.manages for each in here),
            verified=sum(each.verified for each in here),
        )
    if len(rooms) > MOST_ROOMS:
        yield line("policy-list.preview.rooms", count=len(rooms) - MOST_ROOMS)
    if len(people) > most:
        yield line("policy-list.preview.many", limit=most)


def changed_lines(
    added: Sequence[Entry], gone: Sequence[Entry], name: str, prefix: str, list_room: RoomId
) -> tuple[Line, ...]:
    """Say that a list is not what it was when it was shown, and what has changed as far as that is known."""
    again = Code(f"{prefix}list preview {list_room}")
    if not (added or gone):
        return (line("policy-list.changed.unknown", list=name, again=again),)
    return (
        line("policy-list.changed.head", list=name, added=len(added), gone=len(gone)),
        *(line("policy-list.changed.added", entity=_code(each.shown)) for each in added[:MOST_CHANGED]),
        *(line("policy-list.changed.gone", entity=_code(each.shown)) for each in gone[:MOST_CHANGED]),
        line("policy-list.changed.next", again=again),
    )


def _count(people: Sequence[Touched], fate: str) -> int:
    return sum(each.fate == fate for each in people)


def _code(text: str) -> Code:
    return Code(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
