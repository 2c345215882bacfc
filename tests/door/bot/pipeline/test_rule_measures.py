"""Rules that remove people: by themselves or once a manager decides, told with reasons, and undone by a reversal."""

import json
from functools import partial
from pathlib import Path

import pytest

from moderation.model.facts import CaseOpened, RoomRuleChanged, SanctionEnded, SanctionStarted, StatementGiven
from tests.door.offline import DESK, MARK, OLGA, offline
from tests.people.client import Client
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import like, until

RULE = """
[[rules]]
name = "{name}"
kind = "terms"
class = "serious"
measure = "{measure}"
ban_for = "2d"
decide = "{decide}"
terms = ["buy now"]
text = {{ en = "No advertising." }}
"""


async def test_a_rule_bans_at_once_and_a_reversal_invites_back(theatre: Theatre) -> None:
    scene = await theatre.scene(RULE.format(name="ads", measure="ban", decide="auto"))
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    shown = await ask(ann, bot, room, "!rules")
    assert like("rules.brings.ban", span="2 days").search(shown)
    said = [await ann.send_text(room, f"buy now {n}") for n in range(3)]
    notice = await told(ann, bot, like("notice.removed.ban"))
    assert like("notice.violation", n="1").search(notice.body)
    assert like("notice.foot", n="1").search(notice.body)
    card = await scene.card(manager, 1)
    assert "banned" in card.body
    await bot.idle()
    assert [await owner.is_redacted(room, each) for each in said] == [True] * 3
    assert (await owner.members(room))[ann.user] == "ban"
    assert [(f.kind, f.basis, f.rule, f.n) for f in bot.facts(SanctionStarted)][:2] == [
        ("redact", "rule", "ads", 1),
        ("ban", "rule", "ads", 1),
    ]
    [ban] = [f for f in bot.facts(SanctionStarted) if f.kind == "ban"]
    assert bot.rows("SELECT until - at FROM sanctions WHERE kind = 'ban'") == [(2 * 86_400_000,)]
    await manager.react(scene.desk, card.id, "❌")
    await ann.wait_invite(room)
    await bot.idle()
    assert [(f.kind, f.why, f.n) for f in bot.facts(SanctionEnded)] == [("ban", "reversed", ban.n)]


async def test_a_forbidden_name_is_removed_each_time_it_comes_in_and_the_third_time_banned(theatre: Theatre) -> None:
    scene = await theatre.scene(RULE.format(name="names", measure="kick", decide="auto"))
    bot, room, owner, (ann,) = scene.bot, scene.room, scene.owner, scene.members
    for membership in ("leave", "leave", "ban"):
        await ann.set_state(room, "m.room.member", {"membership": "join", "displayname": "buy now"}, ann.user)
        await until(partial(_is_out, owner, room, ann.user, membership), f"the {membership}")
        await bot.idle()
        if membership == "leave":
            await owner.invite(room, ann.user)
            await ann.join(room)
    await told(ann, bot, like("notice.removed.ban"))
    begun = [(fact.kind, fact.n) for fact in bot.facts(SanctionStarted)]
    assert begun == [("kick", 1), ("kick", 1), ("ban", 1)]
    assert [case.n for case in bot.facts(CaseOpened)] == [1]
    kinds = [each["kind"] for fact in bot.facts(StatementGiven) for each in json.loads(fact.statement)["measures"]]
    assert kinds == ["kick", "ban"]


async def _is_out(owner: Client, room: str, user: str, membership: str) -> bool:
    return (await owner.members(room)).get(user) == membership


@pytest.mark.parametrize(
    ("above", "measure", "added"),
    [("kick", "kick", False), ("ban", "kick", False), ("", "kick", True), ("", "ban", True)],
)
async def test_nobody_writes_a_rule_that_does_more_than_they_may(
    tmp_path: Path, above: str, measure: str, added: bool
) -> None:
    async with offline(tmp_path) as bot:
        levels = {"users": {str(OLGA): 100, "@bot:example.org": 100, str(MARK): 50}, **({above: 60} if above else {})}
        await bot.event(OLGA, "m.room.power_levels", levels, key="")
        lasts = "30d" if measure == "ban" else ""
        await bot.say(MARK, f'!rule add no-ads terms "buy now" {measure} {lasts} minor', DESK)
        assert bool(bot.facts(RoomRuleChanged)) is added
