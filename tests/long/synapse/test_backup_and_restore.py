"""The story of an operator who loses a machine: back up while the bot runs, lose everything, restore, continue.

One of the rooms is encrypted, since its keys must not come back with a backup.
"""

import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moderation.model.facts import CaseOpened, RecordsExported, RecordsRestored
from storage.journal.record import Record
from tests.long.synapse.test_encrypted_hard_cases import kinds
from tests.people.crypto_people import CryptoStage
from tests.people.sealed_members import is_backed_up, sealed_room
from tests.theatre.by_command import Operator
from tests.theatre.scene import Theatre, told
from tests.theatre.served import RULES, ServedBot, like
from tests.theatre.stage import Stage

PASSWORD = "a password"


@pytest.fixture
async def cast(stage: Stage, tmp_path: Path) -> AsyncIterator[CryptoStage]:
    """Provide members who write encrypted messages and need no client program."""
    folder = tmp_path / "cast"
    folder.mkdir()
    async with CryptoStage(stage, folder) as made:
        yield made


def mode(file: str) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(Path(file).stat().st_mode)


def about(record: Record, event: str) -> bool:
    """Tell whether this is a record of an event."""
    return any(part.get("ev") == event for part in record.parts)


async def set_up(operator: Operator, bot: ServedBot, above: str, rules: str = RULES) -> str:
    """Set up a deployment as an operator does. Returns the recovery key."""
    key = operator.folder.parent / "recovery-key"
    options = (
        "--homeserver",
        bot.session.url,
        "--user",
        bot.user,
        "--operator",
        above,
        "--allow-invites",
        "*:localhost",
    )
    await operator.done("init", *options, "--recovery-key-out", str(key), "--password-stdin", "--yes", stdin=PASSWORD)
    with operator.config.open("a") as config:
        config.write(rules)
    return key.read_text().strip()


async def test_a_lost_machine_is_restored_from_a_backup_of_the_running_bot_and_goes_on(
    theatre: Theatre, cast: CryptoStage
) -> None:
    bot, (owner, manager, ann, cat), ben = (
        await theatre.bot(start=False),
        await theatre.people("owner", "manager", "ann", "cat"),
        await cast.bot("ben"),
    )
    operator = Operator(bot.data_dir.parent)
    recovery_key = await set_up(operator, bot, manager.user)
    async with operator.running():
        room = await theatre.room(bot, owner, [manager], [ann, cat])
        desk = await theatre.enter_desk(bot, room, owner, manager)
        sealed = await sealed_room(theatre, bot, owner, ben)
        before = [await ann.send_text(room, "a purple elephant"), await ben.say(sealed, "good morning")]
        await bot.has(*before)
        await bot.idle()
        made = (await operator.done("backup", str(operator.folder.parent), "--json")).json
        after = [await ann.send_text(room, "forbidden 1234"), await ben.say(sealed, "forbidden 2345")]
        gone = await cat.send_text(room, "another purple elephant")  # and removed at once
        await bot.until(lambda: len(bot.facts(CaseOpened)) == 4, "more cases")
        await bot.idle()
        await bot.until(lambda: is_backed_up(bot.data_dir), "the homeserver to have the key of what was just said")
    (backed_up,) = [fact for fact in bot.facts(RecordsExported) if fact.what == "backup"]
    assert (made["problems"], backed_up.count, mode(made["file"])) == (0, made["records"] - 1, 0o600)
    kept = operator.folder.parent / "checkpoint"  # as it was posted where others hold it
    shutil.copy(bot.data_dir / "records" / "checkpoint", kept)
    signed = int(kept.read_text().split("\n")[1])

    shutil.rmtree(bot.data_dir)
    back = (await operator.done("restore", made["file"], "--against", str(kept), "--json")).json
    size = made["records"]
    assert back["against"] == {"size": signed, "lost": signed - size}
    assert (back["records"], back["record"], back["cases"], back["lacks"]) == (size, size, 1100, [])
    compared = await operator.run("logs", "verify", "--against", str(kept), "--json")
    assert [(each["code"], each["kept"]) for each in compared.json["problems"]] == [("restored", size)]
    assert not (bot.data_dir / "crypto").exists()

    new = ("keys", "new-device", "--yes", "--password-stdin", "--recovery-key-stdin")
    await operator.done(*new, stdin=f"{PASSWORD}\n{recovery_key}\n")
    await ben.hear()
    async with operator.running():
        later = [await ann.send_text(room, "forbidden 5678"), await ben.say(sealed, "forbidden 6789")]
        await bot.has(*after, gone, *later)
        await bot.until(lambda: len(bot.facts(CaseOpened)) == 4, "the cases of the lost time")
        old_card = like("card.superseded")
        await manager.wait_event(desk, lambda seen: bool(old_card.search(seen.body)), what="the old card superseded")
        asked = like("desk.from-backup", cases="1100")
        await manager.wait_event(desk, lambda seen: bool(asked.search(seen.body)), what="the desk to be told")
        await told(manager, bot, like("desk.from-backup-above"))
        await bot.idle()
    assert sorted(fact.n for fact in bot.facts(CaseOpened)) == [1, 1100, 1101, 1102]
    (restored,) = bot.facts(RecordsRestored)
    assert (restored.size, restored.signed) == (size, signed)
    # What was said encrypted in the lost time came out of the backup of keys at the homeserver.
    assert [kinds(bot, event)[-1] for event in (*before, *after, *later)] == ["message"] * 6
    # What was removed in it was judged by the words that the homeserver had kept.
    assert kinds(bot, gone) == ["coverage", "message"]
    (late,) = [record for record in bot.records() if record.kind == "message" and about(record, gone)]
    assert "purple" in str(late.parts)
