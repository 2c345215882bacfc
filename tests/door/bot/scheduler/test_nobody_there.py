"""Deadlines pause while the bot is down; rooms in which nobody is on duty, or nobody is left who can act."""

from typing import Any

import pytest

from moderation.model.facts import (
    CaseAssigned,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    LevelKept,
    NoticeGiven,
    NotSeen,
    SanctionStarted,
    TaskOpened,
)
from moderation.values.durations import DAY_MS
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

SHORT = (
    RULES
    + """
[cases.deadlines]
minor = "1h"
moderate = "1h"
serious = "2m"
severe = "1h"
[standing]
overdue = 61
overdue_daily = 0
overdue_at_most = 61
"""
)
TIMES = "SELECT due, remind FROM cases WHERE n = 1"


def alive(bot: ServedBot) -> int:
    """Return when the bot last noted that it was running."""
    ((noted,),) = bot.rows("SELECT value FROM meta WHERE key = 'alive'")
    return int(noted)


async def waiting_case(scene: Scene) -> tuple[int, int]:
    """Open a waiting case. Returns when it is due, and when somebody is reminded."""
    await scene.members[0].send_text(scene.room, "forbidden 7")
    await scene.card(scene.managers[0], 1)
    await scene.bot.idle()
    ((due, remind),) = scene.bot.rows(TIMES)
    return due, remind


async def test_no_deadline_runs_while_the_bot_is_down_and_the_pause_is_recorded(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot = scene.bot
    due, remind = await waiting_case(scene)
    await bot.crash()
    before = alive(bot)
    bot.ahead_ms += 3 * DAY_MS  # longer than the case has
    bot.start()
    await bot.until(lambda: bot.facts(NotSeen) and alive(bot) > before, "the pause to be noted")
    (missing,) = bot.facts(NotSeen)
    assert (missing.what, missing.since) == ("down", before)
    assert 3 * DAY_MS <= missing.count <= alive(bot) - before
    assert bot.rows(TIMES) == [(due + missing.count, remind + missing.count)]
    marker = await scene.members[0].send_text(scene.room, "good morning")
    await bot.has(marker)
    await bot.idle()
    assert (bot.facts(CaseMoved), bot.facts(CreditChanged)) == ([], [])

    # A restart takes as long as it takes, and the same pause is not noted twice when the database forgot it.
    kept = bot.copy_of_database()
    await bot.restart()
    marker = await scene.members[0].send_text(scene.room, "here I am")
    await bot.has(marker)
    await bot.crash()
    bot.put_back(kept)
    bot.start()
    await bot.has(await scene.members[0].send_text(scene.room, "here I am again"))
    await bot.idle()
    moved = sum(pause.count for pause in bot.facts(NotSeen))
    assert bot.rows(TIMES) == [(due + moved, remind + moved)]
    assert moved < 3 * DAY_MS + 600_000


@pytest.mark.long
async def test_a_pause_missing_in_the_database_is_not_recorded_or_counted_twice(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot = scene.bot
    due, remind = await waiting_case(scene)
    kept = bot.copy_of_database()
    await bot.crash()
    bot.ahead_ms += DAY_MS
    bot.start()
    await bot.until(lambda: bot.facts(NotSeen), "the pause to be noted")
    await bot.crash()
    bot.put_back(kept)  # from before the pause
    bot.start()
    await bot.has(await scene.members[0].send_text(scene.room, "good morning"))
    await bot.idle()
    pauses = bot.facts(NotSeen)
    assert [pause.count >= DAY_MS for pause in pauses] == [True, *(False for _ in pauses[1:])]
    moved = sum(pause.count for pause in pauses)
    assert bot.rows(TIMES) == [(due + moved, remind + moved)]


async def test_a_case_with_nobody_on_duty_goes_to_the_operator_and_charges_the_owner(
    theatre: Theatre,
) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(managers=1, members=2, bot=f'operators = ["{operator.user}"]')
    bot, owner, (manager,), (ann, ben) = scene.bot, scene.owner, scene.managers, scene.members
    assert like("away.owner").search(await ask(manager, bot, scene.desk, "!away 3d"))
    assert like("away.nobody", cost="10").search(await ask(owner, bot, scene.desk, "!away 1d"))
    await ann.send_text(scene.room, "forbidden 1")
    await told(operator, bot, like("notice.asked.operator", n="1"))
    word = await told(owner, bot, like("notice.own.duty_nobody", about="1", n="2"))
    assert like("notice.standing.charge", cost="10", left="90").search(word.body)
    moved = [(f.n, f.step, f.state, f.asked) for f in bot.facts(CaseMoved)]
    assert moved == [(1, "escalated", "escalated_operator", "operator")]
    assert [(f.n, f.asked, f.subject) for f in bot.facts(CaseAssigned)] == [(1, "operator", operator.user)]
    nobody = [(f.n, f.about, f.subject, f.state) for f in bot.facts(CaseOpened) if f.rule == "duty_nobody"]
    assert nobody == [(2, 1, owner.user, "decided")]
    assert [(f.task, f.n, f.subject) for f in bot.facts(TaskOpened)] == [("case", 1, ann.user)]
    # Another case on the same day costs nothing more; and one who is back is asked again.
    await ben.send_text(scene.room, "forbidden 2")
    await told(operator, bot, like("notice.asked.operator", n="3"))
    assert like("away.back").search(await ask(owner, bot, scene.desk, "!back"))
    assert len(bot.facts(CreditChanged)) == 1
    said = await operator.send_text(await direct_room(operator, bot), "!dismiss 3 no")
    await bot.has(said)
    await told(ben, bot, like("notice.message.dismissed", n="3"))


@pytest.mark.long
@pytest.mark.usefixtures("short_waits")
async def test_the_operator_is_told_before_the_last_active_manager_is_demoted(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(SHORT, bot=f'operators = ["{operator.user}"]')
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    direct = await open_direct(operator, bot)
    await owner.leave(room)
    gone = "SELECT 1 FROM members WHERE room = ? AND user = ? AND membership = 'leave'"
    await bot.until(lambda: bot.rows(gone, room, owner.user), "the owner to have left")
    await bot.idle()
    await scene.members[0].send_text(room, "forbidden 7")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE card != ''"), "the card")
    await bot.pass_until(lambda: [f for f in bot.facts(SanctionStarted) if f.kind == "demote"], "the demotion")
    await manager.wait_state(room, "m.room.power_levels", lambda content: manager.user not in content["users"])
    word = await told(operator, bot, like("task.last-manager"))
    assert manager.user in word.body
    await bot.idle()
    assert [(f.task, f.n, f.subject) for f in bot.facts(TaskOpened) if f.task == "last-manager"] == [
        ("last-manager", 2, manager.user)
    ]
    assert [(f.kind, f.basis, f.subject) for f in bot.facts(SanctionStarted) if f.kind == "demote"] == [
        ("demote", "standing", manager.user)
    ]
    # First the word, then the level: on the homeserver, and in the records.
    levels = await last_levels(manager, room)
    (said,) = [e for e in await operator.messages(direct, 50) if e["event_id"] == word.id]
    assert said["origin_server_ts"] <= levels["origin_server_ts"]
    order = [
        "told" if isinstance(fact, NoticeGiven) else fact.step
        for _, fact in bot.numbered_facts()
        if (isinstance(fact, NoticeGiven) and fact.what == "task.last-manager" and fact.subject == operator.user)
        or (isinstance(fact, LevelKept) and fact.subject == manager.user)
    ]
    assert order == ["told", "intended", "held"]
    # The case went to the operator as substitute.
    assert like("decided.upheld", n="1").search(await ask(operator, bot, direct, "!uphold 1"))


async def last_levels(who: Client, room: str) -> dict[str, Any]:
    """Return the newest power levels of a room, as an event."""
    found: list[dict[str, Any]] = [e for e in await who.messages(room, 50) if e["type"] == "m.room.power_levels"]
    return max(found, key=lambda event: event["origin_server_ts"])
