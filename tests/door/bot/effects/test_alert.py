"""Alerts: what a webhook and a mailbox are told, once each, whatever fails on the way."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.config.alerts import ALERTS_SECRET
from bot.config.env_secrets import Secrets
from bot.effects.alert import Alerter, AlertSender
from bot.monitoring.trusted_time import Doubt
from bot.outbox.dispatcher import OutboxDispatcher
from bot.outbox.handler import Done
from bot.pipeline.alerts import DAMAGE
from bot.scheduler.tables_sample import TablesSample
from bot.texts.catalog import LANGUAGES, Catalog
from moderation.model.actions.alerts import Alert
from moderation.model.facts import ActionTaken
from moderation.values.ids import UserId
from tests.door.offline import ANNA, DESK, MARK, RULES, Offline, offline
from tests.fakes.http_stub import Answer, HttpStub, Request
from tests.fakes.mail_server import MailServer, mail_server
from tests.theatre.scene import Theatre, ask, direct_room, open_direct
from tests.theatre.served import until

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HOUR = 3_600_000
WELL = Answer(204)


def settings(stub: HttpStub | None, server: MailServer | None = None, more: str = "") -> str:
    webhook = f'webhook = "{stub.url}/hook?token=hush"\n' if stub else ""
    mail = 'mail = ["duty@example.org"]\n' if server else ""
    email = f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nfrom = "a@b.org"\n' if server else ""
    return f"{RULES}[email]\n{email}[alerts]\n{webhook}{mail}{more}"


@dataclass
class Alerting:
    """A bot whose alerts are really sent, on a clock that the test moves; everything else it sends is done at once."""

    bot: Offline

    async def later(self, ms: int) -> None:
        """Let time pass, and everybody be told before."""
        await self.bot.post_cards()
        await self.bot.tell()
        await self.bot.pass_time(ms)
        await self.bot.scheduler.do_what_is_due()

    async def sent(self) -> None:
        """Wait until no alert is left to send."""
        await until(self._none_left, "the alerts to be sent")

    async def tried(self, times: int) -> None:
        """Wait until an alert was tried so often in vain."""
        rows = f"SELECT 1 FROM outbox WHERE action LIKE '%\"alert\"%' AND attempts = {times}"
        await until(lambda: self.bot.rows(rows), "a try")

    async def _none_left(self) -> bool:
        return not await self.bot.rows('SELECT 1 FROM outbox WHERE action LIKE \'%"do": "alert"%\'')

    def outcomes(self) -> list[tuple[str, str]]:
        return [(fact.result, fact.code) for fact in self.bot.facts(ActionTaken) if fact.action == "alert"]


@asynccontextmanager
async def alerting(folder: Path, text: str) -> AsyncIterator[Alerting]:
    (folder / ".env").write_text(f"{ALERTS_SECRET}={SECRET}\n")
    async with offline(folder, text) as bot:

        async def nothing(_action: object, _txn: str) -> Done:
            return Done()

        handlers: dict[Any, Callable[[Any, str], Awaitable[Done]]] = defaultdict(lambda: nothing)
        sender = AlertSender(bot.config, bot.time)
        handlers[Alert] = Alerter(bot.stores.database, bot.pipeline, sender, Catalog.load(), "en").alert
        dispatcher = OutboxDispatcher(bot.stores.database, bot.pipeline, handlers, lambda: bot.time.ms)
        task = asyncio.create_task(dispatcher.run())
        try:
            yield Alerting(bot)
        finally:
            task.cancel()
            await asyncio.wait({task})


def told(requests: list[Request]) -> list[dict[str, Any]]:
    """Return what was posted, after checking each signature as Standard Webhooks says."""
    for each in requests:
        headers = {name.lower(): value for name, value in each.headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{each.body.decode()}".encode()
        assert (
            headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        )
        assert json.loads(each.body)["id"] == headers["webhook-id"]
        assert (each.method, each.path, headers["content-type"]) == ("POST", "/hook?token=hush", "application/json")
    return [json.loads(each.body) for each in requests]


async def test_a_neglected_case_is_told_at_half_time_and_at_the_deadline(tmp_path: Path) -> None:
    async with HttpStub() as stub, alerting(tmp_path, settings(stub)) as place:
        stub.will(WELL, WELL, WELL)
        await place.bot.say(ANNA, "forbidden xylographic words")
        await place.later(12 * HOUR)
        await place.sent()
        await place.later(12 * HOUR)
        await place.sent()
        found = told(stub.requests)
        assert [each["type"] for each in found] == ["answerable.due", "answerable.overdue", "answerable.escalated"]
        assert found[0] | {"id": ""} == {
            "type": "answerable.due",
            "id": "",
            "text": "Case 1 in G-7F3K: half of the time is over. A decision is due by 25 Nov 2026, 12:00 UTC.",
            "data": {
                "log": "example.org/bot",
                "group": "G-7F3K",
                "case": 1,
                "class": "serious",
                "asked": "managers",
                "due": "2026-11-25T12:00:00Z",
            },
        }
        assert (found[2]["data"]["asked"], found[2]["data"]["due"]) == ("owner", "2026-11-26T12:00:00Z")
        assert len({each["id"] for each in found}) == 3
        everything = b"".join(each.body for each in stub.requests)
        for hidden in (b"xylographic", b"forbidden", b"@", b"tickets"):
            assert hidden not in everything
        assert place.outcomes() == [("done", "-")] * 3


async def test_an_appeal_is_told_and_a_decided_case_is_not(tmp_path: Path) -> None:
    async with HttpStub() as stub, alerting(tmp_path, settings(stub)) as place:
        stub.will(WELL)
        await place.bot.say(ANNA, "forbidden things")
        await place.bot.say(MARK, "!uphold 1 plain", room=DESK)
        await place.later(48 * HOUR)
        assert stub.requests == []
        await place.bot.say(ANNA, "!appeal 1 xylographic")
        await place.sent()
        (found,) = told(stub.requests)
        assert (found["type"], found["data"]["case"]) == ("answerable.appeal", 1)
        assert b"xylographic" not in stub.requests[0].body


@pytest.mark.parametrize(
    "bad", [Answer(503), Answer(404), Answer(cut=True), Answer(302, headers={"Location": "http://127.0.0.1:9/"})]
)
async def test_what_fails_is_posted_again_under_the_same_id(tmp_path: Path, bad: Answer) -> None:
    with capture_logs() as logged:
        await _failing_once(tmp_path, bad)
    assert [entry["event"] for entry in logged if entry["log_level"] != "info"] == ["act_later"]
    assert not any(hidden in str(logged) for hidden in ("hush", SECRET, "whsec"))


async def _failing_once(folder: Path, bad: Answer) -> None:
    async with HttpStub() as stub, alerting(folder, settings(stub)) as place:
        stub.will(bad, WELL)
        await place.bot.say(ANNA, "forbidden things")
        await place.later(12 * HOUR)
        await place.tried(1)
        place.bot.time.ms += 60_000
        place.bot.pipeline.wake.dispatcher.set()
        await place.sent()
        first, second = told(stub.requests)
        assert first == second
        assert place.outcomes() == [("done", "-")]


async def test_an_alert_outlives_a_crash(tmp_path: Path) -> None:
    async with HttpStub() as stub:
        async with alerting(tmp_path, settings(stub)) as place:
            stub.will(Answer(503), WELL)
            await place.bot.say(ANNA, "forbidden things")
            await place.later(12 * HOUR)
            await place.tried(1)
        async with alerting(tmp_path, settings(stub)) as place:
            place.bot.time.ms += 13 * HOUR
            place.bot.pipeline.wake.dispatcher.set()
            await place.sent()
        first, second = told(stub.requests)
        assert first["id"] == second["id"]


async def test_a_place_that_was_taken_out_of_the_settings_gets_nothing_more(tmp_path: Path) -> None:
    async with HttpStub() as stub:
        async with alerting(tmp_path, settings(stub)) as place:
            stub.will(Answer(503))
            await place.bot.say(ANNA, "forbidden things")
            await place.later(12 * HOUR)
            await place.tried(1)
        async with alerting(tmp_path, RULES) as place:
            place.bot.time.ms += 13 * HOUR
            place.bot.pipeline.wake.dispatcher.set()
            await place.sent()
            assert place.outcomes() == [("abandoned", "off")]
        assert len(stub.requests) == 1


async def test_only_what_is_asked_for_is_told(tmp_path: Path) -> None:
    async with HttpStub() as stub, alerting(tmp_path, settings(stub, more='on = ["escalated"]\n')) as place:
        stub.will(WELL)
        await place.bot.say(ANNA, "forbidden things")
        await place.later(12 * HOUR)
        await place.later(12 * HOUR)
        await place.sent()
        assert [each["type"] for each in told(stub.requests)] == ["answerable.escalated"]


async def test_one_mail_lists_all_cases_that_wait_in_a_room(tmp_path: Path) -> None:
    async with mail_server() as server, alerting(tmp_path, settings(None, server)) as place:
        for _ in range(3):
            await place.bot.say(ANNA, "forbidden xylographic words")
            await place.bot.pass_time(11 * 60_000)
        await place.later(12 * HOUR)
        await place.sent()
        (mail,) = server.mails
        assert server.to == ["duty@example.org"]
        assert mail["Subject"].startswith("[Answerable] Case 1 in G-7F3K: half of the time is over.")
        assert mail["Message-ID"].startswith("<msg_")
        assert mail.get_content().splitlines() == [
            "Case 1 in G-7F3K: half of the time is over. A decision is due by 25 Nov 2026, 12:00 UTC.",
            "",
            "Waiting in G-7F3K, most urgent first:",
            "- case 1 (serious), open, due 25 Nov 2026, 12:00 UTC",
            "- case 2 (serious), open, due 25 Nov 2026, 12:11 UTC",
            "- case 3 (serious), open, due 25 Nov 2026, 12:22 UTC",
            "",
            "Decide in the desk of the room. This mail names nobody and repeats no messages.",
        ]


@pytest.mark.parametrize(("mood", "outcomes"), [("refuses", [("refused", "address")]), ("later", [])])
async def test_a_mailbox_that_does_not_exist_is_given_up_and_a_slow_server_is_not(
    tmp_path: Path, mood: Any, outcomes: list[tuple[str, str]]
) -> None:
    async with mail_server() as server, alerting(tmp_path, settings(None, server)) as place:
        server.mood = mood
        await place.bot.say(ANNA, "forbidden things")
        await place.later(12 * HOUR)
        await (place.sent() if outcomes else place.tried(1))
        assert place.outcomes() == outcomes


async def test_a_database_that_was_changed_is_told(tmp_path: Path) -> None:
    async with HttpStub() as stub, alerting(tmp_path, settings(stub)) as place:
        stub.will(WELL)
        bot = place.bot
        await bot.say(ANNA, "forbidden things")
        assert bot.state.change("UPDATE cases SET grade = 'minor'") == 1
        await TablesSample(bot.config.place, bot.stores.database, bot.pipeline, bot.config.policy, Random(1)).look()
        await place.sent()
        (found,) = told(stub.requests)
        assert (found["type"], found["data"]["problem"]) == ("answerable.log", "tables")


def test_every_problem_of_the_log_has_its_words() -> None:
    told_of = {"tables", *(f"clock-{doubt}" for doubt in get_args(Doubt) if doubt != "unheard"), *DAMAGE}
    for language in LANGUAGES:
        keys = Catalog.load().keys(language)
        assert {key.removeprefix("alert.log.") for key in keys if key.startswith("alert.log.")} == told_of


async def test_being_removed_from_a_room_is_told_and_leaving_it_is_not(theatre: Theatre) -> None:
    async with HttpStub() as stub:
        stub.will(WELL)
        bot = await theatre.bot(settings(stub), start=False)
        bot.config = bot.config.model_copy(update={"secrets": Secrets(alerts=SecretStr(SECRET))})
        bot.start()
        owner, other = await theatre.people("owner", "other")
        one, two = await theatre.room(bot, owner, bot_level=90), await theatre.room(bot, other)
        asked = await ask(other, bot, await open_direct(other, bot), "!leave")
        await other.send_text(await direct_room(other, bot), f"!leave {asked.rsplit('!leave ', 1)[1].split()[0]}")
        await bot.until_condition(two, "left")
        await owner.kick(one, bot.user)
        await bot.until(lambda: stub.requests, "the alert")
        (found,) = told(stub.requests)
        assert (found["type"], found["data"]["group"]) == ("answerable.removed", bot.code(one))
        assert bot.user not in json.dumps(found)


async def test_a_wave_of_people_is_told_without_their_names(tmp_path: Path) -> None:
    async with HttpStub() as stub, alerting(tmp_path, settings(stub, more="[joins]\nwave = 3\n")) as place:
        stub.will(WELL)
        for number in range(5):
            await place.bot.membership(UserId(f"@stranger{number}:elsewhere.example"), "join")
        await place.sent()
        (found,) = told(stub.requests)
        assert (found["type"], found["data"]["group"]) == ("answerable.wave", "G-7F3K")
        assert "stranger" not in json.dumps(found)
