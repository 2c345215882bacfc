"""The queue, and one case."""

import json
import re
from pathlib import Path

import pytest

from bot.console.pages.cases import MOST_CHIPS
from moderation.model.facts import ContentRead
from moderation.values.access_reasons import GLANCES
from moderation.values.ids import UserId
from storage.journal.access import FOLDER
from storage.projections.common import set_meta
from tests.door.bot.console.browsing import ServedConsole, served_console
from tests.door.bot.console.conftest import WORDS
from tests.door.bot.pipeline.test_listed_servers import watching
from tests.door.lists import entries
from tests.door.offline import ANNA, OLGA, offline
from tests.unit.moderation.lists.made import made


def notes(console: ServedConsole) -> list[str]:
    """Return what was noted to be read of people's words."""
    paths = (console.bot.config.data_dir / FOLDER).glob("access-*.json")
    said = [json.loads(path.read_bytes())["filters"]["what"] for path in paths]
    return [what for what in said if what not in GLANCES]


class TestTheQueue:
    async def test_shows_what_waits_without_what_people_wrote(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = await browser.get("/cases")
        assert "1 · tickets" in page.words
        assert "serious" in page.words
        assert "forbidden" not in page.words

    async def test_is_narrowed_by_a_filter(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert "Nothing here." in (await browser.get("/cases?grade=minor")).words
            assert "1 · tickets" in (await browser.get("/cases?grade=serious")).words
            assert "Nothing here." in (await browser.get("/cases?tab=decided")).words

    @pytest.mark.parametrize(
        "query", ["tab=x", "after=x", "after=-1-2", "after=1-99999999999999999", "grade=%00", "n=%F0"]
    )
    async def test_bears_any_query(self, console: ServedConsole, query: str) -> None:
        async with console.operator() as browser:
            assert (await browser.get(f"/cases?{query}")).status == 200

    async def test_offers_the_most_frequent_choices_and_the_one_that_was_made(self, console: ServedConsole) -> None:
        case = "SELECT n + {n}, record, room, subject, person, 'rule-{n}', grade, decide, manages, state, opened, due"
        columns = "n, record, room, subject, person, rule, grade, decide, manages, state, opened, due"
        async with console.bot.stores.database.write() as db:
            for n in range(1, 41):
                more = f"INSERT INTO cases ({columns}, outcome, decided, by, reason, excerpt, card)"
                await db.exec_driver_sql(f"{more} {case.format(n=n)}, '', 0, '', '', '', '' FROM cases WHERE n = 1")
        async with console.operator() as browser:
            page = await browser.get("/cases?rule=rule-9")
        assert len(re.findall(r'href="/cases\?rule=', page.text)) == MOST_CHIPS
        assert '<a href="/cases" aria-current="true">rule-9' in page.text

    async def test_is_given_as_json(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            [case] = json.loads((await browser.get("/cases?as=json")).text)
        assert (case["n"], case["subject"], case["class"]) == (1, ANNA, "serious")

    async def test_is_noted_as_a_look(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            await browser.get("/cases")
            await browser.get("/cases?tab=all")
            await browser.get("/cases/1")
        await console.bot.scheduler.do_what_is_due()
        looks = {(each.what, each.n, each.subject) for each in console.bot.facts(ContentRead)}
        assert looks == {("cases", 0, UserId("")), ("case", 1, ANNA)}


class TestACase:
    async def test_hides_what_was_said_until_an_operator_says_why(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert WORDS not in (await browser.get("/cases/1")).text
            assert (await browser.post("/cases/1/read", {"reason": "Anna asked me to look"})).status == 303
            page = await browser.get("/cases/1")
        assert "it is" in page.words
        assert "good morning" in page.words

    async def test_is_noted_when_it_is_read(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.get("/cases/1")).status == 200
            assert notes(console) == []
            await browser.post("/cases/1/read", {"reason": "Anna asked me to look"})
            assert len(notes(console)) == 1
            await browser.get("/cases/1")
            await browser.post("/cases/1/read", {"reason": "once more"})
            assert len(notes(console)) == 1, "once a session"
        await console.bot.scheduler.do_what_is_due()
        [read] = [each for each in console.bot.facts(ContentRead) if each.what not in GLANCES]
        assert (read.subject, read.reader, read.reason, read.n) == (ANNA, "root", "Anna asked me to look", 1)
        assert read.by == UserId("")

    @pytest.mark.parametrize("reason", ["", "   ", "aaaa", "??????"])
    async def test_stays_hidden_without_a_reason_in_words(self, console: ServedConsole, reason: str) -> None:
        async with console.operator() as browser:
            answer = await browser.post("/cases/1/read", {"reason": reason})
            assert answer.status == 400
            assert "why you need to read" in answer.words
            assert "it is" not in (await browser.get("/cases/1")).words
        assert notes(console) == []

    async def test_is_not_shown_if_the_reading_cannot_be_noted(self, console: ServedConsole) -> None:
        spool = console.bot.config.data_dir / FOLDER
        spool.rmdir() if spool.exists() else None
        spool.write_text("a file where the folder should be")
        async with console.operator() as browser:
            answer = await browser.post("/cases/1/read", {"reason": "Anna asked me to look"})
            assert answer.status == 503
            assert "could not keep" in answer.words
            assert "it is" not in (await browser.get("/cases/1")).words

    async def test_gives_what_the_decider_wrote_as_json_after_a_reason_alone(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            await console.bot.say(OLGA, "!uphold 1 as agreed")
            assert json.loads((await browser.get("/cases/1?as=json")).text)["reason"] == ""
            await browser.post("/cases/1/read", {"reason": "Anna asked me to look"})
            assert json.loads((await browser.get("/cases/1?as=json")).text)["reason"] == "as agreed"

    async def test_says_what_follows(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = await browser.get("/cases/1")
        assert "If the rule was broken" in page.words
        assert "25 points" in page.words
        assert "If nobody decides in time, the case goes to the owner, then to the operator." in page.words

    async def test_says_when_the_bot_is_down(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert "The bot does not run" in (await browser.get("/cases")).words
            async with console.bot.stores.database.write() as db:
                await set_meta(db, "alive", str(console.bot.time()))
            assert "The bot does not run" not in (await browser.get("/cases")).words

    @pytest.mark.parametrize("n", ["0", "2", "99999999999999999999", "x", "1.5", "-1", "%00", "１"])
    async def test_that_is_not_there_is_not_found(self, console: ServedConsole, n: str) -> None:
        async with console.operator() as browser:
            assert (await browser.get(f"/cases/{n}")).status == 404

    async def test_with_a_damaged_record_says_so(self, console: ServedConsole) -> None:
        [day] = (console.bot.config.data_dir / "records" / "day").glob("*.jsonl")
        day.write_bytes(day.read_bytes().replace(b"it is forbidden", b"it is\n forbidden"))
        async with console.operator() as browser:
            await browser.post("/cases/1/read", {"reason": "Anna asked me to look"})
            page = await browser.get("/cases/1")
        assert page.status == 200
        assert "cannot be read" in page.words


async def test_a_case_about_a_server_says_which_and_which_list(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose")) as bot:
        await bot.membership(UserId("@spammer:bad.example"), "join")
        await entries(bot, made("server", "bad.example"), room=None)
        async with served_console(bot) as console, console.operator() as browser:
            page = await browser.get("/cases/1")
            assert "bad.example : a server that the list cme names (people of the room on it then: 1)" in page.words
            assert "server on a ban list serious (nobody in particular)" in page.words
            assert "(erased)" not in page.words
            assert "keeps the server out" in page.words
