"""The message to the person judged in each situation, word for word, in both languages and with no words kept.

The situations and the words stand in `notices.toml`.
"""

import json
import tomllib
from pathlib import Path

import pytest

from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from bot.texts.names import names_in
from moderation.model.actions.registry import from_json
from moderation.model.actions.telling import Tell
from moderation.values.ids import UserId
from tests.door.offline import ANNA, MARK, OLGA, Offline, offline

OPERA = UserId("@opera:example.org")
RULES = """
[[rules]]
name = "wait"
text = {en = "No rumours.", zh = "不得造谣。"}
kind = "terms"
class = "serious"
decide = "manager"
terms = ["rumour"]
[[rules]]
name = "hide"
text = {en = "No insults.", zh = "不得辱骂。"}
kind = "terms"
class = "serious"
decide = "manager"
interim = "redact"
terms = ["frobnicator"]
[[rules]]
name = "hush"
text = {en = "No threats.", zh = "不得威胁。"}
kind = "terms"
class = "serious"
decide = "manager"
interim = "mute"
mute_for = "3d"
terms = ["volcano"]
[[rules]]
name = "auto"
text = {en = "No advertising.", zh = "不得发布广告。"}
kind = "terms"
class = "severe"
measure = "mute"
mute_for = "1h"
terms = ["elephant"]
[[rules]]
name = "banning"
text = {en = "No begging.", zh = "不得乞讨。"}
kind = "terms"
class = "serious"
measure = "ban"
ban_for = "3d"
terms = ["geyser"]
[[rules]]
name = "removing"
text = {en = "No gambling.", zh = "不得赌博。"}
kind = "terms"
class = "serious"
decide = "manager"
measure = "kick"
terms = ["lottery"]
"""
ONE_OPERATOR = f'operators = ["{OPERA}"]\n'
METADATA = '[records]\ncontent = "metadata"\n'


SITUATIONS = tomllib.loads(Path(__file__).with_name("notices.toml").read_text("utf-8"))
LANGUAGES = ("en", "zh")
PEOPLE = {"anna": ANNA, "mark": MARK, "olga": OLGA, "opera": OPERA}


async def messages(bot: Offline, *languages: str) -> list[list[str]]:
    """Return the messages to Anna that wait to be sent, each as it is sent in these languages, and send them."""
    speech = Speech(Catalog.load().with_prefix("!").with_clock(bot.time), bot.config.policy, "en")
    found = []
    for (action,) in await bot.rows("SELECT action FROM outbox WHERE action LIKE '%\"tell\"%' ORDER BY rowid"):
        word = from_json(json.loads(action))
        assert isinstance(word, Tell)
        if word.subject == ANNA:
            async with bot.stores.database.read() as db:
                names = [await names_in(db, word.lines, language, word.room) for language in languages]
            texts = zip(languages, names, strict=True)
            found.append([speech.text(word.lines, language, known).plain for language, known in texts])
    await bot.tell()
    return found


@pytest.mark.parametrize("mode", ["full", "metadata"])
@pytest.mark.parametrize("name", SITUATIONS)
async def test_the_person_judged_is_told(name: str, mode: str, tmp_path: Path) -> None:
    told = SITUATIONS[name]
    settings = (ONE_OPERATOR if told.get("one_operator") else "") + RULES + (METADATA if mode == "metadata" else "")
    steps = [(PEOPLE[who], words) for who, _, words in (step.partition(": ") for step in told["steps"])]
    async with offline(tmp_path, settings) as bot:
        await bot.membership(OPERA, "join")
        for who, words in steps[:-1]:
            await bot.say(who, words)
            await bot.post_cards()
            await messages(bot)
        await bot.say(*steps[-1])
        expected = [told[language].strip() for language in LANGUAGES]
        expected = [_without_words(text) for text in expected] if mode == "metadata" else expected
        assert await messages(bot, *LANGUAGES) == ([expected] if all(expected) else [])


SENT = {"You wrote: ": "You sent it on 24 Nov, 12:00 UTC.", "您写的是：": "该消息发送于 11月24日 12:00 UTC。"}
SEVERAL = {
    "You wrote: ": "There are 3 messages; you sent the first on 24 Nov, 12:00 UTC.",
    "您写的是：": "共 3 条消息，第一条发送于 11月24日 12:00 UTC。",
}


FOUND, STATED = ("Found by rule", "规则“"), ("Your message of", "您 11月24日")


def _without_words(text: str) -> str:
    """Return the text as it is where no words are kept: a message is named by its time."""
    lines = []
    for line in text.split("\n"):
        if line.startswith(FOUND):
            continue
        if line.startswith(STATED):
            line = line.split(": “")[0].split("：“")[0]
        start = next((start for start in SENT if line.startswith(start)), "")
        several = "first of" in line or "第一条" in line
        lines.append((SEVERAL if several else SENT)[start] if start else line)
    return "\n".join(lines)


async def test_a_long_message_is_quoted_in_part(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.say(ANNA, "frobnicator " + "x" * 300)
        ((told,),) = await messages(bot, "en")
    assert told.splitlines()[1] == f"You wrote: “frobnicator {'x' * 87}…”"
