"""Events and facts as records and back, through the actual bytes of the journal."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bot.events.parse_event import receive
from bot.pipeline.replay import Rooms, event_of_record, rebuild
from moderation.model.actions.registry import ACTIONS
from moderation.model.facts import FACTS, CaseDecided, Fact, RoomEntered, SanctionStarted, owner_of
from moderation.values.events import (
    Json,
    MembershipChanged,
    MessagePosted,
    OtherEvent,
    Received,
    StateChanged,
    Unreadable,
)
from moderation.values.ids import GroupCode, PersonId, RecordIndex, RoomId, UserId
from storage import schema
from storage.database.database import Database
from storage.journal.journal import Journal
from storage.journal.line_format import decode, encode
from storage.journal.record import NOBODY, Draft, Part, Record
from storage.journal.record_kinds.check import check_draft
from storage.journal.record_kinds.table import KINDS
from storage.record_mapping import draft_of_event, draft_of_fact, fact_of_record, raw_of_record
from tests.examples import tried

ROOM, CODE = RoomId("!garden:example.org"), GroupCode("G-7F3K")
ANNA, BOT = UserId("@anna:example.org"), UserId("@bot:example.org")
NOON = 1_795_521_600_000
WRITTEN = {"grade": "class", "language": "lang"}

users = st.sampled_from([UserId(f"@{name}:example.org") for name in ("anna", "ben", "cleo")])
texts = st.text(max_size=30)
words = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,30}", fullmatch=True)
safe = st.integers(-(2**53) + 1, 2**53 - 1)


def person_of(user: UserId) -> PersonId:
    return PersonId(user)


def room_of(code: str) -> RoomId | None:
    return ROOM if code == CODE else None


def on_disk(draft: Draft) -> Record:
    """Return the record as read back from the draft's line."""
    check_draft(draft)
    names = ["" if part.person == NOBODY else f"p{at}" for at, part in enumerate(draft.parts)]
    return decode(encode(7, draft, names, ["salt"] * len(draft.parts)).line.rstrip(b"\n"))


# Facts.


def literals(hint: Any) -> tuple[Any, ...]:
    """Return all words of a Literal, or of a union of some."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(word for part in get_args(hint) for word in literals(part))


def public(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name == "action" and not literals(hint):
        return st.sampled_from(sorted(ACTIONS))
    if hint is GroupCode:
        return st.just(CODE)
    return st.sampled_from(literals(hint)) if literals(hint) else safe if hint is int else words


@st.composite
def facts_of(draw: st.DrawFn, cls: type[Fact]) -> Fact:
    hints, owners = get_type_hints(cls), owner_of(cls)
    values: dict[str, Any] = {"room": draw(st.sampled_from([ROOM, None]))}
    for name, owner in owners.items():
        if owner == "public" and name != "room":
            values[name] = draw(public(name, hints[name]))
        elif owner == "person":
            values[name] = draw(users | st.just(UserId("")))
    for name, owner in owners.items():
        if owner == "nobody" or (owner in owners and values[owner]):
            values[name] = draw(texts)
    if cls is RoomEntered:
        values["room"] = None  # the room is what it tells
    return cls(**values)


any_fact = st.one_of(*map(facts_of, FACTS))


def written(fact: Fact) -> Draft:
    return draft_of_fact(fact, NOON, CODE if fact.room else None, person_of)


@settings(max_examples=tried(25))  # of each of twenty classes
@pytest.mark.parametrize("cls", FACTS)
@given(st.data())
def test_a_fact_comes_back_from_the_journal_as_it_was(cls: type[Fact], data: st.DataObject) -> None:
    fact = data.draw(facts_of(cls))
    assert fact_of_record(on_disk(written(fact)), room_of) == fact


@given(any_fact)
def test_nothing_personal_stands_where_it_could_never_be_erased(fact: Fact) -> None:
    draft = written(fact)
    owners = owner_of(type(fact))
    personal = {getattr(fact, name) for name, owner in owners.items() if owner != "public"} - {""}
    for value in draft.fields.values():
        assert isinstance(value, int) or (value.isascii() and not value.startswith(("@", "!", "$")))
    assert not personal & {value for name, value in draft.fields.items() if name in owners and owners[name] != "public"}
    assert set(draft.fields) <= {WRITTEN.get(name, name) for name, owner in owners.items() if owner == "public"}


@given(any_fact)
def test_each_part_belongs_to_the_one_person_it_names_or_to_nobody(fact: Fact) -> None:
    for part in written(fact).parts:
        assert part.person == part.data.get("mxid", NOBODY)


@given(any_fact)
def test_erased_fields_are_read_back_empty(fact: Fact) -> None:
    record = on_disk(written(fact))
    erased = replace(record, parts=tuple({"erased": "2026-11-24", "by": 9} for _ in record.parts))
    owners = owner_of(type(fact))
    gone: dict[str, Any] = {name: "" for name, owner in owners.items() if owner != "public"}
    assert fact_of_record(erased, room_of) == replace(fact, **gone)


def test_of_two_people_in_one_record_one_can_be_erased() -> None:
    fact = CaseDecided(room=ROOM, on=3, n=1, what="upheld", subject=ANNA, by=UserId("@mark:example.org"), reason="why")
    record = on_disk(written(fact))
    without_anna = replace(record, parts=({"erased": "2026-11-24", "by": 9}, record.parts[1]))
    assert fact_of_record(without_anna, room_of) == replace(fact, subject=UserId(""))


def test_inapplicable_fields_are_not_written() -> None:
    fact = SanctionStarted(room=ROOM, kind="mute", basis="rule", subject=ANNA)
    assert written(fact).fields == {
        "step": "start",
        "kind": "mute",
        "until": 0,
        "n": 0,
        "basis": "rule",
        "rule": "-",
    }


@pytest.mark.parametrize("cls", FACTS)
def test_the_page_on_records_declares_every_field_of_every_fact(cls: type[Fact]) -> None:
    kind, hints = KINDS[cls.KIND], get_type_hints(cls)
    for name, owner in owner_of(cls).items():
        if name == "room":
            continue
        if owner == "public":
            assert kind.fields[WRITTEN.get(name, name)].type == ("int" if hints[name] is int else "str")
        elif owner == "person":
            assert {"as", "mxid"} <= kind.parts.keys()
            assert name in kind.parts["as"]
        else:
            assert name in kind.parts


# Events.

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | safe | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
event_ids = st.from_regex(r"\$[a-zA-Z0-9_-]{1,43}", fullmatch=True)


relations: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"rel_type": "m.replace", "event_id": "$old"},
        {"m.in_reply_to": {"event_id": "$old"}},
        {"rel_type": "m.thread", "event_id": "$root"},
    ]
)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Json]:
    """Return the content of a message: mostly well formed, with arbitrary additions."""
    content: dict[str, Json] = dict(draw(st.dictionaries(texts, json_values, max_size=2)))
    content |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "msgtype": st.sampled_from(["m.text", "m.notice", "m.image", "m.file", "m.emote"]),
                "body": texts | json_values,
                "formatted_body": texts | st.just('<a href="https://matrix.to/#/@ben:example.org">Ben</a> hello'),
                "url": st.just("mxc://example.org/abc"),
                "info": st.just({"size": 5, "mimetype": "image/png"}),
                "m.mentions": st.just({"user_ids": ["@ben:example.org"], "room": True}),
                "m.relates_to": relations,
                "m.new_content": st.just({"msgtype": "m.text", "body": "new words"}),
            },
        )
    )
    return content


@st.composite
def raws(draw: st.DrawFn) -> dict[str, Any]:
    raw: dict[str, Any] = {"event_id": draw(event_ids), "sender": draw(users), "origin_server_ts": draw(safe)}
    kind = draw(st.sampled_from(sorted(_SHAPES)))
    shaped: dict[str, Any] = draw(_SHAPES[kind])
    return raw | shaped


_SHAPES: Mapping[str, st.SearchStrategy[Any]] = {
    "message": st.fixed_dictionaries({"type": st.just("m.room.message"), "content": contents()}),
    "sticker": st.fixed_dictionaries({"type": st.just("m.sticker"), "content": contents()}),
    "poll": st.just(
        {"type": "m.poll.start", "content": {"m.poll": {"question": {"m.text": [{"body": "Tea?"}]}, "answers": []}}}
    ),
    "redaction": st.fixed_dictionaries(
        {
            "type": st.just("m.room.redaction"),
            "redacts": event_ids,
            "content": st.fixed_dictionaries({}, optional={"reason": texts, "redacts": event_ids}),
        }
    ),
    "reaction": st.fixed_dictionaries(
        {
            "type": st.just("m.reaction"),
            "content": st.fixed_dictionaries(
                {
                    "m.relates_to": st.fixed_dictionaries(
                        {"rel_type": st.just("m.annotation"), "event_id": event_ids, "key": texts}
                    )
                }
            ),
        }
    ),
    "member": st.fixed_dictionaries(
        {
            "type": st.just("m.room.member"),
            "state_key": users,
            "content": st.fixed_dictionaries(
                {"membership": st.sampled_from(["join", "leave", "ban", "invite", "knock"])},
                optional={"displayname": texts, "reason": texts},
            ),
        }
    ),
    "state": st.fixed_dictionaries(
        {
            "type": st.sampled_from(["m.room.topic", "m.room.name", "m.room.power_levels", "m.room.message"]),
            "state_key": texts,
            "content": st.dictionaries(st.sampled_from(["topic", "name", "users", "body"]), json_values, max_size=2),
        }
    ),
    "ciphertext": st.just({"type": "m.room.encrypted", "content": {"session_id": "abc", "ciphertext": "xyz"}}),
    "other": st.fixed_dictionaries(
        {
            "type": st.sampled_from(["m.call.invite", "org.example"]),
            "content": st.dictionaries(texts, json_values, max_size=2),
        }
    ),
}


def again(event: Received, draft: Draft) -> Received:
    """Return the event as rebuilt from its record. Whether it came encrypted is passed in separately."""
    raw = raw_of_record(on_disk(draft))
    assert raw is not None
    return receive(raw, event.room, draft.at_ms, encrypted=getattr(event, "encrypted", False))


@given(raws())
def test_an_event_comes_back_from_the_journal_as_it_was(raw: dict[str, Json]) -> None:
    event = receive(raw, ROOM, NOON)
    found = again(event, draft_of_event(event, CODE, person_of, bot=BOT))
    if isinstance(event, Unreadable):
        assert isinstance(found, Unreadable)
        assert (found.event, found.sender) == (event.event, event.sender)
    else:
        assert found == event


@settings(max_examples=tried(60))
@given(raws(), st.sampled_from(["full", "metadata"]))
def test_no_event_is_mistaken_for_a_fact(raw: dict[str, Json], content: Any) -> None:
    event = receive(raw, ROOM, NOON)
    record = on_disk(draft_of_event(event, CODE, person_of, content=content, bot=BOT))
    assert fact_of_record(record, room_of) is None


@given(any_fact)
def test_no_fact_is_mistaken_for_an_event(fact: Fact) -> None:
    assert raw_of_record(on_disk(written(fact))) is None


SECRET = "wordsthatnobodymaykeep"


@settings(max_examples=tried(60))
@given(raws())
def test_with_metadata_only_no_words_of_a_message_reach_the_disk(raw: dict[str, Any]) -> None:
    raw["content"] = {
        **raw["content"],
        "body": SECRET,
        "formatted_body": SECRET,
        "reason": SECRET,
        "x": {"y": [SECRET]},
    }
    event = receive(raw, ROOM, NOON)
    draft = draft_of_event(event, CODE, person_of, content="metadata", bot=BOT)
    kept = json.dumps([draft.fields, [dict(part.data) for part in draft.parts]])
    if not isinstance(event, MembershipChanged | StateChanged):
        assert SECRET not in kept
    assert isinstance(event, Unreadable) or str(raw["event_id"]) in kept


@settings(max_examples=tried(60))
@given(raws(), st.sampled_from([("metadata", ANNA), ("full", BOT)]))
def test_an_event_without_its_words_comes_back_as_one_whose_words_were_taken_away(
    raw: dict[str, Any], how: tuple[Any, UserId]
) -> None:
    content, sender = how
    event = receive({**raw, "sender": sender}, ROOM, NOON)
    found = again(event, draft_of_event(event, CODE, person_of, content=content, bot=BOT))
    assert (found.event, found.sender, found.room) == (event.event, event.sender, event.room)
    if not isinstance(event, Unreadable):
        assert not isinstance(found, Unreadable | MessagePosted)
        assert isinstance(found, OtherEvent) or type(found) is type(event)


@settings(max_examples=tried(60))
@given(raws())
def test_the_bots_own_messages_are_recorded_without_words(raw: dict[str, Any]) -> None:
    raw["content"] = {**raw["content"], "body": SECRET, "formatted_body": SECRET}
    event = receive({**raw, "sender": BOT}, ROOM, NOON)
    draft = draft_of_event(event, CODE, person_of, bot=BOT)
    if not isinstance(event, Unreadable | MembershipChanged | StateChanged):
        assert draft.parts[0].data["own"] == 1
        assert SECRET not in json.dumps(dict(draft.parts[0].data))


@settings(max_examples=tried(60))
@given(raws())
def test_the_skeleton_of_an_event_names_nobody(raw: dict[str, Json]) -> None:
    draft = draft_of_event(receive(raw, ROOM, NOON), CODE, person_of)
    for value in draft.fields.values():
        assert isinstance(value, int) or not value.startswith(("@", "!", "$"))
    assert str(draft.group) == CODE


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("message", {"type": "m.room.message", "content": {"body": "hello", "msgtype": "m.text"}}),
        (
            "edit",
            {
                "type": "m.room.message",
                "content": {
                    "body": "* hello",
                    "m.new_content": {"body": "hello"},
                    "m.relates_to": {"rel_type": "m.replace", "event_id": "$old"},
                },
            },
        ),
        ("redact", {"type": "m.room.redaction", "redacts": "$old", "content": {}}),
        ("join", {"type": "m.room.member", "state_key": ANNA, "content": {"membership": "join"}}),
        ("leave", {"type": "m.room.member", "state_key": ANNA, "content": {"membership": "invite"}}),
        ("state", {"type": "m.room.name", "state_key": "", "content": {"name": "Garden"}}),
        ("coverage", {"type": "m.room.encrypted", "content": {}}),
        ("coverage", {"type": "m.room.message", "content": {}}),
        ("message", {"type": "org.example", "content": {}}),
    ],
)
def test_each_kind_of_event_has_its_kind_of_record(kind: str, raw: dict[str, Any]) -> None:
    whole = {"event_id": "$e", "sender": ANNA, "origin_server_ts": 1, **raw}
    assert draft_of_event(receive(whole, ROOM, NOON), CODE, person_of).kind == kind


MARK = UserId("@mark:example.org")
BANNED: dict[str, Any] = {
    "event_id": "$e",
    "sender": MARK,
    "origin_server_ts": 1,
    "type": "m.room.member",
    "state_key": ANNA,
    "content": {"membership": "ban", "displayname": "Anna", "reason": "spam"},
}
OLD = (  # as such an event was recorded at first
    {"mxid": MARK, "ev": "$e", "ts": 1, "type": "m.room.member", "key": ANNA, "content": BANNED["content"]},
    {"as": "target", "mxid": ANNA},
)
ERASED: Mapping[str, Json] = {"erased": "2026-11-24", "by": 9}


def test_somebody_removed_by_another_is_in_the_record_as_a_person_of_their_own() -> None:
    draft = draft_of_event(receive(BANNED, ROOM, NOON), CODE, person_of)
    assert [part.person for part in draft.parts] == [person_of(MARK), person_of(ANNA)]
    assert [part.data for part in draft.parts] == [
        {"mxid": MARK, "ev": "$e", "ts": 1, "type": "m.room.member", "reason": "spam"},
        {"as": "target", "mxid": ANNA, "content": {"membership": "ban", "displayname": "Anna"}},
    ]
    assert draft.fields == {"membership": "ban"}


def test_ones_own_membership_change_has_one_part() -> None:
    draft = draft_of_event(receive({**BANNED, "sender": ANNA}, ROOM, NOON), CODE, person_of)
    (part,) = draft.parts
    assert (part.person, part.data["key"], part.data["content"]) == (person_of(ANNA), ANNA, BANNED["content"])


def test_older_records_of_membership_by_others_are_read() -> None:
    draft = Draft("leave", NOON, CODE, {"membership": "ban"}, tuple(Part(person_of(MARK), part) for part in OLD))
    assert raw_of_record(on_disk(draft)) == BANNED


@given(raws())
def test_nothing_of_the_other_is_left_with_the_sender(raw: dict[str, Any]) -> None:
    event = receive(raw, ROOM, NOON)
    draft = draft_of_event(event, CODE, person_of, bot=BOT)
    if isinstance(event, MembershipChanged) and event.user != event.sender:
        assert event.user not in json.dumps(dict(draft.parts[0].data))
        assert draft.parts[0].data.keys() <= {"mxid", "ev", "ts", "type", "reason"}
        assert event.sender not in json.dumps(dict(draft.parts[1].data))


@given(raws(), st.sets(st.integers(0, 1), min_size=1))
def test_an_event_with_an_erased_part_is_passed_over(raw: dict[str, Any], places: set[int]) -> None:
    event = receive(raw, ROOM, NOON)
    record = on_disk(draft_of_event(event, CODE, person_of, bot=BOT))
    erased = replace(record, parts=tuple(ERASED if at in places else part for at, part in enumerate(record.parts)))
    if isinstance(event, Unreadable):
        assert isinstance(event_of_record(erased, Rooms({CODE: ROOM})), Unreadable)
    elif erased != record:
        assert event_of_record(erased, Rooms({CODE: ROOM})) is None


@pytest.mark.parametrize(("place", "left"), [(None, "ban"), (0, "join"), (1, "join")])
async def test_a_rebuilt_database_skips_erased_records(place: int | None, left: str, database: Database) -> None:
    entered = RoomEntered(room=None, room_id=ROOM, code=CODE, purpose="group")
    joined = {**BANNED, "event_id": "$j", "sender": ANNA, "content": {"membership": "join"}}
    drafts = [
        draft_of_fact(entered, NOON, None, person_of),
        *(draft_of_event(receive(raw, ROOM, NOON), CODE, person_of) for raw in (joined, BANNED)),
    ]
    records = [replace(on_disk(draft), index=RecordIndex(at)) for at, draft in enumerate(drafts)]
    parts = tuple(ERASED if at == place else part for at, part in enumerate(records[2].parts))
    records[2] = replace(records[2], parts=parts)
    journal = cast(Journal, SimpleNamespace(size=len(records), read=lambda: iter(records)))
    await rebuild(journal, database)
    async with database.read() as db:
        found = (await db.execute(select(schema.members.c.user, schema.members.c.membership))).all()
    assert [tuple(row) for row in found] == [(ANNA, left)]


def test_every_field_of_a_fact_has_a_place() -> None:
    for cls in FACTS:
        assert {item.name for item in fields(cls)} == set(owner_of(cls))
