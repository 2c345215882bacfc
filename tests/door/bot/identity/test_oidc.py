"""Logging in at an issuer, from command to level, with a real homeserver and an issuer written by others."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.config.identity_key import VARIABLE
from moderation.model.facts import PersonVerified
from moderation.values.ids import RoomId
from storage.identity.sealing import Kek
from tests.fakes.hostile_issuer import WELL_KNOWN, HostileIssuer, Wrong
from tests.fakes.ports import free_port
from tests.issuer.issuer import Browser, RealIssuer, client
from tests.people.client import Client, Seen
from tests.theatre.opened import identity_store, kept_in
from tests.theatre.scene import Scene, Theatre, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

pytestmark = pytest.mark.usefixtures("quick_logins")

KEK = Kek(b"k" * 32)
WHO = "ann.secretname"  # at the issuer


PORT = free_port()
PUBLIC = f"http://127.0.0.1:{PORT}"
CALLBACK = f'[callback]\npublic_url = "{PUBLIC}"\nlisten = "127.0.0.1:{PORT}"\n'


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, KEK.text)
    yield


def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    """Yield an issuer at which the bot is known."""
    own = client("bot", f"{PUBLIC}/oidc/club", token_endpoint_auth_method="none")
    del own["client_secret"]
    issuer = RealIssuer.start(tmp_path_factory.mktemp("issuer"), own)
    yield issuer
    issuer.stop()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    yield from started(tmp_path_factory)


def rules(url: str, more: str = "", client_id: str = "bot") -> str:
    table = f'name = "club"\ntitle = "The club"\nissuer = "{url}"\nclient_id = "{client_id}"\n'
    return f"{RULES}\n[[oidc]]\n{table}{more}"


async def begun(theatre: Theatre, text: str, members: int = 1) -> tuple[Scene, list[RoomId]]:
    scene = await theatre.scene(text, members=members)
    return scene, [await open_direct(each, scene.bot) for each in scene.members]


async def said(person: Client, bot: ServedBot, room: str, words: str, key: str) -> Seen:
    """Say something to the command, and return the answer."""
    after = person.position
    await person.send_text(room, words)
    return await told(person, bot, like(key), after=after)


def link_in(seen: Seen) -> str:
    found = re.search(r"https?://[^\s,。]+", seen.body)
    assert found is not None
    return found[0]


def code_in(seen: Seen) -> str:
    found = re.search(r"\b[A-Z]{4}-[A-Z]{4}\b", seen.body)
    assert found is not None
    return found[0]


def number_in(page: str) -> str:
    found = re.search(r"<h1>([0-9]{4} [0-9]{4})</h1>", page)
    assert found is not None, page
    return found[1]


def proofs(bot: ServedBot) -> list[tuple[str, str, int, str]]:
    return [(each.step, each.method, each.level, each.subject) for each in bot.facts(PersonVerified)]


def written(bot: ServedBot) -> bytes:
    """Return every byte that the bot has written."""
    return b"\n".join(kept_in(bot.config.place).values())


async def test_a_code_entered_at_the_issuer_takes_a_member_to_level_3(theatre: Theatre, issuer: RealIssuer) -> None:
    scene, (room,) = await begun(theatre, rules(issuer.url))
    bot, (ann,) = scene.bot, scene.members
    asked = await said(ann, bot, room, "!verify oidc", "oidc.device")
    assert asked.room == room
    await said(ann, bot, room, "!verify 12345678", "oidc.enter-there")
    await bot.restart()  # in between: a login in progress continues
    async with Browser() as browser:
        await browser.enter_code(link_in(asked), code_in(asked), WHO)
    await told(ann, bot, like("verify.done.oidc"))
    await bot.until(lambda: bot.rows("SELECT * FROM challenges") == [], "the end of the login")
    assert proofs(bot) == [("verified", "oidc", 3, ann.user)]
    await bot.idle(up_to=99)
    await bot.stop()
    assert [word for word in (WHO, code_in(asked)) if word.encode() in written(bot)] == []
    with identity_store(bot.config, KEK) as store:
        ((claim,),) = [store.claims_of(person) for person in store.persons()]
    fields = {"subject": WHO, "name": f"{WHO} Example", "email": f"{WHO}@example.org"}
    assert (str(claim.person), claim.method, claim.issuer, dict(claim.fields)) == (ann.user, "oidc", issuer.url, fields)


async def test_a_link_and_the_number_on_our_page_take_a_member_to_level_3(theatre: Theatre, issuer: RealIssuer) -> None:
    scene, (room,) = await begun(theatre, rules(issuer.url, CALLBACK))
    bot, (ann,) = scene.bot, scene.members
    asked = await said(ann, bot, room, "!verify oidc", "oidc.link")
    await said(ann, bot, room, "12345678", "oidc.login-first")
    async with Browser() as browser:
        _, page = await browser.log_in(link_in(asked), WHO)
    await told(ann, bot, like("oidc.number"))
    wrong = f"{(int(number_in(page).replace(' ', '')) + 1) % 10**8:08}"
    await said(ann, bot, room, wrong, "oidc.number-wrong")
    assert proofs(bot) == []
    await said(ann, bot, room, number_in(page), "verify.done.oidc")  # the number alone is understood
    await bot.until(lambda: proofs(bot) == [("verified", "oidc", 3, ann.user)], "the record of it")
    await bot.idle(up_to=99)
    await bot.stop()
    assert [word for word in (WHO, number_in(page)) if word.encode() in written(bot)] == []


@pytest.mark.long
async def test_a_restart_ends_a_login_link_and_says_so(theatre: Theatre, issuer: RealIssuer) -> None:
    scene, (room,) = await begun(theatre, rules(issuer.url, CALLBACK))
    bot, (ann,) = scene.bot, scene.members
    asked = await said(ann, bot, room, "!verify oidc", "oidc.link")
    await bot.restart()
    await told(ann, bot, like("oidc.gone"))
    async with Browser() as browser:
        _, page = await browser.log_in(link_in(asked), WHO)
    assert "not known" in page
    again = await said(ann, bot, room, "!verify oidc", "oidc.link")
    async with Browser() as browser:
        _, page = await browser.log_in(link_in(again), WHO)
    await said(ann, bot, room, f"!verify {number_in(page)}", "verify.done.oidc")


async def test_a_login_by_another_person_through_ones_link_does_not_verify(
    theatre: Theatre, issuer: RealIssuer
) -> None:
    scene, (anns, bens) = await begun(theatre, rules(issuer.url, CALLBACK), members=2)
    bot, (ann, ben) = scene.bot, scene.members
    asked = await said(ben, bot, bens, "!verify oidc", "oidc.link")
    async with Browser() as browser:  # Ann's, who was sent it
        _, page = await browser.log_in(link_in(asked), WHO)
    await said(ann, bot, anns, f"!verify {number_in(page)}", "error.verify.nothing-open")
    await told(ben, bot, like("oidc.number"))
    await said(ben, bot, bens, "00000000", "oidc.number-wrong")
    assert proofs(bot) == []


@pytest.mark.long
async def test_one_login_from_two_accounts_makes_them_one_person(theatre: Theatre, issuer: RealIssuer) -> None:
    scene, (anns, bens) = await begun(theatre, rules(issuer.url, CALLBACK), members=2)
    bot, (ann, ben) = scene.bot, scene.members
    for person, room, key in ((ann, anns, "verify.done.oidc"), (ben, bens, "verify.link.done")):
        asked = await said(person, bot, room, "!verify oidc", "oidc.link")
        async with Browser() as browser:
            _, page = await browser.log_in(link_in(asked), WHO)
        await said(person, bot, room, f"!verify {number_in(page)}", key)
    assert proofs(bot)[0] == ("verified", "oidc", 3, ann.user)
    person_of = dict(bot.rows("SELECT user, person FROM accounts"))
    assert len({person_of.get(each.user, each.user) for each in (ann, ben)}) == 1


@pytest.mark.long
async def test_a_hanging_issuer_delays_nothing_else(theatre: Theatre) -> None:
    async with HostileIssuer() as slow:
        slow.wrong = Wrong(answers={WELL_KNOWN: "hang"})
        scene, (room,) = await begun(theatre, rules(slow.url))
        bot, (ann,) = scene.bot, scene.members
        await ann.send_text(room, "!verify oidc")
        await bot.until(lambda: slow.asked, "the issuer to be asked")
        spoken = await ann.send_text(scene.room, "a purple elephant")
        await ann.wait_event(
            scene.room, lambda seen: seen.type == "m.room.redaction" and seen.content.get("redacts") == spoken
        )
        await told(ann, bot, like("oidc.unreachable"))
        assert proofs(bot) == []


async def test_without_a_public_address_nothing_listens(theatre: Theatre, issuer: RealIssuer, tmp_path: Path) -> None:
    scene, (room,) = await begun(theatre, rules(issuer.url, f'[callback]\nlisten = "127.0.0.1:{PORT}"\n'))
    await said(scene.members[0], scene.bot, room, "!verify oidc", "oidc.device")
    with socket.socket() as tried:
        assert tried.connect_ex(("127.0.0.1", PORT)) != 0
