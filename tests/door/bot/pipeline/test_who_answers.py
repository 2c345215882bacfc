"""Responsibility for a case: it lies with those who were told, also if they leave, but not those who may not act.

Time passes on the bot's clock, and only when everybody has been told.
"""

import pytest

from moderation.model.facts import CaseAssigned, CaseDecided, CaseLeft, CaseMoved, CreditChanged, SanctionStarted
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import RULES, like

pytestmark = pytest.mark.usefixtures("short_waits")
SHORT = (
    RULES
    + """
[cases.deadlines]
minor = "4m"
moderate = "4m"
serious = "4m"
severe = "4m"
[standing]
overdue = 61
overdue_daily = 0
overdue_at_most = 61
"""
)


async def violated(scene: Scene) -> None:
    """Let a member's message open case 1, and wait until its card is posted."""
    await scene.members[0].send_text(scene.room, "forbidden 7")
    await scene.bot.until(lambda: scene.bot.rows("SELECT 1 FROM cases WHERE card != ''"), "the card")
    await scene.bot.idle()


async def until_step(scene: Scene, step: str) -> None:
    """Let time pass until case 1 has taken a step."""
    await scene.bot.pass_until(lambda: step in [f.step for f in scene.bot.facts(CaseMoved) if f.n == 1], step)


def charged(scene: Scene) -> list[str]:
    return [fact.subject for fact in scene.bot.facts(CreditChanged) if fact.ledger == "standing"]


async def test_a_manager_outside_the_desk_is_told_in_private_before_a_charge(theatre: Theatre) -> None:
    acting, idle = await theatre.people("acting", "idle")
    scene = await theatre.scene(SHORT, managers=0, members=2)
    bot = scene.bot
    for person in (acting, idle):
        await scene.owner.invite(scene.room, person.user)
        await person.join(scene.room)
    await scene.owner.set_power(scene.room, {acting.user: 50, idle.user: 50})
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE levels LIKE ?", f"%{idle.user}%"), "the levels")
    direct = await open_direct(
        acting, bot
    )  # who acts as a manager has accepted it; who has only been given a level, not
    code = bot.code(scene.room)
    assert like("done.warn").search(await ask(acting, bot, direct, f"!warn {scene.members[1].user} be kind {code}"))
    await scene.members[0].send_text(scene.room, "forbidden 7")
    await bot.until(lambda: bot.facts(CaseAssigned), "somebody on duty")
    assert [(f.n, f.subject, f.how) for f in bot.facts(CaseAssigned)] == [(2, acting.user, "word")]
    await told(acting, bot, like("notice.asked.managers", n="2"))
    assert charged(scene) == []
    await bot.pass_until(lambda: "overdue" in [f.step for f in bot.facts(CaseMoved) if f.n == 2], "the deadline")
    assert charged(scene) == [acting.user]


@pytest.mark.long
async def test_leaving_shortly_before_the_deadline_is_charged_like_staying(theatre: Theatre) -> None:
    scene = await theatre.scene(SHORT, managers=1)
    (manager,) = scene.managers
    await violated(scene)
    await until_step(scene, "reminded")
    await manager.leave(scene.room)
    await scene.bot.until(lambda: scene.bot.facts(CaseLeft), "that the manager left")
    await until_step(scene, "overdue")
    assert [fact.what for fact in scene.bot.facts(CaseLeft)] == ["gone"]
    assert charged(scene) == [manager.user]


@pytest.mark.long
async def test_a_creator_whose_rights_are_suspended_does_nothing_through_the_bot(theatre: Theatre) -> None:
    operator = (await theatre.people("operator"))[0]
    scene = await theatre.scene(SHORT, managers=0, version="12", bot=f'operators = ["{operator.user}"]')
    bot, owner, (member,) = scene.bot, scene.owner, scene.members
    await violated(scene)
    await bot.pass_until(lambda: [f for f in bot.facts(SanctionStarted) if f.kind == "demote"], "the suspension")
    assert charged(scene) == [owner.user]
    direct = await open_direct(owner, bot)
    code = bot.code(scene.room)
    for command in (f"!mute {member.user} 1h", f"!ban {member.user}", "!uphold 1"):
        assert like("error.right.suspended").search(await ask(owner, bot, direct, f"{command} {code}"))
    await bot.idle()
    assert [f.kind for f in bot.facts(SanctionStarted) if f.subject == member.user] == []
    assert bot.facts(CaseDecided) == []
