"""One's own Synapse asks the bot before people come in: with the module `synapse-http-antispam`, really installed."""

import asyncio
import os
import re
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.demo.synapse import Synapse, SynapseFailed
from moderation.model.facts import CaseOpened, MessageWithheld, SanctionStarted
from moderation.values.ids import RoomId
from tests.long.synapse.antispam_stage import ANTISPAM_TOKEN, TOKEN, Asking, asking, module
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Theatre, record, told
from tests.theatre.served import ServedBot, like, until
from tests.theatre.shared_synapse import STARTED_S
from tests.theatre.stage import Stage

WAVE = '[joins]\nwave = 3\nwithin = "5m"\ndo = "gate"\nunless = {}\n'
WAITS_S = 60.0  # the module, for an answer; Synapse sends five messages of a room at a time


@pytest.fixture(scope="session")
def asking_synapse() -> Iterator[Asking]:
    """Provide a homeserver that asks the bot."""
    yield from asking()


@pytest.fixture
async def theatre(asking_synapse: Asking, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots on it."""
    async with Stage(asking_synapse.synapse) as stage:
        theatre = Theatre(stage, tmp_path)
        yield theatre
        await theatre.close()


async def public_room(
    bot: ServedBot, theatre: Theatre, owner: Client, *managers: Client, bot_level: int = 100
) -> RoomId:
    """Create a room that everybody may enter, protected by the bot."""
    room = await theatre.room(bot, owner, managers, bot_level=bot_level)
    await owner.set_state(room, "m.room.join_rules", {"join_rule": "public"})
    return room


async def refused(person: Client, room: str) -> MatrixError:
    with pytest.raises(MatrixError) as error:
        await person.join(room)
    return error.value


async def test_behind_a_wave_the_door_is_shut_but_for_those_whom_managers_invite(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre, WAVE)
    owner, manager, *strangers, late, guest = await theatre.people(
        "owner", "manager", "one", "two", "three", "late", "guest"
    )
    room = await public_room(bot, theatre, owner, manager)
    await asyncio.gather(*(each.join(room) for each in strangers))
    await bot.until(lambda: bot.rows("SELECT 1 FROM sanctions WHERE kind = 'gate' AND ended = 0"), "a gate")
    kept_out = await refused(late, room)
    assert (kept_out.status, kept_out.errcode) == (403, "M_FORBIDDEN")
    assert like("antispam.join.shut").search(kept_out.error)
    with pytest.raises(MatrixError) as error:
        await strangers[0].invite(room, late.user)
    assert like("antispam.invite.shut").search(error.value.error)
    await manager.invite(room, guest.user)
    await guest.join(room)
    una = strangers[0]  # a new name is no coming
    await una.request("PUT", "profile", una.user, "displayname", json={"displayname": "Una"})
    named = partial(una.wait_state, room, "m.room.member", key=una.user, what="the new name")
    await named(lambda content: content.get("displayname") == "Una")


async def test_somebody_who_is_barred_is_kept_out_where_the_bot_can_ban_nobody(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, ann = await theatre.people("owner", "ann")
    room = await public_room(bot, theatre, owner, bot_level=0)
    until = bot.clock() + 86_400_000
    barred = SanctionStarted(room=None, kind="ban", until=until, basis="operator", subject=ann.user)
    await record(bot, barred)
    await theatre.until_logged("antispam_listening", times=2)
    assert like("antispam.join.banned").search((await refused(ann, room)).error)
    with pytest.raises(MatrixError) as error:
        await owner.invite(room, ann.user)
    assert like("antispam.invite.person").search(error.value.error)


async def test_a_message_against_the_rules_is_seen_by_nobody_and_is_a_case(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, manager, ann = await theatre.people("owner", "manager", "ann")
    room = await theatre.room(bot, owner, [manager], [ann])
    desk = await theatre.enter_desk(bot, room, owner, manager)
    with pytest.raises(MatrixError) as error:
        await ann.send_text(room, "a purple elephant")
    assert (error.value.status, error.value.errcode) == (403, "M_FORBIDDEN")
    assert "No purple elephants" in error.value.error
    said = await ann.send_text(room, "good evening")
    await bot.has(said)
    (fact,) = bot.facts(MessageWithheld)
    assert (fact.by, fact.subject, fact.rule) == ("antispam", ann.user, "no-elephants")
    assert [case.subject for case in bot.facts(CaseOpened)] == [ann.user]
    await manager.wait_event(desk, lambda seen: "purple elephant" in seen.body, what="the card")
    await told(ann, bot, re.compile("No purple elephants"))
    for who in (owner, manager, ann):
        bodies = [event["content"].get("body", "") for event in await who.messages(room)]
        assert "good evening" in bodies
        assert "a purple elephant" not in bodies


async def test_a_topic_and_a_reaction_are_refused_and_the_owner_is_not(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, ann = await theatre.people("owner", "ann")
    room = await theatre.room(bot, owner, [], [ann], levels={ann.user: 50})
    await owner.set_power(room, {ann.user: None})
    content = await owner.power_levels(room)
    await owner.set_state(room, "m.room.power_levels", {**content, "events": {"m.room.topic": 0}})
    said = await owner.send_text(room, "a purple elephant, as an example")
    await bot.has(said)
    for act in (
        ann.set_state(room, "m.room.topic", {"topic": "purple elephant"}),
        ann.react(room, said, "purple elephant"),
    ):
        with pytest.raises(MatrixError) as error:
            await act
        assert "No purple elephants" in error.value.error
    assert await ann.state(room, "m.room.topic") is None


async def test_in_an_encrypted_room_words_go_through_to_be_read_after_delivery(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, ann = await theatre.people("owner", "ann")
    room = await theatre.room(bot, owner, [], [ann])
    sealed = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "purple elephant", "session_id": "s"}
    await bot.has(await ann.send(room, "m.room.encrypted", sealed))
    assert bot.facts(MessageWithheld) == []


async def test_five_hundred_at_once_are_sent_and_refused_as_they_should_be(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, ann, ben = await theatre.people("owner", "ann", "ben")
    room = await theatre.room(bot, owner, [], [ann, ben])
    words = ["a purple elephant" if n % 2 else f"number {n}" for n in range(500)]
    outcomes = await asyncio.gather(
        *((ann, ben)[n % 3 == 0].send_text(room, said) for n, said in enumerate(words)), return_exceptions=True
    )
    sent = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert all(isinstance(outcome, str | MatrixError) for outcome in outcomes)
    assert all(isinstance(outcome, str) for outcome in outcomes[::2])  # nobody waits for what breaks no rule
    await bot.has(*sent, within_s=240)
    await bot.idle(within_s=300)  # on a slow machine many pass, and Synapse lets no more than 0.8 a second be removed
    standing = [event["content"].get("body") for event in await owner.messages(room, limit=1000)]
    assert "a purple elephant" not in standing


async def test_rooms_that_are_not_served_are_open_to_everybody(theatre: Theatre, asking_synapse: Asking) -> None:
    await asking_synapse.bot(theatre)
    owner, ann = await theatre.people("owner", "ann")
    room = await owner.create_room(private=False)
    await ann.join(room)
    await ann.send_text(room, "a purple elephant")
    assert (await owner.members(room))[ann.user] == "join"


async def test_a_wrong_token_holds_nobody_up_and_keeps_nobody_out(theatre: Theatre, asking_synapse: Asking) -> None:
    bot = await asking_synapse.bot(theatre, token="x" * len(TOKEN))
    owner, ann = await theatre.people("owner", "ann")
    room = await public_room(bot, theatre, owner)
    await ann.join(room)
    await ann.send_text(room, "good morning")


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_bot_that_hangs_or_is_gone_holds_nobody_up(
    theatre: Theatre, asking_synapse: Asking, how: signal.Signals
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, ann, ben = await theatre.people("owner", "ann", "ben")
    room = await public_room(bot, theatre, owner)
    await bot.stop()
    program = bot.start_apart(asking_synapse.rules, **{ANTISPAM_TOKEN: TOKEN})
    try:
        log = bot.data_dir.parent / "bot.log"
        await bot.until(lambda: "antispam_listening" in log.read_text(), "the bot to listen")
        await ann.join(room)
        os.kill(program.pid, how)
        async with asyncio.timeout(20 / 5 * WAITS_S / 2):
            await asyncio.gather(*(ann.send_text(room, f"number {n}") for n in range(20)))
            await ben.join(room)
    finally:
        os.kill(program.pid, signal.SIGCONT) if how == signal.SIGSTOP else None
        program.kill()
        await asyncio.to_thread(program.wait, 60)


async def test_a_bot_killed_while_it_refuses_has_recorded_what_it_refused_and_removes_the_rest(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    bot = await asking_synapse.bot(theatre)
    owner, *people = await theatre.people("owner", "ann", "ben", "cara")
    room = await theatre.room(bot, owner, [], people)
    await bot.stop()
    program = bot.start_apart(asking_synapse.rules, **{ANTISPAM_TOKEN: TOKEN})
    sent: list[str] = []
    refused: list[str] = []

    async def write(who: Client) -> None:
        for number in range(12):
            try:
                sent.append(await who.send_text(room, f"a purple elephant, number {number}"))
            except MatrixError:
                refused.append(who.user)
                if len(refused) == 9:
                    os.kill(program.pid, signal.SIGKILL)

    log = bot.data_dir.parent / "bot.log"
    try:
        await bot.until(lambda: "antispam_listening" in log.read_text(), "the bot to listen")
        await asyncio.gather(*map(write, people))
    finally:
        program.kill()
        await asyncio.to_thread(program.wait, 60)
    bot.start()
    await bot.has(*sent)
    await bot.idle()
    assert [event for event in sent if not await owner.is_redacted(room, event)] == []
    withheld = bot.facts(MessageWithheld)
    assert len({fact.event for fact in withheld}) == len(withheld) >= len(refused)
    assert sorted(case.subject for case in bot.facts(CaseOpened)) == sorted(who.user for who in people)


async def test_with_all_callbacks_of_the_module_synapse_does_not_start(tmp_path: Path) -> None:
    """So the settings that `answerable check` shows name the callbacks."""
    more = module("127.0.0.1:1", tmp_path / "token", enabled_callbacks=["accept_make_join"])
    with pytest.raises(SynapseFailed, match="accept_make_join"):
        await Synapse.start(tmp_path / "synapse", within_s=STARTED_S, more=more)


async def test_whatever_is_answered_about_names_nobody_is_found_in_the_user_directory(tmp_path: Path) -> None:
    """So the settings that `answerable check` shows leave this callback out."""

    async def found(**more: Any) -> list[str]:
        folder = tmp_path / f"synapse-{len(more)}"
        async with await Synapse.start(folder, within_s=STARTED_S, more=more) as synapse, Stage(synapse) as stage:
            ann, ben = await stage.person("ann"), await stage.person("ben")
            room = await ann.create_room(private=False)
            await ben.join(room)
            await until(partial(listed, synapse, ben.user), "the user directory to know of it")
            answer = await ann.request("POST", "user_directory", "search", json={"search_term": "ben"})
            return [each["user_id"] for each in answer["results"]]

    async def listed(synapse: Synapse, user: str) -> bool:
        """Tell whether Synapse has put somebody into the directory for others to find, which it does a little later."""
        with closing(
            sqlite3.connect(f"file:{synapse.folder / 'homeserver.db'}?mode=ro", uri=True, timeout=60)
        ) as there:
            query = "SELECT 1 FROM user_directory JOIN users_in_public_rooms USING (user_id) WHERE user_id = ?"
            return there.execute(query, (user,)).fetchone() is not None

    callback = "check_username_for_spam"
    asks = module("127.0.0.1:1", tmp_path / "token", enabled_callbacks=[callback], fail_open={callback: True})
    assert len(await found()) == 1
    assert await found(**asks) == []


async def test_while_nobody_answers_the_module_writes_messages_into_the_log_of_synapse(
    theatre: Theatre, asking_synapse: Asking
) -> None:
    """So docs/policy-server.md says how to keep them out."""
    (ann,) = await theatre.people("ann")
    room = await ann.create_room()
    await ann.send_text(room, "a word that nobody else says")
    assert "a word that nobody else says" in asking_synapse.synapse.log(10_000)
