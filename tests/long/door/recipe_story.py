"""People use a kind of rule and a command that were added by the recipes; `test_recipes.py` runs this in a copy.

Writes, as JSON, into the file named: the answers to what was said, each with the keys of its lines and its words in
each language; which rules were broken; what a wrong setting is told; and what `answerable check` says of the settings.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from typer.testing import CliRunner

from bot.cli.main import app
from bot.config.config import parse_config
from bot.config.errors import ConfigError
from bot.texts.catalog import LANGUAGES, Catalog
from bot.texts.matrix_message import Speech
from moderation.model.actions.registry import from_json
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import Found
from tests.door.offline import ANNA, CONFIG, DESK, MARK, ROOM, RULES, Offline, offline

CALM = """
[[rules]]
name = "calm"
kind = "endings"
endings = ["!!!"]
"""
SAID = (
    (MARK, DESK, "!rule test come here!!!"),
    (MARK, DESK, '!rule add asking endings "?!?" minor'),
    (MARK, DESK, "!rule add more endings shouting"),
    (MARK, DESK, "!rule list"),
    (ANNA, ROOM, "!rules"),
    (ANNA, ROOM, "come here!!!"),
    (ANNA, ROOM, "who is there?!?"),
    (ANNA, ROOM, "!ping"),
    (ANNA, ROOM, "!在吗"),
    (ANNA, ROOM, "!there"),
    (MARK, DESK, "!help all"),
    (MARK, DESK, "!help ping"),
)


async def answer(bot: Offline, seen: int) -> list[tuple[list[str], dict[str, str]]]:
    """Return what was queued for people since row `seen` of the outbox."""
    speech = Speech(Catalog.load().with_prefix("!"), bot.config.policy, "en")
    rows = await bot.rows(f"SELECT action FROM outbox WHERE id > {seen} ORDER BY id")
    actions = [from_json(json.loads(row[0])) for row in rows]
    said = [action.lines for action in actions if isinstance(action, Say | Tell)]
    return [
        ([each.key for each in lines], {name: speech.text(lines, name, {}).plain for name in LANGUAGES})
        for lines in said
    ]


def wrong(folder: Path) -> str:
    try:
        parse_config(folder / "config.toml", CONFIG + CALM.replace('["!!!"]', "[]"), {})
    except ConfigError as error:
        return str(error)
    return ""


def checked(folder: Path) -> str:
    """Return what `answerable check` says of settings that have each kind of the example."""
    example = Path("config.example.toml").read_text("utf-8")
    file = folder / "config.toml"
    file.write_text(CONFIG + example[example.index("\n[[plugins]]") :], "utf-8")
    said = CliRunner().invoke(app, ["check", "--config", str(file), "--json"])
    return next(str(each["state"]) for each in json.loads(said.stdout) if each["check"] == "config")


async def told_and_found(folder: Path) -> dict[str, object]:
    async with offline(folder, RULES + CALM) as bot:
        told = {}
        for who, room, words in SAID:
            ((seen,),) = await bot.rows("SELECT coalesce(max(id), 0) FROM outbox")
            await bot.say(who, words, room)
            told[words] = await answer(bot, int(seen))
        return {"told": told, "found": [fact.rule for fact in bot.facts(Found)]}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        story = asyncio.run(told_and_found(folder)) | {"wrong": wrong(folder), "checked": checked(folder)}
        Path(sys.argv[1]).write_text(json.dumps(story), "utf-8")
