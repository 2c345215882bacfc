"""Every kind of record is written by something that really happens, and is erased when its time is over."""

from base64 import b64encode

import pytest

from bot.cli.check.clock import held_back
from moderation.model.facts import RecordsPurged
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import PersonId
from storage.identity.store import Kek, NewClaim
from storage.journal.access import note_access
from storage.journal.record_kinds.table import KINDS
from storage.journal.verify.verify import verify
from tests.door.bot.commands.test_personal_data import confirm_erasing, operate, reply
from tests.people.client import Client
from tests.theatre.opened import identity_store
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like


def kinds_of(bot: ServedBot) -> set[str]:
    """Return the kinds of all records in the journal."""
    return {record.kind for record in bot.records()}


async def talk(scene: Scene, ann: Client, ben: Client) -> None:
    """Produce messages, an edit, a file, a redaction, a state change, an encrypted event, and somebody leaving."""
    room, bot = scene.room, scene.bot
    said = await ann.send_text(room, "good mornnig")
    await ann.edit(room, said, "good morning")
    mxc = "mxc://localhost/nothing"
    await ann.send(room, "m.room.message", {"msgtype": "m.file", "body": "a.txt", "url": mxc})
    await ann.redact(room, await ann.send_text(room, "taken back"))
    await scene.owner.set_state(room, "m.room.topic", {"topic": "mornings"})
    await ann.send(
        room, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "s", "ciphertext": "x"}
    )
    await reply(ann, room, said, "!receipt")
    await ben.send_text(room, "!mydata")
    await reply(ben, room, said, "!report look here")
    await ben.leave(room)
    await bot.until(lambda: {"disclosure", "report", "leave", "media", "edit"} <= kinds_of(bot), "all of it")


async def moderate(scene: Scene, ann: Client) -> None:
    """Produce a finding, a case, a charge, a decision, a mute, a vouch."""
    manager = scene.managers[0]
    await ann.send_text(scene.room, "a purple elephant")
    await scene.card(manager, 2)  # case 1 is what Ben reported
    await ann.send_text(scene.room, "!appeal 2 it was a quotation")
    await told(ann, scene.bot, like("notice.appealed.other"))
    await ask(manager, scene.bot, scene.desk, "!dismiss 2 a quotation")
    await ask(manager, scene.bot, scene.room, f"!vouch {ann.user}")
    await ask(manager, scene.bot, scene.room, f"!mute {ann.user} 1s")


def prove(bot: ServedBot, ann: Client) -> None:
    """Let Ann prove something about herself, valid for as long as records are kept."""
    now = bot.clock()
    with identity_store(bot.config, Kek.new()) as store:
        store.add_claim(
            NewClaim(
                person=PersonId(ann.user),
                method="email",
                issuer="",
                identifier="ann@example.net",
                fields={"email": "ann@example.net"},
                created_ms=now,
                expires_ms=now + 190 * DAY_MS,
            )
        )


# A log that continues from a backup has its own test: tests/long/synapse/test_backup_and_restore.py. So have the
# answers of plug-ins, policy lists, what was refused before its delivery, and what another shard told:
# tests/door/bot/effects/test_ask_plugin.py, tests/door/bot/sync/test_policy_lists.py,
# tests/door/bot/pipeline/test_withheld.py, tests/door/bot/exchange/test_receiving.py.
ELSEWHERE = frozenset({"restore", "labels", "list", "withheld", "learnt"})


async def test_every_kind_of_record_is_written_by_something_that_happens(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    tried = '[[rules]]\nname = "lava"\nkind = "terms"\ndry_run = true\nterms = ["volcano"]\n'
    rules = RULES + tried + '[console]\npublic_url = "https://console.example.org"\n'
    scene = await theatre.scene(rules, members=2, bot=f'operators = ["{operator.user}"]', known=["managers"])
    bot, (ann, ben) = scene.bot, scene.members
    await talk(scene, ann, ben)
    await moderate(scene, ann)
    for what in ("show", "export"):
        filters = {"what": what, "records": 3}
        note_access(bot.data_dir, at_ms=bot.clock(), by="root", reason="an audit", filters=filters)
    await confirm_erasing(ben, bot, await direct_room(ben, bot))
    await bot.until(lambda: "erase" in kinds_of(bot), "the erasing")
    covers = f'{{"groups":["{bot.code(scene.room)}"]}}'
    await scene.managers[0].send_text(scene.room, "!away 1d")
    await scene.managers[0].send_text(await open_direct(scene.managers[0], bot), "!console")
    await bot.until(lambda: "console" in kinds_of(bot), "the link to the console")
    await bot.until(lambda: bot.rows("SELECT 1 FROM sanctions WHERE kind = 'mute' AND ended > 0"), "the mute to end")
    await bot.until(lambda: not bot.rows("SELECT 1 FROM holds"), "the level to be given back")
    await ann.send_text(scene.room, "a volcano")  # severe, after a measure: the operator is asked for a file
    await bot.until(lambda: {"task", "duty"} <= kinds_of(bot), "the task")
    await operate(bot, "dossier-new", person=ann.user, reason="a test")
    key = b64encode(bytes(32)).decode()
    await operate(bot, "approver-new", name="one", account=operator.user, key=key, reason="a test")
    await operate(bot, "hold", duty="a duty", until=bot.clock() + DAY_MS, covers=covers)
    prove(bot, ann)
    await bot.stop()
    before = kinds_of(bot)  # the next start purges them
    bot.ahead_ms = 200 * DAY_MS
    bot.start()
    wanted = KINDS.keys() - ELSEWHERE
    await bot.until(lambda: before | kinds_of(bot) >= wanted, "every kind")


async def test_a_clock_that_is_far_ahead_for_a_moment_destroys_nothing(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await bot.stop()
    bot.is_believed = False
    bot.start()
    await bot.has(await ann.send_text(room, "words of today"))
    bot.ahead_ms = 200 * DAY_MS
    await bot.has(await ann.send_text(room, "said in a day that has not come, with a volcano"))
    await scene.wait_desk(
        scene.owner, lambda seen: bool(like("desk.clock.homeserver").search(seen.body)), "the word on the clock"
    )
    with pytest.raises(Refused, match=r"error\.clock\.homeserver"):
        await operate(bot, "purge")
    held = await held_back(bot.data_dir)
    assert held is not None
    assert (held.state, held.key) == ("problem", "clock_held_homeserver")
    (ahead,) = (bot.data_dir / "records/day").glob("*.jsonl")
    bot.ahead_ms = 0
    await bot.has(await ann.send_text(room, "today again, with a volcano"))
    await bot.until(lambda: not ahead.exists(), "the day to get its place")
    assert await held_back(bot.data_dir) is None
    assert bot.facts(RecordsPurged) == []
    assert "words of today" in [part.get("body") for record in bot.records() for part in record.parts]
    assert verify(bot.data_dir / "records").problems == ()


async def test_old_records_are_purged_and_the_rest_still_verifies(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    old = await ann.send_text(room, "words of last year")
    await bot.has(old)
    await bot.stop()
    bot.ahead_ms = 200 * DAY_MS
    bot.start()
    await bot.until(lambda: bot.facts(RecordsPurged), "the purge")
    new = await ann.send_text(room, "words of this year")
    await bot.has(new)
    text = b"".join(path.read_bytes() for path in (bot.data_dir / "records" / "day").iterdir())
    assert b"words of last year" not in text
    assert bot.rows("SELECT 1 FROM events WHERE event = ?", old) == []
    report = verify(bot.data_dir / "records")
    assert report.problems == ()
    assert report.first > 0
    await bot.restart()
    await bot.until_condition(room, "protected")
