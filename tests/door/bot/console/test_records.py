"""The pages about the records: listed, searched, taken apart, proved, checked, and taken out, by those who may."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import orjson
import pytest

from bot import app
from bot.admin.spool import Spool
from bot.console.sessions import make_folder
from moderation.model.facts import RecordsExported
from moderation.values.durations import DAY_MS, HOUR_MS
from storage.journal.days import list_days
from tests.door.bot.console.browsing import Browser, ServedConsole, open_door, served_console
from tests.door.offline import ANNA, MARK, offline
from tests.theatre.served import until

SECRET = "forbidden fruit"
HOSTILE = "</script><b>{{7*7}}</b>\u202e"
PAGES = ("/records", "/records/0", "/records/0/proof", "/verify", "/coverage", "/reads",
         "/exports")  # fmt: skip


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[ServedConsole]:
    """Provide a console on the data of a room in which something was said."""
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, SECRET)
        await bot.say(MARK, HOSTILE)
        await bot.pipeline.journal.use(lambda _: None, signed=True)
        async with served_console(bot) as served:
            yield served


def notes(console: ServedConsole) -> list[dict[str, Any]]:
    folder = console.bot.config.data_dir / "spool"
    return [orjson.loads(path.read_bytes()) for path in sorted(folder.glob("access-*.json"))]


def message_of(console: ServedConsole, body: str) -> int:
    return next(
        each.index for each in console.bot.stores.journal.read() if any(part.get("body") == body for part in each.parts)
    )


async def finished(browser: Browser, path: str, sign: str) -> str:
    """Look at a page until it no longer refreshes itself, as a browser does."""
    async with asyncio.timeout(120):
        while sign in (text := (await browser.get(path)).text):  # noqa: ASYNC110 - the work is in another process
            await asyncio.sleep(0.05)
    return text


class TestTheList:
    async def test_names_nobody_and_quotes_nothing_unasked(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = await browser.get("/records")
            assert page.status == 200
            assert "somebody wrote a message" in page.words
            assert not re.search("forbidden|anna", page.text, re.IGNORECASE)
            numbers = [int(each) for each in re.findall(r'href="/records/(\d+)" data-row', page.text)]
            assert numbers == sorted(numbers, reverse=True)
            assert notes(console) == []

    async def test_shows_words_for_a_reason_that_is_noted_first(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.post("/records/read", {"kind": "said"})).status == 400
            assert (await browser.post("/records/read", {"kind": "said", "reason": "an audit"})).status == 303
            [note] = notes(console)
            assert (note["reason"], note["filters"]) == ("an audit", {"kind": "said", "last": 50})
            page = await browser.get("/records?kind=said")
            assert SECRET in page.text
            assert "<b>" not in page.text
            assert "{{7*7}}" in page.text
            assert "\u202e" not in page.text
            assert SECRET not in (await browser.get("/records")).text  # the reason was for that list alone
            assert [each for each in notes(console) if each != note] == [
                {**note, "filters": {**note["filters"], "person": [ANNA, MARK]}}
            ]
            await browser.get("/records?kind=said&as=json")
            assert len(notes(console)) == 2  # each person once

    async def test_each_page_is_noted_with_those_whom_it_names(self, console: ServedConsole) -> None:
        index = message_of(console, SECRET)
        async with console.operator() as browser:
            await browser.post("/records/read", {"reason": "an audit"})
            assert SECRET in (await browser.get(f"/records?before={index + 1}")).text
            named = [each["filters"] for each in notes(console) if ANNA in each["filters"].get("person", ())]
            assert [(each["before"], MARK in each["person"]) for each in named] == [(index + 1, True)]
            await browser.post("/records/read", {"kind": "said", "reason": "an audit"})
            spool = console.bot.config.data_dir / "spool"
            spool.rename(spool.with_name("moved"))
            spool.write_text("a file, in which no note can be kept")
            page = await browser.get("/records?kind=said")
            assert (SECRET in page.text, "could not keep" in page.words) == (False, True)

    async def test_a_case_is_noted_by_its_number(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            await browser.post("/records/read", {"case": "01", "reason": "an audit"})
            [note] = notes(console)
            assert note["filters"] == {"case": 1, "last": 50}

    async def test_what_is_about_a_person_is_searched_after_a_reason_only(self, console: ServedConsole) -> None:
        asked = f"/records?person={quote(ANNA)}&kind=case"
        async with console.operator() as browser:
            page = await browser.get(asked)
            assert ("say why first" in page.words, "Case 1" in page.words) == (True, False)
            assert (await browser.get(f"{asked}&as=json")).status == 403
            await browser.post("/records/read", {"person": ANNA, "kind": "case", "reason": "an audit"})
            assert "Case 1" in (await browser.get(asked)).words

    async def test_a_text_is_searched_after_a_reason_only(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            asked = "/records?q=FORBIDDEN"
            page = await browser.get(asked)
            assert "say why first" in page.words
            assert 'href="/records/' not in page.text.partition("<main")[2].partition("</nav>")[2]
            await browser.post("/records/read", {"q": "FORBIDDEN", "reason": "an audit"})
            assert [each["filters"] for each in notes(console)] == [{"what": "search", "text": "FORBIDDEN"}]
            page = await browser.get(asked)
            assert SECRET in page.text
            assert page.text.rstrip().endswith("</html>")
            found = re.search(r"Found: (\d+)", page.words)
            assert found
            assert int(found[1]) == len(re.findall("data-row", page.text))
            assert (await browser.post("/records/stop")).status == 204

    async def test_can_be_had_as_json(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            listed = orjson.loads((await browser.get("/records?as=json")).text)
            assert listed[-1]["k"] == "genesis"
            assert not any("x" in each for each in listed)
            found = orjson.loads((await browser.get("/records?kind=message&as=json")).text)
            assert {each["k"] for each in found} == {"message"}
            assert orjson.loads((await browser.get("/records?kind=dossier&as=json")).text) == []

    @pytest.mark.parametrize(
        "typed", ["kind=nothing", "person=anna", "case=x", "since=1", "room=G-9999", "before=-1", "case=²", "before=²"]
    )
    async def test_what_cannot_be_looked_for_is_told(self, console: ServedConsole, typed: str) -> None:
        async with console.operator() as browser:
            page = await browser.get(f"/records?{typed}")
            assert (page.status, "Nothing was searched" in page.words) == (400, True)

    async def test_kinds_are_chosen_by_links_that_keep_the_rest(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = await browser.get("/records?room=G-7F3K&kind=said")
            assert re.search(r'href="/records\?kind=cases&amp;room=G-7F3K">', page.text)
            assert re.search(r'kind=said&amp;room=G-7F3K" aria-current="page"', page.text)
            page = await browser.get("/records?room=G-7F3K&kind=cases")
            assert "Case 1" in page.words
            assert "somebody wrote a message" not in page.words

    async def test_what_is_typed_stays_text(self, console: ServedConsole) -> None:
        typed = quote("<script>alert(1)</script>\"'\u202e{{7*7}}")
        async with console.operator() as browser:
            for path in (f"/records?q={typed}", f"/records?kind={typed}", f"/records?room={typed}",
                         f"/records?person=@{typed}:x.org", f"/reads?person=@{typed}:x.org"):  # fmt: skip
                page = await browser.get(path)
                assert page.status in (200, 400)
                assert "<script>" not in page.text
                assert "\u202e" not in page.words


class TestOneRecord:
    async def test_is_taken_apart(self, console: ServedConsole) -> None:
        index = message_of(console, SECRET)
        async with console.operator() as browser:
            page = await browser.get(f"/records/{index}")
            assert "computed again: fits" in page.words
            assert not re.search("forbidden|anna", page.text, re.IGNORECASE)
            await browser.post(f"/records/{index}/read", {"reason": "an audit"})
            [note] = notes(console)
            assert note["filters"] == {"what": "console", "record": index, "person": [ANNA]}
            page = await browser.get(f"/records/{index}")
            assert SECRET in page.text
            assert ANNA in page.text

    async def test_its_fields_lead_to_what_they_name(self, console: ServedConsole) -> None:
        case = next(each for each in console.bot.stores.journal.read() if each.kind == "case")
        async with console.operator() as browser:
            page = await browser.get(f"/records/{case.index}")
            assert f'<a href="/records/{case.fields["on"]}">' in page.text
            assert '<a href="/cases/1">1</a>' in page.text
            assert "when a decision is due" in page.words
            assert re.search(r"<td>\d{13} \(<time", page.text)
            page = await browser.get(f"/records/{case.index}", **{"Accept-Language": "zh"})
            assert "决定期限" in page.words

    async def test_a_part_that_was_altered_or_erased_is_told(self, console: ServedConsole) -> None:
        index = message_of(console, SECRET)
        day = list_days(console.bot.stores.journal.folder / "day")[-1].path
        whole = day.read_bytes()
        day.write_bytes(whole.replace(SECRET.encode(), b"something harmless"))
        async with console.operator() as browser:
            assert "does not fit" in (await browser.get(f"/records/{index}")).words
            lines = whole.split(b"\n")
            record = orjson.loads(lines[index])
            lines[index] = orjson.dumps({**record, "x": [{"erased": "2026-12-01", "by": 3}]})
            day.write_bytes(b"\n".join(lines))
            page = await browser.get(f"/records/{index}")
            assert "Erased on 2026-12-01" in page.words
            assert 'href="/records/3"' in page.text
            day.write_bytes(whole.replace(b'"k":"message"', b'"k":message"'))
            page = await browser.get(f"/records/{index}")
            assert (page.status, "cannot be read here" in page.words) == (503, True)
            assert (await browser.get("/records")).status == 200  # the others are still listed

    async def test_one_that_was_purged_or_never_was(self, console: ServedConsole) -> None:
        folder = console.bot.stores.journal.folder
        async with console.operator() as browser:
            assert (await browser.get("/records/99999")).status == 404
            assert (await browser.get("/records/1x")).status == 404
            day = list_days(folder / "day")[-1].path
            day.rename(day.with_name("moved"))
            (folder / "min_index").write_text("7\n")
            page = await browser.get("/records/1")
            assert (page.status, "oldest record kept is 7" in page.words) == (410, True)
            page = await browser.get("/records/1/proof")
            assert page.status in (200, 410)

    async def test_a_log_that_somebody_wrote_by_hand_is_shown_all_the_same(self, console: ServedConsole) -> None:
        odd: list[dict[str, Any]] = [
            {"t": "nonsense", "x": [5, "text"], "c": ["", "!"]},
            {"k": "unheard-of", "n": "x", "on": -5, "x": [{"mxid": 7, "as": 7, "body": {"a": [1]}}], "c": [""]},
            {"k": "decision", "what": 9, "until": 2**52, "x": [{"erased": "never", "by": -7}], "c": ["x"]},
        ]  # fmt: skip
        day = list_days(console.bot.stores.journal.folder / "day")[-1].path
        lines = day.read_bytes().split(b"\n")
        for place, more in enumerate(odd, 3):
            whole = {**orjson.loads(lines[place]), **more}
            lines[place] = orjson.dumps({name: whole[name] for name in sorted(whole, key=lambda each: each == "x")})
        lines[6] = b"\xff{"
        day.write_bytes(b"\n".join(lines))
        async with console.operator() as browser:
            for path in ("/records", "/records?kind=said", "/coverage", "/reads", *(f"/records/{n}" for n in range(8)),
                         *(f"/records/{n}/proof" for n in range(8))):  # fmt: skip
                for asked in (path, f"{path}{'&' if '?' in path else '?'}as=json"):
                    page = await browser.get(asked)
                    assert page.status in (200, 410, 503), (asked, page.words)
            for number in (3, 4, 5):
                await browser.post(f"/records/{number}/read", {"reason": "an audit"})
                assert (await browser.get(f"/records/{number}")).status == 200, (
                    await browser.get(f"/records/{number}")
                ).words
            await browser.post("/records/read", {"reason": "an audit"})
            assert "cannot be read" in (await browser.get("/records")).words


class TestTheProof:
    async def test_leads_to_the_signed_root(self, console: ServedConsole) -> None:
        index = message_of(console, SECRET)
        async with console.operator() as browser:
            page = await browser.get(f"/records/{index}/proof")
            assert "its hash leads to the root" in page.words
            assert "<svg" in page.text
            said = orjson.loads((await browser.get(f"/records/{index}/proof?as=json")).text)
            assert said["index"] == index
            file = await browser.get(f"/records/{index}/proof.txt")
            assert file.text == said["proof"]
            assert file.headers["Content-Disposition"] == f'attachment; filename="{index}.tlog-proof"'

    async def test_an_altered_record_is_not_the_one_that_was_signed(self, console: ServedConsole) -> None:
        index = message_of(console, SECRET)
        day = list_days(console.bot.stores.journal.folder / "day")[-1].path
        lines = day.read_bytes().split(b"\n")
        lines[index] = lines[index].replace(b'"k":"message"', b'"k":"edit"')
        day.write_bytes(b"\n".join(lines))
        async with console.operator() as browser:
            assert "not the one that was signed" in (await browser.get(f"/records/{index}/proof")).words

    async def test_a_record_that_is_not_signed_yet(self, console: ServedConsole) -> None:
        await console.bot.say(ANNA, "later")
        index = message_of(console, "later")
        async with console.operator() as browser:
            page = await browser.get(f"/records/{index}/proof")
            assert (page.status, "not signed yet" in page.words) == (409, True)
            (console.bot.stores.journal.folder / "checkpoint").unlink()
            assert (await browser.get("/records/0/proof")).status == 409


async def test_the_log_is_checked_in_the_background(console: ServedConsole) -> None:
    async with console.operator() as browser:
        assert "Check the log now" in (await browser.get("/verify")).words
        assert (await browser.post("/verify")).status == 303
        page = await finished(browser, "/verify", "http-equiv")
        assert "All in order" in page
        day = list_days(console.bot.stores.journal.folder / "day")[-1].path
        day.write_bytes(day.read_bytes().replace(SECRET.encode(), b"something harmless"))
        await browser.post("/verify", {"against": ""})
        page = await finished(browser, "/verify", "http-equiv")
        assert "Problems: 2" in page  # the message, and the case that quotes it
        assert f'href="/records/{message_of(console, "something harmless")}"' in page
        assert (await browser.post("/verify/stop")).status == 303


async def test_what_was_not_seen_is_drawn(console: ServedConsole) -> None:
    async with console.operator() as browser:
        page = await finished(browser, "/coverage?days=7", "http-equiv")
        assert "<svg" in page
        assert (await browser.get("/coverage?days=8")).status == 400
        assert set(orjson.loads((await browser.get("/coverage?days=7&as=json")).text)) == {"unseen", "off"}


@pytest.mark.parametrize("before", ["²", "x", "9" * 16])
async def test_readings_before_no_number_are_told(console: ServedConsole, before: str) -> None:
    async with console.operator() as browser:
        assert (await browser.get(f"/reads?before={before}")).status == 400


async def test_looks_are_noted_once_and_of_managers_once_a_day(console: ServedConsole) -> None:
    async with console.operator() as browser:
        for _ in range(2):
            assert (await browser.get("/standing")).status == 200
    assert [each["filters"] for each in notes(console)] == [{"what": "credit"}]
    for _ in range(2):
        async with console.person(MARK) as browser:
            assert SECRET in (await browser.get("/cases/1")).words
    console.bot.time.ms += DAY_MS
    async with console.person(MARK) as browser:
        assert SECRET in (await browser.get("/cases/1")).words
    assert [each["filters"] for each in notes(console) if "user" in each and each["filters"]["what"] == "console"] == [
        {"what": "console", "case": 1}
    ] * 2


async def test_readings_are_listed_with_their_reasons(console: ServedConsole) -> None:
    index, bot = message_of(console, SECRET), console.bot
    async with console.operator() as browser:
        assert "Nobody has read anything" in (await browser.get("/reads")).words
        await browser.post(f"/records/{index}/read", {"reason": "an audit of fruit"})
        await Spool(bot.config.data_dir, bot.pipeline, bot.time).pick_up()
        for path in ("/reads", f"/reads?person={ANNA}"):
            page = await browser.get(path)
            assert ("an audit of fruit" in page.words, ANNA in page.words, "root" in page.words) == (True, True, True)
        assert "Nobody has read anything" in (await browser.get(f"/reads?person={MARK}")).words
        [row] = orjson.loads((await browser.get("/reads?as=json")).text)
        assert row == {"record": row["record"], "at": row["at"], "reader": "root", "by": "", "subject": ANNA,
                       "what": "console", "reason": "an audit of fruit"}  # fmt: skip


class TestExports:
    ASKED: ClassVar = {"room": "G-7F3K", "reason": "an audit"}

    async def test_need_a_reason_and_the_bot(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.post("/exports", {"room": "G-7F3K"})).status == 400
            assert (await browser.post("/exports", {"reason": "an audit"})).status == 400
            assert (await browser.post("/exports", {**self.ASKED, "persons": "anna"})).status == 400
            assert (await browser.post("/exports", self.ASKED)).status == 303
            page = await finished(browser, "/exports", "http-equiv")
            assert "The bot does not run" in page
            assert notes(console) == []
            assert [*(console.bot.config.data_dir / "console" / "exports").iterdir()] == []

    async def test_are_made_recorded_and_taken_by_their_maker(self, console: ServedConsole) -> None:
        bot = console.bot
        async with console.operator() as browser, open_door(bot):
            assert (await browser.post("/exports", self.ASKED)).status == 303
            await finished(browser, "/exports", "http-equiv")
            [made] = orjson.loads((await browser.get("/exports?as=json")).text)
            [(record, fact)] = bot.recorded(RecordsExported)
            assert (made["record"], made["reason"], made["by"]) == (record, "an audit", "root")
            assert (fact.reason, fact.reader) == ("an audit", "root")
            file = await browser.file(f"/exports/{made['id']}")
            assert hashlib.sha256(file).hexdigest() == made["sha256"]
            assert (await browser.get("/exports/0123456789abcdef")).status == 404
            assert (await browser.post(f"/exports/{made['id']}/delete")).status == 303
            assert (await browser.get(f"/exports/{made['id']}")).status == 404

    async def test_are_whole_without_a_visit_and_belong_to_the_owner_of_the_data(self, console: ServedConsole) -> None:
        data = console.bot.config.data_dir
        if os.geteuid() == 0:
            os.chown(data, 12345, 12345)
        async with console.operator() as browser, open_door(console.bot):
            assert (await browser.post("/exports", self.ASKED)).status == 303
            folder = data / "console" / "exports"
            about = await until(lambda: asyncio.to_thread(lambda: next(folder.glob("*.json"), None)), "the export")
            made = orjson.loads(about.read_bytes())
            assert (made["by"], made["reason"], about.with_suffix(".zip").exists()) == ("root", "an audit", True)
            await finished(browser, "/exports", "http-equiv")
            assert {each.stat().st_uid for each in folder.iterdir()} == {data.stat().st_uid}

    async def test_go_after_a_day_while_the_bot_does_not_run(self, console: ServedConsole) -> None:
        folder = make_folder(console.bot.config.data_dir, "exports")
        left, moment = folder / f"{0:016}.zip", console.bot.time() / 1000  # its maker's console was killed
        left.write_bytes(b"words of Anna")
        os.utime(left, (moment,) * 2)
        console.bot.time.ms += DAY_MS + 1
        async with served_console(console.bot):
            await until(lambda: asyncio.to_thread(lambda: not left.exists() or None), "the export removed")

    async def test_go_with_an_erasure_and_after_a_day_without_a_visit(self, console: ServedConsole) -> None:
        bot = console.bot
        folder = make_folder(bot.config.data_dir, "exports")
        operations = app.make_operations(bot.config, bot.stores, bot.pipeline, bot.time)
        (folder / "0.zip").write_bytes(b"words of Anna")
        await operations.erase(ANNA, reader="root", reason="Anna asked for it", what="operator")
        assert [*folder.iterdir()] == []
        (folder / "0.zip").write_bytes(b"words of Mark")
        os.utime(folder / "0.zip", (bot.time() / 1000,) * 2)
        await bot.scheduler.do_what_is_due()
        assert [each.name for each in folder.iterdir()] == ["0.zip"]
        bot.time.ms += DAY_MS + HOUR_MS
        await bot.scheduler.do_what_is_due()
        assert [*folder.iterdir()] == []

    async def test_are_kept_for_a_day_and_shown_to_nobody_else(self, console: ServedConsole) -> None:
        folder = make_folder(console.bot.config.data_dir, "exports")
        for number, by in enumerate(("root", "other")):
            (folder / f"{number:016}.zip").write_bytes(b"zip")
            about = {"id": f"{number:016}", "by": by, "at": 1, "reason": "r", "records": 1, "supporting": 0,
                     "withheld": 0, "record": 1, "sha256": "", "problems": []}  # fmt: skip
            (folder / f"{number:016}.json").write_bytes(orjson.dumps(about))
            for path in folder.iterdir():
                os.utime(path, (console.bot.time() / 1000,) * 2)
        async with console.operator() as browser:
            assert (await browser.get(f"/exports/{0:016}")).status == 200
            assert (await browser.get(f"/exports/{1:016}")).status == 404
            console.bot.time.ms += DAY_MS + 1
        async with console.operator() as browser:
            assert (await browser.get("/exports")).status == 200
            assert [*folder.iterdir()] == []


async def test_managers_see_the_proofs_of_their_own_cases_alone(console: ServedConsole) -> None:
    log = console.bot.stores.journal
    case, *_ = [each.index for each in log.read() if each.kind == "case"]
    async with console.person(MARK) as browser:
        page = await browser.get(f"/records/{case}/proof")
        assert (page.status, "its hash leads to the root" in page.words) == (200, True)
        assert SECRET not in page.text
        for path in (
            *PAGES,
            f"/records/{case}",
            f"/records/{message_of(console, SECRET)}/proof",
            "/records/99999/proof",
        ):
            assert (await browser.get(path)).status == 404
    async with console.person(ANNA) as browser:
        assert (await browser.get(f"/records/{case}/proof")).status == 404


@pytest.mark.parametrize("path", PAGES)
async def test_only_operators_see_them(console: ServedConsole, path: str) -> None:
    async with console.browser() as browser:
        assert (await browser.get(path)).status == 403
