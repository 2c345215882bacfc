"""Policy lists: those chosen here, what is known of their entries, whom they meant, and who is spared."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, case, func, or_, select, union, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.choosing import ListSize
from moderation.lists.entries import Advice, Entry, Kind
from moderation.lists.matching import Watch
from moderation.model.context import InForce
from moderation.model.facts import ListPublished, ListSpared
from moderation.model.reach import DEPLOYMENT, Place
from moderation.policy import ListSettings, Trust
from moderation.values.ids import NO_USER, CaseNumber, EventId, PersonId, RoomId, UserId
from storage import schema
from storage.projections import LIST_READ
from storage.projections.common import person_of
from storage.projections.lists import spared_within
from storage.schema.case_tables import WAITS

from .sanctions import read_in_force


@dataclass(frozen=True, slots=True)
class ChosenList:
    """A list that somebody chose here."""

    list: str
    list_room: RoomId
    trust: Trust
    reach: str
    room: RoomId | None  # the group for which it was chosen
    preview: int  # the number of the preview that was confirmed; -1: none
    since: int
    by: UserId
    at: int  # when that was recorded last

    @property
    def in_chat(self) -> bool:
        """Return whether people chose it in chat; else it stands in the configuration."""
        return self.room is not None or self.preview >= 0

    def watch(self, settings: ListSettings) -> Watch:
        """Return how the list is watched: one of the configuration as it says there."""
        configured = next((each for each in settings.watch if each.name == self.list), None)
        if configured is None or self.in_chat:
            return Watch(self.list, self.list_room, self.trust, reach=self.reach, home=self.room)
        return Watch(
            self.list,
            self.list_room,
            configured.trust,
            rooms=configured.rooms,
            agree=configured.agree,
            kinds=configured.kinds,
            acl=configured.acl,
            senders=configured.senders,
            takedown=configured.takedown,
        )


@dataclass(frozen=True, slots=True)
class ListFigures:
    """Figures of a list: its entries, when it was last read (0: not yet), and the cases of its matches."""

    entries: int = 0
    read: int = 0
    cases: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class ListMatch:
    """An entry that meant somebody who was here, and its case."""

    record: int
    list: str
    of: Kind
    key: str
    advice: Advice
    step: str
    n: CaseNumber
    room: RoomId
    subject: UserId
    person: PersonId
    entity: str
    author: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class ListedServer:
    """An entry that meant a server, or a pattern over servers, of which people were here, and its case."""

    record: int
    list: str
    server: str
    key: str
    advice: Advice
    step: str
    n: CaseNumber
    room: RoomId
    people: int
    author: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class PublishedEntry:
    """An entry of a list of ours, as it was ordered last."""

    list: str
    key: str
    list_room: RoomId
    step: str
    n: CaseNumber
    room: RoomId
    word: str
    hashed: int
    subject: UserId

    def withdrawal(self, *, on: int, by: UserId = NO_USER) -> ListPublished:
        """Return the fact that it is taken back."""
        return ListPublished(
            room=self.room,
            on=on,
            step="withdrawn",
            list=self.list,
            n=self.n,
            word=self.word,
            hashed=self.hashed,
            list_room=self.list_room,
            key=self.key,
            subject=self.subject,
            by=by,
        )


async def published_entry(db: AsyncConnection, name: str, key: str) -> PublishedEntry | None:
    """Return the entry with a state key in a list of ours."""
    t = schema.published_entries
    row = (await db.execute(select(*_PUBLISHED).where(t.c.list == name, t.c.key == key))).first()
    return PublishedEntry(*row) if row else None


async def published_of_cases(db: AsyncConnection, numbers: Collection[int]) -> tuple[PublishedEntry, ...]:
    """Return the entries that are to stand in lists of ours for these cases."""
    t = schema.published_entries
    standing = select(*_PUBLISHED).where(t.c.n.in_(sorted(numbers)), t.c.step == "published").order_by(t.c.record)
    return tuple(PublishedEntry(*row) for row in await db.execute(standing))


async def published_counts(db: AsyncConnection, place: Place) -> dict[str, int]:
    """Return how many people of the community of a place stand in each list of ours."""
    t, r = schema.published_entries.c, schema.rooms.c
    counted = select(t.list, func.count()).outerjoin(schema.rooms, r.room == t.room)
    here = or_(t.room == place.room, r.community == place.community)
    rows = await db.execute(counted.where(t.step == "published", here).group_by(t.list))
    return {str(name): int(count) for name, count in rows}


_PUBLISHED = [schema.published_entries.c[name] for name in PublishedEntry.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Spared:
    """The ground on which a list no longer touches somebody: a case, or (0) a command; and how far that reaches."""

    n: int = 0
    reach: str = DEPLOYMENT


async def chosen_lists(db: AsyncConnection) -> tuple[ChosenList, ...]:
    """Return the lists that somebody chose here, by name."""
    t = schema.chosen_lists
    rows = [row._asdict() for row in await db.execute(select(t).order_by(t.c.list))]
    names = ChosenList.__dataclass_fields__
    return tuple(ChosenList(**{name: row[name] for name in names} | {"room": row["room"] or None}) for row in rows)


async def list_entries(db: AsyncConnection) -> dict[RoomId, tuple[Entry, ...]]:
    """Return the entries of all lists as their rooms were last read, in order."""
    t = schema.list_entries
    found: defaultdict[RoomId, list[Entry]] = defaultdict(list)
    for r in await db.execute(select(t).order_by(t.c.list_room, t.c.of, t.c.key)):
        entry = Entry(
            kind=r.of,
            key=r.key,
            entity=r.entity,
            digest=r.digest,
            advice=r.advice,
            recommendation=r.recommendation,
            reason=r.reason,
            sender=UserId(r.sender),
            event=EventId(r.event),
            at_ms=r.at,
        )
        found[RoomId(r.list_room)].append(entry)
    return {room: tuple(entries) for room, entries in found.items()}


async def list_figures(db: AsyncConnection, place: Place | None = None) -> dict[str, ListFigures]:
    """Return the figures of each chosen list; with a `place` the cases of its community alone."""
    e, c, r = schema.list_entries.c, schema.cases.c, schema.rooms.c
    m = union(*(select(each.c.list, each.c.n) for each in (schema.list_matches, schema.listed_servers))).subquery().c
    entries = {row.list_room: row.entries for row in await db.execute(_counted(e.list_room))}
    read = {row.key: int(row.value) for row in await db.execute(_READ)}
    cases = select(m.list, func.count(c.n.distinct()).label("cases"), _DISTINCT_WAITING.label("waiting"))
    cases = cases.join(schema.cases, c.n == m.n).outerjoin(schema.rooms, r.room == c.room).group_by(m.list)
    if place is not None:
        cases = cases.where(or_(c.room == place.room, r.community == place.community))
    counted = {row.list: row for row in await db.execute(cases)}
    return {
        each.list: ListFigures(
            entries.get(each.list_room, 0),
            read.get(LIST_READ + each.list, 0),
            counted[each.list].cases if each.list in counted else 0,
            counted[each.list].waiting if each.list in counted else 0,
        )
        for each in await chosen_lists(db)
    }


async def known_lists(db: AsyncConnection) -> tuple[ListSize, ...]:
    """Return the lists that somebody chose here, for the question whether one more may be chosen."""
    e = schema.list_entries.c
    globs = func.count().filter(or_(e.entity.contains("*"), e.entity.contains("?"))).label("globs")
    counted = select(e.list_room, func.count().label("entries"), globs).group_by(e.list_room)
    sizes = {row.list_room: (row.entries, row.globs) for row in await db.execute(counted)}
    return tuple(
        ListSize(each.list, each.list_room, each.in_chat, each.room, *sizes.get(each.list_room, (0, 0)))
        for each in await chosen_lists(db)
    )


def _counted(column: ColumnElement[str]) -> Select[str, int]:
    return select(column, func.count().label("entries")).group_by(column)


_READ = select(schema.meta).where(schema.meta.c.key.startswith(LIST_READ))
_DISTINCT_WAITING = func.count(case((WAITS, schema.cases.c.n)).distinct())


async def list_matches(db: AsyncConnection, *, n: int | None = None, person: PersonId | None = None) -> list[ListMatch]:
    """Return the matches of a case, of a person, or all, oldest first."""
    t = schema.list_matches
    wanted = select(t).order_by(t.c.record)
    if n is not None:
        wanted = wanted.where(t.c.n == n)
    if person is not None:
        wanted = wanted.where(t.c.person == person)
    names = ListMatch.__dataclass_fields__
    return [ListMatch(**{name: getattr(row, name) for name in names}) for row in await db.execute(wanted)]


async def listed_servers(
    db: AsyncConnection, *, n: int | None = None, server: str | None = None, name: str | None = None
) -> list[ListedServer]:
    """Return the servers that entries meant, oldest first: of a case, or one server by the list of a name."""
    t = schema.listed_servers
    wanted = select(t).order_by(t.c.record)
    for column, value in ((t.c.n, n), (t.c.server, server), (t.c.list, name)):
        wanted = wanted if value is None else wanted.where(column == value)
    names = ListedServer.__dataclass_fields__
    return [ListedServer(**{name: getattr(row, name) for name in names}) for row in await db.execute(wanted)]


async def denied_by_lists(db: AsyncConnection) -> tuple[InForce, ...]:
    """Return the denials of servers in force that rest on policy lists alone."""
    s = schema.sanctions.c
    held = (s.ended == 0, s.kind == "server", s.basis == "list")
    return read_in_force(await db.execute(select(schema.sanctions).where(*held).order_by(s.record)))


async def touched_by_lists(db: AsyncConnection, since_ms: int) -> dict[str, int]:
    """Return how many people each list touched by itself since a time: by a ban, or as their server was denied."""
    m, server = schema.list_matches.c, schema.listed_servers.c
    banned = select(m.list, func.count(m.person.distinct()).label("people"))
    banned = banned.where(m.step == "apply", m.at >= since_ms).group_by(m.list)
    denied = select(server.list, server.people).where(server.step == "apply", server.at >= since_ms)
    found = Counter[str]()
    for row in await db.execute(union_all(banned, denied)):
        found[row.list] += int(row.people)
    return dict(found)


async def servers_spared(db: AsyncConnection, place: Place) -> dict[str, dict[str, Spared]]:
    """Return the servers that each list no longer touches in a place, with what says so, as `spared_by_list`."""
    t = schema.list_spared.c
    rows = select(t.list, t.server, t.n, t.reach).where(t.server != "", _reaching(place))
    found: defaultdict[str, dict[str, Spared]] = defaultdict(dict)
    for row in await db.execute(rows.order_by(t.reach.desc(), t.record)):
        found[row.list][row.server] = Spared(row.n, row.reach)
    return dict(found)


async def people_present(db: AsyncConnection) -> list[tuple[RoomId, UserId]]:
    """Return everybody who is in a group, is invited there, or asks to come in."""
    m, r = schema.members.c, schema.rooms.c
    there = select(m.room, m.user).join(schema.rooms, r.room == m.room)
    there = there.where(r.purpose == "group", m.membership.in_(("join", "invite", "knock"))).order_by(r.entered, m.user)
    return [(RoomId(row.room), UserId(row.user)) for row in await db.execute(there)]


async def spared_by_list(db: AsyncConnection, person: PersonId, place: Place) -> dict[str, Spared]:
    """Return the lists that no longer touch a person in a place, each with what says so.

    Such a word reaches as far as that of the person who gave it (`moderation/model/reach.py`).
    """
    t = schema.list_spared.c
    rows = select(t.list, t.n, t.reach).where(t.person == person, t.server == "", _reaching(place))
    ordered = rows.order_by(t.reach.desc(), t.record)  # that of an operator last
    return {row.list: Spared(row.n, row.reach) for row in await db.execute(ordered)}


async def records_sparing(db: AsyncConnection, unspared: ListSpared) -> list[int]:
    """Return the records that a fact takes back which lets a list touch somebody, or a server, again."""
    within = spared_within(unspared, await person_of(db, unspared.subject))
    t = schema.list_spared.c
    return [int(record) for record in await db.scalars(select(t.record).where(within).order_by(t.record))]


def _reaching(place: Place) -> ColumnElement[bool]:
    t = schema.list_spared.c
    return or_(t.reach.in_((DEPLOYMENT, place.community)), t.room == place.room)
