"""Cases decided in the console: shown first, decided by the bot, once, and only by those who may."""

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.runtime.asking import ask_bot
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from bot.texts.names import names_in
from moderation.model.actions.registry import from_json
from moderation.model.actions.telling import Tell
from moderation.model.facts import CaseClaimed, CaseDecided, CaseNoted, ConsoleCommand, ContentRead, CreditChanged
from moderation.values.durations import HOUR_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.bot.console.browsing import Answered, Browser, ServedConsole, open_door, served_console
from tests.door.bot.console.conftest import WORDS
from tests.door.offline import ANNA, BOT, MARK, MINA, OLGA, ROOM, RULES, offline

OP = UserId("@op:example.org")
WHY = "it was plainly forbidden"


def seen(page: Answered) -> str:
    found = re.search(r'name="seen" value="(\d+)"', page.text)
    assert found is not None, page.words[:800]
    return found[1]


async def form(browser: Browser, what: str, n: int = 1, **more: str) -> dict[str, str]:
    """Return the form of a decision as the page of the case makes it."""
    return {"what": what, "reason": WHY, "seen": seen(await browser.get(f"/cases/{n}")), **more}


async def is_told_as_shown(console: ServedConsole, what: str) -> list[str]:
    """Decide, and compare what the page said before with what the person is told; return the keys of that."""
    bot = console.bot
    async with console.person(MARK) as browser:
        asked = await form(browser, what)
        sure = await browser.post("/cases/1/decide", asked)
        quoted = sure.text[sure.text.index('class="quote"') :].partition("</div>")[0]
        await browser.post("/cases/1/decide", {**asked, "sure": "1"})
    like = '%"do": "tell"%'
    [row] = await bot.rows(f"SELECT action FROM outbox WHERE action LIKE '{like}' ORDER BY id DESC LIMIT 1")
    told = from_json(json.loads(row[0]))
    assert isinstance(told, Tell) and told.subject == ANNA
    speech = Speech(Catalog.load().with_prefix("!").with_zone("UTC"), bot.config.policy, "en")
    async with bot.stores.database.read() as db:
        names = await names_in(db, told.lines, "en", ROOM, about=[ANNA, MARK])
    assert re.findall(r"<p>(.*?)</p>", quoted, re.DOTALL) == [
        speech.text([line], "en", names).html.replace("https://matrix.to/#/@", "/people/@") for line in told.lines
    ]
    return [line.key for line in told.lines]


class TestAPerson:
    async def test_sees_what_follows_and_what_is_told_before_the_second_press(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            page = await browser.get("/cases/1")
            for words in (
                "25 points",
                "75 points would be left",
                "What the person is told",
                "Rule broken",
                "Not broken",
            ):
                assert words in page.words, words
            asked = await form(browser, "uphold")
            sure = await browser.post("/cases/1/decide", asked)
            assert (sure.status, WHY in sure.words, "75 points would be left" in sure.words) == (200, True, True)
            assert console.bot.facts(CaseDecided) == []
            assert (await browser.post("/cases/1/decide", {**asked, "sure": "1"})).status == 303
        [decided] = console.bot.facts(CaseDecided)
        assert (decided.by, decided.what, decided.reason) == (MARK, "upheld", WHY)
        [charged] = console.bot.facts(CreditChanged)
        assert charged.left == 75
        [command] = console.bot.facts(ConsoleCommand)
        assert (command.subject, command.words) == (MARK, f"uphold G-7F3K 1 {WHY}")

    @pytest.mark.parametrize("what", ["uphold", "dismiss"])
    async def test_is_told_just_what_the_page_said(self, console: ServedConsole, what: str) -> None:
        assert await is_told_as_shown(console, what)

    @pytest.mark.parametrize("measure", ["kick", "ban"])
    async def test_is_told_of_a_removal_what_the_page_said(self, tmp_path: Path, measure: str) -> None:
        rules = RULES.replace('decide = "manager"', f'decide = "manager"\nmeasure = "{measure}"')
        async with offline(tmp_path, rules) as bot:
            await bot.say(ANNA, WORDS)
            async with served_console(bot, rules) as console:
                assert f"notice.removed.{measure}" in await is_told_as_shown(console, "uphold")

    async def test_who_looks_at_a_case_that_moved_decides_nothing(self, console: ServedConsole) -> None:
        async with console.person(MARK) as first, console.person(MINA) as second:
            one, two = await form(first, "uphold", sure="1"), await form(second, "dismiss", sure="1")
            assert (await first.post("/cases/1/decide", one)).status == 303
            moved = await second.post("/cases/1/decide", two)
            assert (moved.status, "rule broken" in moved.words.lower(), WHY in moved.words) == (409, True, True)
            assert MARK in moved.words or "mark" in moved.words
            assert (await first.post("/cases/1/decide", one)).status == 409
        assert [fact.by for fact in console.bot.facts(CaseDecided)] == [MARK]

    async def test_is_told_when_the_bot_does_not_run_and_decides_nothing(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            asked, held = await form(browser, "uphold", sure="1"), browser.cookies()
        async with console.browser() as browser:
            browser.take(held)
            assert (await browser.get("/cases/1")).status == 200
            answer = await browser.post("/cases/1/decide", asked)
            assert (answer.status, "does not run" in answer.words) == (503, True)
            assert console.bot.facts(CaseDecided) == []
            async with open_door(console.bot):
                assert (await browser.post("/cases/1/decide", asked)).status == 303

    async def test_without_a_reason_cannot_dismiss_and_takes_a_usual_one(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            asked = await form(browser, "dismiss", reason="")
            assert (await browser.post("/cases/1/decide", asked)).status == 400
            usual = re.findall(r'name="usual" value="([^"]+)"', (await browser.get("/cases/1")).text)
            asked |= {"usual": usual[0], "sure": "1"}
            assert (await browser.post("/cases/1/decide", asked)).status == 303
        assert [(fact.what, fact.reason) for fact in console.bot.facts(CaseDecided)] == [("dismissed", usual[0])]

    async def test_reverses_a_decision_and_a_reason_is_no_fault_by_accident(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser, console.person(OLGA) as owner:
            assert (await browser.post("/cases/1/decide", await form(browser, "uphold", sure="1"))).status == 303
            assert "Change the decision" in (await owner.get("/cases/1")).words
            asked = await form(owner, "dismiss", sure="1", reason="error in the rule itself")
            assert (await owner.post("/cases/1/decide", asked)).status == 303
        assert [(fact.what, fact.reason) for fact in console.bot.facts(CaseDecided)][1:] == [
            ("dismissed", "– error in the rule itself")
        ]
        assert [fact.subject for fact in console.bot.facts(CreditChanged) if fact.ledger == "standing"] == []

    async def test_leads_to_the_message_and_its_people_in_short_words(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            page = await browser.get("/cases/1")
        assert 'via=example.org">open in Matrix</a>' in page.text
        assert f'<a href="/people/{ANNA}' in page.text
        assert re.findall(r">[^<]*matrix\.to|matrix\.to/#/@", page.text) == []

    async def test_leads_from_each_step_to_its_record_or_for_managers_to_the_proof(
        self, console: ServedConsole
    ) -> None:
        for visitor in (console.person(MARK), console.operator()):
            async with visitor as browser:
                links = re.findall(r'href="(/records/[^"]+)"', (await browser.get("/cases/1")).text)
                assert len(links) > 1
                for link in links:  # 409: not signed yet
                    assert (await browser.get(link)).status in (200, 409), link

    async def test_says_how_it_was_decided_and_how_that_is_changed(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            asked = await form(browser, "uphold", sure="1", reason="clear enough")
            assert (await browser.post("/cases/1/decide", asked)).status == 303
            page = await browser.get("/cases/1")
        async with console.operator() as browser:
            hidden = await browser.get("/cases/1")
        assert f"Decision rule broken · {MARK}" in page.words
        assert ("“clear enough”" in page.words, "clear enough" in hidden.words) == (True, False)
        assert "Pressed the wrong one" in page.words

    async def test_leaves_a_note_and_takes_the_case(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            assert (await browser.post("/cases/1/do", {"do": "note", "words": "look at <b>this</b>"})).status == 303
            assert (await browser.post("/cases/1/do", {"do": "claim"})).status == 303
            page = await browser.get("/cases/1")
            assert "look at <b>this</b>" not in page.text
            assert "look at &lt;b&gt;this" in page.text
            for wrong in ({"do": "note"}, {"do": "ban"}, {}, {"do": "note", "words": "x" * 600}):
                assert (await browser.post("/cases/1/do", wrong)).status == 400
            refused = await browser.post("/cases/1/do", {"do": "claim"})
            assert (refused.status, "case 1" in refused.words.lower()) == (400, True)
        assert [fact.by for fact in console.bot.facts(CaseNoted)] == [MARK]
        assert [fact.by for fact in console.bot.facts(CaseClaimed)] == [MARK]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"what": "ban"},
            {"seen": ""},
            {"seen": "-1"},
            {"seen": "9" * 30},
            {"reason": "x" * 600},
            {"also": "7:1"},
            {"also": "1:1"},
            {"also": "x"},
        ],
        ids=str,
    )
    async def test_that_presses_nonsense_is_told_so(self, console: ServedConsole, wrong: dict[str, str]) -> None:
        async with console.person(MARK) as browser:
            asked = await form(browser, "uphold", sure="1")
            assert (await browser.post("/cases/1/decide", asked | wrong)).status == 400
        assert console.bot.facts(CaseDecided) == []

    async def test_that_writes_what_hides_is_recorded_as_it_was_written(self, console: ServedConsole) -> None:
        reason = "a\u202e\" onfocus='x' </script>{{7*7}} 👨\u200d👩 \x00"
        async with console.person(MARK) as browser:
            asked = await form(browser, "uphold", reason=reason)
            sure = await browser.post("/cases/1/decide", asked)
            again = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', sure.text))
            assert html.unescape(again["reason"]) == reason
            assert (await browser.post("/cases/1/decide", {**asked, "sure": "1"})).status == 303
        assert [fact.reason for fact in console.bot.facts(CaseDecided)] == [reason]

    async def test_who_was_demoted_meanwhile_finds_nothing(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            asked = await form(browser, "uphold", sure="1")
            await console.bot.levels(OLGA, {OLGA: 100, BOT: 100})
            assert (await browser.post("/cases/1/decide", asked)).status == 404
        assert console.bot.facts(CaseDecided) == []


class TestSeveralCases:
    async def test_about_one_person_and_rule_are_decided_one_after_the_other(self, console: ServedConsole) -> None:
        bot = console.bot
        for _ in range(2):
            bot.time.ms += 3_600_000 * 30
            await bot.say(ANNA, "it is forbidden once more")
        async with console.person(MARK) as browser:
            page = await browser.get("/cases/2")
            also = re.findall(r'name="also" value="(\d+:\d+)"', page.text)
            assert [each.partition(":")[0] for each in also] == ["3", "1"]
            asked = await form(browser, "dismiss", 2, also=also[0])
            assert "Decided in the same way" in (await browser.post("/cases/2/decide", asked)).words
            assert (await browser.post("/cases/2/decide", {**asked, "sure": "1", "next": "1"})).headers[
                "Location"
            ] == "/cases/1"
        assert [fact.n for fact in bot.facts(CaseDecided)] == [2, 3]


class TestAnOperator:
    @pytest.fixture
    async def console(self, tmp_path: Path) -> AsyncIterator[ServedConsole]:
        """Serve a console of a deployment with an operator."""
        of_bot = f'operators = ["{OP}"]\n'
        async with offline(tmp_path, of_bot + RULES) as bot:
            await bot.say(ANNA, WORDS)
            async with served_console(bot, of_bot=of_bot) as served:
                yield served

    async def test_decides_under_the_name_given_at_the_terminal(self, console: ServedConsole) -> None:
        async with console.operator(OP) as browser, open_door(console.bot):
            asked = await form(browser, "uphold")
            assert (await browser.post("/cases/1/decide", asked | {"reason": "??"})).status == 400
            assert (await browser.post("/cases/1/decide", asked)).status == 200
            assert (await browser.post("/cases/1/decide", asked | {"sure": "1"})).status == 303
            assert (await browser.post("/cases/1/decide", asked | {"sure": "1"})).status == 409
        [decided] = console.bot.facts(CaseDecided)
        assert (decided.by, decided.reason) == (OP, WHY)
        [noted] = [fact for fact in console.bot.facts(ContentRead) if fact.what == "decide uphold"]
        assert (noted.by, noted.reader) == (OP, "root")

    async def test_sees_what_would_be_told_only_after_saying_why_they_read(self, console: ServedConsole) -> None:
        async with console.operator(OP) as browser, open_door(console.bot):
            asked = await form(browser, "uphold")
            for page in (await browser.get("/cases/1"), await browser.post("/cases/1/decide", asked)):
                assert (page.status, WORDS in page.words, "quotes what they said" in page.words) == (200, False, True)
            assert (await browser.post("/cases/1/read", {"reason": "to decide the case"})).status == 303
            page = await browser.post("/cases/1/decide", asked)
            assert (WORDS in page.words, "quotes what they said" in page.words) == (True, False)

    async def test_without_a_name_only_reads(self, console: ServedConsole) -> None:
        async with console.operator() as browser, open_door(console.bot):
            assert "names no operator" in (await browser.get("/cases/1")).words
            asked = {"what": "uphold", "seen": "1", "reason": WHY, "sure": "1"}
            assert (await browser.post("/cases/1/decide", asked)).status == 400
            assert (await browser.post("/cases/1/do", {"do": "claim"})).status == 400
        assert console.bot.facts(CaseDecided) == []


async def test_a_link_from_chat_gives_an_operator_what_a_manager_may_and_nothing_elsewhere(tmp_path: Path) -> None:
    of_bot, kitchen = f'operators = ["{MARK}"]\n', RoomId("!kitchen:example.org")
    async with offline(tmp_path, of_bot + RULES) as bot, served_console(bot, of_bot=of_bot) as console:
        levels = {"users": {str(OLGA): 100, str(BOT): 100}}
        await bot.enter_room(kitchen, GroupCode("G-2222"), "group", levels, "11", (OLGA, MARK, ANNA))
        for room in (ROOM, ROOM, kitchen):
            bot.time.ms += 30 * HOUR_MS
            await bot.say(ANNA, WORDS, room)
        async with console.person(MINA) as mina, console.person(MARK) as mark:
            assert (await mina.post("/cases/1/decide", await form(mina, "dismiss", sure="1"))).status == 303
            assert 'name="seen"' not in (await mark.get("/cases/1")).text  # reversing others is for the owner
            assert (await mark.post("/cases/2/decide", await form(mark, "uphold", 2, sure="1"))).status == 303
            assert (await mark.get("/cases/3")).status == 404
            [session] = mark.cookies().values()
            for words in ("uphold 1 it was", "uphold 3 it was", "close G-7F3K", f"mute G-2222 {ANNA} 1h"):
                done = await ask_bot(bot.config.data_dir, "command", {"session": session, "words": words})
                assert (words, done["refused"]) == (words, True)
        assert [(fact.n, fact.by) for fact in bot.facts(CaseDecided)] == [(1, MINA), (2, MARK)]
        assert [fact.reach for fact in bot.facts(CreditChanged)] == ["G-7F3K"]  # an operator's would count everywhere


async def test_an_operator_dismisses_together_what_one_dismissal_takes_in(tmp_path: Path) -> None:
    of_bot = f'operators = ["{OP}"]\n'
    settings = f'{RULES}[credit]\nincident_window = "1m"\n'
    async with offline(tmp_path, of_bot + settings) as bot, served_console(bot, settings, of_bot) as console:
        for words in ("not nice", "not nice either"):  # two cases on one card: one person reported both
            bot.time.ms += 120_000
            message = await bot.event(ANNA, "m.room.message", {"msgtype": "m.text", "body": words})
            relates = {"rel_type": "m.annotation", "event_id": message, "key": "🚩"}
            await bot.event(MINA, "m.reaction", {"m.relates_to": relates})
        async with console.operator(OP) as browser, open_door(bot):
            [also] = re.findall(r'name="also" value="(2:\d+)"', (await browser.get("/cases/1")).text)
            asked = await form(browser, "dismiss", also=also, sure="1")
            assert (await browser.post("/cases/1/decide", asked)).status == 303
        assert [(fact.n, fact.by) for fact in bot.facts(CaseDecided)] == [(1, OP), (2, OP)]
