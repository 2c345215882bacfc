"""The e-mail method alone: addresses, codes, and the contents of the mail."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.config.verification import EmailSettings
from bot.identity.email import EmailMethod
from bot.identity.mailer import Mailer
from bot.identity.method import DialogueStep, ProvedIdentity
from bot.texts.catalog import Catalog
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage.database.place import DatabasePlace
from storage.identity.dialogue_key import DialogueKey
from storage.identity.store import IdentityStore, Kek
from tests.fakes.mail_server import MailServer, mail_server

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
ADDRESS = "ann@example.org"


@pytest.fixture
def key(tmp_path: Path) -> Iterator[DialogueKey]:
    store = IdentityStore.open(DatabasePlace(tmp_path), Kek(b"k" * 32))
    yield DialogueKey(store)
    store.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as own:
        yield own


def method(server: MailServer, key: DialogueKey, *domains: str, language: str = "en") -> EmailMethod:
    own = {"host": "127.0.0.1", "port": server.port, "security": "none", "from": "Der Club <club@example.org>"}
    settings = EmailSettings.model_validate(own)

    async def language_of(_user: UserId) -> str:
        return language

    mailer = Mailer(settings, None, Path())
    return EmailMethod(mailer, settings.sender, domains, key, Catalog.load(), language_of)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (" Ann@Example.ORG ", "ann@example.org"),
        ("<ann@example.org>", "ann@example.org"),
        ("ann+club@example.org", "ann@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ａｎｎ＠example.org", "ann@example.org"),
    ],
)
def test_an_address_has_one_spelling(server: MailServer, key: DialogueKey, typed: str, address: str) -> None:
    assert method(server, key).address(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "ann",
        "@example.org",
        "ann@",
        "ann@localhost",
        "ann@example.org\nBcc: all@example.org",
        "ann@example.org, ben@example.org",
        "ann@example.org ben@example.org",
        '"a b"@example.org',
        "ann@exa mple.org",
        "ann@[127.0.0.1]",
        "anñ@example.org",
        "a" * 65 + "@example.org",
        "a@" + "b." * 130 + "org",
        "ann@example..org",
    ],
)
def test_an_invalid_address_gets_no_mail(server: MailServer, key: DialogueKey, typed: str) -> None:
    with pytest.raises(Refused) as refused:
        method(server, key).address(typed)
    assert (refused.value.key, dict(refused.value.fields)) == ("error.verify.email-form", {})


def test_only_the_domains_of_the_operator_count(server: MailServer, key: DialogueKey) -> None:
    own = method(server, key, "example.org", "*.club.example")
    assert own.address("ann@mail.club.example") == "ann@mail.club.example"
    for other in ("ann@club.example", "ann@notexample.org", "ann@example.org.evil.example"):
        with pytest.raises(Refused) as refused:
            own.address(other)
        assert refused.value.key == "error.verify.email-domain"


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_mail_is_short_plain_and_says_who_asks(server: MailServer, key: DialogueKey, language: str) -> None:
    step = await method(server, key, language=language).begin(ANN, ADDRESS, 1_000)
    (mail,) = server.mails
    code = server.code()
    shown = f"{code[:4]} {code[4:]}"
    fields = {"code": shown, "user": ANN, "minutes": 10}
    assert mail.get_content().split() == Catalog.load().text(language, "email.body", **fields).split()
    assert (mail["To"], mail["From"], mail.get_content_type()) == (ADDRESS, "Der Club <club@example.org>", "text/plain")
    assert (mail["Subject"], mail["Auto-Submitted"]) == (
        Catalog.load().text(language, "email.subject"),
        "auto-generated",
    )
    assert step.until_ms == 1_000 + 600_000
    assert code not in str(step)


async def test_the_right_code_proves_the_address(server: MailServer, key: DialogueKey) -> None:
    own = method(server, key)
    step = await own.begin(ANN, ADDRESS, 1_000)
    assert step.state is not None
    code = server.code()
    for typed in (code, f"{code[:4]} {code[4:]}", f"{code[:4]}-{code[4:]}"):
        proved = await own.answer(ANN, typed, step.state, 2_000)
        assert proved == DialogueStep(proof=ProvedIdentity("", ADDRESS, {"email": ADDRESS}))


async def test_no_other_answer_proves_anything(server: MailServer, key: DialogueKey) -> None:
    own = method(server, key)
    step = await own.begin(ANN, ADDRESS, 1_000)
    assert step.state is not None
    code = server.code()
    wrong = f"{(int(code) + 1) % 10**8:08}"
    answers = {wrong: "code-wrong", "1234567": "code-form", "": "code-form", "١٢٣٤٥٦٧٨": "code-form"}
    for typed, key_ in answers.items():
        with pytest.raises(Refused) as refused:
            await own.answer(ANN, typed, step.state, 2_000)
        assert refused.value.key == f"error.verify.{key_}"
    with pytest.raises(Refused):  # of another person
        await own.answer(BEN, code, step.state, 2_000)
    with pytest.raises(Refused):  # for another address
        await own.answer(ANN, code, {**step.state, "address": "ben@example.org"}, 2_000)


async def test_codes_differ(server: MailServer, key: DialogueKey) -> None:
    own = method(server, key)
    for _ in range(20):
        await own.begin(ANN, ADDRESS, 1_000)
    codes = {server.code(number) for number in range(20)}
    assert len(codes) == 20
    assert all(re.fullmatch("[0-9]{8}", code) for code in codes)
