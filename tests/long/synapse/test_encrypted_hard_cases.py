"""Encrypted rooms where something is missing: keys that are withheld or late, people who come and go, crashes."""

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.crypto.cross_signing import CrossSigning
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.set_up import recover, set_up
from bot.crypto.store import FOLDER
from bot.encryption.service import open_machine
from bot.matrix.client import log_in_with_password
from bot.matrix.http import Wire
from moderation.model.facts import CaseOpened, NotRead, SanctionStarted
from storage.journal.coverage import coverage_of
from storage.journal.query import Query
from tests.clients.encrypted_stage import EncryptedStage
from tests.clients.js_client import JsClient
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.people.client import Client
from tests.people.crypto_people import CryptoStage
from tests.people.sealed_members import (
    CheapDevices,
    answer_to,
    ask_sealed,
    crypto_rows,
    has_key,
    say_without_keys,
    sealed_room,
    withhold,
)
from tests.theatre.scene import Theatre, answer, ask, told
from tests.theatre.served import RULES, ServedBot, like, until
from tests.theatre.stage import PASSWORD, Stage

FLOOD = (
    RULES
    + """
[[rules]]
name = "flood"
kind = "flood"
class = "minor"
messages = 4
within = "10m"
"""
)


@pytest.fixture
async def encrypted(encrypted_stage: EncryptedStage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide bots among people with current clients."""
    theatre = Theatre(encrypted_stage, tmp_path)
    yield theatre
    await theatre.close()


@pytest.fixture
async def cast(stage: Stage, tmp_path: Path) -> AsyncIterator[CryptoStage]:
    """Provide members who need no client program."""
    folder = tmp_path / "cast"
    folder.mkdir()
    async with CryptoStage(stage, folder) as made:
        yield made


def unread(bot: ServedBot) -> list[tuple[str | None, int]]:
    """Return what `answerable logs coverage` reports about unreadable events: reasons and counts."""
    seen = coverage_of(bot.data_dir / "records", Query()).unseen
    return [(row.code, row.count) for row in seen if row.what == "undecryptable"]


def kinds(bot: ServedBot, event: str) -> list[str]:
    """Return the kinds of records of an event, in order."""
    return [r.kind for r in bot.records() if r.parts and r.parts[0].get("ev") == event]


async def test_a_withheld_key_is_not_punished_and_coverage_says_why(encrypted: Theatre) -> None:
    scene = await encrypted.scene(RULES, managers=0)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    assert isinstance(ann, JsClient)
    await ann.set_isolation("verified")
    await ann.forget_session(room)
    withheld = await ann.send_text(room, "a purple elephant")
    await bot.until(lambda: unread(bot) == [("m.unverified", 1)], "the reason")
    await ann.set_isolation("signed")
    await ann.forget_session(room)
    readable = await ann.send_text(room, "good morning")
    await bot.has(readable)
    assert (kinds(bot, withheld), kinds(bot, readable)) == (["coverage"], ["message"])
    assert (bot.facts(CaseOpened), unread(bot)) == ([], [("m.unverified", 1)])


async def test_late_keys_open_what_was_said_once_over_crashes_and_are_no_flood(
    theatre: Theatre, cast: CryptoStage, tmp_path: Path
) -> None:
    bot, (owner,), ben = await theatre.bot(FLOOD), await theatre.people("owner"), await cast.bot("ben")
    room = await sealed_room(theatre, bot, owner, ben)
    words = ("one", "a purple elephant", "three", "four", "five", "six")
    said, hand_over = await say_without_keys(ben, room, *words)
    await bot.has(*said)
    assert unread(bot) == [("missing", 6)]
    await withhold(ben, bot, room, await session_of(owner, room, said[0]), "m.blacklisted")
    await bot.until(lambda: unread(bot) == [("m.blacklisted", 6)], "the reason")
    await bot.crash()
    await hand_over()
    bot.start()
    await bot.until(lambda: any("late" in record.fields for record in bot.records()), "the first of them")
    await bot.crash()
    bot.start()
    await until(lambda: owner.is_redacted(room, said[1]), "the message to go")
    await bot.has(await ben.say(room, "seven"))
    await bot.idle()
    assert [kinds(bot, event) for event in said] == [["coverage", "message"]] * 6
    late = [record for record in bot.records() if "late" in record.fields]
    assert [record.parts[0]["body"] for record in late] == list(words)
    assert [bot.records()[int(record.fields["late"])].parts[0]["ev"] for record in late] == said
    assert (unread(bot), len(bot.facts(NotRead))) == ([], 6)
    assert [fact.rule for fact in bot.facts(CaseOpened)] == ["no-elephants"]
    assert [fact.kind for fact in bot.facts(SanctionStarted)] == ["redact"]
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert await rebuilt(bot, tmp_path) == live


async def test_replies_threads_edits_and_files_keep_their_relations_and_open(encrypted: Theatre) -> None:
    scene = await encrypted.scene(RULES)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    assert isinstance(ann, JsClient)
    await ann.send_text(room, "a purple elephant")
    card = await scene.card(manager, 1)
    command = await manager.send_text(scene.desk, "!dismiss 1 a quotation")
    replied = await answer(manager, bot, scene.desk, command)
    edited = await scene.wait_desk(
        manager, lambda seen: _relation(seen.content).get("rel_type") == "m.replace", "the card to change"
    )
    assert _relation(edited.content)["event_id"] == card.id
    for event in (replied, edited):
        raw = await manager.event(scene.desk, event.id)
        assert raw["type"] == "m.room.encrypted"
        assert raw["content"].keys() <= {
            "algorithm",
            "ciphertext",
            "session_id",
            "sender_key",
            "device_id",
            "m.relates_to",
        }
        assert raw["content"]["m.relates_to"] == event.content["m.relates_to"]
    word = await told(ann, bot, like("notice.message.dismissed"))
    await ask(ann, bot, word.room, "!mydata")
    data = await ann.wait_event(word.room, lambda seen: seen.content.get("filename") == "my-data.zip", what="the file")
    assert (await ann.download(data))[:4] == b"PK\x03\x04"
    assert "url" not in data.content
    assert (await ann.event(word.room, data.id))["type"] == "m.room.encrypted"


def _relation(content: dict) -> dict:  # type: ignore[type-arg]
    return content.get("m.relates_to") or {}


async def test_a_desk_and_a_direct_room_become_encrypted_when_the_group_does(
    encrypted: Theatre, encrypted_stage: EncryptedStage
) -> None:
    bot, (owner, ann) = await encrypted.bot(RULES), await encrypted_stage.people("owner", "ann")
    room = await owner.create_room("r", encrypted=False, invite=[ann.user])
    await ann.join(room)
    await owner.set_power(room, {bot.user: 100})
    await owner.invite(room, bot.user)
    await bot.until_condition(room, "protected")
    desk = await encrypted.enter_desk(bot, room, owner)
    await ann.send_text(room, "a purple elephant")
    word = await told(ann, bot, like("notice.violation"))
    assert [await each.state(r, "m.room.encryption") for each, r in ((owner, desk), (ann, word.room))] == [None, None]
    await owner.set_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    await owner.wait_state(desk, "m.room.encryption", lambda content: bool(content), what="the desk to be encrypted")
    await ann.send_text(room, "!mydata")
    await ann.wait_state(word.room, "m.room.encryption", lambda content: bool(content), what="it to be encrypted")
    data = await ann.wait_event(word.room, lambda seen: seen.content.get("filename") == "my-data.zip", what="the file")
    assert (await ann.download(data))[:4] == b"PK\x03\x04"


async def test_after_its_store_is_lost_a_new_device_signed_by_the_recovery_key_goes_on(encrypted: Theatre) -> None:
    scene = await encrypted.scene(RULES, managers=0)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    assert isinstance(ann, JsClient)
    await bot.has(await ann.send_text(room, "before"))
    await bot.stop()
    async with Wire(bot.session.url, token=bot.session.token) as wire:
        machine = await open_machine(bot.config.place, bot.session, wire, bot.clock)
        made = await set_up(machine, "a password")
        await machine.close()
    shutil.rmtree(bot.data_dir / FOLDER)
    bot.session = await log_in_with_password(bot.session.url, bot.user, "a password", "the bot")
    async with Wire(bot.session.url, token=bot.session.token) as wire:
        machine = await open_machine(bot.config.place, bot.session, wire, bot.clock)
        standing, _ = await recover(machine, made.recovery_key)
        await machine.close()
    assert standing.state == "ready"
    await ann.wait_devices(
        bot.user, lambda found: bot.session.device in {each.id for each in found if each.signed}, what="signed"
    )
    bot.start()
    said = await ann.send_text(room, "a purple elephant")
    await until(lambda: scene.owner.is_redacted(room, said), "the message to go")
    assert (await told(ann, bot, like("notice.violation"))).sender == bot.user


async def test_newcomers_read_later_messages_and_former_members_do_not(theatre: Theatre, cast: CryptoStage) -> None:
    bot, (owner,) = await theatre.bot(), await theatre.people("owner")
    ann, ben, cid = [await cast.bot(name) for name in ("ann", "ben", "cid")]
    room = await sealed_room(theatre, bot, owner, ann, ben)
    first = await ask_sealed(ann, room, "!help credit", bot)
    assert isinstance(await ben.until(first), Decrypted)
    await owner.invite(room, cid.user)
    await cid.homeserver.join(room)
    second = await ask_sealed(ann, room, "!help credit", bot)
    assert isinstance(await cid.until(second), Decrypted)
    assert isinstance(cid.heard[first], Sealed)
    await ben.homeserver.leave(room)
    await bot.until(lambda: "leave" in {r.kind for r in bot.records()}, "Ben to leave")
    third = await ask_sealed(ann, room, "!help credit", bot)
    assert isinstance(await cid.until(third), Decrypted)
    await ben.hear()
    sessions = [(await owner.event(room, event))["content"]["session_id"] for event in (first, second, third)]
    assert (sessions[0] == sessions[1], sessions[1] == sessions[2]) == (True, False)
    assert [await has_key(ben, room, session) for session in sessions[1:]] == [True, False]


async def test_people_with_other_clients_are_read_answered_and_moderated(theatre: Theatre, cast: CryptoStage) -> None:
    bot, (owner,) = await theatre.bot(), await theatre.people("owner")
    ann, ben = await cast.person("ann"), await cast.person("ben")
    await (signed := await cast.device_of(ann.user)).machine.tend()  # Ann has another device, and keys of her own
    await CrossSigning(signed.machine).make_ready(PASSWORD)
    room = await sealed_room(theatre, bot, owner, invited=[ann.user, ben.user])
    for person in (ann, ben):
        await person.client.join(room)
        await person.hear()
    bad = await ann.say(room, "a purple elephant")
    await until(lambda: owner.is_redacted(room, bad), "the message to go")
    assert bot.record_of(bad).parts[0]["body"] == "a purple elephant"
    direct = await ann.invitation()
    await ann.client.join(direct)
    await ann.until_body(direct, like("notice.violation"), bot.user)
    await ben.say(room, "!help credit")
    for person in (ann, ben):
        await person.until_body(room, like("help.usage", usage="!credit"), bot.user)


async def test_an_answer_reaches_every_device_of_fifty_people_also_over_a_crash(
    theatre: Theatre, cast: CryptoStage, capsys: pytest.CaptureFixture[str]
) -> None:
    bot, (owner,), ann = await theatre.bot(), await theatre.people("owner"), await cast.bot("ann")
    crowd = CheapDevices(cast)
    people = await crowd.make(50)
    room = await sealed_room(theatre, bot, owner, ann, invited=people)
    await crowd.join(room)
    query = "SELECT count(*) FROM members WHERE room = ? AND membership = 'join'"
    await bot.until(lambda: bot.rows(query, room)[0][0] == len(people) + 3, "all to be there")
    began = time.monotonic()
    first = await ask_sealed(ann, room, "!help credit", bot)
    with capsys.disabled():
        print(f"\nthe first message to {len(crowd.sessions)} devices: {time.monotonic() - began:.1f} s")
    session = await session_of(owner, room, first)
    assert given(bot, session) == len(crowd.sessions) + 1
    readers = [await crowd.wake(session) for session in (crowd.sessions[0], crowd.sessions[51], crowd.sessions[-1])]
    for reader in readers:
        await reader.until(first)
    await owner.kick(room, people[1])  # another key from here on
    command = await ann.say(room, "!help credit")
    begun = "SELECT 1 FROM group_sessions WHERE room = ? AND session <> ?"
    await bot.until(lambda: crypto_rows(bot.data_dir, begun, room, session), "another key")
    await bot.crash()
    bot.start()
    second = await answer_to(ann, command, bot.user)
    for reader in readers:
        await reader.until(second)
    await bot.idle()
    assert given(bot, await session_of(owner, room, second)) == len(crowd.sessions) - 1
    answers = [e for e in await owner.messages(room) if e["sender"] == bot.user and _relation(e["content"]) != {}]
    assert [event["event_id"] for event in answers] == [first, second]


async def session_of(owner: Client, room: str, event: str) -> str:
    """Return the id of the key with which an event was encrypted."""
    return str((await owner.event(room, event))["content"]["session_id"])


def given(bot: ServedBot, session: str) -> int:
    """Return the number of devices that were given a key."""
    query = "SELECT count(*) FROM shares WHERE session = ? AND code = 'given'"
    return int(str(crypto_rows(bot.data_dir, query, session)[0][0]))
