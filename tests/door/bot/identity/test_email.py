"""Verification by e-mail, from command to mail to level, with a real mail server and a real homeserver."""

import asyncio

import pytest

from bot.config.identity_key import VARIABLE
from moderation.model.facts import ActionTaken, PersonVerified
from moderation.values.ids import RoomId
from storage.identity.sealing import Kek
from tests.fakes.mail_server import MailServer
from tests.people.client import Client
from tests.theatre.opened import identity_store, kept_in
from tests.theatre.scene import Scene, Theatre, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

ADDRESS = "ann.secret@example.org"
KEK = Kek(b"k" * 32)

pytestmark = pytest.mark.usefixtures("key")


def rules(server: MailServer, more: str = "") -> str:
    mail = f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nfrom = "Club <club@example.org>"\n'
    return RULES + f'\n[email]\n{mail}timeout = "60s"\n{more}'


async def said(person: Client, bot: ServedBot, room: str, words: str, key: str, language: str = "en") -> str:
    """Say something to the command, and return the answer."""
    after = person.position
    await person.send_text(room, words)
    return (await told(person, bot, like(key, language), after=after)).body


def everywhere(bot: ServedBot) -> bytes:
    """Return every byte that the bot has written, including the keys and the sealed store."""
    return b"\n".join(kept_in(bot.config.place).values())


def proofs(bot: ServedBot) -> list[tuple[str, str, int, str]]:
    return [(each.step, each.method, each.level, each.subject) for each in bot.facts(PersonVerified)]


async def begun(theatre: Theatre, server: MailServer, more: str = "") -> tuple[Scene, Client, RoomId]:
    scene = await theatre.scene(rules(server, more))
    (ann,) = scene.members
    return scene, ann, await open_direct(ann, scene.bot)


async def test_a_mailed_code_verifies_and_is_stored_nowhere(theatre: Theatre, server: MailServer) -> None:
    scene, ann, room = await begun(theatre, server)
    bot = scene.bot
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.sent")
    assert server.to == [ADDRESS]
    code = server.code()
    assert ann.user in server.mails[0].get_content()
    await said(ann, bot, room, f"!verify {code}", "verify.done.email")
    await bot.until(lambda: proofs(bot) == [("verified", "email", 1, ann.user)], "the record of it")
    await bot.idle(up_to=99)
    await bot.stop()
    found = everywhere(bot)
    assert [word for word in (ADDRESS, "ann.secret", code) if word.encode() in found] == []
    with identity_store(bot.config, KEK) as store:
        ((claim,),) = [store.claims_of(person) for person in store.persons()]
    ((record,),) = bot.rows("SELECT record FROM verifications")
    assert (str(claim.person), dict(claim.fields), claim.record) == (ann.user, {"email": ADDRESS}, record)
    assert bot.rows("SELECT * FROM challenges") == []


@pytest.mark.long
async def test_verify_without_arguments_explains_status_demands_and_data(theatre: Theatre, server: MailServer) -> None:
    more = '\n[verification]\nwrite = 1\nmethods = ["email"]\n'
    scene, ann, room = await begun(theatre, server, more=more)
    body = await said(ann, scene.bot, room, "!verify", "verify.level", "en")
    keys = ["verify.room.missing", "verify.how.email", "verify.how.roster", "verify.how.vouch", "verify.kept"]
    assert [key for key in keys if not like(key).search(body)] == []


async def test_wrong_spent_expired_and_used_codes_verify_nobody(theatre: Theatre, server: MailServer) -> None:
    scene, ann, room = await begun(theatre, server)
    bot = scene.bot
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.sent")
    first = server.code()
    wrong = f"{(int(first) + 1) % 10**8:08}"
    for left in (4, 3, 2, 1):
        assert f"Tries left: {left}" in await said(ann, bot, room, f"!verify {wrong}", "verify.tries-left")
    await said(ann, bot, room, f"!verify {wrong}", "error.verify.too-many")
    await said(ann, bot, room, f"!verify {first}", "error.verify.nothing-open")
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.sent")
    await said(ann, bot, room, f"!verify {first}", "error.verify.code-wrong")  # of an earlier mail
    bot.ahead_ms = 11 * 60_000
    await said(ann, bot, room, f"!verify {server.code()}", "error.verify.expired")
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.sent")
    await said(ann, bot, room, server.code(), "verify.done.email")  # the code alone is understood too
    await said(ann, bot, room, f"!verify {server.code()}", "error.verify.nothing-open")
    await said(ann, bot, room, f"!verify email {ADDRESS}", "error.verify.limit-address")
    assert proofs(bot) == [("verified", "email", 1, ann.user)]


async def test_a_code_verifies_only_the_person_it_was_sent_for(theatre: Theatre, server: MailServer) -> None:
    scene = await theatre.scene(rules(server), members=2)
    bot, (ann, ben) = scene.bot, scene.members
    room, other = await asyncio.gather(open_direct(ann, bot), open_direct(ben, bot))
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.sent")
    await said(ben, bot, other, "!verify email ben@example.org", "verify.email.sent")
    of_ann, of_ben = server.code(0), server.code(1)
    await said(ben, bot, other, f"!verify {of_ann}", "error.verify.code-wrong")
    await said(ann, bot, room, f"!verify {of_ben}", "error.verify.code-wrong")
    await said(ann, bot, room, f"!verify {of_ann}", "verify.done.email")
    await said(ben, bot, other, f"!verify email {ADDRESS}", "verify.email.sent")
    await said(ben, bot, other, f"!verify {server.code()}", "verify.link.offer")
    assert proofs(bot) == [("verified", "email", 1, ann.user)]


async def test_a_code_said_in_a_group_is_unused_removed_and_not_recorded(theatre: Theatre, server: MailServer) -> None:
    scene = await theatre.scene(rules(server))
    bot, (ann,) = scene.bot, scene.members
    spoken = await ann.send_text(scene.room, f"!verify email {ADDRESS}")
    await told(ann, bot, like("verify.in-direct"))
    await ann.wait_event(
        scene.room, lambda seen: seen.type == "m.room.redaction" and seen.content.get("redacts") == spoken, what="gone"
    )
    room = await bot.until(lambda: bot.rows("SELECT room FROM rooms WHERE direct_with = ?", ann.user), "a direct room")
    inside = await ann.send_text(room[0][0], f"!verify email {ADDRESS}")
    await told(ann, bot, like("verify.email.sent"))
    await ann.wait_event(
        room[0][0], lambda seen: seen.type == "m.room.redaction" and seen.content.get("redacts") == inside, what="gone"
    )
    assert server.to == [ADDRESS]
    assert bot.record_of(spoken).parts[0].get("body") == "!verify email …"
    assert bot.record_of(inside).parts[0].get("posted") == 1
    await bot.stop()
    assert ADDRESS.encode() not in everywhere(bot)


@pytest.mark.long
async def test_a_hanging_mail_server_delays_nothing(theatre: Theatre, server: MailServer) -> None:
    server.mood = "hangs"
    scene, ann, room = await begun(theatre, server)
    bot = scene.bot
    await ann.send_text(room, f"!verify email {ADDRESS}")
    await server.asked.wait()
    bad = await ann.send_text(scene.room, "a purple elephant")
    await scene.owner.wait_event(
        scene.room, lambda seen: seen.type == "m.room.redaction" and seen.content.get("redacts") == bad, what="gone"
    )
    await told(ann, bot, like("notice.violation"))
    await ann.send_text(room, "!verify stop")  # waits for its turn, behind what hangs
    server.mood = "well"
    server.go_on.set()
    await told(ann, bot, like("verify.email.sent"))
    await told(ann, bot, like("verify.stopped"))
    await said(ann, bot, room, f"!verify {server.code()}", "error.verify.nothing-open")


@pytest.mark.long
async def test_mail_server_errors_are_told_in_our_words(theatre: Theatre, server: MailServer) -> None:
    scene, ann, room = await begun(theatre, server)
    bot = scene.bot
    server.mood = "refuses"
    await said(ann, bot, room, f"!verify email {ADDRESS}", "error.verify.email-refused")
    server.mood = "drops-after-data"
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.maybe")
    code = server.code()
    server.mood = "later"
    await ann.send_text(room, f"!verify email {ADDRESS}")
    await bot.until(lambda: bot.rows("SELECT 1 FROM outbox WHERE attempts > 0"), "another try")
    server.mood = "well"
    for _ in range(3):
        bot.ahead_ms += 31_000
    await told(ann, bot, like("verify.email.sent"))
    await said(ann, bot, room, f"!verify {code}", "error.verify.code-wrong")
    await said(ann, bot, room, f"!verify {server.code()}", "verify.done.email")


@pytest.mark.long
async def test_a_dialogue_goes_on_after_a_restart(theatre: Theatre, server: MailServer) -> None:
    scene, ann, room = await begun(theatre, server)
    bot = scene.bot
    await said(ann, bot, room, f"!verify email {ADDRESS}", "verify.email.sent")
    await bot.idle(up_to=99)
    await bot.crash()
    bot.start()
    spoken = await ann.send_text(room, server.code())
    await told(ann, bot, like("verify.done.email"))
    assert "body" not in bot.record_of(spoken).parts[0]
    await bot.until(lambda: proofs(bot) == [("verified", "email", 1, ann.user)], "the record of it")


@pytest.mark.long
async def test_without_the_identity_key_no_dialogue_begins(
    theatre: Theatre, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    scene, ann, room = await begun(theatre, server)
    spoken = await ann.send_text(room, f"!verify email {ADDRESS}")
    await ann.wait_event(room, lambda seen: like("error.verify.locked").search(seen.body) is not None, what="a refusal")
    await scene.bot.has(spoken)
    assert (server.to, proofs(scene.bot)) == ([], [])
    assert [each for each in scene.bot.facts(ActionTaken) if each.action == "verify"] == []
