"""Settings of alerts: what is refused, and where the key belongs."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.cli.check.alerts import alerts
from bot.cli.check.findings import Finding
from bot.config.alerts import ALERTS_SECRET, AlertSettings, signing_key
from bot.config.config import Config, parse_config
from bot.config.errors import ConfigError
from moderation.values.errors import Refused
from tests.fakes.http_stub import HttpStub

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
MAIL = '[email]\nhost = "mail.example.org"\nfrom = "a@b.org"\n'
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def config(text: str, **environ: str) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, environ)


def test_without_a_place_nobody_is_told() -> None:
    assert config("").alerts == AlertSettings()
    assert config("").alerts.channels == ()


def test_a_webhook_and_mailboxes_with_the_key_from_the_environment() -> None:
    text = f'{MAIL}[alerts]\nwebhook = "https://ops.example.org/hooks/7"\nmail = ["duty@example.org"]\n'
    found = config(text, **{ALERTS_SECRET: SECRET})
    assert found.alerts.channels == ("webhook", "duty@example.org")
    assert signing_key(found.secrets.alerts) == KEY
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[alerts]\nwebhook = "http://ops.example.org/"', (("alerts", "webhook"), "expected.webhook")),
        ('[alerts]\nwebhook = "https://me:secret@ops.example.org/"', (("alerts", "webhook"), "expected.webhook")),
        ('[alerts]\nwebhook = "file:///etc/passwd"', (("alerts", "webhook"), "expected.webhook")),
        ('[alerts]\nmail = ["duty@example.org"]', (("alerts", "mail"), "not_alone")),
        (f'{MAIL}[alerts]\nmail = ["a@b.org\\nBcc: c@d.org"]', (("alerts", "mail", 0), "expected.mailbox")),
        ('[alerts]\non = ["everything"]', (("alerts", "on", 0), "expected.one_of")),
        (f'[alerts]\nsecret = "{SECRET}"', (("alerts", "secret"), "unknown.alerts_secret")),
    ],
)
def test_an_impossible_setting_is_refused_with_its_place(text: str, problem: tuple[tuple[str | int, ...], str]) -> None:
    with pytest.raises(ConfigError) as error:
        config(text)
    assert [(found.place, found.key) for found in error.value.problems] == [problem]


@pytest.mark.parametrize(
    ("secret", "key"),
    [(None, "alert.no-secret"), ("hunter2", "alert.bad-secret"), ("whsec_c2hvcnQ=", "alert.bad-secret")],
)
def test_nothing_can_be_posted_without_a_key_that_signs(secret: str | None, key: str) -> None:
    with pytest.raises(Refused) as error:
        signing_key(SecretStr(secret) if secret else None)
    assert error.value.key == key
    assert "hunter2" not in str(error.value.fields)


async def findings(text: str, **environ: str) -> list[Finding]:
    import asyncio

    return await asyncio.to_thread(lambda: list(alerts(config(text, **environ))))


async def test_the_check_says_whether_the_places_can_be_used() -> None:
    async with HttpStub() as stub:
        text = f'{MAIL}[alerts]\nwebhook = "{stub.url}/hook?token=hush"\nmail = ["duty@example.org"]\n'
        found = await findings(text, **{ALERTS_SECRET: SECRET})
        assert [each.key for each in found] == ["alerts_mail", "alerts"]
        assert [each.key for each in await findings(text)] == ["alerts_mail", "alerts_unsigned", "alerts"]
        assert stub.requests == []  # nothing is posted
    found = await findings(text, **{ALERTS_SECRET: SECRET})
    assert [each.key for each in found] == ["alerts_mail", "alerts_unreachable"]
    assert "hush" not in "".join(each.words + each.remedy for each in found)
    assert [each.key for each in await findings("", **{ALERTS_SECRET: SECRET})] == ["alerts_secret_unused"]
    assert await findings("") == []
