"""The pages of a person and of a room: what operators, managers here, managers elsewhere and nobody see of them."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from bot import app
from bot.admin.request import Request
from moderation.model.facts import ListChosen, RoomEntered, RoomStateChanged, SanctionStarted
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.bot.console.browsing import ServedConsole, served_console
from tests.door.offline import ANNA, BOT, MARK, MINA, OLGA, ROOM, RULES, Offline, offline

KITCHEN, KITCHEN_CODE = RoomId("!kitchen:example.org"), GroupCode("G-2222")
ELSA, CARL, NOBODY = (UserId(f"@{name}:example.org") for name in ("elsa", "carl", "nobody"))
KITCHEN_LEVELS = {"users": {str(ELSA): 100, str(BOT): 100}}


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    """Provide a bot with two groups: Anna is in the garden and the kitchen, Carl in the kitchen alone."""
    async with offline(tmp_path) as bot:
        people = (ELSA, ANNA, CARL)
        await bot.enter_room(KITCHEN, KITCHEN_CODE, "group", KITCHEN_LEVELS, "11", people, owner=ELSA)
        await bot.say(ANNA, "forbidden")
        await bot.say(OLGA, "!uphold 1 as agreed")
        yield bot


@pytest.fixture
async def console(bot: Offline) -> AsyncIterator[ServedConsole]:
    async with served_console(bot) as console:
        yield console


def notes(bot: Offline) -> list[dict[str, Any]]:
    """Return who looked at what, as it waits for the bot."""
    found = [orjson.loads(path.read_bytes()) for path in sorted((bot.config.data_dir / "spool").glob("access-*.json"))]
    return [{key: note[key] for key in ("by", "user", "filters") if key in note} for note in found]


class TestPerson:
    async def test_an_operator_sees_all_rooms_and_it_is_noted(self, bot: Offline, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = await browser.get(f"/people/{ANNA}")
            assert page.status == 200
            for words in ("credit 100, tier A", "All rooms 100", "G-7F3K 75", "G-2222 100", "Who looked"):
                assert words in page.words, words
            assert "Case 1: tickets, 24 Nov 2026" in (await browser.get(f"/people/{ANNA}?room=G-7F3K")).text
            assert 'href="/cases/1"' in page.text
            assert notes(bot) == [{"by": "root", "filters": {"what": "credit", "person": ANNA}}]
            await browser.get(f"/people/{ANNA}?room=G-2222")
            assert len(notes(bot)) == 1  # once a session

    async def test_a_manager_sees_what_chat_shows_of_their_room(self, bot: Offline, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            page = await browser.get(f"/people/{ANNA}")
        assert page.status == 200
        assert "credit 75, tier B" in page.words
        assert "−25 for “tickets” (case 1)" in page.words
        assert 'href="/cases/1"' in page.text
        assert [word for word in ("G-2222", "Who looked", "Accounts of") if word in page.words] == []
        assert notes(bot) == [{"user": MARK, "filters": {"what": "credit", "person": ANNA}}]

    async def test_a_measure_elsewhere_is_shown_to_the_operator_alone(
        self, bot: Offline, console: ServedConsole
    ) -> None:
        until = bot.time.ms + DAY_MS
        muted = SanctionStarted(
            room=KITCHEN, kind="mute", basis="command", until=until, by=ELSA, subject=ANNA, reach="G-2222"
        )
        await bot.pipeline.commit((muted,))
        async with console.operator() as operator, console.person(MARK) as mark, console.person(ELSA) as elsa:
            pages = [(await each.get(f"/people/{ANNA}")).words for each in (operator, mark, elsa)]
        assert ["Muted until" in words for words in pages] == [True, False, True]

    @pytest.mark.parametrize("user", [CARL, NOBODY, UserId("@x"), UserId("@" + "x" * 300)])
    async def test_a_manager_learns_nothing_of_people_elsewhere(
        self, bot: Offline, console: ServedConsole, user: UserId
    ) -> None:
        async with console.person(MARK) as browser:
            page, as_json = await browser.get(f"/people/{user}"), await browser.get(f"/people/{user}?as=json")
            by_room = await browser.get(f"/people/{ANNA}?room=G-2222")
        assert (page.status, as_json.status, by_room.status) == (404, 404, 404)
        assert "Nothing is known of this person" in page.words
        assert page.words == as_json.words == by_room.words
        assert notes(bot) == []

    async def test_who_left_is_shown_to_managers_for_thirty_days(self, bot: Offline, console: ServedConsole) -> None:
        await bot.membership(ANNA, "leave")
        bot.time.ms += 29 * DAY_MS
        async with console.person(MARK) as browser:
            assert (await browser.get(f"/people/{ANNA}")).status == 200
        bot.time.ms += 2 * DAY_MS
        async with console.person(MARK) as browser:
            assert (await browser.get(f"/people/{ANNA}")).status == 404
        async with console.operator() as browser:
            assert (await browser.get(f"/people/{ANNA}")).status == 200

    async def test_who_lost_their_rights_or_has_none_sees_nothing(self, bot: Offline, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            await bot.levels(OLGA, {OLGA: 100, BOT: 100, MINA: 50})
            assert [(await browser.get(path)).status for path in (f"/people/{ANNA}", "/rooms/G-7F3K")] == [404, 404]
            assert "Nobody fits" in (await browser.get("/people")).words
        async with console.person(ANNA) as browser:  # a member, about herself
            assert (await browser.get(f"/people/{ANNA}")).status == 404
        async with console.browser() as browser:
            answers = [await browser.get(path) for path in ("/people", f"/people/{ANNA}", "/rooms", "/rooms/G-7F3K")]
        assert all(each.status != 200 and "anna" not in each.text for each in answers)

    async def test_a_manager_about_themselves_leaves_no_note(self, bot: Offline, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            page = await browser.get(f"/people/{MARK}")
        assert (page.status, "points for duties" in page.words, notes(bot)) == (200, True, [])

    async def test_a_person_erased_meanwhile_is_a_clear_page(self, bot: Offline, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.get(f"/people/{ANNA}")).status == 200
            for room in (ROOM, KITCHEN):
                await bot.membership(ANNA, "leave", room)
            operations = app.make_operations(bot.config, bot.stores, bot.pipeline, bot.time)
            bot.time.ms += 400 * DAY_MS
            await operations.by_name()["erase"](Request({"person": ANNA}, "root"))
            async with console.operator() as later:
                page = await later.get(f"/people/{ANNA}")
        assert (page.status, "Nothing is kept about this person" in page.words) == (404, True)

    async def test_nothing_is_shown_that_cannot_be_noted(self, bot: Offline, console: ServedConsole) -> None:
        async with console.operator() as browser:
            (bot.config.data_dir / "spool").write_text("a file where the folder should be")
            page = await browser.get(f"/people/{ANNA}")
        assert (page.status, "credit" in page.words) == (503, False)

    async def test_it_is_json_if_asked(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            found = json.loads((await browser.get(f"/people/{ANNA}?as=json&room=G-7F3K")).text)
            whole = json.loads((await browser.get(f"/people/{ANNA}?as=json")).text)
        [entry] = found["entries"]
        of_the_terminal = "user person credit tier back_in_a in_force communities entries"
        assert set(of_the_terminal.split()) <= set(whole)
        assert whole["communities"] == [{"community": "G-7F3K", "credit": 75, "tier": "B"}]
        assert (found["user"], found["room"], found["credit"], found["standing"]) == (ANNA, "G-7F3K", 75, None)
        assert (entry["entry"], entry["cost"], entry["rule"], entry["case"]) == ("charge", 25, "tickets", 1)
        assert [each["n"] for each in found["cases"]] == [1]


class TestTheCreditInACase:
    async def test_is_shown_to_those_who_read_the_case_and_may_ask_for_it(self, console: ServedConsole) -> None:
        async with console.operator() as operator, console.person(MARK) as mark, console.person(ANNA) as anna:
            pages = [await each.get("/cases/1") for each in (operator, mark, anna)]
            await operator.post("/cases/1/read", {"reason": "Anna asked me to look"})
            pages.append(await operator.get("/cases/1"))
        assert [each.status for each in pages] == [200, 200, 404, 200]
        assert ["75 of 100 points now." in each.words for each in pages] == [False, True, False, True]

    async def test_is_not_shown_once_the_person_is_long_gone(self, bot: Offline, console: ServedConsole) -> None:
        await bot.membership(ANNA, "leave")
        bot.time.ms += 31 * DAY_MS
        async with console.person(MARK) as mark:
            page = await mark.get("/cases/1")
        assert (page.status, "points now" in page.words) == (200, False)


class TestRoom:
    async def test_it_shows_how_a_room_is(self, console: ServedConsole) -> None:
        async with console.operator() as operator, console.person(MARK) as mark:
            pages = [await each.get("/rooms/G-7F3K") for each in (operator, mark)]
        for page in pages:
            assert page.status == 200
            for words in ("protected", "On duty this week", "Messages: 2 in all", "Violations found: 1 in all"):
                assert words in page.words, words
            assert "tickets 1 0 1 0 0 100 %" in page.words
            assert f'href="/people/{MARK.replace("@", "%40").replace(":", "%3A")}"' in page.text

    async def test_it_is_json_as_at_the_terminal(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            [garden, _] = json.loads((await browser.get("/rooms?as=json")).text)
            whole = json.loads((await browser.get("/rooms/G-7F3K?as=json")).text)
        assert (garden["code"], garden["purpose"], garden["members"], garden["open_cases"]) == ("G-7F3K", "group", 5, 0)
        assert {key: whole[key] for key in garden} == garden
        assert (whole["roles"], whole["figures"][0]["precision"]) == ({"owner": 1, "manager": 2, "member": 2}, 1)

    async def test_it_lists_the_rules_that_hold_there_and_none_on_trial(self, bot: Offline) -> None:
        await bot.say(MARK, '!rule add ads terms "buy now"')
        await bot.say(MARK, '!rule add rumours terms "rumour" dry-run')
        async with served_console(bot) as console, console.operator() as browser:
            whole = json.loads((await browser.get("/rooms/G-7F3K?as=json")).text)
        assert [each["rule"] for each in whole["figures"]] == ["tickets", "ads"]

    async def test_only_its_managers_and_operators_see_it(self, console: ServedConsole) -> None:
        async with console.person(ELSA) as browser:
            paths = ("/rooms/G-7F3K", "/rooms/G-DE5K", "/rooms/G-0000", "/rooms/G-2222")
            assert [(await browser.get(path)).status for path in paths] == [404, 404, 404, 200]
            assert json.loads((await browser.get("/rooms?as=json")).text)[0]["code"] == "G-2222"
        async with console.operator() as browser:
            assert [(await browser.get(path)).status for path in paths] == [200, 404, 404, 200]

    async def test_its_id_leads_to_it_and_a_case_links_to_it_and_to_the_person(self, console: ServedConsole) -> None:
        async with console.person(MARK) as browser:
            case = (await browser.get("/cases/1")).text
            facts = case.partition("</dl>")[0]
            links = [
                part.partition('"')[0] for part in facts.split('href="') if part.startswith(("/people/", "/rooms/"))
            ]
            answers = [await browser.get(link) for link in links]
            assert (await browser.get("/rooms/!kitchen:example.org")).status == 404
        assert [each.status for each in answers] == [200, 303]
        assert (answers[1].headers["Location"], "credit 75" in answers[0].words) == ("/rooms/G-7F3K", True)

    async def test_it_names_the_policy_lists_that_count_there(self, bot: Offline, console: ServedConsole) -> None:
        chosen = ListChosen(room=ROOM, step="watched", list="cme", list_room="!l:x", reach="G-7F3K", by=MARK)
        await bot.pipeline.commit((chosen,))
        async with console.operator() as browser:
            garden, kitchen = await browser.get("/rooms/G-7F3K"), await browser.get("/rooms/G-2222")
        assert "cme: is only looked at" in garden.words
        assert f"chosen by {MARK}" in garden.words
        assert "cme" not in kitchen.words

    async def test_a_room_that_was_left_says_so(self, bot: Offline, console: ServedConsole) -> None:
        await bot.pipeline.commit((RoomStateChanged(room=KITCHEN, condition="left"),))
        async with console.operator() as operator, console.person(ELSA) as elsa:
            page, theirs = await operator.get("/rooms/G-2222"), await elsa.get("/rooms/G-2222")
        assert (page.status, theirs.status) == (200, 404)
        assert "The bot is no longer in this room." in page.words
        assert "On duty this week" not in page.words

    async def test_a_room_whose_records_were_purged_is_still_there(self, bot: Offline, console: ServedConsole) -> None:
        operations = app.make_operations(bot.config, bot.stores, bot.pipeline, bot.time, lambda: None)
        await bot.pass_time(800 * DAY_MS)
        await bot.pipeline.commit((RoomStateChanged(room=KITCHEN, condition="left"),))
        purged = await operations.by_name()["purge"](Request({}, "root"))
        assert purged["days"], purged
        async with console.operator() as browser:
            pages = [
                await browser.get(path) for path in ("/rooms/G-7F3K", "/rooms/G-2222", f"/people/{ANNA}", "/rooms")
            ]
        assert [each.status for each in pages] == [200] * 4
        assert "Messages: nothing." in pages[0].words

    async def test_an_upgraded_room_keeps_its_address(self, bot: Offline, console: ServedConsole) -> None:
        new = RoomId("!kitchen2:example.org")
        entered = RoomEntered(code=KITCHEN_CODE, purpose="group", served="-", room_id=new, room=KITCHEN, subject=ELSA)
        await bot.pipeline.commit((entered,))
        async with console.operator() as browser:
            assert json.loads((await browser.get("/rooms/G-2222?as=json")).text)["room"] == new


class TestLists:
    async def test_people_are_those_of_the_rooms_that_a_visitor_may_see(self, console: ServedConsole) -> None:
        async with console.operator() as operator, console.person(ELSA) as elsa:
            found = [json.loads((await each.get("/people?as=json")).text) for each in (operator, elsa)]
        users = [{each["user"] for each in people} - {BOT} for people in found]
        assert users == [{ANNA, CARL, ELSA, MARK, MINA, OLGA}, {ANNA, CARL, ELSA}]

    async def test_they_can_be_those_of_one_room(self, console: ServedConsole) -> None:
        async with console.operator() as operator, console.person(ELSA) as elsa:
            found = json.loads((await operator.get("/people?as=json&room=G-2222")).text)
            assert {each["user"] for each in found} - {BOT} == {ANNA, CARL, ELSA}
            answers = [await elsa.get(f"/people?room={code}") for code in ("G-2222", "G-7F3K", "G-DE5K", "G-0000")]
        assert [each.status for each in answers] == [200, 404, 404, 404]

    async def test_the_box_finds_and_jumps(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert [each["user"] for each in json.loads((await browser.get("/people?q=CARL&as=json")).text)] == [CARL]
            jumps = [await browser.get(path) for path in (f"/people?q={CARL}", "/rooms?q=g-2222")]
        assert [(each.status, each.headers["Location"]) for each in jumps] == [
            (303, "/people/%40carl%3Aexample.org"),
            (303, "/rooms/G-2222"),
        ]


HOSTILE = '</title><script>alert(1)</script>"\u202e{{7*7}}'


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_hostile_name_changes_no_markup(tmp_path: Path, language: str) -> None:
    async with offline(tmp_path) as bot:
        dora = UserId("@dora/../x:example.org")
        for user in (dora, MARK):
            await bot.event(user, "m.room.member", {"membership": "join", "displayname": HOSTILE}, key=user)
        await bot.event(OLGA, "m.room.name", {"name": HOSTILE}, key="")
        async with served_console(bot) as console, console.operator() as browser:
            await browser.post("/language", {"language": language, "back": "/"})
            listed = await browser.get("/people?q=dora")
            [address] = [part.partition('"')[0] for part in listed.text.split('href="')[1:] if "dora" in part[:30]]
            for path in ("/people", address, "/rooms", "/rooms/G-7F3K"):
                page = await browser.get(path)
                assert page.status == 200, path
                assert "<script>" not in page.text
                assert "\u202e" not in page.text
                assert f'<html lang="{language}">' in page.text
            for path in (
                "/people/%00",
                "/people/%FF",
                "/people?after=%00&q=%F0%9F",
                f"/people?q={'x' * 3000}",
            ):
                assert (await browser.get(path)).status in (200, 400, 404, 414), path


async def test_pages_with_many_cases_stay_small(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES.replace('decide = "manager"', 'decide = "auto"')) as bot:
        for _ in range(60):
            bot.time.ms += DAY_MS
            await bot.say(ANNA, "forbidden")
        async with served_console(bot) as console, console.operator() as browser:
            for path in (f"/people/{ANNA}", "/rooms/G-7F3K"):
                page = await browser.get(path)
                assert page.status == 200
                assert len(gzip.compress(page.text.encode())) <= 10_000, path
