"""Applies facts and events to the database: the only code that writes the projected tables.

The same functions run while the bot works and when the journal is read again, so the two cannot differ. Each is given
the index of the record and its time, and nothing else from outside.
Left to others: making facts (`moderation/`), queries (`views/`, one file a noun).
"""

import json
from collections.abc import Mapping, Sequence
from functools import singledispatch

from sqlalchemy import ColumnElement, Table, and_, bindparam, case, delete, insert, or_, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.durations import DAY_MS
from moderation.events import Json, MembershipChanged, MessagePosted, Received, StateChanged, Unreadable
from moderation.facts import (
    LASTING,
    OF_ROOMS,
    AccountsLinked,
    AccountUnlinked,
    ActionTaken,
    Appealed,
    AwayChanged,
    CaseAssigned,
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    CheckpointAnchored,
    CreditChanged,
    DataAsked,
    DoorAnswered,
    DossierStep,
    Fact,
    Held,
    KeyPinned,
    LanguageChosen,
    NotSeen,
    PartsErased,
    PersonVerified,
    PolicyChanged,
    RecordsPurged,
    RecordsRestored,
    Reported,
    RoleChanged,
    RoomEntered,
    RoomRuleChanged,
    RoomSettingChanged,
    RoomStateChanged,
    RosterChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    StatementGiven,
    TaskDone,
    TaskOpened,
    VerificationAsked,
)
from moderation.ids import RoomId, UserId, is_room_id
from moderation.own_rules import OVERDUE, UNVERIFIED
from moderation.pace import ROOM_SLOW
from moderation.persons import Link
from moderation.policy import Policy, VerificationSettings
from moderation.verification import Asks, asks, with_choice

from . import anchored, linked_people, moved_rooms
from . import tables as t
from .records.canonical import plain
from .records.ranges import Ranges
from .records.targets import Targets
from .room_settings import choices_of

ERA = "era"  # of the deployment: set once its log goes on from a backup
CASES_FROM = "cases_from"  # the same: the least number of a new case
REMOVED = "removed"  # in the table of pointers: somebody was removed, and has not come back
MANY = 500  # rows in one statement
UNREAD = "coverage"  # in the table of events: what could not be read
POSTED = "posted"  # in the table of events: something that somebody wrote, as against reactions and the like


def without_marks(content: Mapping[str, Json]) -> dict[str, Json]:
    """Content without what the bot notes for itself in its own rooms: it names whom a direct room is for."""
    return {name: value for name, value in content.items() if not name.startswith("org.answerable.")}


# Statements that each message may need are made once: making one takes longer than doing it.
PERSON = select(t.accounts.c.person).where(t.accounts.c.user == bindparam("user"))
_INSERTS = {table: insert(table) for table in t.metadata.tables.values()}
_NEW_META = upsert(t.meta)
_SET_META = _NEW_META.on_conflict_do_update(index_elements=["key"], set_={"value": _NEW_META.excluded.value})


async def person_of(db: AsyncConnection, user: UserId) -> str:
    """The person behind an account: itself, unless accounts were linked by verification."""
    row = (await db.execute(PERSON, {"user": user})).first()
    return row.person if row else user


async def set_meta(db: AsyncConnection, key: str, value: str) -> None:
    """Remember one value of the deployment, such as the sync token."""
    await db.execute(_SET_META, {"key": key, "value": value})


# Events.


async def project_events(db: AsyncConnection, seen: Sequence[tuple[int, Received, str]]) -> None:
    """What events tell of rooms: that they were seen, and who is in. (index, event, kind) each, in order.

    Many at once, since most messages bring nothing else.
    """
    rows = [_seen(index, event, kind) for index, event, kind in seen if event.event is not None]
    if rows:
        new = upsert(t.events)  # what could not be read before takes the place of what said so
        kept = {"record": new.excluded.record, "kind": new.excluded.kind, "at": new.excluded.at}
        unread = t.events.c.kind == UNREAD
        await db.execute(new.on_conflict_do_update(index_elements=["event"], set_=kept, where=unread), rows)
    changes = [event for _, event, _ in seen if isinstance(event, MembershipChanged)]
    for came in (True, False):
        await _members(db, [event for event in _latest(changes) if (event.membership == "join") is came], came)


async def project_room_state(db: AsyncConnection, event: StateChanged) -> bool:
    """What a state event tells of a room: its levels, its creators, its name. Whether it told any of it."""
    column = _state(event) if event.state_key == "" else {}
    if column:
        await db.execute(update(t.rooms).where(t.rooms.c.room == event.room).values(**column))
    return bool(column)


def _seen(index: int, event: Received, kind: str) -> dict[str, object]:
    return {
        "event": event.event,
        "record": index,
        "room": event.room,
        "sender": event.sender or "",
        "kind": POSTED if isinstance(event, MessagePosted) else kind,
        "at": 0 if getattr(event, "late", -1) >= 0 else _at(event),  # keys come in heaps: that is no flood
    }


def _at(event: Received) -> int:
    """A message whose words were not kept is none any more when it is read from its record, but counts the same."""
    return event.received_ms if isinstance(event, Unreadable) else event.counted_ms


def _latest(changes: Sequence[MembershipChanged]) -> list[MembershipChanged]:
    return list({(event.room, event.user): event for event in changes}.values())


async def _members(db: AsyncConnection, changes: Sequence[MembershipChanged], came: bool) -> None:
    if not changes:
        return
    rows = [
        {
            "room": e.room,
            "user": e.user,
            "membership": e.membership,
            "display_name": e.display_name or "",
            "since": e.received_ms if came else 0,
        }
        for e in changes
    ]
    new, since = upsert(t.members), t.members.c.since
    kept: dict[str, ColumnElement[object]] = {"membership": new.excluded.membership}
    if came:  # the name somebody had stays known when they have gone, and when they came first
        kept["display_name"] = new.excluded.display_name
        kept["since"] = case((since == 0, new.excluded.since), else_=since)
        await _back(db, changes)
    await db.execute(new.on_conflict_do_update(index_elements=["room", "user"], set_=kept), rows)


async def _back(db: AsyncConnection, changes: Sequence[MembershipChanged]) -> None:
    """Whoever was removed for not being verified is there again, to be looked at anew."""
    p = t.pointed.c
    if await db.scalar(select(p.record).where(p.step == REMOVED).limit(1)) is None:
        return
    for start in range(0, len(changes), MANY):
        who = tuple_(p.room, p.user).in_([(event.room, event.user) for event in changes[start : start + MANY]])
        await db.execute(delete(t.pointed).where(p.step == REMOVED, who))


def _state(event: StateChanged) -> dict[str, str]:
    if event.type == "m.room.power_levels":
        return {"levels": _written(dict(event.content), 1)}
    if event.type == "m.room.create":
        return {"created": _written({"sender": event.sender, "content": without_marks(event.content)})}
    if event.type == "m.room.tombstone":
        successor = event.content.get("replacement_room")
        return {"successor": successor if isinstance(successor, str) and is_room_id(successor) else ""}
    if event.type == "m.room.name":
        return {"name": event.texts[0].value if event.texts else ""}
    return {}


def _written(content: object, depth: int = 0) -> str:
    """JSON, the same whether it came from the homeserver or from a record, which sorts keys and has no fractions.

    `depth`: how deep it stands in a record, where what is nested too deeply becomes text.
    """
    return json.dumps(plain(content, depth), sort_keys=True)


async def _add(db: AsyncConnection, table: Table, **values: object) -> None:
    """One new row."""
    await db.execute(_INSERTS[table], values)


# Facts.


@singledispatch
async def project(_fact: Fact, _db: AsyncConnection, _index: int, _at_ms: int) -> None:
    """Apply one fact. Facts that no table reflects (a finding, a start) change nothing."""


@project.register
async def _(fact: RoomEntered, db: AsyncConnection, index: int, _at_ms: int) -> None:
    group = fact.purpose == "group"
    values = {
        "purpose": fact.purpose,
        "served": fact.served,
        "direct_with": fact.subject if fact.purpose == "direct" else "",
        "invited_by": fact.subject if group else "",
        "condition": "joining" if group else "protected",
        "via": fact.via,
        "entered": index,
    }
    before = select(t.rooms.c.room).where(t.rooms.c.code == fact.code, t.rooms.c.room != fact.room_id)
    if (old := await db.scalar(before)) is not None:  # upgraded: the group goes on in another room
        await moved_rooms.move(db, RoomId(old), RoomId(fact.room_id))
    statement = upsert(t.rooms).values(room=fact.room_id, code=fact.code, **values)
    await db.execute(statement.on_conflict_do_update(index_elements=["room"], set_=values))


@project.register
async def _(fact: RoomStateChanged, db: AsyncConnection, _index: int, at_ms: int) -> None:
    values: dict[str, object] = {"condition": fact.condition}
    if fact.notice:
        values["notice"] = fact.notice
    room = t.rooms.c.room == fact.room
    if fact.condition in ("observing", "protected"):  # opened: who is there is asked from now on
        opened = (room, t.rooms.c.condition.in_(("joining", "announced")))
        await db.execute(update(t.rooms).where(*opened).values(asked=at_ms))
    await db.execute(update(t.rooms).where(room).values(**values))


@project.register
async def _(fact: RoleChanged, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    statement = upsert(t.members).values(room=fact.room, user=fact.subject, membership="leave", role=fact.role)
    await db.execute(statement.on_conflict_do_update(index_elements=["room", "user"], set_={"role": fact.role}))


@project.register
async def _(fact: CaseOpened, db: AsyncConnection, index: int, at_ms: int) -> None:
    waits = fact.state == "open" or fact.rule == OVERDUE  # which costs again each day
    await _add(
        db,
        t.cases,
        n=fact.n,
        record=index,
        room=fact.room,
        subject=fact.subject,
        person=await person_of(db, fact.subject),
        rule=fact.rule,
        grade=fact.grade,
        decide=fact.decide,
        manages=fact.manages,
        state=fact.state,
        outcome="upheld" if fact.state == "decided" else "",
        asked=fact.asked,
        about=fact.about,
        opened=at_ms,
        due=fact.due if waits else 0,
        remind=_half_way(at_ms, fact.due) if fact.state == "open" else 0,
        decided=at_ms if fact.state == "decided" else 0,
        by=fact.by,
        reason=fact.reason,
        excerpt=fact.excerpt,
    )
    if fact.event:
        await _add(db, t.evidence, record=_message(fact), n=fact.n, event=fact.event)


def _message(fact: CaseOpened | CaseGrew | Reported) -> int:
    """The record of the message that a fact is about: what gave rise to it, or what a report pointed to."""
    return fact.message if fact.message >= 0 else fact.on


def _half_way(at_ms: int, due: int) -> int:
    return at_ms + (due - at_ms) // 2 if due > at_ms else 0


@project.register
async def _(fact: CaseMoved, db: AsyncConnection, _index: int, at_ms: int) -> None:
    values: dict[str, object] = {"state": fact.state, "asked": fact.asked, "due": fact.due}
    if fact.step == "reminded":
        values["remind"] = 0
    elif fact.step != "acknowledged":
        values["remind"] = _half_way(at_ms, fact.due) if fact.step == "escalated" else 0
    await db.execute(update(t.cases).where(t.cases.c.n == fact.n).values(**values))


@project.register
async def _(fact: CaseAssigned, db: AsyncConnection, index: int, at_ms: int) -> None:
    values = {"record": index, "n": fact.n, "user": fact.subject, "asked": fact.asked, "at": at_ms}
    await _add(db, t.assignments, **values)


@project.register
async def _(fact: CaseNoted, db: AsyncConnection, index: int, at_ms: int) -> None:
    values = {"record": index, "n": fact.n, "by": fact.by, "words": fact.words, "at": at_ms}
    await _add(db, t.case_notes, **values)


@project.register
async def _(fact: StatementGiven, db: AsyncConnection, index: int, at_ms: int) -> None:
    values = {"record": index, "n": fact.n, "subject": fact.subject, "at": at_ms, "statement": fact.statement}
    await _add(db, t.statements, **values)


@project.register
async def _(fact: Reported, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _add(
        db,
        t.reports,
        record=index,
        n=fact.n,
        message=_message(fact),
        subject=fact.subject,
        by=fact.by,
        reason=fact.reason,
        at=at_ms,
    )


@project.register
async def _(fact: CaseGrew, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await _add(db, t.evidence, record=_message(fact), n=fact.n, event=fact.event)


@project.register
async def _(fact: CaseDecided, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await db.execute(
        update(t.cases)
        .where(t.cases.c.n == fact.n)
        .values(state=fact.state, outcome=fact.what, decided=at_ms, by=fact.by, reason=fact.reason, due=0, remind=0)
    )
    # Who neglected this case neglects it no longer; who appealed in vain still does, if it waits.
    await db.execute(update(t.cases).where(t.cases.c.about == fact.n, t.cases.c.state == "decided").values(due=0))
    if fact.state == "affirmed":
        waits = select(t.cases.c.n).where(or_(t.cases.c.outcome == "", t.cases.c.state == "appealed"))
        neglect = (t.cases.c.n == fact.n, t.cases.c.rule == OVERDUE, t.cases.c.about.in_(waits.scalar_subquery()))
        await db.execute(update(t.cases).where(*neglect).values(due=at_ms + DAY_MS))


@project.register
async def _(fact: Appealed, db: AsyncConnection, _index: int, at_ms: int) -> None:
    values = {"state": fact.state, "due": fact.due, "asked": fact.asked, "appeal": fact.words, "appealed": at_ms}
    await db.execute(update(t.cases).where(t.cases.c.n == fact.n).values(remind=_half_way(at_ms, fact.due), **values))


@project.register
async def _(fact: NotSeen, db: AsyncConnection, _index: int, at_ms: int) -> None:
    """Clocks do not run while the bot is down: what was not due before is due so much later."""
    if fact.what != "down":
        return
    before = at_ms - fact.count
    for column in (t.cases.c.due, t.cases.c.remind):
        await db.execute(update(t.cases).where(column > before).values({column: column + fact.count}))
    told = t.pointed.c.step.in_(("halfway", "managing"))  # what follows later, follows so much later
    await db.execute(update(t.pointed).where(told, t.pointed.c.at <= before).values(at=t.pointed.c.at + fact.count))
    s = t.sanctions.c
    running = (s.kind.in_(("rectify", "suspend")), s.ended == 0, s.until > before, s.basis == "neglect")
    await db.execute(update(t.sanctions).where(*running).values(until=s.until + fact.count))


@project.register
async def _(fact: RecordsRestored, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await set_meta(db, ERA, fact.era)
    await set_meta(db, CASES_FROM, str(fact.cases))


@project.register
async def _(fact: AwayChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.what == "back":
        await db.execute(delete(t.away).where(t.away.c.user == fact.subject))
        return
    values = {"record": index, "since": at_ms, "until": fact.until}
    statement = upsert(t.away).values(user=fact.subject, **values)
    await db.execute(statement.on_conflict_do_update(index_elements=["user"], set_=values))


@project.register
async def _(fact: RosterChanged, db: AsyncConnection, index: int, _at_ms: int) -> None:
    if not fact.hours:
        key = (t.rosters.c.room == fact.room, t.rosters.c.user == fact.subject)
        await db.execute(delete(t.rosters).where(*key))
        return
    values = {"record": index, "hours": fact.hours}
    statement = upsert(t.rosters).values(room=fact.room, user=fact.subject, **values)
    await db.execute(statement.on_conflict_do_update(index_elements=["room", "user"], set_=values))


@project.register
async def _(fact: TaskOpened, db: AsyncConnection, index: int, at_ms: int) -> None:
    values = {"record": index, "task": fact.task, "n": fact.n, "room": fact.room or "", "subject": fact.subject}
    await _add(db, t.tasks, at=at_ms, **values)


@project.register
async def _(fact: TaskDone, db: AsyncConnection, _index: int, at_ms: int) -> None:
    values = {"done": max(at_ms, 1), "result": fact.result, "reason": fact.reason}
    await db.execute(update(t.tasks).where(t.tasks.c.record == fact.start).values(**values))


@project.register
async def _(fact: DossierStep, db: AsyncConnection, index: int, at_ms: int) -> None:
    said = {"at": at_ms, "reader": fact.reader, "reason": fact.reason}
    if fact.step == "opened":
        await db.execute(
            insert(t.dossiers).values(record=index, subject=fact.subject, covers=fact.covers, task=fact.task, **said)
        )
        return
    step = {"dossier": fact.start, "step": fact.step, "bar": fact.bar, "digest": fact.digest}
    await _add(db, t.dossier_steps, record=index, **step, **said)
    if fact.step != "approved":
        await db.execute(update(t.dossiers).where(t.dossiers.c.record == fact.start).values(state=fact.step))


@project.register
async def _(fact: CreditChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _add(
        db,
        t.credit,
        record=index,
        person=await person_of(db, fact.subject),
        user=fact.subject,
        at=at_ms,
        entry=fact.entry,
        cost=fact.cost,
        grade=fact.grade,
        rule=fact.rule,
        n=fact.n,
        room=fact.room or "",
        undoes=fact.undoes,
        ledger=fact.ledger,
    )


@project.register
async def _(fact: SanctionStarted, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _add(
        db,
        t.sanctions,
        record=index,
        kind=fact.kind,
        room=fact.room or "",
        subject=fact.subject,
        person=await person_of(db, fact.subject),
        at=at_ms,
        until=fact.until,
        n=fact.n,
        basis=fact.basis,
        rule=fact.rule,
        by=fact.by,
        reason=fact.reason,
        event=fact.event,
        every=fact.every,
    )
    if fact.rule == ROOM_SLOW and not fact.quiet:
        await _pointed(db, fact.room or "", fact.subject, ROOM_SLOW, index, at_ms)
    if fact.kind == "kick" and fact.rule == UNVERIFIED:
        await _pointed(db, fact.room or "", fact.subject, REMOVED, index, at_ms)
    if fact.kind in LASTING:  # whatever was left alone before: this is a new word on it
        whose = "" if fact.kind in OF_ROOMS else fact.subject
        again = update(t.holds).where(t.holds.c.user == whose, t.holds.c.step == "overruled")
        if fact.room is not None:
            again = again.where(t.holds.c.room == fact.room)
        await db.execute(again.values(step="held", corrections=0))


@project.register
async def _(fact: SanctionExtended, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await db.execute(update(t.sanctions).where(t.sanctions.c.record == fact.start).values(until=fact.until))


@project.register
async def _(fact: SanctionEnded, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await db.execute(
        update(t.sanctions).where(t.sanctions.c.record == fact.start).values(ended=max(at_ms, 1), why_ended=fact.why)
    )


@project.register
async def _(fact: PersonVerified, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.step == "revoked":
        v = t.verifications.c
        own = [v.user == fact.subject, v.method == fact.method, v.revoked == 0]
        if fact.undoes >= 0:  # one of them: the account's key is what it was
            own.append(v.record == fact.undoes)
        await db.execute(update(t.verifications).where(*own).values(revoked=max(at_ms, 1)))
        if fact.undoes >= 0:
            return
        await db.execute(delete(t.pinned_keys).where(t.pinned_keys.c.user == fact.subject))
        return
    await _add(
        db,
        t.verifications,
        record=index,
        person=await person_of(db, fact.subject),
        user=fact.subject,
        room=fact.room or "",
        method=fact.method,
        level=fact.level,
        by=fact.by,
        at=at_ms,
        until=fact.until,
    )


@project.register
async def _(fact: AccountsLinked, db: AsyncConnection, index: int, at_ms: int) -> None:
    await linked_people.link(db, index, Link(fact.subject, fact.target), at_ms)


@project.register
async def _(fact: AccountUnlinked, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await linked_people.unlink(db, fact.start, at_ms)


@project.register
async def _(fact: KeyPinned, db: AsyncConnection, index: int, _at_ms: int) -> None:
    if fact.subject:
        values = {"key": fact.key, "record": index}
        statement = upsert(t.pinned_keys).values(user=fact.subject, **values)
        await db.execute(statement.on_conflict_do_update(index_elements=["user"], set_=values))


@project.register
async def _(fact: VerificationAsked, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _pointed(db, fact.room or "", fact.subject, fact.what, index, at_ms)


@project.register
async def _(fact: DoorAnswered, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _pointed(db, fact.room or "", fact.subject, fact.what, index, at_ms)


async def _pointed(db: AsyncConnection, room: str, user: UserId, step: str, index: int, at_ms: int) -> None:
    values = {"record": index, "at": at_ms}
    statement = upsert(t.pointed).values(room=room, user=user, step=step, **values)
    await db.execute(statement.on_conflict_do_update(index_elements=["room", "user", "step"], set_=values))


async def _asked_for_more(db: AsyncConnection, policy: str, at_ms: int) -> None:
    """Where rooms ask for more than before, people's time to be verified begins."""
    before = await db.scalar(select(t.meta.c.value).where(t.meta.c.key == "policy"))
    now, was = (_verification_of(text) for text in (policy, before))
    if now == was:
        return
    groups = select(t.rooms.c.room, t.rooms.c.code).where(t.rooms.c.purpose == "group")
    for room, code in (await db.execute(groups)).all():
        chosen = await choices_of(db, room)
        if with_choice(asks(now, room, code), chosen).more_than(with_choice(asks(was, room, code), chosen)):
            await db.execute(update(t.rooms).where(t.rooms.c.room == room).values(asked=at_ms))


def _verification_of(policy: str | None) -> VerificationSettings:
    """The part of a recorded policy that says what rooms ask for; one that was erased says nothing."""
    return Policy.model_validate_json(policy).verification if policy else VerificationSettings()


@project.register
async def _(fact: LanguageChosen, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    if fact.subject:
        statement = upsert(t.accounts).values(user=fact.subject, person=fact.subject, language=fact.language)
        await db.execute(statement.on_conflict_do_update(index_elements=["user"], set_={"language": fact.language}))
    else:
        await db.execute(update(t.rooms).where(t.rooms.c.room == fact.room).values(language=fact.language))


@project.register
async def _(fact: RoomRuleChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    r = t.room_rules.c
    key = (r.room == fact.room, r.name == fact.rule, r.ended == 0)
    await db.execute(update(t.room_rules).where(*key).values(ended=max(at_ms, 1)))
    if fact.step == "added" and fact.settings:
        values = {"room": fact.room, "name": fact.rule, "settings": fact.settings, "by": fact.by}
        await db.execute(insert(t.room_rules).values(record=index, at=at_ms, **values))


@project.register
async def _(fact: RoomSettingChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    s, room = t.room_settings.c, RoomId(fact.room or "")
    before = await _asked_now(db, room)
    await db.execute(delete(t.room_settings).where(s.room == room, s.setting == fact.setting))
    if fact.value != "-":
        values = {"setting": fact.setting, "value": fact.value, "record": index, "by": fact.by}
        await db.execute(insert(t.room_settings).values(room=room, **values))
    if (await _asked_now(db, room)).more_than(before):
        await db.execute(update(t.rooms).where(t.rooms.c.room == room).values(asked=at_ms))


async def _asked_now(db: AsyncConnection, room: RoomId) -> Asks:
    code = await db.scalar(select(t.rooms.c.code).where(t.rooms.c.room == room))
    policy = _verification_of(await db.scalar(select(t.meta.c.value).where(t.meta.c.key == "policy")))
    return with_choice(asks(policy, room, str(code)), await choices_of(db, room))


@project.register
async def _(fact: Held, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    key = (t.holds.c.room == fact.room, t.holds.c.user == fact.subject, t.holds.c.what == fact.what)
    if fact.step == "released":
        await db.execute(delete(t.holds).where(*key))
        return
    values = {"step": "held" if fact.step == "corrected" else fact.step, "prior": fact.prior, "held": fact.held}
    statement = upsert(t.holds).values(room=fact.room, user=fact.subject, what=fact.what, **values)
    await db.execute(statement.on_conflict_do_update(index_elements=["room", "user", "what"], set_=values))
    if fact.step == "corrected":
        await db.execute(update(t.holds).where(*key).values(corrections=t.holds.c.corrections + 1))


@project.register
async def _(fact: ActionTaken, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await db.execute(delete(t.outbox).where(t.outbox.c.txn == fact.txn))
    if fact.action == "card" and fact.result == "done":
        await db.execute(update(t.cases).where(t.cases.c.n == fact.n).values(card=fact.made))


@project.register
async def _(fact: PartsErased, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    """What is gone from the records is gone from the tables: the first part of a record is its subject's."""
    await set_meta(db, "erased", "1")
    targets = Targets.parse(fact.records)
    if fact.what != "retention":  # what still holds, holds when the record of it has had its time
        for start, stop in targets.records().runs():
            await linked_people.forget_links(db, start, stop)
            pinned = t.pinned_keys.c.record
            await db.execute(delete(t.pinned_keys).where(pinned >= start, pinned < stop))
    for start, stop in targets.places.get(0, Ranges()).runs():
        await _forget_subject(db, start, stop)
    for start, stop in targets.places.get(1, Ranges()).runs():
        await _forget_actor(db, start, stop)


async def _forget_subject(db: AsyncConnection, start: int, stop: int) -> None:
    """Blank what the records from `start` up to `stop` said of those they are about."""

    def these(column: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(column >= start, column < stop)

    spoke = select(t.events.c.sender).where(these(t.events.c.record)).distinct()
    gone = and_(t.members.c.user.in_(spoke), t.members.c.membership != "join")
    await db.execute(delete(t.members).where(gone))
    await db.execute(update(t.members).where(t.members.c.user.in_(spoke)).values(display_name=""))
    await db.execute(delete(t.accounts).where(t.accounts.c.user.in_(spoke), t.accounts.c.user == t.accounts.c.person))
    await db.execute(update(t.accounts).where(t.accounts.c.user.in_(spoke)).values(language=""))
    await db.execute(update(t.evidence).where(these(t.evidence.c.record)).values(event=""))
    await db.execute(delete(t.requests).where(these(t.requests.c.record)))
    still_there = select(t.members.c.user).where(t.members.c.membership == "join")
    left = and_(these(t.rooms.c.entered), t.rooms.c.direct_with.not_in(still_there))
    await db.execute(update(t.rooms).where(left).values(direct_with=""))
    nobody = {"subject": "", "person": ""}
    await db.execute(update(t.cases).where(these(t.cases.c.record)).values(excerpt="", **nobody))
    await db.execute(update(t.sanctions).where(these(t.sanctions.c.record)).values(event="", **nobody))
    await db.execute(update(t.credit).where(these(t.credit.c.record)).values(person="", user=""))
    await db.execute(update(t.verifications).where(these(t.verifications.c.record)).values(person="", user=""))
    await db.execute(update(t.assignments).where(these(t.assignments.c.record)).values(user=""))
    await db.execute(update(t.case_notes).where(these(t.case_notes.c.record)).values(by="", words=""))
    await db.execute(update(t.statements).where(these(t.statements.c.record)).values(subject="", statement=""))
    await db.execute(update(t.reports).where(these(t.reports.c.record)).values(subject=""))
    await db.execute(update(t.tasks).where(these(t.tasks.c.record)).values(subject=""))
    await db.execute(update(t.dossiers).where(these(t.dossiers.c.record)).values(subject=""))
    for table in (t.away, t.rosters, t.pointed):
        await db.execute(delete(table).where(these(table.c.record)))
    await db.execute(delete(t.events).where(these(t.events.c.record)))


async def _forget_actor(db: AsyncConnection, start: int, stop: int) -> None:
    """Blank what the records said of those who acted."""
    for table in (t.sanctions, t.verifications, t.reports, t.cases):
        record = table.c.record
        values = {"by": ""} if table is t.verifications else {"by": "", "reason": ""}
        await db.execute(update(table).where(record >= start, record < stop).values(**values))


@project.register
async def _(fact: RecordsPurged, db: AsyncConnection, _index: int, at_ms: int) -> None:
    """What is over goes from the tables too; what still holds stays."""
    below = fact.below
    await db.execute(delete(t.events).where(t.events.c.record < below))
    holding = select(t.sanctions.c.n).where(t.sanctions.c.ended == 0)
    decided = (t.cases.c.outcome != "", t.cases.c.state != "appealed")
    over = select(t.cases.c.n).where(t.cases.c.record < below, *decided, t.cases.c.n.not_in(holding))
    for table in (t.evidence, t.assignments, t.case_notes, t.statements, t.reports):
        await db.execute(delete(table).where(table.c.n.in_(over)))
    await db.execute(delete(t.away).where(t.away.c.until < at_ms))
    await db.execute(delete(t.tasks).where(t.tasks.c.record < below, t.tasks.c.done > 0))
    await db.execute(delete(t.dossier_steps).where(t.dossier_steps.c.record < below))
    steps = select(t.dossier_steps.c.dossier)
    await db.execute(delete(t.dossiers).where(t.dossiers.c.record < below, t.dossiers.c.record.not_in(steps)))
    await db.execute(delete(t.cases).where(t.cases.c.n.in_(over.scalar_subquery())))
    await db.execute(delete(t.credit).where(t.credit.c.record < below))
    await db.execute(delete(t.sanctions).where(t.sanctions.c.record < below, t.sanctions.c.ended > 0))
    await db.execute(delete(t.verifications).where(t.verifications.c.record < below, t.verifications.c.until < at_ms))
    await db.execute(delete(t.room_rules).where(t.room_rules.c.record < below, t.room_rules.c.ended > 0))
    for table in (t.requests, t.pointed):
        await db.execute(delete(table).where(table.c.record < below))


@project.register
async def _(fact: DataAsked, db: AsyncConnection, _index: int, at_ms: int) -> None:
    what = f"adopt {fact.room}" if fact.what == "adopt" else fact.what
    await _add(db, t.requests, record=fact.on, user=fact.subject, what=what, at=at_ms)


@project.register
async def _(fact: CheckpointAnchored, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    if fact.where == "desk":
        await anchored.advance(db, fact.day)


@project.register
async def _(fact: PolicyChanged, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await _asked_for_more(db, fact.policy, at_ms)
    await set_meta(db, "policy", fact.policy)
