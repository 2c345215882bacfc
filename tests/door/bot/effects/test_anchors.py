"""A day's closing checkpoint is in every desk: once, whatever happens at midnight, and useful to those who kept it."""

import html
import re
import shutil
from pathlib import Path

from bot.config.config import parse_config
from moderation.model.facts import CheckpointAnchored
from moderation.values.ids import RoomId
from storage.journal.line_format import day_of
from storage.journal.transparency.cosignature import Cosigner
from storage.journal.transparency.daily_checkpoints import own_note
from storage.journal.verify.verify import verify
from tests.fakes.tsa import FakeTsa
from tests.fakes.witness import FakeWitness
from tests.people.client import Client, Seen
from tests.theatre.scene import Theatre, ask
from tests.theatre.served import HEAD, ServedBot

DAY_MS = 86_400_000
BLOCK = re.compile(r"<pre><code>(.*?)</code></pre>", re.DOTALL)


def put(bot: ServedBot, now_ms: int) -> None:
    """Set the bot's clock, which continues to run."""
    bot.ahead_ms += now_ms - bot.clock()


def midnight(bot: ServedBot) -> int:
    """Return the next midnight by the bot's clock."""
    return (bot.clock() // DAY_MS + 1) * DAY_MS


def closing_of(seen: Seen) -> str:
    """Return the checkpoint in a message, as a reader would copy it."""
    found = BLOCK.search(str(seen.content.get("formatted_body", "")))
    assert found
    checkpoint = html.unescape(found[1])
    assert checkpoint in seen.body
    return checkpoint


def is_closing_of(day: str, seen: Seen) -> bool:
    return day in seen.body and "```" in seen.body


async def closing(who: Client, bot: ServedBot, room: RoomId, day: str) -> str:
    seen = await who.wait_event(
        room, lambda seen: seen.sender == bot.user and is_closing_of(day, seen), what=f"the closing checkpoint of {day}"
    )
    return closing_of(seen)


async def closings_seen(who: Client, bot: ServedBot, room: RoomId, days: list[str]) -> list[str]:
    """Return the days whose checkpoints are in a room by now, each as often as it is there."""
    seen = [Seen("timeline", room, event) for event in await who.messages(room)]
    return [day for each in seen for day in days if each.sender == bot.user and is_closing_of(day, each)]


def of_desks(day: str, *groups: str) -> list[tuple[str, str, str, str]]:
    return [(day, "desk", group, "done") for group in sorted(groups)]


def anchors(bot: ServedBot) -> list[tuple[str, str, str, str]]:
    facts = bot.facts(CheckpointAnchored)
    return sorted((fact.day, fact.where, fact.room or "", fact.result) for fact in facts)


async def test_a_day_is_closed_in_every_desk_once(theatre: Theatre, tmp_path: Path) -> None:
    async with FakeWitness() as witness, FakeTsa() as tsa:
        outside = f'witness_url = "{witness.url}"\nwitness_vkey = "{witness.vkey}"\ntimestamp_url = "{tsa.url}"\n'
        bot = await theatre.bot(f"[anchors]\n{outside}", start=False)
        put(bot, midnight(bot) + DAY_MS // 2)
        bot.start()
        owner, manager, other = await theatre.people("owner", "manager", "other")
        one = await theatre.room(bot, owner, [manager])
        two = await theatre.room(bot, other)
        desks = [await theatre.enter_desk(bot, one, owner, manager), await theatre.enter_desk(bot, two, other)]
        vkey = (bot.data_dir / "records" / "log.vkey").read_text().strip()
        assert vkey in await ask(manager, bot, one, "!key")
        witness.trust(vkey)
        await bot.has(await manager.send_text(one, "one day's word"))

        # Midnight comes while nobody does anything; the bot dies just after the first word of it.
        first = day_of(bot.clock())
        assert anchors(bot) == []
        put(bot, midnight(bot) - 700)
        await ask(owner, bot, desks[0], "!cases")
        kept = await closing(manager, bot, desks[0], first)
        await bot.crash()
        bot.start()
        assert own_note(await closing(other, bot, desks[1], first)) == own_note(kept)
        of_first = of_desks(first, one, two)
        of_first += [(first, "timestamp", "", "done"), (first, "witness", "", "done")]
        await bot.until(lambda: anchors(bot) == of_first, "all anchors of the first day")

        # What a member kept proves that the log is still the same, with and without the witness's line.
        folder = bot.data_dir / "records"
        assert verify(folder, against=kept).problems == ()
        cosigned = (folder / "checkpoints" / f"{first}.ckpt").read_text("utf-8")
        assert witness.name in cosigned
        assert verify(folder, against=cosigned, witnesses=[Cosigner.parse(witness.vkey)]).problems == ()
        await bot.restart()

        # Down over the next midnight; meanwhile one room is to have it too.
        second = day_of(bot.clock())
        await bot.stop()
        forged = shutil.copytree(folder, tmp_path / "forged")
        (forged / "day" / f"{first}.jsonl.zst").unlink()
        assert verify(forged, against=kept).problems
        rooms = f'rooms = ["{bot.code(one)}"]\n'
        head = HEAD.format(url=theatre.stage.server.url, user=bot.user, bot="")
        bot.config = parse_config(bot.config.file, f"{head}[anchors]\n{rooms}{outside}", {})
        put(bot, midnight(bot) + DAY_MS // 3)
        bot.start()
        newest = await closing(manager, bot, one, second)
        of_second = [*of_desks(second, one, two), (second, "room", str(one), "done")]
        of_second += [(second, "timestamp", "", "done"), (second, "witness", "", "done")]
        await bot.until(lambda: anchors(bot) == [*of_first, *of_second], "all anchors of the second day")
        assert verify(folder, against=newest).problems == ()
        days = [first, second]
        assert await closings_seen(manager, bot, desks[0], days) == days
        assert await closings_seen(other, bot, desks[1], days) == days
        assert await closings_seen(manager, bot, one, days) == [second]
