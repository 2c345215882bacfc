"""The road between two homeservers: an owner chooses it, the process joins by federation, both homeservers ask it."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from moderation.model.facts import CaseOpened, MessageWithheld
from moderation.rooms.policy_server import BACK_AFTER_MS
from moderation.values.ids import RoomId
from tests.long.federation.conftest import Looks, Pair, join_through
from tests.long.federation.lone_server import LoneServer
from tests.long.federation.our_server import OurServer
from tests.long.federation.policy_process import PolicyProcess, proxied
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import RULES, ServedBot
from tests.theatre.stage import Stage, text, unique

BAD, GOOD, WORDS = "a purple elephant", "a grey elephant", "No purple elephants"
MINUTE_MS = 60_000
VERSIONS = ("10", "11", "12")


@pytest.fixture
async def policy(pair: Pair) -> AsyncIterator[PolicyProcess]:
    """Provide a policy server that is not started yet."""
    async with proxied(pair.authority) as policy:
        yield policy


@pytest.fixture
async def theatre(here: Stage, tmp_path: Path, looks: Looks) -> AsyncIterator[Theatre]:
    """Provide real bots on the one homeserver, which look often whether their policy server is there."""
    theatre = Theatre(here, tmp_path)
    yield theatre
    await theatre.close()


class Guarded:
    """A room of a bot that asks its policy server: the owner and the bot are here, a guest is there."""

    def __init__(self, pair: Pair, theatre: Theatre, there: Stage, policy: PolicyProcess) -> None:
        self._pair, self._theatre, self._there = pair, theatre, there
        self.policy = policy
        self.room = RoomId("")

    async def set_up(self, *, version: str = "12", rule: str = "public") -> "Guarded":
        """Make the room, and wait until it asks; `rule` is its rule for joining."""
        here = self._pair.here.server_name
        self.bot: ServedBot = await self._theatre.bot(RULES + self.policy.settings, invites=f'["*:{here}"]')
        self.owner: Client = await self._theatre.stage.person("owner")
        self.guest: Client = await self._there.person("guest")
        self.room = await self.owner.create_room(unique("room"), version=version, private=rule != "public")
        if rule == "restricted":
            allowed = {"type": "m.room_membership", "room_id": await self.owner.create_room(unique("lobby"))}
            content = {"join_rule": rule, "allow": [allowed]}
            await self.owner.set_state(self.room, "m.room.join_rules", content)
        await self.owner.set_power(self.room, {self.bot.user: 100})
        await self.owner.invite(self.room, self.bot.user)
        await self.bot.until_condition(self.room, "protected")
        if rule != "public":
            await self.owner.invite(self.room, self.guest.user)
            await self.guest.wait_invite(self.room)
        await join_through(self.guest, self.room, here)
        await self.start()
        await self._chosen()
        for each in (self.owner, self.guest):
            await each.wait_state(self.room, "m.room.policy", self.asks)
        return self

    async def start(self) -> None:
        """Start the process."""
        self.policy.start(self.bot, RULES)
        await self.policy.up()

    def asks(self, content: Mapping[str, Any]) -> bool:
        """Return whether the room asks our policy server by its state."""
        return bool(content == self.policy.room_state(self.bot))

    async def seen_by_all(self, event_id: str) -> None:
        for each in (self.owner, self.guest):
            await each.wait_event(self.room, lambda seen: seen.id == event_id)

    async def seen_by_nobody(self, body: str) -> None:
        """Show it by what comes after: both see a later message of each other, and nothing with these words."""
        for each in (self.owner, self.guest):
            await self.seen_by_all(await each.send_text(self.room, "afterwards"))
        for each in (self.owner, self.guest):
            assert body not in [message["content"].get("body") for message in await each.messages(self.room)]

    async def refused(self, person: Client) -> MatrixError:
        """Return the error that somebody gets for a bad message."""
        with pytest.raises(MatrixError) as error:
            await person.send_text(self.room, BAD)
        return error.value

    async def lone(self, ours: OurServer) -> LoneServer:
        """Let the user of a server of ours in; return the server once the bot knows that its user is there."""
        joined = await ours.join(self.room, self.owner.user.partition(":")[2])
        await self.bot.until_joined(self.room, ours.user)
        return LoneServer(ours, joined)

    async def withheld(self, number: int) -> list[MessageWithheld]:
        """Return the messages that were recorded as withheld, once there are so many."""

        def recorded() -> list[MessageWithheld]:
            found = self.bot.facts(MessageWithheld)
            return found if len(found) >= number else []

        found: list[MessageWithheld] = await self.bot.until(recorded, f"{number} withheld messages")
        return found

    async def _chosen(self) -> None:
        """Let the owner choose in the desk that the room asks."""
        desk = await self._theatre.enter_desk(self.bot, self.room, self.owner)
        explained = await ask(self.owner, self.bot, desk, "!policy on")
        confirm = re.search(r"!policy on \d+ \S+[^\s`]", explained)
        assert confirm is not None, explained
        await ask(self.owner, self.bot, desk, confirm[0])


@pytest.fixture
def guarded(pair: Pair, theatre: Theatre, there: Stage, policy: PolicyProcess) -> Guarded:
    """Provide a room that asks, once it is set up."""
    return Guarded(pair, theatre, there, policy)


def is_joined(membership: Mapping[str, Any]) -> bool:
    return bool(membership.get("membership") == "join")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_bad_message_of_another_homeserver_is_seen_by_nobody_and_is_a_case(
    guarded: Guarded, version: str
) -> None:
    scene = await guarded.set_up(version=version)
    for person in (scene.owner, scene.guest):
        await scene.seen_by_all(await person.send_text(scene.room, GOOD))
    error = await scene.refused(scene.guest)
    assert (error.status, error.errcode) == (400, "M_FORBIDDEN")
    assert WORDS in error.error
    await scene.seen_by_nobody(BAD)
    (fact,) = await scene.withheld(1)
    assert (fact.by, fact.subject, fact.rule) == ("policy_server", scene.guest.user, "no-elephants")
    assert [case.subject for case in scene.bot.facts(CaseOpened)] == [scene.guest.user]


@pytest.mark.parametrize("rule", ["invite", "restricted"])
async def test_a_room_that_is_not_public_is_joined_by_an_invitation_of_the_bot(guarded: Guarded, rule: str) -> None:
    scene = await guarded.set_up(rule=rule)
    assert WORDS in (await scene.refused(scene.guest)).error
    await scene.seen_by_nobody(BAD)


async def test_people_of_both_homeservers_come_and_go_as_before(guarded: Guarded, here: Stage, there: Stage) -> None:
    scene = await guarded.set_up()
    local, remote = await here.person("local"), await there.person("remote")
    await local.join(scene.room)
    await remote.join(scene.room)
    for who, seen_by in ((local, scene.guest), (remote, scene.owner)):
        await seen_by.wait_state(scene.room, "m.room.member", is_joined, key=who.user)
        await scene.seen_by_all(await who.send_text(scene.room, GOOD))
        await who.leave(scene.room)
        await seen_by.wait_state(scene.room, "m.room.member", lambda content: not is_joined(content), key=who.user)


async def test_a_server_that_does_not_ask_is_heard_only_if_its_message_is_good(
    guarded: Guarded, ours: OurServer
) -> None:
    scene = await guarded.set_up()
    lone = await scene.lone(ours)
    good, bad = lone.made(text(GOOD)), lone.made(text(BAD))
    assert [await lone.send(each) for each in (good, bad)] == [{}, {}]
    await scene.owner.wait_event(scene.room, lambda seen: seen.id == good.event_id)
    await scene.seen_by_nobody(BAD)
    (fact,) = await scene.withheld(1)
    assert (fact.event, fact.subject) == (bad.event_id, ours.user)


async def test_nobody_gets_a_signature_by_asking_with_another_text_or_time(guarded: Guarded, ours: OurServer) -> None:
    scene = await guarded.set_up()
    lone = await scene.lone(ours)
    bad, old = lone.made(text(BAD)), lone.made(text(BAD), origin_server_ts=1_000)
    for asked in ({**bad.event, "content": text(GOOD)}, {**bad.event, "content": {}}):
        status, answer = await lone.ask(scene.policy.name, asked)
        assert (status, answer["errcode"]) == (400, "M_BAD_JSON")
    status, answer = await lone.ask(scene.policy.name, old.event)
    assert (status, answer["errcode"]) == (400, "M_FORBIDDEN")
    for each in (bad, old):
        assert await lone.send(each) == {}
    await scene.seen_by_nobody(BAD)


async def test_what_one_server_says_in_the_name_of_another_is_held_against_nobody(
    guarded: Guarded, ours: OurServer
) -> None:
    scene = await guarded.set_up()
    lone = await scene.lone(ours)
    forged = lone.made(text(BAD), sender=scene.guest.user)
    status, answer = await lone.ask(scene.policy.name, forged.event)
    assert (status, answer["errcode"]) == (400, "M_FORBIDDEN")
    own = lone.made(text(BAD))
    assert (await lone.ask(scene.policy.name, own.event))[0] == 400
    (fact,) = await scene.withheld(1)
    assert fact.event == own.event_id


async def test_while_the_process_is_gone_the_room_goes_on_without_it_and_asks_again_afterwards(
    guarded: Guarded, looks: Looks
) -> None:
    scene = await guarded.set_up()
    await scene.refused(scene.guest)
    await scene.withheld(1)
    await scene.policy.kill()
    with pytest.raises(MatrixError) as error:
        await scene.owner.send_text(scene.room, GOOD)
    assert error.value.status >= 500
    scene.bot.ahead_ms += 2 * MINUTE_MS
    # A homeserver judges a message as it arrives, and does not look again: so both must know that the room asks nobody.
    for person in (scene.owner, scene.guest):
        await person.wait_state(scene.room, "m.room.policy", lambda content: not content)
    for person in (scene.owner, scene.guest):
        await scene.seen_by_all(await person.send_text(scene.room, GOOD))
    await told(scene.owner, scene.bot, re.compile("Nobody can reach the policy server"))
    await scene.start()
    await looks.until_reached()
    scene.bot.ahead_ms += BACK_AFTER_MS
    for person in (scene.owner, scene.guest):
        await person.wait_state(scene.room, "m.room.policy", scene.asks)
    assert WORDS in (await scene.refused(scene.guest)).error
    await scene.seen_by_nobody(BAD)
    assert [fact.subject for fact in await scene.withheld(2)] == [scene.guest.user] * 2
