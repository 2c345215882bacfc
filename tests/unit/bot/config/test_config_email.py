"""Settings of the mail server and of limits on verification: what is refused, and where secrets belong."""

from pathlib import Path

import pytest

from bot.cli.check.email import email
from bot.cli.check.findings import Finding
from bot.config.config import Config, parse_config
from bot.config.env_secrets import EMAIL_PASSWORD
from bot.config.errors import ConfigError
from bot.config.verification import ChallengeSettings, EmailSettings
from tests.fakes.mail_server import mail_server

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'


def config(text: str, **environ: str) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, environ)


def wrong(text: str) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ConfigError) as error:
        config(text)
    return [(problem.place, problem.key) for problem in error.value.problems]


def test_without_a_host_there_is_no_mail() -> None:
    assert config("").email == EmailSettings()
    assert config("").challenges == ChallengeSettings(within=3_600_000, per_person=5, per_address=3, per_room=60)


@pytest.mark.parametrize(("more", "sends"), [("", True), ("codes = true", True), ("codes = false", False)])
def test_a_mail_server_can_be_there_for_alerts_alone(more: str, sends: bool) -> None:
    assert config(f'[email]\nhost = "mail.example.org"\nfrom = "a@b.org"\n{more}').email.sends_codes is sends
    assert not config("").email.sends_codes


def test_a_mail_server_with_its_password_from_the_environment() -> None:
    text = '[email]\nhost = "mail.example.org"\nuser = "club"\nfrom = "Club <club@example.org>"\n'
    found = config(text, **{EMAIL_PASSWORD: "hush hush"})
    assert (found.email.host, found.email.port, found.email.security) == ("mail.example.org", 587, "starttls")
    assert found.secrets.email_password is not None
    assert found.secrets.email_password.get_secret_value() == "hush hush"
    assert "hush hush" not in repr(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[email]\nhost = "mail.example.org"', (("email",), "email_no_sender")),
        ('[email]\nhost = "mail.example.org/x"\nfrom = "a@b.org"', (("email", "host"), "expected.mail_host")),
        ('[email]\nfrom = "Club"', (("email", "from"), "expected.sender")),
        ('[email]\nfrom = "a@b.org\\nBcc: c@d.org"', (("email", "from"), "expected.sender")),
        ('[email]\npassword = "x"', (("email", "password"), "unknown.email_secret")),
        ("[email]\nport = 0", (("email", "port"), "expected.at_least")),
        ('[email]\nsecurity = "ssl"', (("email", "security"), "expected.one_of")),
        ("[challenges]\nper_person = 0", (("challenges", "per_person"), "expected.at_least")),
    ],
)
def test_an_impossible_setting_is_refused_with_its_place(text: str, problem: tuple[tuple[str | int, ...], str]) -> None:
    assert wrong(text) == [problem]


async def test_the_check_says_whether_the_mail_server_can_be_used(tmp_path: Path) -> None:
    import asyncio

    async def found(port: int, **more: str) -> list[Finding]:
        own = f'[email]\nhost = "127.0.0.1"\nport = {port}\nfrom = "a@b.org"\ntimeout = "1s"\n'
        text = own + "".join(f'{name} = "{value}"\n' for name, value in more.items())
        made = parse_config(tmp_path / "config.toml", HEAD + text, {EMAIL_PASSWORD: "wrong"})
        return await asyncio.to_thread(lambda: list(email(made)))

    async with mail_server(login=True) as server:
        assert [each.key for each in await found(server.port, security="none")] == ["email"]
        assert [each.key for each in await found(server.port)] == ["email_unreachable"]
        assert [each.key for each in await found(server.port, security="none", user="x")] == ["email_unreachable"]
    assert list(email(config(""))) == []
