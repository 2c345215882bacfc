"""The names of the rooms, people and rooms' own rules that a message names.

Rules kept here:
- A person is called as in the rooms that the message is about: names in other rooms say nothing to its reader.
- Where several rooms are named together, a person reads the names of those that they have ever been in; the others are
  called by their code.
- Only the person to whom or about whom a message is has a name in it: the message goes if that person's data are
  erased. Others are shown by their id, which clients show with the name that the person has now.
"""

from collections.abc import Iterable, Sequence
from itertools import product

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.room_rules import settings_of
from moderation.values.ids import UserId
from moderation.values.notices import Line, people_named, rooms_named, rooms_named_together, rules_named
from storage import queries


async def names_in(
    db: AsyncConnection,
    lines: Sequence[Line],
    language: str,
    *rooms: str,
    about: Iterable[str] = (),
    to: UserId | None = None,
) -> dict[str, str]:
    """Return the names of the rooms, people and rules in these lines.

    `rooms` are those that are looked at first; `about`: the people to whom or about whom the message is; `to`: the one
    reader (None: somebody who may know all names).
    """
    named = rooms_named(lines)
    near = tuple(dict.fromkeys((*rooms, *sorted(named))))
    people = await queries.display_names(db, people_named(lines) & set(about), near)
    rules = await rules_in_words(db, rules_named(lines), language, near)
    together = rooms_named_together(lines) if to else frozenset()
    unknown = together - await queries.rooms_ever_in(db, to) if together and to else frozenset()
    return {**rules, **await queries.room_names(db, named, by_code=unknown), **people}


async def rules_in_words(
    db: AsyncConnection, rules: Iterable[str], language: str, rooms: Sequence[str]
) -> dict[str, str]:
    """Return the rules of these rooms in words, also those removed since."""
    words: dict[str, str] = {}
    names = sorted(rules)
    kept = await queries.rules_named(db, names, rooms) if names and rooms else {}
    for rule, room in product(names, rooms):
        if (rule, room) in kept and (text := settings_of(kept[rule, room]).text):
            words.setdefault(rule, text.get(language) or next(iter(text.values())))
    return words
