"""Real homeservers ask the policy server's process about a room that the bot protects."""

import asyncio
from pathlib import Path

import pytest

from bot.cli.check.policy_server import policy_server
from tests.long.federation.conftest import Pair
from tests.long.federation.protected import protected_room
from tests.people.client import MatrixError
from tests.theatre.stage import Stage, text

REFUSED = "Not delivered, nobody has seen it. The rule: “No purple elephants”. A message about this follows."
BAD = "a purple elephant"


@pytest.mark.parametrize("version", ("10", "12"))
async def test_a_bad_message_is_refused_in_our_words_and_a_good_one_delivered(
    pair: Pair, here: Stage, tmp_path: Path, version: str
) -> None:
    async with protected_room(pair.here, pair.authority, here, tmp_path, version=version) as room:
        good = await room.say("hello")
        assert await room.refusal(BAD) == REFUSED
        seen = await room.owner.wait_event(room.room, lambda seen: seen.id == good, what="the good one")
        assert seen.body == "hello"
        (record,) = await room.withheld(1)
        assert (record.rule, record.subject, record.by) == ("no-elephants", room.member.user, "policy_server")
        # Its name is an address of this machine, so that its figures are shown under it.
        assert await asyncio.to_thread(lambda: [each.key for each in policy_server(room.bot.config)]) == [
            "policy_open_figures"
        ]


async def test_people_of_other_homeservers_are_refused_by_their_own_and_heard_everywhere(
    pair: Pair, here: Stage, there: Stage, tmp_path: Path
) -> None:
    async with protected_room(pair.here, pair.authority, here, tmp_path) as room:
        guest = await there.person("guest")
        via = {"via": pair.here.server_name, "server_name": pair.here.server_name}
        await guest.request("POST", "join", room.room, json={}, query=via)
        assert (await guest.members(room.room))[room.process.user] == "join"  # Synapse asks once it knows all members
        await room.bot.until_joined(room.room, guest.user)  # before that, nothing is held against the guest
        assert await room.refusal(BAD, guest) == REFUSED
        good = await room.say("hello from elsewhere", guest)
        await room.owner.wait_event(room.room, lambda seen: seen.id == good, what="the guest's message")


async def test_a_killed_process_answers_as_before_and_the_room_goes_on(pair: Pair, here: Stage, tmp_path: Path) -> None:
    async with protected_room(pair.here, pair.authority, here, tmp_path) as room:
        await room.say("hello")
        assert await room.refusal(BAD) == REFUSED
        before = await room.process.figures()
        assert (before["refused"], before["not_judged"], before["unproven"]) == (1, 0, 0)
        await room.process.kill()
        with pytest.raises(MatrixError):
            await room.say("to nobody")
        room.start()
        await room.process.up()
        await room.say("hello again")
        assert await room.refusal(BAD) == REFUSED
        assert len({record.event for record in await room.withheld(2)}) == 2


async def test_what_the_owner_takes_back_is_taken_back_at_once(pair: Pair, here: Stage, tmp_path: Path) -> None:
    async with protected_room(pair.here, pair.authority, here, tmp_path) as room:
        await room.process.kill()
        await room.owner.set_state(room.room, "m.room.policy", {})
        await room.say("hello")


async def test_edits_and_reactions_are_asked_about_as_well(pair: Pair, here: Stage, tmp_path: Path) -> None:
    async with protected_room(pair.here, pair.authority, here, tmp_path) as room:
        good = await room.say("hello")
        edit = {
            **text("* hello"),
            "m.new_content": text(BAD),
            "m.relates_to": {"rel_type": "m.replace", "event_id": good},
        }
        with pytest.raises(MatrixError) as refused:
            await room.member.send(room.room, "m.room.message", edit)
        assert refused.value.error == REFUSED
        reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": good, "key": BAD}}
        with pytest.raises(MatrixError) as refused:
            await room.member.send(room.room, "m.reaction", reaction)
        assert refused.value.error == REFUSED
