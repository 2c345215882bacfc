"""A link opens the console once; sessions end."""

from bot.console.sessions import IDLE_MS, LINK_MS, LONGEST_MS, operator_sessions
from tests.door.bot.console.browsing import ServedConsole

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
        assert (console.bot.config.data_dir / "state.sqlite3").exists()


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
            for back in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""):
                assert (await browser.post("/language", {"language": "zh", "back": back})).headers["Location"] == "/"
