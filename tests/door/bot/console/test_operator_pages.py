"""The pages about the whole: overview, duty, figures, settings, standing, tasks, files on people, barred people."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moderation.model.facts import CreditChanged, DossierStep, RosterChanged, TaskDone, TaskOpened
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from storage.journal.access import FOLDER
from tests.door.bot.console.browsing import Browser, ServedConsole, open_door, served_console
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, ROOM, RULES, offline

OPERATOR, ELSA = UserId("@op:example.org"), UserId("@elsa:example.org")
OTHER = RoomId("!other:example.org")
SETTINGS = f'{RULES}[alerts]\nwebhook = "https://hooks.example.org/services/T0/very-secret"\n'
OPERATORS = f'operators = ["{OPERATOR}"]\n'


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[ServedConsole]:
    """Serve a console whose configuration names an operator; case 1, about Anna, was upheld."""
    async with offline(tmp_path, OPERATORS + RULES) as bot:
        await bot.say(ANNA, "it is forbidden here")
        await bot.say(MARK, "!uphold 1 said it before", room=DESK)
        async with served_console(bot, of_bot=OPERATORS) as served:
            yield served


async def said(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status == 200, answer.text
    return answer.words


async def given(browser: Browser, path: str) -> object:
    return json.loads((await browser.get(f"{path}as=json")).text)


class TestTheOverview:
    async def test_says_what_needs_a_person_and_how_log_and_bot_are(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = await said(browser, "/")
            found = await given(browser, "/?")
        assert "1 · tickets" in page
        assert "Messages: 2 in all" in page
        assert "Violations: 1 in all" in page
        assert "does not reach its homeserver" in page
        assert isinstance(found, dict)
        assert (found["waiting"], found["tasks"], found["bot"]["is_silent"]) == (1, 0, True)
        assert found["log"]["records"] > found["log"]["signed"] > 0

    async def test_tells_of_tasks_and_that_the_bot_is_well(self, console: ServedConsole) -> None:
        await console.bot.pipeline.commit((TaskOpened(room=ROOM, task="room"),))
        await console.bot.pass_time(1_000)
        async with console.operator() as browser:
            page = await said(browser, "/")
        assert "Tasks for the operator: 1" in page
        assert "does not reach its homeserver" not in page


class TestDuty:
    async def test_shows_the_hours_without_anybody(self, console: ServedConsole) -> None:
        hours = RosterChanged(room=ROOM, subject=MARK, hours="mon-fri 08:00-18:00 UTC")
        await console.bot.pipeline.commit((hours,))
        async with console.operator() as browser:
            page = await said(browser, "/duty/G-7F3K")
            found = await given(browser, "/duty?room=G-7F3K&")
        assert "Nobody is on duty in 0 of" not in page
        assert "mon-fri 08:00-18:00 UTC" in page
        assert isinstance(found, dict)
        assert (found["on_duty"], found["hours"]) == ([MARK], {MARK: "mon-fri 08:00-18:00 UTC"})
        assert len(found["week"]) == 168

    @pytest.mark.parametrize("room", ["G-0000", "G-DE5K", "%00", "x" * 300])
    async def test_of_another_room_is_not_there(self, console: ServedConsole, room: str) -> None:
        async with console.operator() as browser:
            assert (await browser.get(f"/duty?room={room}")).status == 404
            assert (await browser.get(f"/duty/{room}")).status == 404


class TestFigures:
    async def test_are_those_of_a_period(self, operated: ServedConsole) -> None:
        async with operated.operator() as browser:
            page = await said(browser, "/figures?since=2026-11-01&until=2026-11-30")
            found = await given(browser, "/figures?since=2026-11-01&until=2026-11-30&")
            before = await given(browser, "/figures?since=2026-10-01&until=2026-10-31&")
        assert "Found by a rule 1" in page
        assert isinstance(found, dict)
        assert isinstance(before, dict)
        assert (found["found"], found["rules"][0]["upheld"], found["until_decided"]) == ({"automatically": 1}, 1, 0)
        assert (before["found"], before["rules"]) == ({}, [])

    async def test_offer_the_months_and_years_around_today(self, operated: ServedConsole) -> None:
        async with operated.operator() as browser:
            page = (await browser.get("/figures")).text
        for period in (
            "2026-10-01&amp;until=2026-10-31",
            "2025-01-01&amp;until=2025-12-31",
            "2026-01-01&amp;until=2026-11-24",
        ):
            assert f'href="/figures?since={period}"' in page
        assert 'until=2026-11-24" aria-current="page">This month' in page

    async def test_come_as_a_table_for_a_spreadsheet(self, operated: ServedConsole) -> None:
        async with operated.operator() as browser:
            answer = await browser.get("/figures.csv?since=2026-11-01&until=2026-11-30")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="figures-2026-11-01-2026-11-30.csv"'
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert rows[0] == ["figure", "of", "value"]
        assert ["found", "automatically", "1"] in rows
        assert ["rule_upheld", "tickets", "1"] in rows

    @pytest.mark.parametrize(
        "asked",
        [
            "since=x",
            "until=2026-13-01",
            "since=2026-11-02&until=2026-11-01",
            "since=1900-01-01",
            "until=9999-12-31",
            "until=0001-01-01",
        ],
    )
    async def test_of_no_period_are_refused(self, console: ServedConsole, asked: str) -> None:
        async with console.operator() as browser:
            for path in ("/figures", "/figures.csv"):
                assert (await browser.get(f"{path}?{asked}")).status == 400

    async def test_are_told_in_chinese(self, operated: ServedConsole) -> None:
        async with operated.operator() as browser:
            answer = await browser.get("/figures", **{"Accept-Language": "zh"})
        assert "由规则发现" in answer.words


class TestSettings:
    async def test_are_shown_as_understood_without_any_secret(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("ANSWERABLE_PASSWORD=swordfish\nANSWERABLE_EMAIL_PASSWORD=trout\n")
        async with offline(tmp_path) as bot, served_console(bot, SETTINGS) as console, console.operator() as browser:
            page = await said(browser, "/settings")
            answer = await browser.get("/settings?as=json")
        found = json.loads(answer.text)
        assert "retention 190 days default" in page
        assert "allow_invites *:example.org set in the file" in page
        assert found["alerts"]["webhook"] == "https://hooks.example.org/…"
        assert found["rules tickets"]["class"] == "serious"
        for secret in ("very-secret", "swordfish", "trout"):
            assert secret not in page + answer.text


class TestStanding:
    async def test_lists_those_who_were_charged_and_notes_the_look(self, console: ServedConsole) -> None:
        charged = CreditChanged(
            room=ROOM, entry="charge", cost=5, left=95, grade="-", rule="duty_overdue", ledger="standing", subject=MARK
        )
        await console.bot.pipeline.commit((charged,))
        async with console.operator() as browser:
            found = await given(browser, "/standing?")
            page = await said(browser, "/standing")
        assert isinstance(found, list)
        assert [(row["person"], row["credit"], row["entries"]) for row in found] == [(MARK, 95, 1)]
        assert f"{MARK} everywhere 95" in page
        assert len([*(console.bot.config.data_dir / FOLDER).glob("access-*.json")]) == 1

    async def test_is_not_shown_if_the_look_cannot_be_noted(self, console: ServedConsole) -> None:
        spool = console.bot.config.data_dir / FOLDER
        spool.rmdir() if spool.exists() else None
        spool.write_text("a file where the folder should be")
        async with console.operator() as browser:
            assert (await browser.get("/standing")).status == 503


class TestTasks:
    async def test_say_what_to_do(self, console: ServedConsole) -> None:
        tasks = (
            TaskOpened(room=ROOM, task="case", n=1, subject=ANNA),
            TaskOpened(room=ROOM, task="last-manager"),
            TaskOpened(room=ROOM, task="dossier", subject=ANNA),
        )
        await console.bot.pipeline.commit(tasks)
        async with console.operator() as browser:
            answer = await browser.get("/tasks")
        assert 'href="/cases/1"' in answer.text
        assert "answerable members G-7F3K" in answer.words
        assert "Do without a file" in answer.words

    async def test_for_a_file_is_declined_with_a_reason(self, operated: ServedConsole) -> None:
        await operated.bot.pipeline.commit((TaskOpened(room=ROOM, task="dossier", subject=ANNA),))
        task, _ = operated.bot.recorded(TaskOpened)[-1]
        async with open_door(operated.bot), operated.operator(OPERATOR) as browser:
            assert (await browser.post(f"/tasks/{task}/decline", {"reason": ""})).status == 400
            assert (await browser.post("/tasks/1/decline", {"reason": "no need"})).status == 404
            assert (await browser.post(f"/tasks/{task}/decline", {"reason": "it was settled"})).status == 303
        [done] = operated.bot.facts(TaskDone)
        assert (done.start, done.result, done.reader, done.reason) == (task, "declined", "root", "it was settled")


class TestAFile:
    async def test_is_begun_shows_how_two_approve_it_and_is_declined(self, operated: ServedConsole) -> None:
        async with open_door(operated.bot), operated.operator(OPERATOR) as browser:
            begun = await browser.post("/dossiers", {"person": ANNA, "reason": "asked for by the board"})
            assert begun.status == 303, begun.words
            path = begun.headers["Location"]
            page = await said(browser, path)
            found = await given(browser, f"{path}?")
            assert isinstance(found, dict)
            n, digest = found["dossier"], found["digest"]
            assert len(digest) == 64
            assert f"answerable dossier approve {n} --key FILE" in page
            assert f"!approve D-{n} {digest}" in page
            assert "Approved by 0 of 2" in page
            assert (await browser.post(f"{path}/decline", {"reason": "it was settled"})).status == 303
            page = await said(browser, path)
            assert "Approved by" not in page
            assert "it was settled" in page
            assert f"D-{n}" in await said(browser, "/dossiers")
        steps = [(step.step, step.reader, step.reason) for step in operated.bot.facts(DossierStep)]
        assert steps == [("opened", "root", "asked for by the board"), ("declined", "root", "it was settled")]

    async def test_on_somebody_without_cases_is_refused(self, operated: ServedConsole) -> None:
        async with open_door(operated.bot), operated.operator(OPERATOR) as browser:
            for person, status in ((MINA, 400), ("nobody", 400), ("", 400)):
                answer = await browser.post("/dossiers", {"person": person, "reason": "asked for by the board"})
                assert answer.status == status
        assert operated.bot.facts(DossierStep) == []


class TestBarring:
    async def test_keeps_somebody_out_and_lets_them_back_in(self, operated: ServedConsole) -> None:
        async with open_door(operated.bot), operated.operator(OPERATOR) as browser:
            form = {"person": ANNA, "until": "2027-03-01", "evidence": "1", "reason": "threats", "room": ""}
            answer = await browser.post("/barred", form)
            assert answer.status == 303, answer.words
            assert f"{ANNA}" in await said(browser, "/barred")
            [entry] = json.loads((await browser.get("/barred?as=json")).text)
            assert (entry["person"], entry["by"], entry["reason"]) == (ANNA, OPERATOR, "threats")
            assert entry["until"] == 1_803_945_600_000
            assert (await browser.post("/barred/remove", {"person": ANNA, "reason": "talked it over"})).status == 303
            assert "Nobody is barred." in await said(browser, "/barred")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"until": "2020-01-01"},
            {"until": "9999-12-31"},
            {"until": "soon"},
            {"evidence": "1 x"},
            {"evidence": "99"},
            {"person": "anna"},
            {"person": OPERATOR},
            {"room": "G-0000"},
            {"reason": " "},
        ],
    )
    async def test_with_a_wrong_entry_changes_nothing(self, operated: ServedConsole, wrong: dict[str, str]) -> None:
        form = {"person": ANNA, "until": "2027-03-01", "evidence": "1", "reason": "threats"} | wrong
        async with open_door(operated.bot), operated.operator(OPERATOR) as browser:
            assert (await browser.post("/barred", form)).status == 400
            assert json.loads((await browser.get("/barred?as=json")).text) == []


class TestDoingSomething:
    FORM = {"person": ANNA, "until": "2027-03-01", "reason": "threats"}  # noqa: RUF012

    async def test_takes_a_running_bot(self, operated: ServedConsole) -> None:
        async with operated.operator(OPERATOR) as browser:
            answer = await browser.post("/barred", self.FORM)
            assert answer.status == 503
            assert "The bot does not run now" in answer.words
            assert (await browser.get("/barred")).status == 200

    async def test_takes_an_operator_who_is_named(self, operated: ServedConsole) -> None:
        async with open_door(operated.bot), operated.operator() as browser:
            answer = await browser.post("/barred", self.FORM)
            assert answer.status == 403
            assert "can only read" in answer.words

    async def test_long_after_the_bot_last_ran_is_told_on_the_overview(self, operated: ServedConsole) -> None:
        await operated.bot.pass_time(1_000)
        operated.bot.time.ms += DAY_MS
        async with operated.operator() as browser:
            assert "does not reach its homeserver" in await said(browser, "/")


class TestPeopleOfRooms:
    """A manager sees what is of their own room; a manager of another room sees nothing of it."""

    async def test_see_the_pages_of_their_own_room(self, operated: ServedConsole) -> None:
        await operated.bot.say(MINA, "still forbidden")
        async with operated.person(MARK) as browser:
            overview = await given(browser, "/?")
            page = await said(browser, "/")
            found = await given(browser, "/figures?")
            duty = await given(browser, "/duty?")
        assert isinstance(overview, dict)
        assert isinstance(found, dict)
        assert isinstance(duty, dict)
        assert [case["n"] for case in overview["next"]] == [2]
        assert overview["bot"].keys() == {"heard", "is_silent"}
        assert "Tasks for the operator" not in page
        assert (found["found"], duty["room"]) == ({"automatically": 2}, "G-7F3K")

    async def test_see_nothing_of_another_room(self, operated: ServedConsole) -> None:
        bot, levels = operated.bot, {"users": {str(ELSA): 100, str(BOT): 100}}
        await bot.enter_room(OTHER, GroupCode("G-3333"), "group", levels, "11", (ELSA,), owner=ELSA)
        async with operated.person(ELSA) as browser:
            assert (await browser.get("/duty/G-7F3K")).status == 404
            duty, found = await given(browser, "/duty?"), await given(browser, "/figures?")
            overview = await given(browser, "/?")
            pages = [(await browser.get(path)).text for path in ("/", "/duty", "/figures", "/figures.csv")]
        assert isinstance(duty, dict)
        assert isinstance(found, dict)
        assert isinstance(overview, dict)
        assert (duty["room"], found["found"], overview["next"], overview["week"]) == ("G-3333", {}, [], [])
        assert not any(each in page for page in pages for each in ("G-7F3K", str(ANNA), str(MARK), "tickets"))
