"""Facts in, actions out: the messages and actions that must follow decisions."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.texts.catalog import LANGUAGES, Catalog, fields_of
from moderation.cases.appeals import lodge
from moderation.consequences import Known, consequences
from moderation.model.actions.base import Action, to_json
from moderation.model.actions.cards import EditCard, Offer, PostCard
from moderation.model.actions.registry import from_json
from moderation.model.actions.removal import InviteBack, Kick, Redact
from moderation.model.actions.rooms import Align, KeepDesk
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.facts import (
    ActionTaken,
    Appealed,
    BotStarted,
    BotStopped,
    CaseAssigned,
    CaseDecided,
    CaseGrew,
    CaseOpened,
    ContentRead,
    CreditChanged,
    Fact,
    Found,
    LanguageChosen,
    LevelKept,
    NoticeGiven,
    NotSeen,
    Outcome,
    PersonVerified,
    PolicyChanged,
    RoleChanged,
    RoomEntered,
    RoomStateChanged,
    RosterChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from moderation.model.notifications import NotifyDesk, NotifyPerson, NotifyRoom
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, EventId, GroupCode, RoomId, UserId
from moderation.values.notices import Line, Moment, Phrase, RoomName, RoomNames, RuleText, Who, line
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    MARK,
    MINA,
    NOON,
    OPERA,
    OTHER,
    ROOM,
    History,
    in_words_of,
    known,
    policy,
    terms,
)

EVENT = EventId("$said")
BOTH = ((5, ROOM), (6, OTHER))


def nowhere(_user: UserId) -> Sequence[RoomId]:
    return ()


def both(_user: UserId) -> Sequence[RoomId]:
    return (ROOM, OTHER)


def done(*facts: Fact) -> tuple[Action, ...]:
    """Return all actions except messages to the person."""
    return tuple(action for action in in_words_of(facts, both) if not isinstance(action, Tell))


def told(*facts: Fact, about: Known | None = None) -> list[str]:
    actions = in_words_of(facts, both, known=about)
    tells = [action for action in actions if isinstance(action, Tell) and action.subject == ANNA]
    assert len(tells) <= 1
    return [each.key for each in tells[0].lines] if tells else []


def opened(**other: Any) -> CaseOpened:
    given: dict[str, Any] = {"decide": "auto", "state": "decided", **other}
    return CaseOpened(
        room=ROOM, on=7, n=3, rule="spam", grade="minor", due=NOON, subject=ANNA, event=EVENT, excerpt="spam!", **given
    )


def decided(what: Outcome, state: Any = "decided", by: UserId = MARK) -> CaseDecided:
    return CaseDecided(room=ROOM, n=3, what=what, state=state, subject=ANNA, by=by)


def begun(kind: Any, basis: Any = "rule", room: RoomId | None = ROOM, **other: Any) -> SanctionStarted:
    return SanctionStarted(room=room, on=7, kind=kind, basis=basis, subject=ANNA, **other)


# Fact by fact.


@pytest.mark.parametrize(
    ("fact", "actions"),
    [
        (opened(), (PostCard(room=ROOM, n=CaseNumber(3)),)),
        (opened(decide="manager", state="open"), (PostCard(room=ROOM, n=CaseNumber(3)),)),
        (CaseGrew(room=ROOM, n=3, subject=ANNA), (EditCard(room=ROOM, n=CaseNumber(3)),)),
        (CaseDecided(room=ROOM, n=3, what="upheld", subject=ANNA, by=MARK), (EditCard(room=ROOM, n=CaseNumber(3)),)),
        (
            ActionTaken(room=ROOM, action="card", result="done", n=3),
            (Offer(room=ROOM, n=CaseNumber(3)),),
        ),
        (ActionTaken(room=ROOM, action="card", result="refused", n=3), ()),
        (ActionTaken(room=ROOM, action="edit-card", result="done", n=3), ()),
        (ActionTaken(room=ROOM, action="redact", result="done", n=3), ()),
        (begun("redact", event=EVENT, rule="spam"), (Redact(room=ROOM, event=EVENT, subject=ANNA, rule="spam"),)),
        (begun("kick", "command", by=MARK, reason="why"), (Kick(room=ROOM, subject=ANNA, by=MARK),)),
        (begun("warn", "command", by=MARK), ()),
        (begun("mute", until=NOON), (Align(room=ROOM),)),
        (begun("ban", "command", by=MARK), (Align(room=ROOM),)),
        (begun("ban", "credit", None), (Align(room=ROOM), Align(room=OTHER))),
        (SanctionExtended(room=ROOM, start=1, kind="mute", until=NOON, subject=ANNA), ()),
        (SanctionEnded(room=ROOM, start=1, kind="mute", why="time", subject=ANNA), (Align(room=ROOM),)),
        (SanctionEnded(start=1, kind="ban", why="time", subject=ANNA), (Align(room=ROOM), Align(room=OTHER))),
        (RoleChanged(room=ROOM, role="manager", was="member", subject=ANNA), (KeepDesk(room=ROOM),)),
        (Found(room=ROOM, rule="spam", grade="minor", subject=ANNA), ()),
        (CreditChanged(room=ROOM, entry="charge", cost=5, grade="minor", rule="spam", left=95, subject=ANNA), ()),
        (LevelKept(room=ROOM, step="held", prior="-", held="-1", subject=ANNA), ()),
        (NoticeGiven(room=ROOM, what="notice.violation", channel="direct", subject=ANNA), ()),
        (RoomEntered(code=GroupCode("G-7F3K"), purpose="group", room_id=ROOM, subject=ANNA), ()),
        (RoomStateChanged(room=ROOM, condition="protected"), ()),
        (LanguageChosen(room=ROOM, language="zh", subject=ANNA), ()),
        (PolicyChanged(digest="0" * 32, policy="{}"), ()),
        (NotSeen(room=ROOM, what="gap", count=2), ()),
        (BotStarted(version="1"), ()),
        (BotStopped(), ()),
        (ContentRead(what="show"), ()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fact) else "",
)
def test_each_fact_has_its_actions(fact: Fact, actions: tuple[Action, ...]) -> None:
    assert done(fact) == actions


def test_a_demotion_is_said_in_the_desk_of_every_room_it_holds_in_and_so_is_its_end() -> None:
    demoted = line("desk.demoted", who=Who(ANNA), credit=39, until=Moment(NOON))
    assert done(begun("demote", "credit", None, until=NOON, credit=39, n=3)) == (
        Align(room=ROOM),
        Align(room=OTHER),
        TellDesk(room=ROOM, n=3, lines=(demoted,)),
        TellDesk(room=OTHER, n=3, lines=(demoted,)),
    )
    restored = line("desk.restored", who=Who(ANNA))
    assert done(SanctionEnded(room=ROOM, start=1, kind="demote", why="credit", n=3, subject=ANNA)) == (
        Align(room=ROOM),
        TellDesk(room=ROOM, n=3, lines=(restored,)),
    )


def test_a_room_measure_has_its_actions() -> None:
    closed = SanctionStarted(room=ROOM, kind="close", basis="operator", n=3, subject=ANNA)
    over = SanctionEnded(room=ROOM, start=1, kind="close", why="overtaken", n=3, subject=ANNA)
    assert consequences((closed,), nowhere) == (
        Align(room=ROOM),
        NotifyRoom(room=ROOM, facts=(closed,)),
        NotifyDesk(room=ROOM, n=3, facts=(closed,)),
        NotifyPerson(room=ROOM, subject=ANNA, n=3, facts=(closed,)),
    )
    assert consequences((over,), nowhere) == (Align(room=ROOM),)


# Messages to people.


def test_one_notice_tells_rule_cost_duration_and_remedy_of_a_violation() -> None:
    facts = (
        Found(room=ROOM, on=7, rule="spam", grade="severe", subject=ANNA),
        opened(),
        begun("redact", n=3, rule="spam", event=EVENT),
        CreditChanged(
            room=ROOM, on=7, entry="charge", cost=50, grade="severe", rule="spam", n=3, left=30, subject=ANNA
        ),
        begun("mute", "credit", None, n=3, credit=30, until=NOON),
    )
    assert [action for action in in_words_of(facts, both, known=known()) if isinstance(action, Tell)] == [
        Tell(
            room=ROOM,
            subject=ANNA,
            n=3,
            lines=(
                line("notice.violation", room=RoomName(ROOM), rule=RuleText("spam"), n=3),
                line("notice.words", words="spam!", count=1),
                line("notice.measure.redact", credit=-1),
                line("notice.credit.charge", cost=50, left=30),
                line("notice.measure.mute", credit=30),
                line("notice.until", until=Moment(NOON)),
                line("notice.foot", n=3),
            ),
            once="removal of spam",
        )
    ]


def test_a_case_that_waits_for_people_is_not_told_before_it_brings_something() -> None:
    assert told(opened(decide="manager", state="open")) == []
    interim = begun("redact", "interim", n=3, rule="spam", event=EVENT)
    waits = known(state="open", outcome="", due=NOON)
    assert told(opened(decide="manager", state="open"), interim, about=waits) == [
        "notice.undecided",
        "notice.words",
        "notice.interim.redact",
        "notice.will-decide.managers",
        "notice.comment",
        "notice.details",
    ]


def test_ten_messages_removed_for_one_cause_are_one_sentence() -> None:
    gone = [begun("redact", "decision", n=3, by=MARK, event=EventId(f"${at}")) for at in range(10)]
    assert told(CaseDecided(room=ROOM, n=3, what="upheld", subject=ANNA, by=MARK), *gone, about=known()) == [
        "notice.message.upheld",
        "notice.words",
        "notice.measure.redact",
        "notice.foot",
    ]


def test_more_messages_of_an_incident_are_removed_without_another_message() -> None:
    grew = CaseGrew(room=ROOM, on=9, n=3, subject=ANNA)
    assert told(grew, begun("redact", n=3, event=EventId("$more")), about=known()) == []


@pytest.mark.parametrize(
    ("fact", "about", "last"),
    [
        (begun("mute", "command", n=3, by=MARK), known(), "notice.foot"),
        (begun("mute", "command", n=3, by=MARK), known(state="appealed"), "notice.details"),
        (begun("mute", "command", n=3, by=MARK), known(decided=NOON - 400 * DAY), "notice.details"),
        (begun("redact", "interim", n=3), known(state="open", outcome=""), "notice.details"),
        (Appealed(room=ROOM, n=3, due=NOON, subject=ANNA), known(state="appealed"), "notice.details"),
        (SanctionEnded(room=ROOM, start=1, kind="mute", why="time", n=3, subject=ANNA), known(), "notice.details"),
        (decided("upheld"), known(), "notice.foot"),
        (decided("upheld", "reversed"), known(state="reversed"), "notice.foot"),
        (decided("upheld", "affirmed"), known(state="affirmed"), "notice.foot-again"),
        (decided("upheld", "affirmed", by=OPERA), known(state="affirmed", deciders={OPERA}), "notice.details"),
        (decided("upheld", by=OPERA), known(by=OPERA, deciders={OPERA}), "notice.foot-same"),
        (decided("dismissed"), known(outcome="dismissed"), "notice.details"),
    ],
)
def test_how_to_appeal_is_told_only_where_an_appeal_is_possible_now(fact: Fact, about: Known, last: str) -> None:
    assert told(fact, about=about)[-1] == last
    case = about.cases[3].case
    try:
        lodge(case, by=ANNA, words="a joke", now_ms=NOON, policy=about.cases[3].policy, on=9)
    except Refused:
        assert not last.startswith("notice.foot")


@pytest.mark.parametrize(
    ("asked", "decider", "hearer"),
    [((MARK,), MINA, "other"), ((OPERA,), OPERA, "decider"), ((OPERA,), MARK, "other"), ((), MARK, "terminal")],
)
def test_an_appeal_is_confirmed_with_who_really_hears_it(
    asked: tuple[UserId, ...], decider: UserId, hearer: str
) -> None:
    lodged = Appealed(room=ROOM, n=3, due=NOON, subject=ANNA, words="a joke")
    people = [CaseAssigned(room=ROOM, n=3, asked="managers", due=NOON, subject=user) for user in asked]
    about = known(state="appealed", by=decider, deciders={decider})
    assert told(lodged, *people, about=about) == [f"notice.appealed.{hearer}", "notice.details"]


def test_two_measures_with_the_same_end_both_say_it() -> None:
    mute, demotion = begun("mute", "credit", until=NOON), begun("demote", "credit", until=NOON)
    assert told(mute, demotion) == [
        "notice.measure.mute",
        "notice.until",
        "notice.measure.demote",
        "notice.until",
    ]


def test_people_are_not_told_of_removing_their_own_messages() -> None:
    own = SanctionStarted(
        room=ROOM, kind="redact", basis="command", subject=ANNA, by=ANNA, event=EVENT, reason="a typing error"
    )
    assert in_words_of((own,), both) == (Redact(room=ROOM, event=EVENT, subject=ANNA),)


def test_a_manager_who_acts_gives_their_reason() -> None:
    assert told(begun("warn", "command", by=MARK, reason="be kind")) == ["notice.command.warn", "notice.reason"]
    reversed_ = CaseDecided(room=ROOM, n=3, what="dismissed", subject=ANNA, by=MARK, reason="a joke")
    assert told(reversed_, about=known(outcome="dismissed")) == [
        "notice.message.dismissed",
        "notice.words",
        "notice.reason",
        "notice.details",
    ]


def test_a_reversed_order_for_several_rooms_is_taken_back_in_each_and_told_once() -> None:
    ended = [SanctionEnded(room=room, start=n, kind="ban", why="reversed", n=3, subject=ANNA) for n, room in BOTH]
    reversed_ = CaseDecided(room=ROOM, n=3, what="dismissed", subject=ANNA, by=MARK)
    about = known(outcome="dismissed", elsewhere=(OTHER,))
    actions = in_words_of((reversed_, *ended), both, known=about)
    assert [each.room for each in actions if isinstance(each, InviteBack)] == [ROOM, OTHER]
    assert [each.room for each in actions if isinstance(each, Align)] == [ROOM, OTHER]
    [word] = [each for each in actions if isinstance(each, Tell)]
    assert [each for each in word.lines if each.key == "notice.ended.ban"] == [
        line("notice.ended.ban", room=RoomNames((ROOM, OTHER)))
    ]


@pytest.mark.parametrize("rooms", [(ROOM, None), (None, ROOM)])
def test_what_ends_in_all_rooms_and_in_one_is_told_of_both(rooms: tuple[RoomId | None, ...]) -> None:
    ended = (SanctionEnded(room=room, start=1, kind="mute", why="time", subject=ANNA) for room in rooms)
    assert {"notice.ended.mute", "notice.ended-everywhere.mute"} <= set(told(*ended))


def test_people_are_told_of_changes_to_their_duty_hours_by_others() -> None:
    hours = "mon-fri 08:00-18:00 Europe/Berlin"
    assert told(RosterChanged(room=ROOM, subject=ANNA, hours=hours, by=MARK)) == ["notice.roster"]
    assert told(RosterChanged(room=ROOM, subject=ANNA, by=MARK)) == ["notice.roster-off"]
    assert told(RosterChanged(room=ROOM, subject=ANNA, hours=hours, by=ANNA)) == []


def test_every_person_concerned_is_told_their_own() -> None:
    facts = (
        begun("mute", until=NOON),
        SanctionStarted(room=ROOM, kind="kick", basis="command", subject=UserId("@ben:example.org"), by=MARK),
    )
    tells = [action for action in in_words_of(facts, both) if isinstance(action, Tell)]
    assert [tell.subject for tell in tells] == [ANNA, "@ben:example.org"]


def test_people_outside_our_rooms_are_not_told() -> None:
    assert in_words_of((SanctionEnded(start=1, kind="ban", why="time", subject=ANNA),), nowhere) == ()


# Over all effects on people.

KINDS_BY_BASIS = {
    "rule": ("redact", "mute"),
    "interim": ("redact", "mute"),
    "decision": ("redact", "mute"),
    "command": ("redact", "warn", "mute", "kick", "ban"),
    "credit": ("mute", "demote", "ban"),
}
people = st.sampled_from([UserId(f"@{name}:example.org") for name in ("anna", "ben", "cleo")])
numbers = st.integers(0, 9)
anywhere = st.sampled_from([ROOM, OTHER])
sanctions = st.sampled_from([(basis, kind) for basis, kinds in KINDS_BY_BASIS.items() for kind in kinds])


@st.composite
def started_sanctions(draw: st.DrawFn) -> SanctionStarted:
    basis, kind = draw(sanctions)
    return SanctionStarted(
        room=None if basis == "credit" and draw(st.booleans()) else draw(anywhere),
        kind=kind,  # type: ignore[arg-type]
        basis=basis,  # type: ignore[arg-type]
        until=draw(st.sampled_from([0, NOON])),
        n=draw(numbers),
        rule=draw(st.sampled_from(["spam", "tier_slow", "tier_links"])) if basis == "rule" else "-",
        credit=draw(numbers),
        subject=draw(people),
        event=EVENT if kind == "redact" else EventId(""),
        by=MARK if basis in ("command", "decision") else UserId(""),
        reason=draw(st.sampled_from(["", "because"])) if basis == "command" else "",
    )


effects: st.SearchStrategy[Fact] = st.one_of(
    started_sanctions(),
    st.builds(
        SanctionEnded,
        room=st.none() | anywhere,
        start=numbers,
        kind=st.sampled_from(["mute", "demote", "ban"]),
        why=st.sampled_from(["time", "credit", "reversed", "command", "overtaken"]),
        n=numbers,
        subject=people,
    ),
    st.builds(
        SanctionExtended,
        room=st.none() | anywhere,
        start=numbers,
        kind=st.sampled_from(["mute", "demote", "ban"]),
        until=st.just(NOON),
        subject=people,
    ),
    st.builds(
        CreditChanged,
        room=anywhere,
        entry=st.sampled_from(["charge", "warning", "compensation"]),
        cost=numbers,
        grade=st.just("minor"),
        rule=st.just("spam"),
        n=numbers,
        left=numbers,
        subject=people,
    ),
    st.builds(
        CaseDecided,
        room=anywhere,
        n=numbers,
        what=st.sampled_from(["upheld", "dismissed"]),
        subject=people,
        by=st.just(MARK),
    ),
    st.builds(
        PersonVerified,
        room=anywhere,
        step=st.just("verified"),
        method=st.just("vouch"),
        level=st.just(2),
        until=st.just(NOON),
        subject=people,
        by=st.just(MARK),
    ),
)


@given(st.lists(effects, min_size=1, max_size=5))
def test_every_effect_on_a_person_is_told_to_that_person_and_once(facts: list[Fact]) -> None:
    tells = [action for action in in_words_of(facts, both) if isinstance(action, Tell)]
    subjects = [tell.subject for tell in tells]
    assert sorted(subjects) == sorted({fact.subject for fact in facts})  # type: ignore[attr-defined]
    for tell in tells:
        own = [fact for fact in facts if fact.subject == tell.subject]  # type: ignore[attr-defined]
        alone = [
            text for fact in own for each in in_words_of((fact,), both) if isinstance(each, Tell) for text in each.lines
        ]
        lines = [one for each in tell.lines for one in one_by_one(each)]
        assert all(text in lines for text in alone if not text.key.startswith(("notice.details", "why-ended.")))


def one_by_one(said: Line) -> list[Line]:
    """Return the line; if it names several rooms, one line for each of them."""
    rooms = said.fields.get("room")
    if not isinstance(rooms, RoomNames):
        return [said]
    return [line(said.key, **{**said.fields, "room": RoomName(room)}) for room in rooms.rooms]


def keys_of(lines: Sequence[Line]) -> list[Line]:
    return [*lines, *(line(value.key) for each in lines for value in each.fields.values() if isinstance(value, Phrase))]


@given(st.lists(effects, min_size=1, max_size=3))
def test_everything_that_is_said_has_a_text_in_every_language_and_all_it_needs(facts: list[Fact]) -> None:
    catalog = Catalog.load()
    said = [action.lines for action in in_words_of(facts, both) if isinstance(action, Tell | TellDesk)]
    for lines in said:
        for each in keys_of(lines):
            for language in LANGUAGES:
                assert fields_of(catalog.template(language, each.key)) <= set(each.fields)


@given(st.lists(effects, max_size=4))
def test_the_same_facts_ask_for_the_same_actions_which_can_be_written_down(facts: list[Fact]) -> None:
    actions = in_words_of(facts, both)
    assert actions == in_words_of(facts, both)
    assert tuple(from_json(to_json(action)) for action in actions) == actions


words = st.lists(st.sampled_from(["mild", "worst", "open"]), max_size=6)


@given(words, st.sampled_from(["upheld", "dismissed"]))
def test_every_effect_in_any_history_is_told(texts: list[str], what: Outcome) -> None:
    rules = policy(
        terms("mild", **{"class": "minor"}),
        terms("worst", **{"class": "severe", "measure": "mute"}),
        terms("open", **{"class": "severe", "decide": "manager", "interim": "redact", "measure": "mute"}),
    )
    lived = History(rules, manages=True)
    causes = [lived.say(text) for text in texts]
    causes += [lived.decide(n, what) for n in list(lived.cases) if lived.cases[n].outcome != what]
    for facts in causes:
        felt = [
            fact for fact in facts if isinstance(fact, SanctionStarted | SanctionEnded | CreditChanged | CaseDecided)
        ]
        grew = any(isinstance(fact, CaseGrew) for fact in facts)
        felt = [fact for fact in felt if not (grew and isinstance(fact, SanctionStarted) and fact.kind == "redact")]
        tells = [action for action in in_words_of(facts, both) if isinstance(action, Tell)]
        assert [tell.subject for tell in tells] == ([ANNA] if felt else [])
