"""A link opens the console once; sessions end."""

from bot.console.sessions import IDLE_MS, LINK_MS, LONGEST_MS, operator_sessions
from moderation.model.facts import ConsoleEnded
from tests.door.bot.console.browsing import ServedConsole, open_door
from tests.door.offline import ANNA, BOT, MARK, MINA, NOON, OLGA

MINUTE = 60_000


class TestALink:
    async def test_opens_the_console_for_an_operator(self, console: ServedConsole) -> None:
        async with console.browser() as browser:
            entered = await browser.post(console.link())
            assert (entered.status, entered.headers["Location"]) == (303, "/")
            assert (await browser.get("/cases")).status == 200

    async def test_is_not_used_up_by_a_preview(self, console: ServedConsole) -> None:
        link = console.link()
        async with console.browser() as preview, console.browser() as browser:
            assert "Open the console" in (await preview.get(link)).words
            assert (await preview.get("/cases")).status == 403
            assert (await browser.post(link)).status == 303

    async def test_says_whom_it_lets_in(self, console: ServedConsole) -> None:
        async with console.browser() as browser:
            assert "as root" in (await browser.get(console.link())).words
            assert OLGA in (await browser.get(console.link(OLGA))).words

    async def test_ends_the_session_before_it_in_the_same_browser(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert "somebody else" in (await browser.get(console.link(OLGA))).words
            await browser.post(console.link(OLGA))
            assert (await browser.get("/cases")).status == 200
        assert len(operator_sessions(console.bot.config.data_dir, console.bot.time())) == 1

    async def test_works_once(self, console: ServedConsole) -> None:
        link = console.link()
        async with console.browser() as first, console.browser() as second:
            assert (await first.post(link)).status == 303
            assert (await second.post(link)).status == 410
            assert (await second.get("/cases")).status == 403

    async def test_works_for_five_minutes(self, console: ServedConsole) -> None:
        link = console.link()
        console.bot.time.ms += LINK_MS + 1
        async with console.browser() as browser:
            assert (await browser.get(link)).status == 410
            assert (await browser.post(link)).status == 410

    async def test_of_the_future_opens_nothing(self, console: ServedConsole) -> None:
        link = console.link()
        console.bot.time.ms -= MINUTE
        async with console.browser() as browser:
            assert (await browser.post(link)).status == 410

    async def test_leaves_nothing_on_disk_that_opens_the_console(self, console: ServedConsole) -> None:
        link = console.link()
        async with console.browser() as browser:
            entered = await browser.post(link)
        cookie = entered.headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
        kept = [path.name + path.read_text() for path in console.bot.config.data_dir.glob("console/*/*")]
        assert kept
        assert not any(secret in each for each in kept for secret in (cookie, link.rpartition("/")[2]))

    async def test_that_was_made_up_opens_nothing(self, console: ServedConsole) -> None:
        async with console.browser() as browser:
            for ticket in ("0" * 64, "..%2F..%2Fstate.sqlite3", "-", "A" * 64):
                assert (await browser.post(f"/enter/{ticket}")).status == 410
        assert await console.bot.rows("SELECT 1 FROM meta")


class TestASession:
    async def test_ends_after_an_hour_without_a_request(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            console.bot.time.ms += IDLE_MS - MINUTE
            assert (await browser.get("/cases")).status == 200
            console.bot.time.ms += IDLE_MS - MINUTE
            assert (await browser.get("/cases")).status == 200
            console.bot.time.ms += IDLE_MS + 1
            assert (await browser.get("/cases")).status == 403

    async def test_ends_after_twelve_hours(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            for _ in range(LONGEST_MS // (30 * MINUTE)):
                console.bot.time.ms += 30 * MINUTE
                assert (await browser.get("/cases")).status == 200
            console.bot.time.ms += MINUTE
            assert (await browser.get("/cases")).status == 403

    async def test_ends_when_somebody_leaves(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert "logged out" in (await browser.post("/leave")).words
            assert (await browser.get("/cases")).status == 403
        assert operator_sessions(console.bot.config.data_dir, console.bot.time()) == []


class TestTheLanguage:
    async def test_is_the_browsers_unless_one_was_chosen(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert 'lang="zh"' in (await browser.get("/cases", **{"Accept-Language": "zh-CN,en;q=0.5"})).text
            chosen = await browser.post("/language", {"language": "zh", "back": "/cases?tab=all"})
            assert chosen.headers["Location"] == "/cases?tab=all"
            assert '<html lang="zh">' in (await browser.get("/cases", **{"Accept-Language": "en"})).text

    async def test_leads_to_no_other_site(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            for back in (
                "//evil.example",
                "https://evil.example/",
                "/\\evil.example",
                "javascript:alert(1)",
                "",
                "//[x",
                "/a\x00",
            ):
                assert (await browser.post("/language", {"language": "zh", "back": back})).headers["Location"] == "/"


class TestAPersonFromAChat:
    async def test_comes_in_by_a_link_once_and_sees_their_rooms(self, console: ServedConsole) -> None:
        async with open_door(console.bot), console.browser() as browser, console.browser() as other:
            link = f"/enter/{await console.ticket(MARK)}"
            assert "Open the console" in (await other.get(link)).words
            assert (await browser.post(link)).status == 303
            assert (await other.post(link)).status == 410
            page = await browser.get("/cases")
            assert (page.status, "1 · tickets" in page.words, MARK in page.words) == (200, True, True)

    async def test_sees_nothing_without_a_room_of_their_own(self, console: ServedConsole) -> None:
        async with console.person(ANNA) as browser:
            assert "Nothing here." in (await browser.get("/cases")).words
            assert (await browser.get("/cases/1")).status == 404

    async def test_sees_nothing_more_once_they_are_demoted_or_gone(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser, console.person(MINA) as other:
            assert (await browser.get("/cases/1")).status == 200
            await console.bot.levels(OLGA, {OLGA: 100, BOT: 100, MINA: 50})
            assert (await browser.get("/cases/1")).status == 404
            await console.bot.membership(MINA, "ban")
            assert (await other.get("/cases/1")).status == 404

    async def test_is_out_once_they_leave_their_direct_room(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            await console.bot.membership(MARK, "leave", await console.bot.direct(MARK))
            assert (await browser.get("/cases")).status == 403

    async def test_is_out_after_an_hour_without_a_request_and_after_twelve(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser, console.person(MINA) as other:
            console.bot.time.ms += IDLE_MS
            assert (await browser.get("/cases")).status == 200
            for _ in range(12):
                console.bot.time.ms += IDLE_MS
                last = await browser.get("/cases")
            assert last.status == 403
            assert (await other.get("/cases")).status == 403
            assert [(fact.why, fact.subject) for fact in console.bot.facts(ConsoleEnded)] == []
            console.bot.time.ms = NOON
        async with console.person(MARK) as browser:
            assert (await browser.get("/cases")).status == 200
            console.bot.time.ms += IDLE_MS + 1
            assert (await browser.get("/cases")).status == 403
            assert [(fact.why, fact.subject) for fact in console.bot.facts(ConsoleEnded)] == [("idle", MARK)]

    async def test_leaves_for_good_even_while_the_bot_does_not_run(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser, console.person(MINA) as other:
            kept = other.cookies()
            assert (await browser.post("/leave")).status == 200
            assert [fact.why for fact in console.bot.facts(ConsoleEnded)] == ["left"]
        async with console.browser() as other:
            other.take(kept)
            assert (await other.get("/cases")).status == 200, "reading needs no bot"
            assert (await other.post("/leave")).status == 200
            other.take(kept)
            assert (await other.get("/cases")).status == 403

    async def test_keeps_the_link_while_the_bot_does_not_run(self, console: ServedConsole) -> None:
        link = f"/enter/{await console.ticket(MARK)}"
        async with console.browser() as browser:
            answer = await browser.post(link)
            assert (answer.status, "does not run" in answer.words) == (503, True)
            async with open_door(console.bot):
                assert (await browser.post(link)).status == 303
