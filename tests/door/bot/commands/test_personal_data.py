"""Requests of people about their own data, and the operator's actions on the records, on a real homeserver."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from bot.matrix.client import Homeserver, Session
from moderation.model.facts import ContentRead, DataAsked, DataGiven, HoldPlaced, MediaKept, PartsErased
from moderation.values.ids import UserId
from storage.journal.access import note_access
from storage.journal.line_format import open_line
from tests.people.client import Client, Seen
from tests.proofs import check_record
from tests.theatre.opened import copy_of_identities, put_back_identities
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import RULES, ServedBot, like

IN_REPLY = "m.in_reply_to"


async def reply(client: Client, room: str, event: str, body: str) -> str:
    """Send a command as a reply to a message."""
    return await client.send_text(room, body, **{"m.relates_to": {IN_REPLY: {"event_id": event}}})


def port(theatre: Theatre, client: Client) -> Homeserver:
    """Return a port of the product for a client's account, which can send and fetch files."""
    return theatre.stage.port(Session(client.url, client.user, "TEST", client.token))


async def file_sent(theatre: Theatre, client: Client, bot: ServedBot, name: str) -> bytes:
    """Wait for a file that the bot sends to a person alone, and return its content."""

    def is_it(seen: Seen) -> bool:
        return seen.sender == bot.user and seen.content.get("filename") == name

    seen = await client.wait_for(is_it, what=f"the file {name}")
    return await port(theatre, client).download(str(seen.content["url"]))


async def confirm_erasing(client: Client, bot: ServedBot, room: str) -> None:
    """Ask to be erased, and confirm by the number of the request."""
    await client.send_text(room, "!erase")
    explained = await told(client, bot, like("own.erase.confirm"))
    found = re.search(r"!erase (\d+)", explained.body)
    assert found is not None
    await client.send_text(explained.room, f"!erase {found[1]}")


async def operate(bot: ServedBot, do: str, **arguments: object) -> dict[str, Any]:
    """Send the running bot a request of `answerable erase` or a similar command."""
    return await ask_bot(bot.data_dir, do, arguments, None)


async def test_a_receipt_proves_ones_own_message_and_shows_nobody_else(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    said = await ann.send_text(room, "I was here")
    other = await ben.send_text(room, "So was I")
    await bot.until(lambda: {said, other} <= set(bot.recorded()), "both recorded")
    await reply(ann, room, said, "!receipt")
    await told(ann, bot, like("own.receipt"))
    number = int(bot.record_of(said).index)
    record = await file_sent(theatre, ann, bot, f"record-{number}.json")
    proof = await file_sent(theatre, ann, bot, f"record-{number}.tlog-proof")
    vkey = (bot.data_dir / "records" / "log.vkey").read_text().strip()
    check_record(record.strip(), proof.decode(), vkey)
    (part,) = open_line(record.strip()).parts
    assert isinstance(part, dict)
    assert (part["mxid"], part["body"]) == (ann.user, "I was here")
    refused = await ask(ann, bot, room, "!receipt", **{"m.relates_to": {IN_REPLY: {"event_id": other}}})
    assert like("error.receipt.reply").search(refused)
    await bot.until(lambda: len(bot.facts(DataGiven)) == 1, "the giving recorded")
    assert [(f.what, f.subject) for f in bot.facts(DataAsked)] == [("receipt", ann.user)]


async def test_a_person_gets_all_their_own_data_and_nothing_of_others(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    said = await ann.send_text(room, "my own words")
    other = await ben.send_text(room, "words of somebody else")
    await bot.until(lambda: {said, other} <= set(bot.recorded()), "both recorded")
    for whom, why in (([ann.user], "about Ann"), ([ben.user], "about Ben"), ([], "all of it")):
        note_access(bot.data_dir, at_ms=1, by="root", reason=why, filters={"person": [*whom]} if whom else {})
    await bot.restart()
    await bot.until(lambda: len(bot.facts(ContentRead)) == 3, "the readers recorded")
    await ann.send_text(room, "!mydata")
    await told(ann, bot, like("own.mydata"))
    readers = json.loads(await file_sent(theatre, ann, bot, "who-read-it.json"))
    assert sorted((each["by"], each["reason"]) for each in readers) == [("root", "about Ann"), ("root", "all of it")]
    with zipfile.ZipFile(io.BytesIO(await file_sent(theatre, ann, bot, "my-data.zip"))) as data:
        everything = b"".join(data.read(name) for name in data.namelist())
        assert {"index.html", "records.jsonl", "verify.py"} <= {Path(name).name for name in data.namelist()}
    assert b"my own words" in everything
    assert b"words of somebody else" not in everything
    assert ben.user.encode() not in everything


@pytest.mark.long
async def test_people_are_told_once_a_day_who_looked_up_their_credit(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (ann, ben), manager = scene.bot, scene.room, scene.members, scene.managers[0]
    await ann.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    await ask(manager, bot, scene.desk, "!case 1")
    await ask(manager, bot, scene.desk, f"!history {ann.user}")
    await ask(manager, bot, scene.desk, f"!credit {ben.user}")
    found = [(f.what, f.n, f.subject, f.by) for f in bot.facts(ContentRead)]
    assert found == [("case", 1, ann.user, manager.user), ("credit", 0, ben.user, manager.user)]
    await ann.send_text(room, "!mydata")
    await told(ann, bot, like("own.mydata"))
    readers = json.loads(await file_sent(theatre, ann, bot, "who-read-it.json"))
    assert [(each["what"], each["case"], each["by"]) for each in readers] == [("case", 1, manager.user)]


async def test_erasing_is_confirmed_takes_everything_and_leaves_a_log_that_verifies(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    said = await ann.send_text(room, "words to be forgotten")
    kept = await ben.send_text(room, "words that stay")
    await bot.until(lambda: {said, kept} <= set(bot.recorded()), "both recorded")
    await confirm_erasing(ann, bot, room)
    await told(ann, bot, like("own.erase.done"))
    assert {fact.what for fact in bot.facts(PartsErased)} == {"request"}
    text = b"".join(path.read_bytes() for path in (bot.data_dir / "records" / "day").iterdir())
    assert b"words to be forgotten" not in text
    assert b"words that stay" in text
    assert bot.rows("SELECT event FROM events WHERE event = ?", said) == []


@pytest.mark.long
async def test_a_key_that_an_older_backup_brings_back_is_destroyed_again(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await bot.has(await ann.send_text(room, "words to be forgotten"))
    await ann.leave(room)
    await bot.until(lambda: bot.rows("SELECT 1 FROM members WHERE membership = 'leave'"), "her leaving")
    assert (await operate(bot, "erase", person=ann.user, reason="by letter"))["kept"] == []
    await bot.stop()
    brought = copy_of_identities(bot.config)
    put_back_identities(bot.config, {**brought, "person_keys": [*brought["person_keys"], (ann.user, b"k" * 32, None)]})
    bot.start()
    await bot.until_condition(room, "protected")

    def keys() -> set[object]:
        return {person for person, *_ in copy_of_identities(bot.config)["person_keys"]}

    await bot.until(lambda: ann.user not in keys(), "no key")


@pytest.mark.long
async def test_another_persons_request_number_erases_nothing(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    await ann.send_text(room, "!erase")
    explained = await told(ann, bot, like("own.erase.confirm"))
    found = re.search(r"!erase (\d+)", explained.body)
    assert found is not None
    assert like("error.erase.number").search(await ask(ben, bot, room, f"!erase {found[1]}"))
    assert bot.facts(PartsErased) == []


@pytest.mark.long
async def test_erasing_keeps_the_basis_of_a_measure_in_force_and_says_why(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await ann.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    await confirm_erasing(ann, bot, room)
    word = await told(ann, bot, like("own.erase.done"))
    assert like("own.erase.duty-measure").search(word.body)
    assert bot.rows("SELECT subject FROM cases") == [(ann.user,)]
    assert [cost for (cost,) in bot.rows("SELECT cost FROM credit WHERE user = ?", ann.user)] == [10]


@pytest.mark.long
async def test_the_operator_sets_legal_holds_and_erases_while_the_bot_runs(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    said = await ann.send_text(room, "evidence")
    await bot.until(lambda: said in bot.recorded(), "recorded")
    covers = f'{{"persons":["{ann.user}"]}}'
    far = 4_000_000_000_000
    placed = await operate(bot, "hold", duty="court order 12/2026", until=far, covers=covers)
    assert [f.duty for f in bot.facts(HoldPlaced)] == ["court order 12/2026"]
    held = await operate(bot, "erase", person=ann.user, reason="by letter")
    assert (held["parts"], [(k["duty"], k["until"]) for k in held["kept"]]) == (0, [("court order 12/2026", far)])
    await operate(bot, "end-hold", hold=placed["hold"], reason="withdrawn")
    done = await operate(bot, "erase", person=ann.user, reason="by letter")
    assert done["parts"] > 0
    assert done["kept"] == []
    assert (await operate(bot, "purge", dry_run=True))["days"] == []


@pytest.mark.long
async def test_a_file_is_noted_by_its_hash_and_size(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    data = b"not really a picture"
    address = await port(theatre, ann).upload(data, "image/png", "cat.png")
    content = {"msgtype": "m.image", "body": "cat.png", "url": address, "info": {"mimetype": "image/png", "size": 20}}
    said = await ann.send(room, "m.room.message", content)
    await bot.until(lambda: bot.facts(MediaKept), "the file noted")
    (noted,) = bot.facts(MediaKept)
    assert (noted.on, noted.bytes, noted.result, noted.subject) == (
        int(bot.record_of(said).index),
        20,
        "done",
        UserId(ann.user),
    )
    assert noted.sha256 == hashlib.sha256(data).hexdigest()
