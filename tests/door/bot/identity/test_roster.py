"""Verification by roster: imported and handed out at the command line while the bot runs, used in the chat."""

import asyncio
import csv
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from bot.config.identity_key import VARIABLE
from bot.demo.bot_process import Ran
from moderation.model.facts import ContentRead, DataGiven, PersonVerified
from moderation.values.errors import Refused
from storage.identity.sealing import Kek
from tests.door.bot.commands.test_personal_data import file_sent
from tests.people.client import Client
from tests.theatre.forked_command import run_forked
from tests.theatre.opened import places_of
from tests.theatre.scene import Scene, Theatre, open_direct, told
from tests.theatre.served import ServedBot, like

KEK = Kek(b"k" * 32)
LIST = "identifier,name,email\nMember-1,Ann Secretname,ann@example.org\nMember-2,Ben Otherone,\n"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, KEK.text)
    yield


async def do(bot: ServedBot, what: str, **asked: Any) -> dict[str, Any]:
    return await ask_bot(bot.data_dir, what, asked, None)


async def listed(bot: ServedBot, folder: Path, text: str, **asked: Any) -> dict[str, Any]:
    file = folder / "members.csv"
    file.write_text(text, "utf-8-sig")
    return await do(bot, "roster-import", file=str(file), **asked)


async def codes(bot: ServedBot, out: Path, **asked: Any) -> dict[str, str]:
    await do(bot, "roster-codes", out=str(out), **asked)
    with out.open(encoding="utf-8-sig", newline="") as file:
        return {row["identifier"]: row["code"] for row in csv.DictReader(file)}


async def said(person: Client, bot: ServedBot, room: str, words: str, key: str) -> str:
    after = person.position
    await person.send_text(room, words)
    return (await told(person, bot, like(key), after=after)).body


def proofs(bot: ServedBot) -> list[tuple[str, str, int, str]]:
    return [(each.step, each.method, each.level, each.subject) for each in bot.facts(PersonVerified)]


async def begun(theatre: Theatre, folder: Path) -> tuple[Scene, list[str], dict[str, str]]:
    scene = await theatre.scene(members=2)
    await listed(scene.bot, folder, LIST)
    rooms = await asyncio.gather(*(open_direct(each, scene.bot) for each in scene.members))
    return scene, list(rooms), await codes(scene.bot, folder / "codes.csv")


async def test_a_roster_code_verifies_only_its_first_user(theatre: Theatre, tmp_path: Path) -> None:
    scene, (room, other), of = await begun(theatre, tmp_path)
    bot, (ann, ben) = scene.bot, scene.members
    assert stat.S_IMODE((tmp_path / "codes.csv").stat().st_mode) == 0o600
    await said(ann, bot, room, "!verify roster ABCD-EFGH-JKMN-PQRS", "error.verify.roster-code")
    await said(ann, bot, room, "!verify roster 1234", "error.verify.roster-form")
    await said(ann, bot, room, f"!verify roster {of['Member-1'].lower().replace('-', ' ')}", "verify.done.roster")
    await said(ben, bot, other, f"!verify roster {of['Member-1']}", "error.verify.roster-code")
    await said(ann, bot, room, f"!verify roster {of['Member-1']}", "verify.already")
    await said(ben, bot, other, f"!verify roster {of['Member-2']}", "verify.done.roster")
    both = [("verified", "roster", 2, ann.user), ("verified", "roster", 2, ben.user)]
    await bot.until(lambda: proofs(bot) == both, "both to be verified")
    await bot.idle(up_to=99)
    await bot.stop()
    secret = (of["Member-1"], of["Member-1"].replace("-", ""), "Secretname", "Member-1", "ann@example.org")
    assert [word for word in secret if places_of(word, bot.config.place)] == []


@pytest.mark.long
async def test_a_person_removed_from_the_member_list_loses_verification_and_is_told(
    theatre: Theatre, tmp_path: Path
) -> None:
    scene, (room, other), of = await begun(theatre, tmp_path)
    bot, (ann, ben) = scene.bot, scene.members
    await said(ann, bot, room, f"!verify roster {of['Member-1']}", "verify.done.roster")
    await said(ben, bot, other, f"!verify roster {of['Member-2']}", "verify.done.roster")
    assert await do(bot, "roster-remove", identifier="member-1", reason="has left") == {"revoked": 1}
    await told(ann, bot, like("notice.off-roster"))
    gone = await listed(bot, tmp_path, "identifier,name,email\nMember-3,Cleo,\n", remove_gone=True)
    assert gone["counts"] == {"new": 1, "changed": 0, "gone": 1, "same": 0, "wrong": 0}
    await told(ben, bot, like("notice.off-roster"))
    assert [each[0] for each in proofs(bot)] == ["verified", "verified", "revoked", "revoked"]
    levels = bot.rows("SELECT count(*) FROM verifications WHERE revoked = 0")
    assert levels == [(0,)]
    with pytest.raises(Refused) as refused:
        await do(bot, "roster-remove", identifier="Member-1", reason="again")
    assert refused.value.key == "cli.roster.unknown"
    noted = [each.what for each in bot.facts(ContentRead)]
    assert noted == ["roster-import", "roster-codes", "roster-remove", "roster-import", "roster-remove"]


@pytest.mark.long
async def test_mydata_includes_verification_by_the_member_list(theatre: Theatre, tmp_path: Path) -> None:
    scene, (room, _), of = await begun(theatre, tmp_path)
    bot, ann = scene.bot, scene.members[0]
    await said(ann, bot, room, f"!verify roster {of['Member-1']}", "verify.done.roster")
    await said(ann, bot, room, "!mydata", "own.mydata-given")
    readers = json.loads(await file_sent(theatre, ann, bot, "who-read-it.json"))
    assert [each["what"] for each in readers] == ["roster-import", "roster-codes"]
    (claim,) = json.loads(await file_sent(theatre, ann, bot, "my-identity.json"))
    assert claim["fields"]["identifier"] == "Member-1"
    await bot.until(lambda: bot.facts(DataGiven), "the giving recorded")


async def test_the_import_command_previews_its_changes(theatre: Theatre, tmp_path: Path) -> None:
    bot = await theatre.bot()
    await bot.until(lambda: (bot.data_dir / "control.sock").exists(), "the operator's door")
    await bot.stop()  # then the command itself does what a running bot would do for it
    config = tmp_path / "config.toml"
    text = f'[homeserver]\nurl = "http://localhost"\nuser = "{bot.user}"\n[bot]\ndata_dir = "{bot.data_dir}"\n'
    config.write_text(text)
    file = tmp_path / "list.csv"
    file.write_text(
        'identifier;name;email\nMember-1;"Ann; the first";\nMember-2;=HYPERLINK();\nMember-2;Again;\n;nobody;\n'
    )

    async def answerable(*words: str) -> Ran:
        return await run_forked("roster", *words, "--config", str(config), environ=os.environ)

    status, out, err = await answerable("import", str(file), "--dry-run")
    assert (status, "New: 1." in out, "Wrong lines: 3." in out) == (1, True, True), err
    assert "Line 3 is left out: its identifier is also in line 4" in err
    assert "Line 5 is left out: it has no identifier." in err
    status, out, err = await answerable("import", str(file), "--yes", "--json")
    assert json.loads(out)["counts"] == {"new": 1, "changed": 0, "gone": 0, "same": 0, "wrong": 3}
    file.write_text("identifier,name,email\nMember-1,@cmd,\n")
    status, out, err = await answerable("import", str(file), "--yes")
    assert (status, "Changed: 1." in out) == (0, True), err
    status, out, err = await answerable("list", "--reason", "to see")
    assert (status, "'@cmd" in out) == (0, True), err
    status, out, err = await answerable("codes", "--out", str(tmp_path / "codes.csv"))
    assert (status, "1 codes" in out) == (0, True), err
    assert "Member-1,'@cmd," in (tmp_path / "codes.csv").read_text("utf-8-sig")
    status, out, err = await answerable("codes", "--out", str(tmp_path / "codes.csv"))
    assert (status, "already exists" in err) == (1, True)
