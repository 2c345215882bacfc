"""The journal alone contains everything: an empty database filled from it equals the bot's own."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot.cli.access.admin_client import ask_bot
from bot.cli.approver import ApproverKey
from moderation.model.facts import BotStarted, ConsoleEnded
from storage.journal.journal import Journal
from storage.journal.record_keys import PersonKeys
from storage.queries.tables_sample import differences
from tests.door.bot.admin.test_console import a_link, door
from tests.people.client import Client
from tests.theatre.opened import leading, made_again
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

TABLES = (
    "cases",
    "decisions",
    "questions",
    "evidence",
    "credit",
    "sanctions",
    "holds",
    "verifications",
    "members",
    "rooms",
    "accounts",
    "events",
    "assignments",
    "case_notes",
    "case_steps",
    "daily",
    "trials",
    "statements",
    "reports",
    "away",
    "rosters",
    "room_rules",
    "room_settings",
    "tasks",
    "dossiers",
    "dossier_steps",
    "approvers",
    "console_links",
    "console_sessions",
)

STORY = (
    RULES
    + """
[[rules]]
name = "loud"
kind = "terms"
class = "severe"
measure = "mute"
mute_for = "1h"
terms = ["geyser"]
[[rules]]
name = "lava"
kind = "terms"
dry_run = true
terms = ["volcano"]
[credit]
costs = { minor = 5, moderate = 10, serious = 25, severe = 61 }
incident_limit = 61
[tiers]
c = 30
[console]
public_url = "https://console.example.org"
"""
)


async def test_the_journal_replayed_into_an_empty_database_gives_the_same_tables(
    theatre: Theatre, tmp_path: Path
) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(
        STORY, managers=2, members=4, bot=f'operators = ["{operator.user}"]', known=["managers"]
    )
    bot, other = scene.bot, await _second_room(theatre, scene)
    await _a_long_story(scene)
    await _people_who_answer_for_it(scene, operator.user)
    await bot.crash()
    bot.start()
    await _the_end(scene, other)
    await bot.idle()
    await bot.stop()
    for seed in range(20):
        assert differences(bot.config.place, bot.data_dir / "records", Random(seed)) == []
    live = {name: bot.table(name) for name in TABLES}
    assert {name for name, rows in live.items() if not rows} == set()  # a story in which nothing is empty
    assert len(bot.facts(BotStarted)) == 3  # for the roster, and after the crash
    again = await rebuilt(bot, tmp_path)
    assert {name: rows for name, rows in again.items() if rows != live[name]} == {}


async def test_a_database_that_was_lost_is_made_again_on_start(theatre: Theatre) -> None:
    scene = await theatre.scene(STORY, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    await ann.send_text(room, "a purple elephant")
    await scene.card(scene.managers[0], 1)
    await bot.idle()
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    bot.state.lose()
    bot.start()
    marker = await ben.send_text(room, "still here")
    await bot.has(marker)
    await bot.idle()
    gained = {name: [row for row in bot.table(name) if row not in live[name]] for name in TABLES}
    lost = {name: [row for row in live[name] if row not in bot.table(name)] for name in TABLES}
    assert {name for name, rows in gained.items() if rows} == {"events", "daily"}
    assert {name for name, rows in lost.items() if rows} == {"daily"}
    ((*row, more, first),) = gained["daily"]
    assert lost["daily"] == [(*row, more - 1, first)]
    assert marker in str(gained["events"])


async def _a_long_story(scene: Scene) -> None:
    bot, room, owner = scene.bot, scene.room, scene.owner
    (first, second), (ann, ben, cid, dan) = scene.managers, scene.members
    await owner.set_state(room, "m.room.name", {"name": "Teahouse <b>"})
    await asyncio.gather(*(who.send_text(room, f"{n} purple elephant") for who in (ann, ben) for n in range(3)))
    await cid.send_text(room, "forbidden 7")
    await dan.send_text(room, "a geyser")
    await second.send_text(room, "a volcano")
    await bot.until(lambda: len(bot.rows("SELECT 1 FROM cases WHERE card <> ''")) == 5, "five cards")
    numbers = dict(bot.rows("SELECT subject, n FROM cases"))
    assert like("decided.dismissed").search(await ask(first, bot, scene.desk, f"!dismiss {numbers[ann.user]} a joke"))
    assert like("done.claim").search(await ask(first, bot, scene.desk, f"!claim {numbers[cid.user]}"))
    assert like("done.later").search(await ask(first, bot, scene.desk, f"!later {numbers[cid.user]}"))
    assert like("question.reason").search(await ask(first, bot, scene.desk, f"!dismiss {numbers[cid.user]}"))
    assert like("decided.upheld").search(await ask(first, bot, scene.desk, f"!uphold {numbers[cid.user]}"))
    assert like("decided.upheld").search(await ask(owner, bot, scene.desk, f"!uphold {numbers[second.user]}"))
    await scene.until_level(second.user, None)
    await scene.until_level(dan.user, -1)
    await ask(first, bot, room, f"!vouch {ann.user}")
    await ask(first, bot, room, f"!mute {ben.user} 1h one hour")
    await ask(owner, bot, room, "!lang zh room")
    await ask(first, bot, scene.desk, '!rule add no-ads terms "buy now" minor redact manager')
    await ask(first, bot, scene.desk, '!rule add odd pattern "o{9}" none')
    await ask(owner, bot, scene.desk, "!rule remove odd")
    await ask(owner, bot, scene.desk, "!set digest off")
    direct = await direct_room(cid, bot)  # where the decision was announced
    await ask(cid, bot, direct, "!lang en")


async def _somebody_in_the_console(person: Client, bot: ServedBot) -> None:
    """Let a manager come by a link, give a command, leave, and come again by another link."""
    for _ in range(2):
        opened = await door(bot, "console-login", ticket=await a_link(person, bot))
        done = await door(bot, "command", session=opened["session"], words="cases")
        assert done["refused"] is False
        if not bot.facts(ConsoleEnded):
            await door(bot, "console-end", session=opened["session"])


async def _people_who_answer_for_it(scene: Scene, operator: str) -> None:
    """Produce notes, a report, an appeal, duty hours, an absence, and matters for the operator alone."""
    bot, room, owner = scene.bot, scene.room, scene.owner
    (first, second), (ann, _, cid, _) = scene.managers, scene.members
    hello = await first.send_text(room, "good evening all")
    direct = await open_direct(ann, bot)
    link = f"https://matrix.to/#/{room}/{hello}"
    await ask(ann, bot, direct, f"!report {link} rude")
    ((reported,),) = await bot.until(lambda: bot.rows("SELECT n FROM cases WHERE rule = 'reported'"), "the report")
    await owner.send_text(scene.desk, f"!note {reported} he says that every evening")
    await ask(owner, bot, scene.desk, f"!duty {first.user} daily 00:00-24:00")
    ((mine,),) = bot.rows("SELECT n FROM cases WHERE subject = ?", cid.user)
    await cid.send_text(await direct_room(cid, bot), f"!appeal {mine} it was a quotation")
    await told(cid, bot, like("notice.appealed.other", "en"))
    await _somebody_in_the_console(first, bot)
    await ask(owner, bot, scene.desk, "!away 1d")
    await first.send_text(room, "forbidden 8")  # only the operator is left to decide that
    await bot.until(lambda: bot.rows("SELECT 1 FROM tasks WHERE task = 'case'"), "the operator's task")
    begun = await ask_bot(bot.data_dir, "dossier-new", {"person": second.user, "reason": "asked for"}, None)
    await _approve(bot, begun["dossier"], operator)


async def _approve(bot: ServedBot, file: int, operator: str) -> None:
    """Approve a file with a key that is made for it."""
    key = ApproverKey(Ed25519PrivateKey.generate())
    new = {"name": "one", "account": operator, "key": key.public, "reason": "a key"}
    await ask_bot(bot.data_dir, "approver-new", new, None)
    asked = await ask_bot(bot.data_dir, "dossier-digest", {"dossier": file}, None)
    signed = key.sign(asked["to_sign"])
    await ask_bot(bot.data_dir, "dossier-approve", {"dossier": file, "reason": "read", **signed}, None)


async def _the_end(scene: Scene, other: str) -> None:
    bot, room, owner = scene.bot, scene.room, scene.owner
    first, (ann, ben, cid, dan) = scene.managers[0], scene.members
    await ask(first, bot, room, f"!unmute {ben.user}")
    await ask(first, bot, room, f"!ban {ben.user} 1h")
    await owner.wait_state(room, "m.room.member", lambda c: c["membership"] == "ban", key=ben.user)
    await owner.set_power(room, {dan.user: 0})
    await scene.until_level(dan.user, -1)  # corrected
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": "Ann 安"})
    said = await ann.send_text(room, "one")
    reaction = await cid.react(room, said, "👍")
    odd = await cid.send(room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation"}})  # unreadable
    await bot.has(said, await ann.edit(room, said, "two"), await ann.redact(room, said), reaction, odd)
    await first.send_text(room, f"!kick {cid.user}")
    await owner.wait_state(room, "m.room.member", lambda c: c["membership"] == "leave", key=cid.user)
    await told(cid, bot, like("notice.command.kick", "en"))
    await owner.kick(other, bot.user)
    await bot.until_condition(other, "left")


async def _second_room(theatre: Theatre, scene: Scene) -> str:
    """Create another room of the same owner, where the second manager is a manager too."""
    return await theatre.room(scene.bot, scene.owner, [scene.managers[1]], [scene.members[0]])


async def rebuilt(bot: ServedBot, folder: Path, tables: Sequence[str] = TABLES) -> dict[str, list[tuple[object, ...]]]:
    """Return the tables of a new database, filled from the journal of a bot that is stopped."""
    with leading(bot.config) as epoch, closing(PersonKeys.open(bot.config.place, epoch)) as keys:
        journal = Journal.open(bot.data_dir, bot.config.origin, keys, 0)
        try:
            again = await made_again(journal, folder / "empty")
        finally:
            journal.close(0)
    return {name: sorted(again.rows(f"SELECT * FROM {name}"), key=repr) for name in tables}
