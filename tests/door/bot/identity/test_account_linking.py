"""One person, several accounts: linking takes both, and from then on everything that counts follows the person."""

import base64
import io
import re
import secrets
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli.access.admin_client import ask_bot
from moderation.model.facts import AccountsLinked, AccountUnlinked, KeyPinned, PersonVerified, SanctionStarted
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import PersonId
from storage.identity.sealing import Kek
from tests.door.bot.commands.test_personal_data import file_sent
from tests.door.bot.identity.test_email import said
from tests.door.bot.pipeline.test_replay import rebuilt
from tests.fakes.mail_server import MailServer
from tests.people.client import Client
from tests.theatre.opened import identity_store
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import RULES, ServedBot, like
from tests.theatre.stage import PASSWORD

ADDRESS = "ann.secret@example.org"
KEK = Kek(b"k" * 32)
TABLES = ("accounts", "links", "cases", "credit", "sanctions", "verifications", "pinned_keys")
DEAR = """
[credit]
costs = { minor = 5, moderate = 10, serious = 25, severe = 61 }
incident_limit = 61
[tiers]
c = 30
"""

pytestmark = pytest.mark.usefixtures("key")


@dataclass
class Person:
    """An account, and its direct room with the bot."""

    who: Client
    bot: ServedBot
    room: str
    server: MailServer

    async def says(self, words: str, key: str, language: str = "en") -> str:
        """Say something to the bot alone, and return its answer."""
        return await said(self.who, self.bot, self.room, words, key, language)

    async def proves(self, key: str, address: str = ADDRESS) -> str:
        """Verify by the mailbox, and return the answer."""
        await self.says(f"!verify email {address}", "verify.email.sent")
        return await self.says(f"!verify {self.server.code()}", key)


async def person(who: Client, bot: ServedBot, server: MailServer) -> Person:
    return Person(who, bot, await open_direct(who, bot), server)


def rules(server: MailServer, more: str = DEAR) -> str:
    mail = f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nfrom = "Club <club@example.org>"\n'
    limits = "[challenges]\nper_person = 50\nper_address = 50\n"
    return f"{RULES}\n[email]\n{mail}{limits}{more}"


async def code_of(twin: Person) -> str:
    """Return the code that the asking account is shown."""
    shown = await twin.says("!verify link", "verify.link.code")
    found = re.search(r"[2-9A-Z]{4}-[2-9A-Z]{4}", shown)
    assert found is not None
    return found[0]


async def link(first: Person, twin: Person) -> None:
    """Verify both by the same mailbox, and link the second account as the same person's."""
    await first.proves("verify.done.email")
    await twin.proves("verify.link.offer")
    code = await code_of(twin)
    question = await told(first.who, first.bot, like("verify.link.question"))
    assert twin.who.user in question.body
    await first.says(f"!verify link {code}", "verify.link.done")
    for each, other in ((first, twin), (twin, first)):
        word = await told(each.who, each.bot, like("notice.linked"))
        assert other.who.user in word.body


async def a_manager_and_their_second_account(theatre: Theatre, server: MailServer) -> tuple[Scene, Person, Person]:
    scene = await theatre.scene(rules(server), managers=2)
    first = await person(scene.managers[0], scene.bot, server)
    twin = await person(scene.members[0], scene.bot, server)
    await link(first, twin)
    return scene, first, twin


async def until_membership(who: Client, room: str, user: str, wanted: str) -> None:
    await who.wait_state(room, "m.room.member", lambda there: there.get("membership") == wanted, key=user, what=wanted)


async def test_linked_accounts_share_verification_credit_and_cases_and_neither_decides_its_own(
    theatre: Theatre, server: MailServer, tmp_path: Path
) -> None:
    scene, first, twin = await a_manager_and_their_second_account(theatre, server)
    bot, room = scene.bot, scene.room
    assert [(f.method, f.subject, f.target) for f in bot.facts(AccountsLinked)] == [
        ("confirmed", twin.who.user, first.who.user)
    ]
    assert [(f.step, f.subject) for f in bot.facts(PersonVerified)] == [
        ("verified", first.who.user),
        ("verified", twin.who.user),
    ]
    await twin.who.send_text(room, "a volcano")
    await scene.card(scene.managers[1], 1)  # a manager's words wait for somebody else's decision
    assert like("error.case.own").search(await ask(first.who, bot, scene.desk, "!dismiss 1 nothing"))
    assert like("error.case.own").search(await ask(first.who, bot, scene.desk, "!ack 1"))
    assert like("decided.upheld").search(await ask(scene.owner, bot, scene.desk, "!uphold 1"))
    await scene.until_level(first.who.user, None)  # a charge against one takes the other's rights
    word = await told(first.who, bot, like("notice.other-account"))
    assert twin.who.user in word.body
    assert "39" in await first.says("!credit", "credit.now")
    assert "39" in await twin.says("!credit", "credit.now")
    await first.says("!appeal 1 it was my cat", "notice.appealed.other")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1 AND state = 'appealed'"), "the appeal")
    assert {row[0] for row in bot.rows("SELECT person FROM credit UNION SELECT person FROM cases")} == {first.who.user}
    await _rebuilt_the_same(bot, tmp_path)


@pytest.mark.long
async def test_linked_accounts_share_one_pseudonym_from_then_on(theatre: Theatre, server: MailServer) -> None:
    scene, first, twin = await a_manager_and_their_second_account(theatre, server)
    bot = scene.bot
    spoken = [await each.who.send_text(scene.room, "good morning") for each in (first, twin, first)]
    await bot.has(*spoken)
    names = [bot.record_of(event).parts[0]["p"] for event in spoken]
    assert len(set(names)) == 1
    joined = [
        record.parts[0]["p"]
        for record in bot.records()
        if record.kind == "join" and record.parts[0].get("mxid") == twin.who.user
    ]
    assert not set(joined) & set(names)  # what was written before stays as it was


@pytest.mark.long
async def test_mydata_of_either_account_shows_both_and_erasing_takes_both(theatre: Theatre, server: MailServer) -> None:
    scene, first, twin = await a_manager_and_their_second_account(theatre, server)
    bot = scene.bot
    spoken = [await first.who.send_text(scene.room, "a word of one"), await twin.who.send_text(scene.room, "of two")]
    await bot.has(*spoken)
    for each in (first, twin):
        await each.says("!mydata", "own.mydata")
        shown = _texts(await file_sent(theatre, each.who, bot, "my-data.zip"))
        assert [word for word in ("a word of one", "of two") if word not in shown] == []
    done = await ask_bot(bot.data_dir, "erase", {"person": twin.who.user, "reason": "asked"}, None)
    assert done["kept"] == []
    left = [part.get("mxid") for record in bot.records() if record.index < done["record"] for part in record.parts]
    assert {first.who.user, twin.who.user} & set(left) == set()
    assert bot.rows("SELECT * FROM links") == []


@pytest.mark.long
async def test_unlinking_undoes_a_mistaken_link_and_its_effects(
    theatre: Theatre, server: MailServer, tmp_path: Path
) -> None:
    scene, first, twin = await a_manager_and_their_second_account(theatre, server)
    bot = scene.bot
    await twin.proves("verify.done.email", "twin@example.org")
    await twin.who.send_text(scene.room, "a volcano")
    await scene.card(scene.managers[1], 1)
    await ask(scene.owner, bot, scene.desk, "!uphold 1")
    await scene.until_level(first.who.user, None)
    asked = {"person": twin.who.user, "reason": "sisters", "reader": "ann"}
    with pytest.raises(Refused) as refused:
        await ask_bot(bot.data_dir, "unlink", {**asked, "person": first.who.user}, None)
    assert refused.value.key == "cli.unlink.first"
    done = await ask_bot(bot.data_dir, "unlink", asked, None)
    assert done == {"person": twin.who.user, "other": first.who.user}
    await scene.until_level(first.who.user, 50)
    for each in (first, twin):
        await told(each.who, bot, like("notice.unlinked"))
    assert [(f.subject, f.target, f.reason, f.reader) for f in bot.facts(AccountUnlinked)] == [
        (twin.who.user, first.who.user, "sisters", "ann")
    ]
    assert "100" in await first.says("!credit", "credit.now")
    assert "39" in await twin.says("!credit", "credit.now")
    # Each has what it proved itself; what was proved by the other's mailbox counts for the other alone.
    standing = bot.rows('SELECT "user", until, revoked > 0 FROM verifications ORDER BY record')
    assert [(user, revoked) for user, _, revoked in standing] == [
        (first.who.user, 0),
        (twin.who.user, 1),
        (twin.who.user, 0),
    ]
    with pytest.raises(Refused) as refused:
        await ask_bot(bot.data_dir, "unlink", asked, None)
    assert refused.value.key == "cli.unlink.none"
    await _rebuilt_the_same(bot, tmp_path)
    assert _addresses(bot) == {first.who.user: [ADDRESS], twin.who.user: ["twin@example.org"]}


async def test_a_mailbox_alone_links_nothing_and_a_refusal_leaves_no_trace(
    theatre: Theatre, server: MailServer
) -> None:
    scene = await theatre.scene(rules(server), members=2)
    bot = scene.bot
    first, thief = [await person(each, bot, server) for each in scene.members]
    await thief.says("!verify link", "verify.link.nothing")
    await first.proves("verify.done.email")
    offered = await thief.proves("verify.link.offer")
    assert first.who.user not in offered  # whose it is, nobody is told
    code = await code_of(thief)
    await thief.says(f"!verify link {code}", "verify.link.nothing-asked")  # it is not theirs to grant
    await told(first.who, bot, like("verify.link.question"))
    await first.says("!verify link AAAA-AAAA", "verify.link.wrong-code")
    await first.says("!verify link no", "verify.link.refused-by-you")
    await told(thief.who, bot, like("verify.link.refused"))
    await first.says(f"!verify link {code}", "verify.link.nothing-asked")
    await thief.proves("verify.link.offer")
    await thief.says("!verify link", "verify.link.refused")  # nobody is asked again and again
    assert (bot.facts(AccountsLinked), bot.rows("SELECT * FROM accounts WHERE person <> user")) == ([], [])
    assert [f.subject for f in bot.facts(PersonVerified)] == [first.who.user]


@pytest.mark.long
async def test_an_unanswered_link_request_lapses_and_a_guessed_code_is_spent(
    theatre: Theatre, server: MailServer
) -> None:
    scene = await theatre.scene(rules(server), members=2)
    bot = scene.bot
    first, twin = [await person(each, bot, server) for each in scene.members]
    await first.proves("verify.done.email")
    await twin.proves("verify.link.offer")
    code = await code_of(twin)
    for _ in range(4):
        await first.says("!verify link BBBB-BBBB", "verify.link.wrong-code")
    await first.says("!verify link BBBB-BBBB", "verify.link.spent")
    await first.says(f"!verify link {code}", "verify.link.nothing-asked")
    await twin.proves("verify.link.offer")
    code = await code_of(twin)
    bot.ahead_ms = DAY_MS
    await first.says(f"!verify link {code}", "verify.link.nothing-asked")
    await told(twin.who, bot, like("verify.link.lapsed"))
    assert bot.rows("SELECT * FROM link_requests") == []
    assert bot.facts(AccountsLinked) == []


@pytest.mark.long
async def test_a_second_account_of_a_barred_person_is_refused_and_told(theatre: Theatre, server: MailServer) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(rules(server), members=3, bot=f'operators = ["{operator.user}"]')
    bot, owner = scene.bot, scene.owner
    first, twin, third = [await person(each, bot, server) for each in scene.members]
    await link(first, twin)
    asked = {"person": first.who.user, "by": operator.user, "reason": "threats", "reader": "ann"}
    await ask_bot(bot.data_dir, "bar", {**asked, "until": bot.clock() + 90 * DAY_MS}, None)
    for each in (first, twin):
        await until_membership(owner, scene.room, each.who.user, "ban")
    word = await told(twin.who, bot, like("notice.other-account"))
    assert first.who.user in word.body
    another = await theatre.room(bot, owner)
    await owner.invite(another, twin.who.user)
    await until_membership(owner, another, twin.who.user, "ban")
    await third.proves("verify.link.barred")  # an account that is not linked gains nothing by the same identity
    assert [f.subject for f in bot.facts(PersonVerified)] == [first.who.user, twin.who.user]
    assert [f.subject for f in bot.facts(SanctionStarted)] == [first.who.user]


@pytest.mark.long
async def test_a_person_whose_keys_change_is_asked_to_verify_again(theatre: Theatre, server: MailServer) -> None:
    scene = await theatre.scene(rules(server))
    bot = scene.bot
    ann = await person(scene.members[0], bot, server)
    before = await new_master_key(ann.who)
    await ann.proves("verify.done.email")
    await bot.until(lambda: bot.facts(KeyPinned), "the key")
    assert [(f.subject, f.key) for f in bot.facts(KeyPinned)] == [(ann.who.user, before)]
    after = await new_master_key(ann.who)
    await told(ann.who, bot, like("notice.key-changed"))
    assert [(f.step, f.why) for f in bot.facts(PersonVerified)] == [("verified", "-"), ("revoked", "key")]
    assert bot.rows("SELECT * FROM pinned_keys") == []
    await ann.proves("verify.done.email")
    await bot.until(lambda: len(bot.facts(KeyPinned)) == 2, "the new key")
    assert bot.facts(KeyPinned)[-1].key == after


async def new_master_key(who: Client) -> str:
    """Give the account a new master key; its public half. Section "POST /keys/device_signing/upload"."""
    public = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    master = {"user_id": who.user, "usage": ["master"], "keys": {f"ed25519:{public}": public}}
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": who.user},
        "password": PASSWORD,
    }
    await who.request("POST", "keys", "device_signing", "upload", json={"master_key": master, "auth": auth})
    return public


def _texts(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return "".join(archive.read(name).decode(errors="replace") for name in archive.namelist())


def _addresses(bot: ServedBot) -> dict[str, list[str]]:
    """Return the addresses in the identity store, by person."""
    with identity_store(bot.config, KEK) as store:
        people = sorted(store.persons())
        return {each: [claim.fields["email"] for claim in store.claims_of(PersonId(each))] for each in people}


async def _rebuilt_the_same(bot: ServedBot, folder: Path) -> None:
    """Check that tables rebuilt from the journal alone are the same."""
    await bot.idle()
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert await rebuilt(bot, folder, TABLES) == live
