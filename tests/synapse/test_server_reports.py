"""The report button of clients: reports to the homeserver reach the managers."""

import pytest
from pydantic import SecretStr

from bot.sync import server_reports
from moderation.model.facts import CaseOpened, Reported
from tests.people.client import Client
from tests.theatre.scene import Theatre, told
from tests.theatre.served import RULES, like


async def press_report(who: Client, room: str, event: str, reason: str) -> None:
    await who.request("POST", "rooms", room, "report", event, json={"reason": reason})


async def test_a_report_at_the_homeserver_becomes_a_case_with_an_outcome(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_reports, "EVERY_S", 0.2)
    admin = await theatre.stage.person("admin", admin=True)
    (operator,) = await theatre.people("operator")
    settings = RULES + '[reports]\nhomeserver = "synapse"\n'
    bot = await theatre.bot(settings, start=False, bot=f'operators = ["{operator.user}"]')
    secrets = bot.config.secrets.model_copy(update={"admin_token": SecretStr(admin.token)})
    bot.config = bot.config.model_copy(update={"secrets": secrets})
    bot.start()
    owner, manager, ann, ben = await theatre.people("owner", "manager", "ann", "ben")
    room = await theatre.room(bot, owner, [manager], [ann, ben])
    desk = await theatre.enter_desk(bot, room, owner, manager)
    await bot.until(lambda: bot.rows("SELECT 1 FROM meta WHERE key = 'server_reports'"), "the first look")
    said = await ann.send_text(room, "you are all fools")
    await bot.has(said)
    await press_report(ben, room, said, "this is unkind")
    await bot.until(lambda: bot.facts(Reported), "the report")
    assert [(f.by, f.reason, f.channel) for f in bot.facts(Reported)] == [(ben.user, "this is unkind", "server")]
    assert [f.event for f in bot.facts(CaseOpened)] == [said]
    await press_report(ben, room, said, "still unkind")  # the same once more changes nothing
    await manager.send_text(desk, "!dismiss 1 a quotation")
    await told(ben, bot, like("report.outcome.dismissed", n="1"))
    await bot.idle()
    assert len(bot.facts(Reported)) == 1
    # A person is reported, with no message: there is no case, and the operator is told.
    await ben.request("POST", "users", ann.user, "report", json={"reason": "rude in private"})
    await told(operator, bot, like("report.of-person", reason="rude in private"))
    assert len(bot.facts(Reported)) == 1
