"""The core of encryption with a homeserver between two of its machines: keys, rooms, loss and delay.

In `tests/synapse/test_crypto_core.py` the homeserver is a real one, and nio's client the other side;
`tests/long/synapse` plays these there, too.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bot.crypto import devices
from bot.crypto.cross_signing import CrossSigning, KeyState
from bot.crypto.errors import StoreLost
from bot.crypto.late_servers import LATE_MS, REST_MS
from bot.crypto.machine import CryptoMachine
from bot.crypto.outbound import Recipients, RoomEncryption
from bot.crypto.requests import Requests
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.store import place_of
from bot.matrix.errors import Unreachable
from moderation.values.ids import server_of
from storage.database.place import DatabasePlace
from tests.people.crypto_people import KEY, CryptoStage, EncryptedBot
from tests.theatre.stage import Stage


@pytest.fixture
async def cast(stage: Stage, tmp_path: Path) -> AsyncIterator[CryptoStage]:
    """Provide bots and persons."""
    async with CryptoStage(stage, tmp_path) as made:
        yield made


class TestARoom:
    async def test_relations_can_be_seen_and_reactions_and_redactions_are_in_the_clear(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        said = await bot.say(room, "root")
        relation = {"rel_type": "m.thread", "event_id": said}
        threaded = await bot.say(room, "in the thread", relates_to=relation)
        reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": said, "key": "✅"}}
        reacted = await bot.send(room, "m.reaction", reaction)
        stored = await bot.homeserver.event(room, threaded)
        assert (stored["type"], stored["content"]["m.relates_to"]) == ("m.room.encrypted", relation)
        assert "in the thread" not in str(stored)
        assert (await ben.until(room, threaded)).source["content"]["m.relates_to"] == relation
        assert (await bot.homeserver.event(room, reacted))["type"] == "m.reaction"

    async def test_a_former_member_cannot_read_later_messages(self, cast: CryptoStage) -> None:
        bot, ben, carl = await cast.bot(), await cast.person("ben"), await cast.bot("carl")
        room = await cast.room(bot, ben, carl)
        first = await bot.say(room, "all three")
        await carl.text(first)
        await carl.homeserver.leave(room)
        second = await bot.say(room, "two of us")
        sessions = [(await bot.homeserver.event(room, id))["content"]["session_id"] for id in (first, second)]
        assert sessions[0] != sessions[1]
        assert (await ben.until(room, second)).body == "two of us"
        await carl.hear()
        assert (room, sessions[1]) not in [key for news in carl.news for key in news.keys]

    async def test_the_room_says_how_long_a_key_is_used(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben, rotation_period_msgs=2)
        encryption = await bot.homeserver.state_event(room, "m.room.encryption")
        visibility = await bot.homeserver.state_event(room, "m.room.history_visibility")
        assert encryption is not None and visibility is not None
        how = RoomEncryption.of(encryption, visibility["history_visibility"])
        assert how == RoomEncryption(rotation_messages=2, shared_history=True)
        said = [await bot.say(room, str(number), how) for number in range(5)]
        read = [await ben.until(room, event) for event in said]
        assert [event.body for event in read] == list("01234")
        assert len({event.session_id for event in read}) == 3

    async def test_messages_that_are_encrypted_at_once_can_all_be_read(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        said = await asyncio.gather(*(bot.say(room, str(number)) for number in range(8)))
        assert [(await ben.until(room, event)).body for event in said] == [str(number) for number in range(8)]

    @pytest.mark.parametrize("how", ["late", "never"])
    async def test_a_server_that_gives_no_device_lists_in_time_does_not_hold_up_each_message(
        self, cast: CryptoStage, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        room, far = await cast.room(bot, ben), "@far:elsewhere.example"
        query, now, asked = bot.machine.requests.query_keys, [bot.machine.clock()], list[Sequence[str]]()
        monkeypatch.setattr(bot.machine, "clock", lambda: now[0])

        async def query_keys(users: Sequence[str]) -> dict[str, Any]:
            asked.append(users)
            answer = await query(users)
            if far in users and how == "late":
                now[0] += LATE_MS
            elif far in users:
                answer = {**answer, "device_keys": {ben.user: answer["device_keys"].get(ben.user)}}
                answer["failures"] = {"elsewhere.example": {}}
            return answer

        monkeypatch.setattr(bot.machine.requests, "query_keys", query_keys)

        async def say() -> None:
            await bot.machine.store.run(lambda db: devices.note_changes(db, [ben.user, far], ()))
            await bot.machine.encrypt(room, "m.room.message", {"body": "hello"}, {bot.user, ben.user, far})

        for _ in range(3):
            await say()
        assert [far in users for users in asked] == [True, False, False]
        assert all(ben.user in users for users in asked)
        now[0] += REST_MS
        await say()
        assert far in asked[-1]

    async def test_a_member_whose_device_has_no_keys_left_gets_the_fallback_key(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        room = await cast.room(bot, ben)
        claimed = {ben.user: {ben.machine.device: "signed_curve25519"}}
        for _ in range(50):
            await bot.machine.requests.claim_keys({user: list(each) for user, each in claimed.items()})
        said = await bot.say(room, "all your keys are used up")
        assert await ben.text(said) == "all your keys are used up"
        await ben.hear()
        answer = await ben.homeserver.sync(ben.token, timeout_ms=0)
        assert answer["device_one_time_keys_count"]["signed_curve25519"] == 50


class TestLateServers:
    """Each test has a server that answers late, and others that must not suffer for it."""

    async def test_people_of_a_server_that_was_asked_with_a_late_one_get_the_key_with_the_next_message(
        self, far: "FarPeople"
    ) -> None:
        eva, ann, new = [await far.add(each) for each in ("@eva:evil", "@ann:good", "@new:good")]
        far.slow_lists = {"evil"}
        await far.say(eva, ann)
        assert far.given == {ann, eva}
        await far.say(eva, ann, new)
        assert new in far.given

    async def test_a_server_with_late_lists_is_found_with_the_second_message_and_then_rests(
        self, far: "FarPeople"
    ) -> None:
        people = [await far.add(each) for each in ("@eva:evil", "@ann:good", "@ben:fine")]
        far.slow_lists = {"evil"}
        slow = []
        for _ in range(5):
            await far.change(people)
            await far.say(*people)
            slow.append(far.slow_requests)
        assert slow == [1, 2, 2, 2, 2]
        assert not await far.stale("@ann:good", "@ben:fine")
        far.now += REST_MS
        far.slow_lists = set()
        await far.say(*people)
        assert not await far.stale(*people)

    async def test_many_users_of_a_late_server_are_not_all_asked_for(self, far: "FarPeople") -> None:
        far.slow_lists = {"evil"}
        await far.say(await far.add("@ann:good"), *(f"@eva{number}:evil" for number in range(500)))
        assert far.slow_requests == 2
        assert far.given == {"@ann:good"}

    @pytest.mark.parametrize("named", [True, False])
    async def test_new_devices_of_a_server_that_gives_no_keys_hold_up_two_messages_a_minute(
        self, far: "FarPeople", named: bool
    ) -> None:
        far.silent_keys, far.names_failures = {"evil"}, named
        here = list[str]()
        for number in range(6):
            here += [await far.add(f"@eva{number}:evil"), await far.add(f"@ann{number}:good")]
            await far.say(*here)
        assert far.slow_requests <= 2
        assert far.given == {user for user in here if server_of(user) == "good"}
        far.now += REST_MS
        far.silent_keys = set()
        await far.say(*here)
        assert "@eva5:evil" in far.given

    async def test_a_session_with_a_device_whose_server_rests_is_mended_after_the_rest(self, far: "FarPeople") -> None:
        eva, zoe, machine = await far.add("@eva:evil"), await far.add("@zoe:evil"), far.bot.machine
        await far.say(eva)
        far.silent_keys = {"evil"}
        await far.say(eva, zoe)
        (device,) = await machine.known_devices(eva)
        await machine.store.run(lambda db: machine._olm.mark_wedged(db, eva, device.curve25519, far.now))
        await machine.tend()
        assert far.slow_requests == 1
        far.now += REST_MS
        far.silent_keys, far.claimed = set(), []
        await machine.tend()
        assert far.claimed == [[eva]]

    async def test_a_server_that_is_late_every_second_time_holds_up_two_messages_a_minute(
        self, far: "FarPeople"
    ) -> None:
        people = [await far.add(each) for each in ("@eva:evil", "@ann:good")]
        for number in range(8):
            far.slow_lists = set() if number % 2 else {"evil"}
            await far.change(people)
            await far.say(*people)
        assert far.slow_requests == 2

    async def test_two_servers_that_give_no_keys_do_not_hide_behind_each_other(self, far: "FarPeople") -> None:
        far.silent_keys, far.names_failures = {"evil", "worse"}, False
        here = list[str]()
        for number in range(6):
            here += [await far.add(f"@eva{number}:evil"), await far.add(f"@zoe{number}:worse")]
            await far.say(*here)
        assert far.slow_requests == 3  # together, then each alone


@dataclass
class FarPeople:
    """People on other homeservers: a test says which of these are slow, and sees who was given the key of a room."""

    bot: EncryptedBot
    folder: Path
    room: str = "!far:test"
    now: int = 1_800_000_000_000
    slow_lists: set[str] = field(default_factory=set)
    silent_keys: set[str] = field(default_factory=set)
    names_failures: bool = True  # the homeserver says whose keys did not come
    given: set[str] = field(default_factory=set)
    slow_requests: int = 0
    claimed: list[list[str]] = field(default_factory=list)  # the users of each request
    _published: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def add(self, user: str) -> str:
        """Create a person with one device, which has the name of the user."""
        place = place_of(DatabasePlace(self.folder / user[1:].replace(":", "-")), user)
        machine = await CryptoMachine.open(place, KEY, self.bot.homeserver.wire, user, user)
        self._published[user] = (await machine.store.run(lambda db: machine.ours.upload(db, self.now))).body
        await machine.close()
        return user

    async def say(self, *users: str) -> None:
        """Encrypt a message for the bot and these users."""
        await self.bot.machine.encrypt(self.room, "m.room.message", {"body": "hello"}, {self.bot.user, *users})

    async def change(self, users: Sequence[str]) -> None:
        """Let the device lists of these users be out of date."""
        await self.bot.machine.store.run(lambda db: devices.note_changes(db, users, ()))

    async def stale(self, *users: str) -> set[str]:
        """Return the users whose lists are out of date."""
        return set(await self.bot.machine.store.run(lambda db: devices.stale(db, users)))

    async def query_keys(self, users: Sequence[str]) -> dict[str, Any]:
        """Answer in place of the bot's homeserver."""
        self._wait(self.slow_lists & {server_of(user) for user in users})
        known = [user for user in users if user in self._published]
        return {"device_keys": {user: {user: self._published[user]["device_keys"]} for user in known}}

    async def claim_keys(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Answer in place of the bot's homeserver."""
        self.claimed.append(sorted(wanted))
        silent = self.silent_keys & {server_of(user) for user in wanted}
        self._wait(silent)
        given = {
            user: {user: dict([self._published[user]["one_time_keys"].popitem()])}
            for user in wanted
            if server_of(user) not in silent
        }
        failures: dict[str, Any] = {server: {} for server in silent if self.names_failures}
        return {"one_time_keys": given, "failures": failures}

    async def to_device(self, type: str, messages: Mapping[str, Any], _: str) -> None:
        """Note who gets encrypted messages."""
        if type == "m.room.encrypted":
            self.given |= messages.keys()

    def _wait(self, slow: set[str]) -> None:
        if slow:
            self.slow_requests += 1
            self.now += LATE_MS


@pytest.fixture
async def far(cast: CryptoStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FarPeople:
    """Provide a bot whose homeserver's answers about other people's devices are those of a test."""
    made = FarPeople(await cast.bot(), tmp_path)
    monkeypatch.setattr(made.bot.machine, "clock", lambda: made.now)
    for name in ("query_keys", "claim_keys", "to_device"):
        monkeypatch.setattr(made.bot.machine.requests, name, getattr(made, name))
    return made


class TestKeysThatComeLateOrNever:
    async def test_an_event_waits_for_its_key_and_is_told_when_it_comes(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        room = await cast.room(bot, ben)
        kept = held_back(ben)
        said = await ben.say(room, "you will hear of this later")
        sealed = await bot.until(said, sealed=True)
        assert isinstance(sealed, Sealed) and (sealed.code, sealed.waits) == ("missing", True)
        bot = await cast.restarted(bot)
        for txn, type, messages in kept:
            await Requests(ben.homeserver.wire, ben.user).to_device(type, messages, txn)
        assert await bot.text(said) == "you will hear of this later"
        again = await cast.restarted(bot)
        (late,) = await again.machine.ready()  # not yet reported as done
        assert (late.event, late.room) == (said, room)
        await again.machine.done([said])
        assert await again.machine.ready() == ()

    async def test_the_word_of_a_sender_who_gives_no_key_is_known(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben", recipients=Recipients.SIGNED)
        room = await cast.room(bot, ben)
        said = await ben.say(room, "not for the bot")
        sealed = await bot.until(said, sealed=True)
        assert isinstance(sealed, Sealed)
        assert (sealed.room, sealed.code, sealed.waits) == (room, "m.unverified", True)
        assert [(room, sealed.session)] == [each for news in bot.news for each in news.withheld]
        (given_up,) = await bot.machine.given_up(bot.machine.clock() + 1)
        assert given_up == replace(sealed, waits=False)

    async def test_once_signed_the_bot_is_given_the_key_of_the_same_session(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben", recipients=Recipients.SIGNED)
        room = await cast.room(bot, ben)
        await ben.say(room, "not for the bot")
        await CrossSigning(bot.machine).make_ready()
        await ben.hear()
        said = await ben.say(room, "but this")
        assert await bot.text(said) == "but this"
        first = await bot.until(said)  # before anybody was asked whose device it is
        again = await bot.machine.decrypt(await bot.homeserver.event(room, said), room)
        assert isinstance(first, Decrypted) and isinstance(again, Decrypted)
        assert (first.trust, again.trust) == ("unknown", "unsigned")

    async def test_a_session_that_broke_is_mended_by_itself(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        room = await cast.room(bot, ben)
        await bot.text(await ben.say(room, "one"))
        await ben.text(await bot.say(room, "two"))
        await bot.machine.store.run(lambda db: db.execute("DELETE FROM olm_sessions"))  # as after an old backup
        lost = await ben.say(room, "lost", RoomEncryption(rotation_messages=1))
        assert isinstance(await bot.until(lost, sealed=True), Sealed)
        assert sum(news.unreadable for news in bot.news) == 1
        await ben.hear(timeout_ms=1000)  # the bot began a new session, and said so
        assert await bot.text(await ben.say(room, "found", RoomEncryption(rotation_messages=1))) == "found"


class TestAnAnswerThatIsLost:
    """The homeserver did it, and we do not know: as when we are killed, or the line breaks."""

    async def test_of_giving_keys_gives_them_once_and_the_next_try_encrypts(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        room = await cast.room(bot, ben)
        lossy(bot, "to_device")
        with pytest.raises(Unreachable):
            await bot.say(room, "hello")
        bot = await cast.restarted(bot)
        assert await ben.text(await bot.say(room, "hello again")) == "hello again"
        assert [len(news.keys) + news.unreadable for news in ben.news if news.keys or news.unreadable] == [1]

    async def test_of_claiming_keys_claims_others(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        room = await cast.room(bot, ben)
        lossy(bot, "claim_keys")
        with pytest.raises(Unreachable):
            await bot.say(room, "hello")
        assert await ben.text(await bot.say(room, "hello again")) == "hello again"

    async def test_of_uploading_keys_uploads_the_same_ones_again(self, cast: CryptoStage) -> None:
        homeserver = await cast.stage.bot()
        bot = await EncryptedBot.open(homeserver, cast.folder / "lossy")
        lossy(bot, "upload_keys")
        with pytest.raises(Unreachable):
            await bot.hear()
        bot = await cast.restarted(bot)
        await bot.hear()
        ben = await cast.bot("ben")
        room = await cast.room(bot, ben)
        assert await bot.text(await ben.say(room, "hello")) == "hello"


class TestALostStore:
    async def test_is_noticed_before_anything_is_uploaded(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        machine = (await EncryptedBot.open(bot.homeserver, cast.folder / "new")).machine
        with pytest.raises(StoreLost):
            await machine.tend()
        assert (await CrossSigning(machine).make_ready()).state is KeyState.LOST
        await machine.close()
        there = await bot.machine.requests.query_keys([bot.user])
        assert there["device_keys"][bot.user][bot.machine.device]["keys"] == (await keys_of(bot))["keys"]


PATHS = {"to_device": ("sendToDevice",), "claim_keys": ("keys", "claim"), "upload_keys": ("keys", "upload")}


def lossy(bot: EncryptedBot, name: str) -> None:
    """Lose the answer to the next request of that name, which the homeserver has carried out."""
    path, whole = PATHS[name], bot.machine.requests

    class Lossy(Requests):
        async def _ask(self, *asked: Any, **named: Any) -> dict[str, Any]:
            answer = await super()._ask(*asked, **named)
            if asked[1 : 1 + len(path)] == path:
                bot.machine.requests = whole
                raise Unreachable("the line broke")
            return answer

    bot.machine.requests = Lossy(bot.homeserver.wire, bot.user)


def held_back(sender: EncryptedBot) -> list[tuple[str, str, Any]]:
    """Keep the sender's messages to devices in the returned list from now on, as if delivery were slow."""
    kept: list[tuple[str, str, Any]] = []

    class Slow(Requests):
        async def to_device(self, type: str, messages: Any, txn: str) -> None:
            kept.append((txn, type, messages))

    sender.machine.requests = Slow(sender.homeserver.wire, sender.user)
    return kept


async def keys_of(bot: EncryptedBot) -> dict[str, Any]:
    return await bot.machine.store.run(bot.machine.ours.keys)
