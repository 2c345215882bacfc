"""`answerable alerts test`: a real message to each place, and an exit code that says whether all were sent."""

import asyncio
import base64
import json
from pathlib import Path

from bot.config.alerts import ALERTS_SECRET
from tests.fakes.http_stub import Answer, HttpStub
from tests.fakes.mail_server import mail_server
from tests.unit.bot.cli.conftest import HEAD, Answerable

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def _write(config_file: Path, url: str, port: int) -> None:
    email = f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"\nfrom = "a@b.org"\n'
    alerts = f'webhook = "{url}/hush"\nmail = ["duty@example.org"]\n'
    config_file.write_text(f"{HEAD}[email]\n{email}[alerts]\n{alerts}")
    (config_file.parent / ".env").write_text(f"{ALERTS_SECRET}={SECRET}\n")


async def test_each_place_is_tried_and_the_exit_code_says_whether_all_were_reached(
    answerable: Answerable, config_file: Path
) -> None:
    async with HttpStub() as stub, mail_server() as server:
        _write(config_file, stub.url, server.port)
        stub.will(Answer(200), Answer(500))
        done = await asyncio.to_thread(answerable, "alerts", "test")
        assert (done.code, done.out.splitlines()) == (
            0,
            ["webhook: a test message was sent.", "duty@example.org: a test message was sent."],
        )
        assert json.loads(stub.requests[0].body)["text"] == server.mails[0].get_content().strip()
        assert server.mails[0]["Subject"].startswith("[Answerable] This is a test message")

        server.mood = "refuses"
        done = await asyncio.to_thread(answerable, "alerts", "test", "--json")
        assert (done.code, done.json) == (
            1,
            [
                {"channel": "webhook", "sent": False, "why": "the webhook answered 500"},
                {"channel": "duty@example.org", "sent": False, "why": "The mail server does not accept this address."},
            ],
        )
        assert SECRET not in done.out + done.err
        assert "hush" not in done.out + done.err


def test_without_a_place_or_a_key_it_says_what_to_set(answerable: Answerable, config_file: Path) -> None:
    assert "set webhook or mail in [alerts]" in answerable("alerts", "test").err
    config_file.write_text(f'{HEAD}[alerts]\nwebhook = "https://127.0.0.1:1/"\n')
    assert ALERTS_SECRET in answerable("alerts", "test").err
