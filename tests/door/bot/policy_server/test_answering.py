"""Answers of the policy server: what is signed, what is refused, and what is kept and held against whom."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.events.parse_event import receive
from bot.federation.pdu import Pdu
from bot.federation.redaction import redacted
from bot.federation.room_versions import room_version
from bot.pipeline.refusal_cap import MOST_OF_PERSON, MOST_OF_SERVER
from bot.pipeline.withheld import withheld_of
from bot.policy_server.answering import PolicyAnswer
from moderation.values.durations import MS_PER
from moderation.values.ids import UserId
from tests.door.bot.policy_server.asked import BAD, GOOD, Asked, asked, on_tables_of
from tests.door.offline import ANNA, BOT, MARK, OLGA, ROOM

REFUSED = PolicyAnswer(status=400, errcode="M_FORBIDDEN", text="elephants, ")
UNRECORDED = replace(REFUSED, text="elephants, , unrecorded")  # no message about it is announced
STRANGER = UserId("@eve:elsewhere.example")


def is_signed(server: Asked, pdu: Pdu, verdict: PolicyAnswer) -> bool:
    return verdict == PolicyAnswer(signature=pdu.signature(server.own))


async def test_a_good_message_is_signed_and_a_bad_one_refused_with_a_note(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        good, bad = server.pdu(ANNA, GOOD), server.pdu(ANNA, BAD)
        assert is_signed(server, good, await server.ask(good))
        assert await server.ask(bad) == REFUSED
        (note,) = server.notes()
        assert note.event_id == bad.event_id
        withheld = withheld_of(note.note)
        assert withheld.refusal.rule == "elephants" and withheld.refusal.matched == "purple elephant"
        assert (withheld.by, withheld.event, withheld.room) == ("policy_server", bad.event_id, ROOM)
        assert withheld.raw == {
            "type": "m.room.message",
            "sender": ANNA,
            "origin_server_ts": server.now_ms,
            "content": BAD,
        }
        assert server.counted() == {"judged": 1, "refused": 1}


async def test_an_answer_never_changes_even_if_rules_and_process_do(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        good, bad = server.pdu(ANNA, GOOD), server.pdu(ANNA, BAD)
        answers = [await server.ask(good), await server.ask(bad)]
        homeservers = server.homeservers
    stricter = '[[rules]]\nname = "hello"\nkind = "terms"\nterms = ["hello"]\n'
    async with asked(tmp_path, stricter, homeservers=homeservers) as again:
        assert [await again.ask(good), await again.ask(bad)] == answers
        assert (await again.ask(again.pdu(ANNA, GOOD, depth=8))).errcode == "M_FORBIDDEN"
        assert [note.event_id for note in again.notes()] == [bad.event_id, again.notes()[1].event_id]


async def test_five_hundred_who_ask_about_one_event_get_one_judgement(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        bad = server.pdu(ANNA, BAD)
        assert set(await asyncio.gather(*(server.ask(bad) for _ in range(500)))) == {REFUSED}
        assert len(server.notes()) == 1
        assert server.counted()["refused"] == 1


@pytest.mark.long
async def test_five_hundred_events_at_once_are_each_judged(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        people = [UserId(f"@member{n}:example.org") for n in range(500)]
        await server.come(*people)
        events = [server.pdu(user, BAD if n % 2 else GOOD) for n, user in enumerate(people)]
        verdicts = await asyncio.gather(*map(server.ask, events))
        assert [verdict == REFUSED for verdict in verdicts] == [bool(n % 2) for n in range(500)]
        assert len(server.notes()) == 200 and len(server.spool.refusals_after(server.notes()[-1].seq)) == 50


async def test_a_redacted_copy_gets_no_signature_that_would_cover_the_whole_event(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        bad = server.pdu(ANNA, BAD)
        version = room_version("11")
        copy = Pdu.of({**redacted(bad.event, version), "signatures": bad.event["signatures"]}, version)
        assert copy.reference_hash == bad.reference_hash
        other = Pdu.of({**bad.event, "content": GOOD}, version)
        assert other.reference_hash == bad.reference_hash
        for harmless in (copy, other):
            assert (await server.ask(harmless)).errcode == "M_BAD_JSON"
        both = await asyncio.gather(server.ask(copy), server.ask(bad))
        assert [verdict.errcode for verdict in both] == ["M_BAD_JSON", "M_FORBIDDEN"]


async def test_what_their_own_server_did_not_sign_is_held_against_nobody(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        bad = server.pdu(ANNA, BAD)
        by_another = {**bad.event, "signatures": server.homeservers.signatures(dict(bad.event), "elsewhere.example")}
        forged = Pdu.of(by_another, room_version("11"))
        assert forged.event_id == bad.event_id
        assert (await server.ask(forged)).errcode == "M_FORBIDDEN"
        assert server.notes() == ()
        assert server.counted() == {"unproven": 1}

        assert await server.ask(bad) == REFUSED  # the same event with its proof is another matter
        assert [note.event_id for note in server.notes()] == [bad.event_id]


@pytest.mark.parametrize("was", ("never there", "invite", "leave", "ban"))
async def test_somebody_who_is_not_in_the_room_is_refused_without_a_record(tmp_path: Path, was: str) -> None:
    """Any server can make up people, and sign what they never sent to a room that they are not in."""
    async with asked(tmp_path) as server:
        if was != "never there":
            await server.bot.membership(STRANGER, was)
        bad = server.pdu(STRANGER, BAD)
        assert await server.ask(bad) == UNRECORDED
        assert server.notes() == ()
        assert await server.store.answer(bad.event_id) is None
        assert server.counted() == {"absent": 1}

        await server.come(STRANGER)
        assert await server.ask(bad) == REFUSED
        assert [note.event_id for note in server.notes()] == [bad.event_id]


async def test_of_one_person_so_many_refusals_are_recorded_and_the_rest_only_refused(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        bad = [server.pdu(ANNA, BAD, depth=n) for n in range(MOST_OF_PERSON + 5)]
        assert set(await asyncio.gather(*map(server.ask, bad))) == {REFUSED, UNRECORDED}
        assert len(server.notes()) == MOST_OF_PERSON
        assert server.counted() == {"refused": MOST_OF_PERSON, "unrecorded": 5}
        server.bot.time.ms += MS_PER["m"]
        assert await server.ask(server.pdu(ANNA, BAD, depth=99)) == REFUSED
        assert len(server.notes()) == MOST_OF_PERSON + 1


@pytest.mark.long
async def test_of_the_people_of_one_server_so_many_refusals_are_recorded(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        people = [UserId(f"@sock{n}:elsewhere.example") for n in range(MOST_OF_SERVER + 5)]
        await server.come(*people)
        assert set(await asyncio.gather(*(server.ask(server.pdu(user, BAD)) for user in people))) == {
            REFUSED,
            UNRECORDED,
        }
        assert server.counted() == {"refused": MOST_OF_SERVER, "unrecorded": 5}
        assert await server.ask(server.pdu(ANNA, BAD)) == REFUSED  # of another server
        assert server.counted() == {"refused": MOST_OF_SERVER + 1, "unrecorded": 5}


async def test_a_forgery_does_not_hide_the_event_it_copies(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        bad = server.pdu(ANNA, BAD)
        forged = Pdu.of({**bad.event, "signatures": {}}, room_version("11"))
        await asyncio.gather(server.ask(forged), server.ask(bad), server.ask(forged))
        assert [note.event_id for note in server.notes()] == [bad.event_id]


async def test_keys_that_cannot_be_had_silence_nobody_who_keeps_the_rules(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        server.homeservers.silent = True
        good = server.pdu(STRANGER, GOOD)
        assert is_signed(server, good, await server.ask(good))


async def test_one_id_for_two_events_of_an_old_room_is_signed_once(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        given: dict[str, Any] = {"version": "1", "event_id": "$same:example.org"}
        first, second = server.pdu(ANNA, GOOD, **given), server.pdu(ANNA, {"body": "another"}, depth=9, **given)
        assert first.event_id == second.event_id and first.reference_hash != second.reference_hash
        assert is_signed(server, first, await server.ask(first))
        assert (await server.ask(second)).errcode == "M_BAD_JSON"
        assert is_signed(server, first, await server.ask(first))


async def test_a_changed_key_signs_what_was_accepted_before(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        good = server.pdu(ANNA, GOOD)
        before = await server.ask(good)
        assert before.signature
        server.answering._own = replace_key(server)
        assert (await server.ask(good)).signature == good.signature(server.answering._own) != before.signature


def replace_key(server: Asked) -> Any:
    return server.homeservers.key("a new key of ours")


async def test_those_whom_the_judge_spares_after_delivery_are_spared_before(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        for user in (OLGA, MARK, BOT):
            pdu = server.pdu(user, BAD)
            assert is_signed(server, pdu, await server.ask(pdu)), user


async def test_memberships_and_redactions_are_signed_whatever_they_say(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        came = {"membership": "join", "displayname": "purple elephant"}
        gone = {"redacts": "$some", "reason": "purple elephant"}
        for kind, content, more in (("m.room.member", came, {"state_key": ANNA}), ("m.room.redaction", gone, {})):
            pdu = server.pdu(ANNA, content, type=kind, **more)
            assert is_signed(server, pdu, await server.ask(pdu)), kind


async def test_too_many_messages_are_refused_until_the_sender_has_waited(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        for n in range(3):
            assert (await server.ask(server.pdu(ANNA, GOOD, depth=n))).signature
        for n in range(3, 6):
            assert (await server.ask(server.pdu(ANNA, GOOD, depth=n))).errcode == "M_FORBIDDEN"
        server.bot.time.ms += MS_PER["m"]
        assert (await server.ask(server.pdu(ANNA, GOOD, depth=6))).signature


@pytest.mark.parametrize(("by", "silent"), (("", False), ("example.org", False), ("example.org", True)))
async def test_a_flood_that_comes_all_at_once_is_counted_as_it_comes(tmp_path: Path, by: str, silent: bool) -> None:
    """A server is asked about its own people by itself: that proves the event, though its keys are not to be had."""
    async with asked(tmp_path) as server:
        server.homeservers.silent = silent
        events = [server.pdu(ANNA, GOOD, depth=n) for n in range(60)]
        verdicts = await asyncio.gather(*(server.ask(event, by) for event in events))
        assert sum(bool(verdict.signature) for verdict in verdicts) == 3


async def test_what_the_server_of_its_sender_asks_about_is_proved_though_its_keys_are_not_to_be_had(
    tmp_path: Path,
) -> None:
    async with asked(tmp_path) as server:
        server.homeservers.silent = True
        bad = server.pdu(ANNA, BAD)
        assert (await server.ask(bad, "elsewhere.example"), server.notes()) == (UNRECORDED, ())
        assert await server.ask(bad, "example.org") == REFUSED
        assert [note.event_id for note in server.notes()] == [bad.event_id]


async def test_what_is_not_let_through_after_all_does_not_count(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        given: dict[str, Any] = {"version": "1", "event_id": "$same:example.org"}
        same = [server.pdu(ANNA, GOOD, depth=n, **given) for n in range(3)]
        verdicts = await asyncio.gather(*map(server.ask, same))
        assert sum(bool(verdict.signature) for verdict in verdicts) == 1
        for n in range(2):
            assert (await server.ask(server.pdu(ANNA, GOOD, depth=n))).signature


async def test_a_server_that_catches_up_makes_nobody_a_flooder(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        long_ago = server.now_ms - 2 * MS_PER["m"]
        for n in range(20):
            assert (await server.ask(server.pdu(ANNA, GOOD, depth=n, at_ms=long_ago + n))).signature
        assert (await server.ask(server.pdu(ANNA, GOOD, depth=99))).signature


@pytest.mark.parametrize("hours", [-2_000, -1, 1, 20_000])
async def test_a_clock_that_is_wrong_changes_no_answer_and_no_flood(tmp_path: Path, hours: int) -> None:
    async with asked(tmp_path) as server:
        wrong_ms = server.now_ms + hours * MS_PER["h"]
        good, bad = server.pdu(ANNA, GOOD, at_ms=wrong_ms), server.pdu(ANNA, BAD, at_ms=wrong_ms)
        assert is_signed(server, good, await server.ask(good))
        assert await server.ask(bad) == REFUSED
        (note,) = server.notes()
        assert note.at_ms == server.now_ms  # the time that counts is ours
        later = server.pdu(ANNA, GOOD, at_ms=server.now_ms)
        assert is_signed(server, later, await server.ask(later))


async def test_what_others_say_in_somebodys_name_counts_not_towards_a_flood(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        for n in range(10):
            forged = Pdu.of({**server.pdu(ANNA, GOOD, depth=n).event, "signatures": {}}, room_version("11"))
            assert (await server.ask(forged)).signature
        assert (await server.ask(server.pdu(ANNA, GOOD, depth=99))).signature


async def test_what_the_bot_has_is_signed_though_it_breaks_a_rule(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        bad = server.pdu(ANNA, BAD)
        raw = {"event_id": bad.event_id, "sender": ANNA, "origin_server_ts": 1, "type": "m.room.message"}
        await server.bot.pipeline.take([receive({**raw, "content": BAD}, ROOM, server.now_ms)])
        assert is_signed(server, bad, await server.ask(bad))
        assert server.counted() == {"delivered": 1}


async def test_the_past_of_a_room_is_judged_too_but_held_against_nobody(tmp_path: Path) -> None:
    """The time of an event is what its sender's server claims, and nobody may pass by claiming an old one."""
    async with asked(tmp_path, since_ms=1_795_521_600_000 - 1) as server:
        await server.come(STRANGER)
        good, bad = (server.pdu(STRANGER, each, at_ms=1_000) for each in (GOOD, BAD))
        assert is_signed(server, good, await server.ask(good))
        assert await server.ask(bad) == UNRECORDED
        assert server.notes() == ()
        assert server.counted() == {"judged": 1, "past": 1}
        assert await server.ask(bad) == UNRECORDED
        assert await server.ask(server.pdu(ANNA, BAD)) == REFUSED
        assert len(server.notes()) == 1


async def test_a_decision_of_the_bot_is_known_before_the_next_refusal(tmp_path: Path) -> None:
    """A refusal never rests on what was known a moment ago: Anna becomes a manager meanwhile."""
    async with asked(tmp_path) as server:
        assert await server.ask(server.pdu(ANNA, BAD)) == REFUSED
        await server.bot.levels(OLGA, {OLGA: 100, BOT: 100, ANNA: 50})
        assert (await server.ask(server.pdu(ANNA, BAD, depth=9))).signature


async def test_unsigned_parts_of_an_event_hide_nothing(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        hidden = {"msgtype": "m.text", "body": "a purple elephant", "m.relates_to": {}}
        pdu = server.pdu(ANNA, hidden)
        marked = Pdu.of({**pdu.event, "unsigned": {"redacted_because": {"sender": ANNA}}}, room_version("11"))
        assert await server.ask(marked) == REFUSED


@pytest.mark.parametrize("nothing", ({}, {"body": 7}, {"msgtype": ["m.text"], "body": {}}))
async def test_events_without_a_meaning_are_signed(tmp_path: Path, nothing: dict[str, Any]) -> None:
    async with asked(tmp_path) as server:
        pdu = server.pdu(ANNA, nothing)
        assert is_signed(server, pdu, await server.ask(pdu))
        assert replace(await server.ask(pdu)) == await server.ask(pdu)


async def test_two_servers_on_one_store_agree(tmp_path: Path) -> None:
    """A second process cannot run; if its tables lag, the first answer stands all the same."""
    async with asked(tmp_path) as first, on_tables_of(first.bot, first.homeservers) as second:
        bad = first.pdu(ANNA, BAD)
        assert set(await asyncio.gather(first.ask(bad), second.ask(bad))) == {REFUSED}
        assert len(first.notes()) == 1
