"""A case that nobody touches: reminder, overdue, passed to the owner, then to the operator; and what that costs.

Time passes on the bot's clock, and only when everybody has been told.
"""

import pytest

from moderation.model.facts import CaseAssigned, CaseMoved, CaseOpened, CreditChanged, SanctionEnded, SanctionStarted
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

pytestmark = pytest.mark.usefixtures("short_waits")
SHORT = (
    RULES
    + """
[cases.deadlines]
minor = "2m"
moderate = "2m"
serious = "2m"
severe = "2m"
[standing]
overdue = 61
overdue_daily = 0
overdue_at_most = 61
"""
)


def story(bot: ServedBot, n: int) -> list[tuple[str, str, str]]:
    """Return the steps of a case other than decisions."""
    return [(fact.step, fact.state, fact.asked) for fact in bot.facts(CaseMoved) if fact.n == n]


async def neglected(scene: Scene) -> int:
    """Let a member's message open a case, wait until it is with the operator, and return its number."""
    await scene.members[0].send_text(scene.room, "forbidden 7")
    operators = "SELECT 1 FROM cases WHERE n = 1 AND state = 'escalated_operator'"
    await scene.bot.until(lambda: scene.bot.rows("SELECT 1 FROM cases WHERE card != ''"), "the card")
    await scene.bot.pass_until(lambda: scene.bot.rows(operators), "the case to reach the operator")
    return 1


async def test_an_untouched_case_escalates_and_charges_people_on_duty(theatre: Theatre) -> None:
    operator = (await theatre.people("operator"))[0]
    scene = await theatre.scene(SHORT, managers=1, bot=f'operators = ["{operator.user}"]')
    bot, owner, (manager,) = scene.bot, scene.owner, scene.managers
    n = await neglected(scene)
    assert story(bot, n) == [
        ("reminded", "open", "managers"),
        ("overdue", "overdue", "managers"),
        ("escalated", "escalated_owner", "owner"),
        ("reminded", "escalated_owner", "owner"),
        ("escalated", "escalated_operator", "operator"),
    ]
    assert [(f.n, f.asked, f.subject) for f in bot.facts(CaseAssigned)] == [
        (n, "managers", manager.user),
        (n, "owner", owner.user),
        (n, "operator", operator.user),
    ]
    neglect = [(f.n, f.rule, f.about, f.subject) for f in bot.facts(CaseOpened) if f.rule == "duty_overdue"]
    assert neglect == [(2, "duty_overdue", 1, manager.user), (3, "duty_overdue", 1, owner.user)]
    charges = [(f.ledger, f.cost, f.left, f.subject) for f in bot.facts(CreditChanged)]
    assert charges == [("standing", 61, 39, manager.user), ("standing", 61, 39, owner.user)]
    await scene.until_level(manager.user, None)  # demoted
    word = await told(manager, bot, like("notice.own.duty_overdue", about="1", n="2"))
    assert like("notice.standing.charge", cost="61", left="39").search(word.body)
    assert like("notice.measure-there.standing", credit="39").search(word.body)
    await told(operator, bot, like("notice.asked.operator", n="1"))
    await scene.wait_desk(owner, lambda s: like("desk.moved.overdue", n="1").search(s.body) is not None, "overdue")

    # She appeals; the owner's rights are suspended too, so the operator reverses it, and she has her old credit.
    direct = await direct_room(manager, bot)
    await manager.send_text(direct, "!appeal 2 I was on a train")
    await told(operator, bot, like("notice.asked.operator", n="2"))
    answer = await ask(manager, bot, direct, "!dismiss 2")
    assert like("error.right.manager").search(answer) or like("error.case.own").search(answer)
    mine = await direct_room(owner, bot)
    assert like("error.right.suspended").search(await ask(owner, bot, mine, "!dismiss 2 fair enough"))
    theirs = await direct_room(operator, bot)
    assert like("decided.dismissed", n="2").search(await ask(operator, bot, theirs, "!dismiss 2 fair enough"))
    await scene.until_level(manager.user, 50)
    word = await told(manager, bot, like("notice.case.dismissed", n="2"))
    assert like("notice.standing.compensation", left="100").search(word.body)
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded) if f.subject == manager.user] == [("demote", "reversed")]
    assert like("standing.now", standing="100").search(await ask(manager, bot, direct, "!credit"))


MANY = "".join(
    f"""
[[rules]]
name = "ask-{number}"
kind = "terms"
class = "serious"
decide = "manager"
terms = ["question {number} of"]
"""
    for number in range(13)
)


@pytest.mark.long
async def test_a_manager_is_demoted_when_many_deadlines_pass_in_one_moment(theatre: Theatre) -> None:
    gentle = SHORT.replace("overdue = 61", "overdue = 5").replace("overdue_at_most = 61", "overdue_at_most = 5")
    scene = await theatre.scene(MANY + gentle + "overdue_a_day = 0\n", managers=1)
    bot, (manager,) = scene.bot, scene.managers
    for number in range(13):
        await scene.members[0].send_text(scene.room, f"question {number} of")
    await bot.until(lambda: len(bot.rows("SELECT 1 FROM cases WHERE card != ''")) == 13, "all cards")
    await bot.pass_until(lambda: [f for f in bot.facts(SanctionStarted) if f.kind == "demote"], "the demotion")
    await scene.until_level(manager.user, None)
    charges = [fact.left for fact in bot.facts(CreditChanged) if fact.subject == manager.user]
    assert charges == [100 - 5 * n for n in range(1, 14)]
    demoted = [(f.kind, f.credit) for f in bot.facts(SanctionStarted) if f.subject == manager.user]
    assert demoted == [("demote", 35)]


@pytest.mark.long
async def test_a_decision_of_the_operator_ends_the_measure_against_the_room(theatre: Theatre) -> None:
    operator = (await theatre.people("operator"))[0]
    scene = await theatre.scene(SHORT, managers=1, bot=f'operators = ["{operator.user}"]')
    bot = scene.bot
    await neglected(scene)
    assert [(f.kind, f.basis) for f in bot.facts(SanctionStarted) if f.kind == "rectify"] == [("rectify", "neglect")]
    direct = await open_direct(operator, bot)
    assert "1" in await ask(operator, bot, direct, "!cases")
    assert like("decided.upheld", n="1").search(await ask(operator, bot, direct, "!uphold 1 see the rules"))
    ended = [(f.kind, f.why) for f in bot.facts(SanctionEnded) if f.kind == "rectify"]
    assert ended == [("rectify", "mended")]
