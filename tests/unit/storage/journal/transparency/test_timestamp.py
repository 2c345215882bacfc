"""A time stamp counts only if it answers the request.

Any other bytes are refused, and never cause another kind of exception.
"""

import datetime as dt
import random
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from moderation.values.errors import Invalid
from storage.journal.transparency import timestamp
from tests.fakes.tsa import FakeTsa, Mischief

WHEN = dt.datetime(2026, 11, 25, 0, 0, 7, tzinfo=dt.UTC)
NOTE = "example.org/log\n740\nAAAA\n\n— example.org/log c2lnbmF0dXJl\n"


def test_a_stamp_of_what_was_asked_tells_when() -> None:
    asked = timestamp.request(NOTE)
    response = FakeTsa(WHEN).respond(asked.data)
    assert timestamp.check(response, NOTE, asked.nonce) == int(WHEN.timestamp())
    assert timestamp.check(response, NOTE) == int(WHEN.timestamp())


def test_every_request_has_a_number_of_its_own() -> None:
    assert timestamp.request(NOTE).nonce != timestamp.request(NOTE).nonce


@pytest.mark.parametrize("mischief", ["refuse", "imprint", "nonce", "algorithm", "garbage"])
def test_anything_else_is_refused(mischief: Mischief) -> None:
    asked = timestamp.request(NOTE)
    tsa = FakeTsa(WHEN)
    tsa.mischief = mischief
    with pytest.raises(Invalid):
        timestamp.check(tsa.respond(asked.data), NOTE, asked.nonce)


def test_a_stamp_of_another_note_is_refused() -> None:
    asked = timestamp.request(NOTE)
    with pytest.raises(Invalid):
        timestamp.check(FakeTsa(WHEN).respond(asked.data), NOTE.replace("740", "741"))


def test_damaged_bytes_are_refused_or_change_nothing_that_counts() -> None:
    asked = timestamp.request(NOTE)
    response = FakeTsa(WHEN).respond(asked.data)
    chance = random.Random(7)
    for _ in range(2_000):
        damaged = bytearray(response)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(Invalid):
            assert timestamp.check(bytes(damaged[: chance.randint(0, 2 * len(damaged))]), NOTE, asked.nonce) >= 0


def test_an_overlong_answer_is_refused() -> None:
    with pytest.raises(Invalid):
        timestamp.check(bytes(timestamp.MAX_BYTES + 1), NOTE)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the second opinion is openssl's")
def test_openssl_reads_the_request(tmp_path: Path) -> None:
    (tmp_path / "q.tsq").write_bytes(timestamp.request(NOTE).data)
    said = subprocess.run(
        ["openssl", "ts", "-query", "-in", "q.tsq", "-text"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "Hash Algorithm: sha256" in said
    assert "Certificate required: yes" in said
