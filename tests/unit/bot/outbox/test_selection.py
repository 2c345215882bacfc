"""A table of what is sent next, given the waiting rows, those in flight, those sent before, and the time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.outbox.selection import (
    ADORNS_MS,
    ADORNS_SLOW_MS,
    APART,
    AT_ONCE,
    CALM_MS,
    CROWDED_MS,
    KICKS_AT_ONCE,
    OTHERS_AT_ONCE,
    PATIENCE_MS,
    SLOW_MS,
    URGENT_IN_A_ROW,
    Past,
    choose,
    look_again,
)
from moderation.model.actions.anchors import Witness
from moderation.model.actions.base import CARD, ENTRIES, STATE, STOP, URGENT, Action
from moderation.model.actions.cards import EditCard, Offer, PostCard
from moderation.model.actions.people import Verify
from moderation.model.actions.removal import Kick, Redact
from moderation.model.actions.rooms import Align, Enter, Leave
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import line
from storage.outbox import OutboxRow

NOW = 1_000_000
LONG_AGO = NOW - PATIENCE_MS
ROOM, OTHER = RoomId("!garden:example.org"), RoomId("!pond:example.org")
ANNA, BEN = UserId("@anna:example.org"), UserId("@ben:example.org")
WORDS = (line("done.ack"),)
ONE_AT_A_TIME = Past(at_once=1)
A_FLOOD = [Redact(room=ROOM, event=EventId(f"$spam{n}"), subject=ANNA) for n in range(20)]
MUTE, CARD_1, WORD = Align(room=ROOM), PostCard(room=ROOM, n=CaseNumber(1)), Tell(room=ROOM, subject=BEN, lines=WORDS)
ANSWER, OFFER = Say(room=ROOM, lines=WORDS), Offer(room=ROOM, n=CaseNumber(1), key="✅")


def rows(*actions: Action, queued: int = NOW) -> list[OutboxRow]:
    """Return rows in the order in which they were queued."""
    return [OutboxRow(n, f"t{n}", each, n, 0, 0, each.priority, queued) for n, each in enumerate(actions, 1)]


NOTHING = Past()


def chosen(
    waiting: Sequence[OutboxRow], past: Past = NOTHING, sending: Sequence[OutboxRow] = (), now: int = NOW
) -> list[Action]:
    busy = {row.action.queue for row in sending} - {None}
    return [row.action for row in choose(waiting, sending, busy, past, now)]


def taken(past: Past, *actions: Action) -> Past:
    for row in rows(*actions):
        past = past.taken(row, NOW)
    return replace(past, calm_at=0, at_once=1)


class TestTheMostImportant:
    def test_goes_first_whenever_it_was_queued(self) -> None:
        assert chosen(rows(OFFER, WORD, CARD_1, ANSWER, *A_FLOOD, MUTE), ONE_AT_A_TIME) == [MUTE]

    @pytest.mark.parametrize(
        "stop", [MUTE, Kick(room=ROOM, subject=ANNA), Tell(room=ROOM, subject=BEN, lines=WORDS, first=True)]
    )
    def test_covers_measures_and_the_word_they_wait_for(self, stop: Action) -> None:
        assert stop.priority == STOP
        assert chosen(rows(*A_FLOOD, stop), ONE_AT_A_TIME) == [stop]

    def test_leaves_half_of_the_places_if_it_is_a_kick(self) -> None:
        kicks = [Kick(room=ROOM, subject=UserId(f"@spam{n}:x")) for n in range(9)]
        assert chosen(rows(*A_FLOOD, *kicks)) == [*kicks[:KICKS_AT_ONCE], A_FLOOD[-1], A_FLOOD[-2]]
        assert chosen(rows(*A_FLOOD, *kicks), sending=rows(*kicks[-2:])) == [A_FLOOD[-1], A_FLOOD[-2]]
        assert chosen(rows(*A_FLOOD, *kicks, MUTE), sending=rows(*kicks[-2:])) == [MUTE, A_FLOOD[-1]]

    def test_excludes_looking_at_an_unchanged_room(self) -> None:
        routine = Align(room=ROOM, routine=True)
        assert routine.priority == STATE
        assert chosen(rows(routine, *A_FLOOD), ONE_AT_A_TIME) == [A_FLOOD[-1]]

    def test_takes_the_newest_redaction(self) -> None:
        assert chosen(rows(*A_FLOOD)) == A_FLOOD[: -AT_ONCE - 1 : -1]

    def test_is_the_only_one_that_goes_after_a_refusal(self) -> None:
        past = Past().limited(NOW + 5_000)
        waiting = rows(*A_FLOOD, MUTE, Kick(room=ROOM, subject=ANNA))
        assert chosen(waiting, past, now=NOW + 4_999) == []
        assert chosen(waiting, past, now=NOW + 5_000) == [MUTE]

    def test_is_followed_by_more_at_once_with_each_that_is_taken(self) -> None:
        past = Past().limited(NOW)
        found = []
        for row in rows(*A_FLOOD[:5]):
            found.append(len(chosen(rows(*A_FLOOD), past)))
            past = past.taken(row, NOW)
        assert found == [1, 2, 3, 4, 4]


class TestWhereFewRequestsAreAccepted:
    SLOW = Past(slow_until=NOW + 1, at_once=1)

    def test_a_card_goes_after_each_urgent_request_and_waits_for_no_calm(self) -> None:
        past = replace(self.SLOW, calm_at=NOW + CALM_MS)
        waiting = rows(WORD, CARD_1, *A_FLOOD)
        assert chosen(waiting, past) == [A_FLOOD[-1]]
        assert chosen(waiting, replace(past, urgent_in_a_row=1)) == [CARD_1]
        assert chosen(rows(WORD, *A_FLOOD), replace(past, urgent_in_a_row=1)) == [A_FLOOD[-1]]

    def test_nothing_else_goes_while_somebody_is_being_stopped(self) -> None:
        past = Past(slow_until=NOW + 1)
        assert chosen(rows(*A_FLOOD, CARD_1, MUTE), past) == [MUTE]
        assert chosen(rows(*A_FLOOD, CARD_1), past, sending=rows(MUTE)) == []
        assert len(chosen(rows(*A_FLOOD, MUTE))) == AT_ONCE

    def test_those_who_are_stopped_without_end_keep_nothing_away_for_ever(self) -> None:
        past = replace(Past(slow_until=NOW + 1), urgent_in_a_row=URGENT_IN_A_ROW - 1)
        kicks = [Kick(room=ROOM, subject=UserId(f"@spam{n}:x")) for n in range(9)]
        waiting = rows(WORD, *A_FLOOD, *kicks, queued=LONG_AGO)
        sending = rows(*kicks[-1:])
        assert chosen(waiting, past, sending) == [WORD, *kicks[:2]]
        assert chosen(rows(WORD, *A_FLOOD, *kicks, queued=NOW), past, sending) == kicks[:3]
        assert chosen(rows(WORD, *A_FLOOD, queued=LONG_AGO), replace(past, urgent_in_a_row=0), sending) == []

    def test_who_floods_is_stopped_before_a_card_goes(self) -> None:
        assert chosen(rows(CARD_1, *A_FLOOD, MUTE), replace(self.SLOW, urgent_in_a_row=1)) == [MUTE]

    def test_many_cards_keep_nothing_else_away(self) -> None:
        cards = [PostCard(room=ROOM, n=CaseNumber(n)) for n in range(20)]
        past, sent = self.SLOW, []
        left = rows(WORD, *cards, *A_FLOOD, queued=LONG_AGO)
        for _ in range(12):
            (row,) = choose(left, [], set(), past, NOW)
            left.remove(row)
            sent.append(row.action)
            past = replace(past.taken(row, NOW), at_once=1)
        kinds = Counter(type(action) for action in sent)
        assert kinds[Tell] == 1
        assert kinds[Redact] >= 5
        assert [type(action) for action in sent[:4]] == [Redact, PostCard, Redact, PostCard]

    def test_what_only_adorns_a_card_waits_longer(self) -> None:
        past = replace(taken(Past(), *A_FLOOD[:URGENT_IN_A_ROW]), slow_until=NOW + 2 * ADORNS_SLOW_MS)
        waiting = rows(OFFER, *A_FLOOD)
        assert chosen(waiting, past, now=NOW + ADORNS_SLOW_MS - 1) == [A_FLOOD[-1]]
        assert chosen(waiting, past, now=NOW + ADORNS_SLOW_MS) == [OFFER]

    def test_it_is_known_after_a_refusal_for_a_time_only(self) -> None:
        past = replace(Past().limited(NOW), urgent_in_a_row=1, calm_at=NOW + 2 * SLOW_MS)
        waiting = rows(CARD_1, *A_FLOOD, queued=NOW + SLOW_MS)
        assert chosen(waiting, past, now=NOW + SLOW_MS - 1) == [CARD_1]
        assert chosen(waiting, past, now=NOW + SLOW_MS) == [A_FLOOD[-1]]


class TestWhatIsNotUrgent:
    def test_goes_at_once_when_nothing_urgent_is_there(self) -> None:
        assert chosen(rows(CARD_1, WORD, OFFER)) == [CARD_1, WORD, OFFER]

    @pytest.mark.parametrize("urgent", [A_FLOOD[0], MUTE])
    def test_waits_while_something_urgent_is_under_way(self, urgent: Action) -> None:
        assert chosen(rows(CARD_1), sending=rows(urgent)) == []

    def test_waits_until_nothing_urgent_was_sent_for_a_moment(self) -> None:
        past = Past().taken(rows(A_FLOOD[0])[0], NOW)
        assert chosen(rows(CARD_1), past, now=NOW + CALM_MS - 1) == []
        assert chosen(rows(CARD_1), past, now=NOW + CALM_MS) == [CARD_1]

    def test_waits_while_answers_come_full_but_not_for_ever(self) -> None:
        past = Past().crowded(NOW)
        waiting = rows(CARD_1)
        assert chosen(waiting, past, now=NOW + CROWDED_MS - 1) == []
        assert chosen(waiting, past.crowded(NOW + PATIENCE_MS), now=NOW + PATIENCE_MS) == [CARD_1]

    def test_leaves_a_place_for_urgent_requests(self) -> None:
        words = [Tell(room=ROOM, subject=UserId(f"@{n}:example.org"), lines=WORDS) for n in range(9)]
        assert chosen(rows(*words)) == words[:OTHERS_AT_ONCE]
        assert chosen(rows(*words[3:], A_FLOOD[0]), sending=rows(*words[:3])) == [A_FLOOD[0]]

    def test_has_every_fifth_request_once_it_has_waited_for_long(self) -> None:
        waiting = rows(CARD_1, *A_FLOOD, queued=LONG_AGO)
        past = taken(Past(), *A_FLOOD[: URGENT_IN_A_ROW - 1])
        assert chosen(waiting, past) == [A_FLOOD[-1]]
        assert chosen(waiting, taken(past, A_FLOOD[0])) == [CARD_1]
        assert chosen(waiting, taken(past, A_FLOOD[0], CARD_1)) == [A_FLOOD[-1]]

    @pytest.mark.parametrize("adorns", [OFFER, EditCard(room=ROOM, n=CaseNumber(1))])
    def test_waits_for_longer_where_it_only_adorns_a_card(self, adorns: Action) -> None:
        past = taken(Past(), *A_FLOOD[:URGENT_IN_A_ROW])
        waiting = rows(adorns, *A_FLOOD)
        assert chosen(waiting, past, now=NOW + ADORNS_MS - 1) == [A_FLOOD[-1]]
        assert chosen(waiting, past, now=NOW + ADORNS_MS) == [adorns]
        assert look_again(rows(adorns), past, NOW + PATIENCE_MS) == NOW + ADORNS_MS

    def test_is_owed_its_turn_until_the_homeserver_has_taken_it(self) -> None:
        waiting = rows(CARD_1, *A_FLOOD, queued=LONG_AGO)
        past = taken(Past(), *A_FLOOD[:URGENT_IN_A_ROW])
        assert chosen(waiting, past) == [CARD_1]
        assert chosen(waiting, past.limited(NOW + 1), now=NOW + 1) == [CARD_1]

    def test_goes_in_turns_of_its_kinds(self) -> None:
        people = [UserId(f"@{n}:example.org") for n in range(4)]
        answers = [Say(room=RoomId(f"!{n}"), lines=WORDS) for n in range(4)]
        cards = [PostCard(room=RoomId(f"!desk{n}"), n=CaseNumber(n)) for n in range(4)]
        words = [Tell(room=ROOM, subject=user, lines=WORDS) for user in people]
        waiting, past, order = rows(*words, *cards, *answers), ONE_AT_A_TIME, []
        while waiting:
            [row] = choose(waiting, (), (), past, NOW)
            waiting.remove(row)
            order.append(row.action)
            past = replace(past.taken(row, NOW), at_once=1)
        assert order == [each for three in zip(answers, cards, words, strict=True) for each in three]


class TestRooms:
    def test_take_turns_in_what_is_urgent(self) -> None:
        others = [Redact(room=OTHER, event=EventId(f"$other{n}"), subject=BEN) for n in range(3)]
        waiting, past, order = rows(*others, *A_FLOOD), ONE_AT_A_TIME, []
        for _ in range(6):
            [row] = choose(waiting, (), (), past, NOW)
            waiting.remove(row)
            order.append(row.action)
            past = replace(past.taken(row, NOW), at_once=1)
        assert order == [each for two in zip(A_FLOOD[::-1], others[::-1], strict=False) for each in two]

    def test_take_turns_in_each_kind_of_the_rest(self) -> None:
        many = [PostCard(room=ROOM, n=CaseNumber(n)) for n in range(9)]
        one = PostCard(room=OTHER, n=CaseNumber(10))
        past = taken(Past(), many[0])
        assert chosen(rows(*many[1:], one), past) == [one]

    def test_a_ban_in_one_waits_for_one_request_of_another_at_most(self) -> None:
        stop = Kick(room=OTHER, subject=BEN)
        past = taken(Past(), *A_FLOOD[:3], stop)
        assert chosen(rows(*A_FLOOD, stop), past) == [A_FLOOD[-1]]
        assert chosen(rows(*A_FLOOD, stop), taken(past, A_FLOOD[-1])) == [stop]


class TestQueues:
    def test_one_goes_after_the_other_in_the_order_of_queueing(self) -> None:
        first, second = CARD_1, TellDesk(room=ROOM, lines=WORDS)
        assert first.priority == second.priority == CARD
        assert chosen(rows(first, second)) == [first]
        assert chosen(rows(second), sending=rows(first)) == []

    def test_of_different_people_and_rooms_go_together(self) -> None:
        other = PostCard(room=OTHER, n=CaseNumber(2))
        assert chosen(rows(CARD_1, other, WORD)) == [CARD_1, WORD, other]

    def test_a_busy_one_keeps_nothing_else_waiting(self) -> None:
        assert chosen(rows(MUTE, Align(room=OTHER)), sending=rows(MUTE)) == [Align(room=OTHER)]


class TestApart:
    def test_waits_for_nothing_and_keeps_nothing_waiting(self) -> None:
        ask, proof = Witness(day="2026-11-24"), Verify(room=ROOM, subject=ANNA, sealed="", on=1)
        assert chosen(rows(ask, proof, *A_FLOOD[:1]), Past().limited(NOW + 1)) == [ask, proof]
        assert chosen(rows(CARD_1), sending=rows(ask, proof)) == [CARD_1]

    def test_as_many_at_once_as_each_may(self) -> None:
        for priority, most in APART.items():
            many = [Verify(room=ROOM, subject=UserId(f"@{n}:x"), sealed="", on=n) for n in range(most + 2)]
            waiting = [replace(row, priority=priority) for row in rows(*many)]
            assert len(choose(waiting, (), (), Past(), NOW)) == most
            assert len(choose(waiting[1:], waiting[:1], (), Past(), NOW)) == most - 1

    def test_nothing_overtakes_what_waits_in_the_same_queue(self) -> None:
        leave, enter = Leave(room=ROOM, subject=ANNA), Enter(room=ROOM, inviter=ANNA)
        assert chosen(rows(leave, enter)) == [leave]
        assert chosen(rows(leave, enter), Past().limited(NOW + 1)) == []
        assert chosen(rows(enter, leave)) == [enter]

    def test_what_was_tried_least_often_goes_first(self) -> None:
        rooms = [RoomId(f"!{n}:x") for n in range(APART[ENTRIES] + 1)]
        waiting = rows(*(Enter(room=room, inviter=ANNA) for room in rooms))
        tried = [replace(row, attempts=3) for row in waiting[:-1]]
        assert [row.action.room for row in choose([*tried, waiting[-1]], (), (), Past(), NOW)] == [
            rooms[-1],
            *rooms[: APART[ENTRIES] - 1],
        ]


class TestLookAgain:
    @pytest.mark.parametrize(
        ("past", "expected"),
        [
            (Past(limited_until=NOW + 7), NOW + 7),
            (Past(calm_at=NOW + 9), NOW + 9),
            (Past(), NOW + PATIENCE_MS),
        ],
    )
    def test_when_the_first_reason_to_wait_is_over(self, past: Past, expected: int) -> None:
        assert look_again(rows(CARD_1), past, NOW) == expected

    def test_never_where_nothing_is_left(self) -> None:
        assert look_again([], Past(limited_until=NOW + 7), NOW) is None


REQUEST_MS = 5_000  # as long as the default limit lets one wait


class Flooded:
    """A homeserver that accepts one request at a time, and spammers who write whenever it accepted a redaction."""

    def __init__(self, flood: int = 2) -> None:
        self.waiting: list[OutboxRow] = []
        self.past = ONE_AT_A_TIME
        self.now = NOW
        self.sent: list[Action] = []
        self._count = 0
        self.put(*[self.spam() for _ in range(flood)])

    def spam(self) -> Redact:
        return Redact(room=ROOM, event=EventId(f"$spam{self._count}"), subject=ANNA)

    def put(self, *actions: Action) -> None:
        for action in actions:
            self._count += 1
            n = self._count
            self.waiting.append(OutboxRow(n, f"t{n}", action, n, 0, 0, action.priority, self.now))

    def request(self) -> Action:
        self.now += REQUEST_MS
        [row] = choose(self.waiting, (), (), self.past, self.now)
        self.waiting.remove(row)
        self.past = replace(self.past.taken(row, self.now), at_once=1)
        if row.priority == URGENT:
            self.put(self.spam())
        self.sent.append(row.action)
        return row.action

    def until(self, action: Action) -> int:
        """Make requests until the action is sent, and return their number."""
        for number in range(1, 1_000):
            if self.request() == action:
                return number
        raise AssertionError(f"never sent: {action}")


def test_spammers_who_write_as_fast_as_is_redacted_keep_nothing_away() -> None:
    flooded = Flooded()
    for _ in range(50):
        flooded.request()
    flooded.put(MUTE)
    assert flooded.until(MUTE) == 1
    for action in (CARD_1, ANSWER, WORD):
        flooded.put(action)
        assert flooded.until(action) <= 2 + URGENT_IN_A_ROW + 1
    flooded.put(OFFER)
    assert flooded.until(OFFER) <= ADORNS_MS // REQUEST_MS + 1
    counts = Counter(type(each) for each in flooded.sent)
    assert counts[Redact] >= URGENT_IN_A_ROW * (counts.total() - counts[Redact] - 1)


def test_neither_do_people_who_ask_for_an_answer_again_and_again() -> None:
    flooded = Flooded()
    flooded.put(CARD_1, WORD, *[Say(room=RoomId(f"!{n}"), lines=WORDS) for n in range(100)])
    assert flooded.until(CARD_1) <= 3 * (URGENT_IN_A_ROW + 1)
    assert flooded.until(WORD) <= 2 * (URGENT_IN_A_ROW + 1)


KINDS = [MUTE, *A_FLOOD[:3], CARD_1, WORD, ANSWER, OFFER, Align(room=OTHER), Witness(day="d")]


@given(
    st.lists(st.sampled_from(KINDS), max_size=12),
    st.lists(st.sampled_from(KINDS), max_size=3),
    st.integers(1, AT_ONCE),
    st.integers(0, 9),
    st.integers(0, 2 * PATIENCE_MS),
)
def test_never_more_than_may_go_and_never_two_of_one_queue(
    waiting: list[Action], sending: list[Action], at_once: int, in_a_row: int, waited: int
) -> None:
    here = [row for row in rows(*sending) if row.priority not in APART]
    past = Past(at_once=at_once, urgent_in_a_row=in_a_row)
    busy = {row.action.queue for row in here} - {None}
    found = choose(rows(*waiting, queued=NOW - waited), here, busy, past, NOW)
    mine = [row for row in found if row.priority not in APART]
    assert len(mine) <= max(at_once - len(here), 0)
    queues = [row.action.queue for row in mine if row.action.queue is not None]
    assert len(queues) == len(set(queues)) and not busy.intersection(queues)
    if not here and any(row.priority not in APART for row in rows(*waiting)):
        assert mine  # nothing waits for ever: with nothing in flight, something is sent
