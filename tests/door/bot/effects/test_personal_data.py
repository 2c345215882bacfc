"""An answer that comes in several files: one that fails takes neither the others nor the record with it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from bot.admin.identity import IdentityOperations
from bot.bot_rooms.direct_rooms import DirectRooms
from bot.crypto.encrypting_client import SealedHomeserver
from bot.effects.personal_data import OwnData
from bot.matrix.errors import TooLarge, Unreachable
from bot.outbox.handler import Done
from bot.texts.catalog import Catalog
from moderation.model.actions.people import GiveData, GiveReceipt
from moderation.model.actions.telling import Tell
from moderation.model.facts import ContentRead, DataAsked, DataGiven
from moderation.values.ids import EventId, RoomId, UserId
from storage.identity.keyring import Locked
from tests.door.bot.effects.test_anchor_day import ONE, Deployment, deployment

ANN = UserId("@ann:example.org")
DIRECT = RoomId("!direct:example.org")
DATA, READERS, PROVED = "my-data.zip", "who-read-it.json", "my-identity.json"


class Sender:
    """Replaces the homeserver: accepts files, but refuses those in `wrong` with the error named there."""

    def __init__(self, wrong: dict[str, Exception]) -> None:
        self.wrong = wrong
        self.sent: dict[str, bytes] = {}

    async def send_file(self, _room: RoomId, name: str, _type: str, data: bytes, _txn: str) -> EventId:
        if name in self.wrong:
            raise self.wrong[name]
        self.sent[name] = data
        return EventId(f"$sent-{name}")


class Rooms:
    async def with_(self, _user: UserId, _language: str) -> RoomId:
        return DIRECT


class Proved:
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def own(self, _user: UserId) -> list[dict[str, Any]]:
        if self.error:
            raise self.error
        return [{"method": "roster"}]


class Stand:
    def __init__(self, place: Deployment, folder: Path, wrong: dict[str, Exception], locked: Exception | None) -> None:
        self.place = place
        self.sender = Sender(wrong)
        self.own = OwnData(
            place.services(cast(SealedHomeserver, self.sender)),
            cast(DirectRooms, Rooms()),
            Catalog.load(),
            folder,
            cast(IdentityOperations, Proved(locked)),
        )

    async def mydata(self) -> Done:
        return await self.own.mydata(GiveData(room=ONE, subject=ANN), "t1")


@asynccontextmanager
async def stand(folder: Path, wrong: Iterable[str] = (), locked: Exception | None = None) -> AsyncIterator[Stand]:
    async with deployment(folder) as place:
        await place.enter(ONE)
        await place.pipeline.commit((DataAsked(room=ONE, what="mydata", subject=ANN),))
        await place.pipeline.commit((ContentRead(what="roster-import", reader="root", filters="entries=1"),))
        yield Stand(place, folder, {name: TooLarge("it is too large") for name in wrong}, locked)


def words(done: Done) -> list[str]:
    (told,) = done.actions
    assert isinstance(told, Tell)
    assert told.alone, "what is said of somebody's data never shows in a room"
    return [line.key for line in told.lines]


async def test_all_comes_after_an_import_of_the_roster(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        done = await it.mydata()
        assert sorted(it.sender.sent) == sorted((DATA, READERS, PROVED))
        assert words(done) == ["own.mydata-given", "own.mydata-identity"]
        assert [fact.what for fact in done.facts if isinstance(fact, DataGiven)] == ["mydata"]


@pytest.mark.parametrize("missing", [DATA, READERS, PROVED])
async def test_a_file_that_cannot_be_sent_takes_nothing_with_it(tmp_path: Path, missing: str) -> None:
    async with stand(tmp_path, wrong=[missing]) as it:
        done = await it.mydata()
        assert sorted(it.sender.sent) == sorted({DATA, READERS, PROVED} - {missing})
        assert "own.part-missing" in words(done)
        assert len(done.facts) == 1


async def test_a_file_that_cannot_be_made_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise ValueError("a defect")

    async with stand(tmp_path, locked=Locked("no_key")) as it:
        monkeypatch.setattr("bot.effects.personal_data.readers_of", broken)
        done = await it.mydata()
        assert sorted(it.sender.sent) == [DATA]
        assert words(done) == ["own.mydata-given", "own.part-missing", "own.mydata-locked"]
        assert len(done.facts) == 1


async def test_nothing_is_recorded_as_given_when_nothing_was(tmp_path: Path) -> None:
    async with stand(tmp_path, wrong=[DATA, READERS, PROVED]) as it:
        done = await it.mydata()
        assert (done.result, done.facts) == ("abandoned", ())
        assert words(done) == ["own.part-missing"] * 3


async def test_a_homeserver_that_is_away_is_asked_again(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        it.sender.wrong[READERS] = Unreachable("down")
        with pytest.raises(Unreachable):
            await it.mydata()


@pytest.mark.parametrize("missing", ["json", "tlog-proof"])
async def test_a_receipt_of_which_one_file_fails_is_recorded_and_the_other_comes(tmp_path: Path, missing: str) -> None:
    async with stand(tmp_path, wrong=[f"record-3.{missing}"]) as it:
        done = await it.own.receipt(GiveReceipt(room=ONE, subject=ANN, on=3), "t2")
        assert len(it.sender.sent) == 1
        assert words(done) == ["own.receipt-given", "own.part-missing"]
        assert [fact.what for fact in done.facts if isinstance(fact, DataGiven)] == ["receipt"]
