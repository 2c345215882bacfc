"""Known pictures are found once their files are fetched, wherever they are shown, and again from the records alone."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.cli.rules.reading import read_again
from bot.config.config import parse_config
from bot.crypto.attachments import encrypt
from bot.effects.fetch_file import FileFetcher
from bot.effects.media_hash import MediaHasher
from bot.effects.picture_hash import pdq_of
from bot.events.parse_event import receive
from bot.matrix.errors import TooLarge
from moderation.model.actions.base import STATE
from moderation.model.actions.files import HashMedia
from moderation.model.facts import (
    ActionTaken,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Found,
    MediaKept,
    RoomEntered,
    SanctionStarted,
)
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import outbox
from tests.door.bot.commands.test_personal_data import port
from tests.door.offline import ANNA, CONFIG, DESK, MARK, Offline, offline
from tests.theatre.opened import made_again
from tests.theatre.scene import Theatre, told
from tests.theatre.served import like
from tests.unit.bot.effects.pictures import picture, written

BAD, FINE = picture(1, 160, 120), picture(6, 160, 120)  # small, as each worker makes them
SEALED, KEYS = encrypt(written(BAD))
PLACE = "mxc://example.org/"
FILES = {
    "bad": written(BAD, "JPEG", quality=60),
    "fine": written(FINE),
    "turned": written(BAD.rotate(90, expand=True)),
    "sealed": SEALED,
    "zip": b"PK a known file",
}
RULES = f"""
[[rules]]
name = "known"
kind = "images"
class = "serious"
hashes = ["{pdq_of(written(BAD))[0]}"]
sha256 = ["{hashlib.sha256(FILES["zip"]).hexdigest()}"]
"""
SERVED = {PLACE + name: data for name, data in FILES.items()}
FILE_OF_SEALED = replace(KEYS, url=PLACE + "sealed").content()


class Files:
    """The files of a homeserver."""

    async def download(self, mxc: str, *, at_most: int) -> bytes:
        if len(SERVED[mxc]) > at_most:
            raise TooLarge("too large", status=413)
        return SERVED[mxc]


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        yield served


async def fetch(bot: Offline) -> None:
    """Fetch the files that wait, as the dispatcher would."""
    hasher = MediaHasher(FileFetcher(Files(), 1_000_000), pictures=True)  # type: ignore[arg-type]
    for row in await bot.waiting():
        if isinstance(row.action, HashMedia):
            done = await hasher.handle(row.action, row.txn)
            taken = ActionTaken(room=row.action.room, on=row.record, action="media", result="done", txn=row.txn)
            await bot.pipeline.commit((*done.facts, taken), of_row=row.txn)


async def removed(bot: Offline) -> list[str]:
    asked = "SELECT json_extract(action, '$.event') FROM outbox WHERE json_extract(action, '$.do') = 'redact'"
    return [event for (event,) in await bot.rows(asked)]


def image(name: str) -> dict[str, Any]:
    return {"msgtype": "m.image", "body": f"{name}.jpg", "url": PLACE + name}


def html(name: str) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": "look", "formatted_body": f'<img src="{PLACE}{name}">'}


def gallery(*names: str) -> dict[str, Any]:
    items = [{"itemtype": "m.image", "body": name, "url": PLACE + name} for name in names]
    return {"msgtype": "dm.filament.gallery", "body": "look", "itemtypes": items}


SHOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "as an image": ("m.room.message", image("bad")),
    "turned": ("m.room.message", image("turned")),
    "encrypted": ("m.room.message", {"msgtype": "m.image", "body": "x", "file": FILE_OF_SEALED}),
    "in the text": ("m.room.message", html("bad")),
    "in a gallery": ("m.room.message", gallery("fine", "bad")),
    "as a thumbnail": ("m.room.message", {**image("fine"), "info": {"thumbnail_url": PLACE + "bad"}}),
    "as a sticker": ("m.sticker", {"body": "x", "url": PLACE + "bad"}),
    "as a reaction": (
        "m.reaction",
        {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$event1", "key": PLACE + "bad"}},
    ),
    "in an edit": (
        "m.room.message",
        {
            "msgtype": "m.text",
            "body": "* x",
            "m.new_content": image("bad"),
            "m.relates_to": {"rel_type": "m.replace", "event_id": "$event1"},
        },
    ),
    "as a file of another kind": ("m.room.message", {"msgtype": "m.file", "body": "a.zip", "url": PLACE + "zip"}),
}


@pytest.mark.parametrize(("kind", "content"), SHOWN.values(), ids=SHOWN)
async def test_a_known_picture_is_removed_wherever_it_is_shown(
    bot: Offline, kind: str, content: dict[str, Any]
) -> None:
    event = await bot.event(ANNA, kind, content)
    assert await removed(bot) == []
    await fetch(bot)
    assert await removed(bot) == [event]
    assert [(fact.rule, fact.subject, fact.event) for fact in bot.facts(CaseOpened)] == [("known", ANNA, event)]
    assert len(bot.facts(CreditChanged)) == 1


async def test_another_picture_stays(bot: Offline) -> None:
    await bot.event(ANNA, "m.room.message", image("fine"))
    await fetch(bot)
    assert (await removed(bot), bot.facts(Found)) == ([], [])
    assert len(bot.facts(MediaKept)) == 1


async def test_a_face_is_removed_with_the_join_that_shows_it(bot: Offline) -> None:
    join = await bot.event(ANNA, "m.room.member", {"membership": "join", "avatar_url": PLACE + "bad"}, key=ANNA)
    await fetch(bot)
    assert await removed(bot) == [join]


async def test_the_faces_of_people_who_were_there_before_are_left_alone(bot: Offline) -> None:
    room, people = RoomId("!large:example.org"), [UserId(f"@member{number}:example.org") for number in range(9)]
    snapshot = [bot.raw(MARK, "m.room.create", {"room_version": "11"}, "")]
    shown = {"membership": "join", "avatar_url": PLACE + "bad"}
    snapshot += [bot.raw(user, "m.room.member", shown, user) for user in (*people, MARK)]

    async def nothing_more(_db: object) -> None:
        return

    entered = RoomEntered(code=GroupCode("G-9QRS"), purpose="group", room_id=room, subject=MARK)
    await bot.pipeline.commit((entered,))
    await bot.pipeline.open_room(room, [receive(raw, room, bot.time()) for raw in snapshot], nothing_more)
    assert [row for row in await bot.waiting() if isinstance(row.action, HashMedia)] == []


async def test_a_face_is_removed_if_managers_decide_so(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + 'decide = "manager"\n') as bot:
        join = await bot.event(ANNA, "m.room.member", {"membership": "join", "avatar_url": PLACE + "bad"}, key=ANNA)
        await fetch(bot)
        assert await removed(bot) == []
        await bot.say(MARK, "!uphold 1 we know this one", room=DESK)
        assert await removed(bot) == [join]


async def test_several_known_pictures_of_one_message_are_one_case(bot: Offline) -> None:
    event = await bot.event(ANNA, "m.room.message", gallery("bad", "turned", "zip"))
    await fetch(bot)
    assert (await removed(bot), len(bot.facts(CaseOpened)), len(bot.facts(CreditChanged))) == ([event], 1, 1)
    assert (len(bot.facts(Found)), bot.facts(CaseGrew)) == (3, [])


async def test_a_second_message_joins_the_case(bot: Offline) -> None:
    events = [await bot.event(ANNA, "m.room.message", image(name)) for name in ("bad", "turned")]
    await fetch(bot)
    assert sorted(await removed(bot)) == sorted(events)
    assert (len(bot.facts(CaseOpened)), [fact.event for fact in bot.facts(CaseGrew)]) == (1, events[1:])


async def test_a_managers_picture_waits_for_somebody_else(bot: Offline) -> None:
    await bot.event(MARK, "m.room.message", image("bad"))
    await fetch(bot)
    assert await removed(bot) == []
    assert [fact.state for fact in bot.facts(CaseOpened)] == ["open"]


async def test_the_finding_rests_on_the_record_of_the_file_and_the_case_on_the_message(bot: Offline) -> None:
    await bot.event(ANNA, "m.room.message", image("bad"))
    await fetch(bot)
    ((index, kept),) = bot.recorded(MediaKept)
    ((_, found),) = bot.recorded(Found)
    ((_, case),) = bot.recorded(CaseOpened)
    assert (found.on, case.on, case.message, case.excerpt) == (index, index, kept.on, "bad.jpg")
    assert found.count <= 31
    assert kept.pdq == pdq_of(FILES["bad"])[0]


async def test_a_rule_on_trial_only_notes_the_message(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + "dry_run = true\n") as bot:
        await bot.event(ANNA, "m.room.message", image("bad"))
        await fetch(bot)
        ((_, kept),) = bot.recorded(MediaKept)
        assert await bot.rows("SELECT rule, message FROM trials") == [("known", kept.on)]
        assert (await removed(bot), bot.facts(CaseOpened)) == ([], [])


async def test_people_whom_the_rule_spares_are_spared(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + "unless = { messages = 1 }\n") as bot:
        await bot.event(ANNA, "m.room.message", image("bad"))
        await fetch(bot)
        assert len(await removed(bot)) == 1
        await bot.say(ANNA, "hello")
        await bot.event(ANNA, "m.room.message", image("turned"))
        await fetch(bot)
        assert len(await removed(bot)) == 1


async def test_a_new_list_is_tried_on_what_was_recorded(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        event = await bot.event(ANNA, "m.room.message", {"msgtype": "m.file", "body": "a.zip", "url": PLACE + "zip"})
        await fetch(bot)
        asked = parse_config(bot.config.file, CONFIG + RULES, {}).policy
        outcome = await asyncio.to_thread(read_again, bot.config, asked, (), 0, lambda *_step: None)
        (tally,) = outcome.rules.values()
        assert (tally.rule, tally.matched, tally.measures["redact"]) == ("known", 1, 1)
        assert [example.event for example in tally.examples] == [event]


async def tables(bot: Offline) -> Sequence[object]:
    cases = await bot.rows("SELECT n, rule, state FROM cases")
    return (
        cases,
        await bot.rows("SELECT kind, n, event FROM sanctions"),
        await bot.rows("SELECT n, event FROM evidence"),
    )


async def test_tables_made_again_from_the_records_are_the_same(bot: Offline, tmp_path: Path) -> None:
    await bot.event(ANNA, "m.room.message", gallery("bad", "zip"))
    await bot.event(ANNA, "m.room.message", image("turned"))
    await fetch(bot)
    again = await made_again(bot.stores.journal, tmp_path / "again")
    for table in ("cases", "evidence", "sanctions", "credit", "events"):
        query = f"SELECT * FROM {table} ORDER BY record"
        assert again.rows(query) == await bot.rows(query), table


async def test_what_a_stop_left_undone_is_judged_from_the_records_without_the_file(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        event = await bot.event(ANNA, "m.room.message", image("bad"))
        before = bot.state.copy()
        await fetch(bot)
        after, records = await tables(bot), bot.stores.journal.size
    bot.state.put_back(before)  # as after a power cut: the journal was written to disk, the database was not
    async with offline(tmp_path, RULES) as bot:
        assert await tables(bot) == after
        assert await removed(bot) == [event]
        assert len(bot.facts(Found)) == len(bot.facts(CaseOpened)) == len(bot.facts(SanctionStarted)) == 1
        assert bot.stores.journal.size - records < 4  # what every start records


async def test_a_file_that_was_recorded_and_not_judged_is_judged_at_the_next_start(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        event = await bot.event(ANNA, "m.room.message", image("bad"))
        data = bot.config.data_dir
        (row,) = [row for row in await bot.waiting() if isinstance(row.action, HashMedia)]
        done = await MediaHasher(FileFetcher(Files(), 1_000_000), pictures=True).handle(row.action, row.txn)  # type: ignore[arg-type]
        draft = bot.pipeline.processor.draft_of(done.facts[0], bot.time())
        bot.stores.journal.append([draft])  # stopped after the first of the records that are written together
        bot.stores.journal.sync()
    async with offline(tmp_path, RULES) as bot:
        assert await removed(bot) == [event]
        assert len(bot.facts(CaseOpened)) == 1
        taken = ActionTaken(room=row.action.room, on=row.record, action="media", result="done", txn=row.txn)
        await bot.pipeline.commit((*done.facts, taken), of_row=row.txn)  # the request is repeated
        assert len(bot.facts(MediaKept)) == len(bot.facts(CaseOpened)) == 1
        async with bot.stores.database.read() as db:
            assert not await outbox.is_waiting(db, row.txn)
    assert data


async def test_a_known_picture_is_gone_from_the_room_and_its_sender_told_why(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, owner, (ann,) = scene.bot, scene.room, scene.owner, scene.members
    files = port(theatre, ann)
    addresses = [await files.upload(FILES[name], "image/jpeg", f"{name}.jpg") for name in ("fine", "turned")]
    items = [{"itemtype": "m.image", "body": "a.jpg", "url": address} for address in addresses]
    sent = await ann.send(
        room, "m.room.message", {"msgtype": "dm.filament.gallery", "body": "look", "itemtypes": items}
    )
    fine = await ann.send(room, "m.room.message", {**image("fine"), "url": addresses[0]})
    await bot.until(lambda: len(bot.facts(MediaKept)) == 3, "all files looked at")
    await told(ann, bot, like("notice.violation"))
    await bot.idle(up_to=STATE)
    assert (await owner.is_redacted(room, sent), await owner.is_redacted(room, fine)) == (True, False)
    assert [(fact.rule, fact.event, fact.state) for fact in bot.facts(CaseOpened)] == [("known", sent, "decided")]
