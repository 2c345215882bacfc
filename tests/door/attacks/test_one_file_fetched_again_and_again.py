"""Somebody shows one large file in many messages and edits, so that the bot fetches it each time."""

from dataclasses import replace

import pytest

from bot.effects import fetch_file
from bot.effects.fetch_file import PER_PERSON, FileFetcher
from bot.effects.media_hash import MediaHasher
from bot.matrix.client import Homeserver, Session
from bot.matrix.errors import TooLarge
from bot.outbox.handler import RetryLater
from moderation.model.actions.files import HashMedia
from moderation.model.facts import MediaKept
from moderation.values.ids import RoomId, UserId
from tests.fakes.http_stub import Answer, HttpStub

ANNA, BEN = UserId("@anna:example.org"), UserId("@ben:example.org")
LIMIT = 1_000


class Files:
    """The files of a homeserver, each of `size` bytes, and how often they were fetched."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.fetched: list[str] = []

    async def download(self, mxc: str, *, at_most: int) -> bytes:
        self.fetched.append(mxc)
        if self.size > at_most:
            raise TooLarge("too large", status=413)
        return mxc.encode().ljust(self.size)


def shown(number: int, user: UserId = ANNA, on: int = 0) -> HashMedia:
    return HashMedia(room=RoomId("!r:example.org"), url=f"mxc://example.org/{number}", subject=user, on=on)


async def kept(hasher: MediaHasher, action: HashMedia) -> MediaKept:
    (fact,) = (await hasher.handle(action, "txn")).facts
    assert isinstance(fact, MediaKept)
    return fact


async def test_a_file_is_fetched_once_however_often_it_is_shown() -> None:
    files = Files(LIMIT)
    hasher = MediaHasher(FileFetcher(files, LIMIT))  # type: ignore[arg-type]
    facts = [await kept(hasher, shown(1, user, on)) for on, user in enumerate([ANNA, ANNA, BEN])]
    assert len(files.fetched) == 1
    assert len({(fact.bytes, fact.sha256, fact.result) for fact in facts}) == 1
    assert [(fact.on, fact.subject) for fact in facts] == [(0, ANNA), (1, ANNA), (2, BEN)]


async def test_files_of_one_person_are_limited_per_hour_and_do_not_delay_others() -> None:
    for size in (LIMIT, LIMIT + 1):
        files = Files(size)
        hasher = MediaHasher(FileFetcher(files, LIMIT))  # type: ignore[arg-type]
        results = [(await kept(hasher, shown(number))).result for number in range(PER_PERSON + 3)]
        assert results == ["done" if size == LIMIT else "large"] * PER_PERSON + ["refused"] * 3
        assert len(files.fetched) == PER_PERSON
        assert (await kept(hasher, shown(99, BEN))).result != "refused"


async def test_a_server_that_keeps_us_waiting_does_not_hold_up_the_files_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch_file, "_SLOW_S", -1.0)  # whatever it takes is long
    files = Files(LIMIT)
    hasher = MediaHasher(FileFetcher(files, LIMIT))  # type: ignore[arg-type]
    assert (await kept(hasher, shown(1))).result == "done"
    with pytest.raises(RetryLater) as later:
        await hasher.handle(shown(2), "txn")
    ((lost,),) = [later.value.given_up.facts]
    assert isinstance(lost, MediaKept)
    assert (lost.result, len(files.fetched)) == ("refused", 1)
    elsewhere = replace(shown(3), url="mxc://elsewhere.example.org/3")
    assert (await kept(hasher, elsewhere)).result == "done"
    monkeypatch.setattr(fetch_file, "RESTS_S", 0.0)
    assert (await kept(hasher, shown(1))).result == "done"  # it is known


async def test_a_file_declared_too_large_is_not_read() -> None:
    async with HttpStub() as stub:
        stub.will(Answer(200, b"x", cut=True))  # it says more than it sends
        homeserver = Homeserver(Session(stub.url, ANNA, "DEVICE", "token"))
        with pytest.raises(TooLarge):
            await homeserver.download("mxc://example.org/1", at_most=50)
        await homeserver.close()
