"""Fixtures of the stories in which people prove who they are: the key of the identity store, and a mail server."""

from collections.abc import AsyncIterator

import pytest

from bot.config.identity_key import VARIABLE
from storage.identity.sealing import Kek
from tests.fakes.mail_server import MailServer, mail_server


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Kek:
    """Give the bot the key of its identity store."""
    kek = Kek(b"k" * 32)
    monkeypatch.setenv(VARIABLE, kek.text)
    return kek


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """Provide a mail server."""
    async with mail_server() as own:
        yield own
