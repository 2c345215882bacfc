"""Labels of plug-ins: rules judge by what is recorded of an answer, and nothing waits for one."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.effects.ask_plugin import PluginAsker
from bot.effects.fetch_file import FileFetcher
from bot.matrix.client import Session
from bot.pipeline.plugin_questions import PATIENCE_MS
from bot.plugins.plugins import FAILURES, Plugins
from moderation.model.actions.files import AskPlugin
from moderation.model.facts import (
    ActionTaken,
    CaseDecided,
    CaseOpened,
    CreditChanged,
    FileLabelled,
    Found,
    SanctionStarted,
    StatementGiven,
)
from tests.door.judged_again import judged_again
from tests.door.offline import ANNA, MARK, Offline, offline
from tests.fakes.plugin import SOCKET, Behaviour, plugin, says
from tests.theatre.scene import Theatre
from tests.theatre.served import ServedBot

RULES = f"""
[[plugins]]
name = "pictures"
socket = "../{SOCKET}"
kinds = ["image", "sticker"]
within = "30s"
[[plugins]]
name = "unused"
socket = "unused.sock"
[[rules]]
name = "huge-pictures"
kind = "labels"
class = "serious"
plugin = "pictures"
labels = {{ huge = 900 }}
interim = "redact"
"""
WORDS = '[[rules]]\nname = "elephants"\nkind = "terms"\nterms = ["purple elephant"]\n'
AT_ONCE = RULES + 'decide = "auto"\n'
HUGE = b'{"labels": {"huge": 930, "dull": 10}}\n'
FINE = b'{"labels": {"huge": 12}}\n'


class Files:
    """The files of a homeserver: each is its own address."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def download(self, mxc: str, *, at_most: int) -> bytes:
        del at_most
        self.fetched.append(mxc)
        await asyncio.sleep(0)
        return mxc.encode()


def image(name: str = "a", msgtype: str = "m.image") -> dict[str, Any]:
    return {"msgtype": msgtype, "body": f"{name}.png", "url": f"mxc://example.org/{name}"}


def asker_of(bot: Offline) -> PluginAsker:
    files = FileFetcher(Files(), 1_000_000)  # type: ignore[arg-type]
    config = bot.config
    return PluginAsker(files, Plugins(config.plugins, config.file.parent), config.policy.rules, bot.time)


async def answer(bot: Offline, asker: PluginAsker | None = None) -> None:
    """Ask what waits to be asked, as the dispatcher would."""
    asker = asker or asker_of(bot)
    for row in await bot.waiting():
        if isinstance(row.action, AskPlugin):
            done = await asker.handle(row.action, row.txn)
            taken = ActionTaken(room=row.action.room, on=row.record, action="ask-plugin", result="done", txn=row.txn)
            await bot.pipeline.commit((*done.facts, taken), of_row=row.txn)


async def asked(bot: Offline) -> list[str]:
    return [row.action.url[-1] for row in await bot.waiting() if isinstance(row.action, AskPlugin)]


async def removed(bot: Offline) -> list[str]:
    found = "SELECT json_extract(action, '$.event') FROM outbox WHERE json_extract(action, '$.do') = 'redact'"
    return [event for (event,) in await bot.rows(found)]


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    (tmp_path / "bot").mkdir()
    yield tmp_path / "bot"


async def labelled(folder: Path, behaviour: Behaviour, rules: str = RULES) -> Mapping[str, object]:
    """Post a picture, let the plug-in behave so, and return what followed."""
    async with plugin(folder.parent, behaviour), offline(folder, rules) as bot:
        event = await bot.event(ANNA, "m.room.message", image())
        await answer(bot)
        return {
            "labels": [(fact.plugin, fact.result, fact.labels, fact.subject) for fact in bot.facts(FileLabelled)],
            "cases": [(fact.rule, fact.decide, fact.state, fact.subject) for fact in bot.facts(CaseOpened)],
            "charged": len(bot.facts(CreditChanged)),
            "removed": [each == event for each in await removed(bot)],
        }


async def test_a_manager_decides_about_a_label_and_what_it_is_about_is_hidden_meanwhile(folder: Path) -> None:
    assert await labelled(folder, says(HUGE)) == {
        "labels": [("pictures", "done", '{"huge": 930}', ANNA)],  # not the label that no rule asks about
        "cases": [("huge-pictures", "manager", "open", ANNA)],
        "charged": 0,
        "removed": [True],
    }


async def test_a_rule_may_act_at_once(folder: Path) -> None:
    found = await labelled(folder, says(HUGE), AT_ONCE.replace('interim = "redact"\n', ""))
    assert found["cases"] == [("huge-pictures", "auto", "decided", ANNA)]
    assert (found["charged"], found["removed"]) == (1, [True])


@pytest.mark.parametrize(
    ("said", "result", "labels"),
    ((FINE, "done", '{"huge": 12}'), (b'{"labels": {}}\n', "done", ""), (b"", "gone", ""), (b"yes\n", "wrong", "")),
)
async def test_without_a_label_that_reaches_its_limit_nothing_follows(
    folder: Path, said: bytes, result: str, labels: str
) -> None:
    assert await labelled(folder, says(said)) == {
        "labels": [("pictures", result, labels, ANNA)],
        "cases": [],
        "charged": 0,
        "removed": [],
    }


async def test_the_finding_names_the_score_and_the_message(folder: Path) -> None:
    async with plugin(folder.parent, says(HUGE)), offline(folder, RULES) as bot:
        event = await bot.event(ANNA, "m.room.message", image())
        await answer(bot)
        ((index, known),) = bot.recorded(FileLabelled)
        (found,), (case,) = bot.facts(Found), bot.facts(CaseOpened)
        assert (found.on, found.matched, found.count, found.limit) == (index, "huge", 930, 900)
        assert (case.on, case.message, case.event, case.excerpt) == (index, known.on, event, "a.png")


async def test_the_statement_of_a_decision_by_itself_says_what_was_found(folder: Path) -> None:
    async with plugin(folder.parent, says(HUGE)), offline(folder, AT_ONCE.replace('interim = "redact"\n', "")) as bot:
        await bot.event(ANNA, "m.room.message", image())
        await answer(bot)
        (stated,) = bot.facts(StatementGiven)
        (found,) = json.loads(stated.statement)["findings"]
        assert (found["rule"], found["matched"], found["count"], found["limit"]) == ("huge-pictures", "huge", 930, 900)


async def test_only_files_that_a_rule_waits_for_are_asked_about(folder: Path) -> None:
    async with offline(folder, RULES) as bot:
        for msgtype in ("m.file", "m.video", "m.text"):
            await bot.event(ANNA, "m.room.message", image(msgtype, msgtype))
        await bot.event(MARK, "m.sticker", image("s"))
        await bot.event(ANNA, "m.room.message", image("i"))
        assert await asked(bot) == ["s", "i"]
    elsewhere = RULES + 'rooms = ["G-ACDE"]\n'
    async with offline(folder.parent / "other", elsewhere) as bot:
        await bot.event(ANNA, "m.room.message", image())
        assert await asked(bot) == []


async def test_a_plugin_is_asked_once_about_a_file(folder: Path) -> None:
    seen: list[Any] = []
    async with plugin(folder.parent, says(HUGE, seen)), offline(folder, RULES) as bot:
        asker = asker_of(bot)
        events = [await bot.event(ANNA, "m.room.message", image()) for _ in range(3)]
        await answer(bot, asker)
        assert (len(seen), len(bot.facts(FileLabelled)), len(bot.facts(CaseOpened))) == (1, 3, 1)
        assert sorted(await removed(bot)) == sorted(events)


async def test_a_plugin_that_is_away_is_left_alone_and_an_old_question_given_up(folder: Path) -> None:
    async with offline(folder, RULES) as bot:
        asker = asker_of(bot)
        for number in range(FAILURES + 1):
            await bot.event(ANNA, "m.room.message", image(str(number)))
        await answer(bot, asker)
        seen: list[Any] = []
        async with plugin(folder.parent, says(HUGE, seen)):
            await bot.event(ANNA, "m.room.message", image("x"))
            await answer(bot, asker)  # it rests
            await bot.event(ANNA, "m.room.message", image("y"))
            bot.time.ms += PATIENCE_MS + 1
            await answer(bot)
        results = [fact.result for fact in bot.facts(FileLabelled)]
        assert (results, seen) == (["gone"] * (FAILURES + 2) + ["late"], [])
        assert (bot.facts(Found), await asked(bot)) == ([], [])


async def test_what_a_stop_left_unjudged_is_judged_from_the_record_without_the_plugin(folder: Path) -> None:
    async with plugin(folder.parent, says(HUGE)), offline(folder, RULES) as bot:
        event = await bot.event(ANNA, "m.room.message", image())
        (row,) = [row for row in await bot.waiting() if isinstance(row.action, AskPlugin)]
        assert isinstance(row.action, AskPlugin)
        done = await asker_of(bot).handle(row.action, row.txn)
        bot.stores.journal.append([bot.pipeline.processor.draft_of(done.facts[0], bot.time())])
        bot.stores.journal.sync()  # stopped after the first of the records that are written together
    async with offline(folder, RULES) as bot:  # the plug-in is away
        assert await removed(bot) == [event]
        assert len(bot.facts(CaseOpened)) == 1
        taken = ActionTaken(room=row.action.room, on=row.record, action="ask-plugin", result="done", txn=row.txn)
        (known,) = done.facts
        assert isinstance(known, FileLabelled)
        again = replace(known, result="gone", labels="")
        await bot.pipeline.commit((again, taken), of_row=row.txn)  # the question is repeated: the first answer holds
        assert len(bot.facts(FileLabelled)) == len(bot.facts(CaseOpened)) == 1
        assert await asked(bot) == []


async def test_recorded_labels_are_judged_again_without_the_plugin(folder: Path) -> None:
    async with plugin(folder.parent, says(HUGE)), offline(folder, RULES) as bot:
        await bot.event(ANNA, "m.room.message", image())
        await answer(bot)
        brought = await judged_again(bot, folder)
        ((on, known),) = bot.recorded(FileLabelled)
        recorded = [fact for kind in (Found, CaseOpened, SanctionStarted) for fact in bot.facts(kind)]
        assert {fact.on for fact in recorded} == {on}
        assert brought[known.on] == [replace(fact, on=known.on) for fact in recorded]


async def test_a_manager_is_not_acted_against_by_a_label(folder: Path) -> None:
    async with plugin(folder.parent, says(HUGE)), offline(folder, AT_ONCE.replace('interim = "redact"\n', "")) as bot:
        await bot.event(MARK, "m.room.message", image())
        await answer(bot)
        assert [fact.state for fact in bot.facts(CaseOpened)] == ["open"]
        assert bot.facts(SanctionStarted) == []


async def test_a_silent_plugin_holds_up_nothing_and_its_late_word_becomes_a_case(
    theatre: Theatre, tmp_path: Path
) -> None:
    speak = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await speak.wait()
        writer.write(HUGE)
        await writer.drain()

    async with plugin(tmp_path, silent) as socket:
        rules = RULES.replace(f"../{SOCKET}", str(socket))
        scene = await theatre.scene(rules + WORDS, members=1)
        bot, room, (ann,), (manager,) = scene.bot, scene.room, scene.members, scene.managers
        port = theatre.stage.port(Session(ann.url, ann.user, "TEST", ann.token))
        address = await port.upload(b"a picture", "image/png", "cat.png")
        pictures = [await ann.send(room, "m.room.message", image() | {"url": address, "body": n}) for n in "abcdef"]
        said = await ann.send_text(room, "a purple elephant")
        await bot.until(lambda: _gone(bot) == {said}, "the words removed")
        assert bot.facts(FileLabelled) == []
        speak.set()
        await bot.until(lambda: _gone(bot) == {said, *pictures}, "the pictures hidden")
        card = await scene.card(manager, 2)
        said_of_it = "Found in a file by the plug-in pictures: huge ≥ 900"
        assert said_of_it in card.content["body"]
        assert "Found in a file name" not in card.content["body"]
        await manager.react(scene.desk, card.id, "❌")
        await bot.until(lambda: [fact.what for fact in bot.facts(CaseDecided)] == ["dismissed"], "the decision")


def _gone(bot: ServedBot) -> set[str]:
    return {fact.event for fact in bot.facts(ActionTaken) if fact.action == "redact" and fact.result == "done"}
