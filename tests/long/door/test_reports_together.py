"""One member reports many messages at once: what the desk shows, what one decision covers, what it costs."""

import re

import pytest

from moderation.model.builtin_rules import MISUSE, REPORTED, UNDECIDED
from moderation.model.facts import CaseDecided, CaseMoved, CaseOpened, CreditChanged, Reported, SanctionStarted
from moderation.values.ids import EventId
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import RULES, like, until

NOBODY_DECIDES = (
    RULES
    + """
[cases.deadlines]
minor = "4m"
moderate = "4m"
serious = "4m"
severe = "4m"
"""
)


async def greetings(scene: Scene, count: int) -> list[EventId]:
    """Let all members but the last say hello, `count` messages in all."""
    greeting = scene.members[:-1]
    said = [await greeting[n % len(greeting)].send_text(scene.room, f"hello, number {n}") for n in range(count)]
    await scene.bot.has(*said)
    return said


async def flagged(scene: Scene, who: Client, events: list[EventId]) -> None:
    """Press the flag under messages, one after the other, and wait until all are answered."""
    pressed = [await who.react(scene.room, event, "🚩") for event in events]
    await scene.bot.has(*pressed)
    await scene.bot.idle()


def lead_of(scene: Scene) -> list[tuple[int, int]]:
    """Return each case with the case on whose card it is shown."""
    return [(f.n, f.lead) for f in scene.bot.facts(CaseOpened) if f.rule == REPORTED]


async def cards(scene: Scene, who: Client) -> list[str]:
    """Return the first line of each card in the desk."""
    events = [e["content"] for e in await who.messages(scene.desk, 200) if e["sender"] == scene.bot.user]
    shown = [c for c in events if "org.answerable.card" in c and "m.relates_to" not in c]
    return [str(content["body"]).splitlines()[0] for content in shown]


@pytest.mark.usefixtures("short_waits")
async def test_a_flood_of_reports_that_nobody_decides_costs_the_reporter_and_not_the_group(theatre: Theatre) -> None:
    scene = await theatre.scene(NOBODY_DECIDES, managers=2, members=14)
    bot, reporter = scene.bot, scene.members[-1]
    await flagged(scene, reporter, await greetings(scene, 13))
    await bot.pass_until(
        lambda: any(f.asked == "operator" for f in bot.facts(CaseMoved)), "a case to reach the operator"
    )
    await bot.idle()
    assert 3 <= len(bot.facts(Reported)) <= 5
    charges = [f for f in bot.facts(CreditChanged) if f.ledger == "standing"]
    assert {f.subject for f in charges} == {scene.owner.user, *(m.user for m in scene.managers)}
    assert min(f.left for f in charges) >= 90
    assert [f.kind for f in bot.facts(SanctionStarted)] == ["warn"]  # nobody is demoted, and the room keeps its voice
    assert [(f.subject, f.rule) for f in bot.facts(SanctionStarted)] == [(reporter.user, UNDECIDED)]
    word = await told(reporter, bot, like("notice.own.reports_undecided"))
    assert like("notice.reports-paused").search(word.body)
    said = await scene.members[0].send_text(scene.room, "good night")
    await bot.has(said)
    await reporter.react(scene.room, said, "🚩")
    await told(reporter, bot, like("error.report.undecided"))


async def test_reports_at_one_time_are_one_card_and_one_press_dismisses_them_all(theatre: Theatre) -> None:
    scene = await theatre.scene(members=8)
    bot, (manager,), ben = scene.bot, scene.managers, scene.members[-1]
    said = await greetings(scene, 7)
    await flagged(scene, ben, said)
    assert lead_of(scene) == [(1, 0), (2, 1), (3, 1), (4, 1), (5, 1)]
    await told(ben, bot, like("error.report.budget", count="5"))
    card = await scene.card(manager, 1)
    assert await cards(scene, manager) == [card.body.splitlines()[0]]
    shown = await scene.wait_desk(
        manager, lambda seen: like("card.also", count="4").search(seen.body) is not None, "a card with the others"
    )
    assert like("card.also-one", n="5", who=scene.members[4].user, words="hello, number 4").search(shown.body)
    await manager.react(scene.desk, card.id, "❌")
    word = await told(ben, bot, like("report.outcome.dismissed", n="5"))
    assert like("notice.own.report_misuse").search(word.body)  # one message for all of it
    assert [(f.n, f.what, f.by) for f in bot.facts(CaseDecided)] == [
        (n, "dismissed", manager.user) for n in range(1, 6)
    ]
    assert [f.subject for f in bot.facts(CaseOpened) if f.rule == MISUSE] == [ben.user]
    assert bot.rows("SELECT n FROM cases WHERE outcome = ''") == []


async def test_upholding_the_first_gives_the_others_cards_and_deadlines_of_their_own(theatre: Theatre) -> None:
    scene = await theatre.scene(members=4)
    bot, (manager,), ben = scene.bot, scene.managers, scene.members[-1]
    await flagged(scene, ben, await greetings(scene, 3))
    card = await scene.card(manager, 1)
    await ask(manager, bot, scene.desk, "!dismiss 3 a greeting")
    await manager.react(scene.desk, card.id, "✅")
    alone = await scene.card(manager, 2)
    assert like("card.open").search(alone.body)
    assert [(f.n, f.what) for f in bot.facts(CaseDecided)] == [(3, "dismissed"), (1, "upheld")]
    assert [(f.n, f.step) for f in bot.facts(CaseMoved)] == [(2, "parted")]
    ((due, lead),) = bot.rows("SELECT due, lead FROM cases WHERE n = 2")
    assert (due > bot.clock(), lead) == (True, 0)


async def test_all_waiting_reports_of_one_member_are_dismissed_at_once(theatre: Theatre) -> None:
    scene = await theatre.scene(members=5)
    bot, (manager,), (ann, *_, cleo, ben) = scene.bot, scene.managers, scene.members
    said = await greetings(scene, 3)
    await flagged(scene, ben, said)
    bot.ahead_ms += 11 * 60_000  # another card
    later = await ann.send_text(scene.room, "good evening")
    await bot.has(later)
    await flagged(scene, ben, [later])
    await flagged(scene, cleo, said[1:2])
    direct = await open_direct(manager, bot)
    code = bot.code(scene.room)
    assert like("error.missing.dismissal").match(await ask(manager, bot, direct, f"!dismiss-reports 1 {code}"))
    assert like("error.dismiss-reports.several").match(
        await ask(manager, bot, direct, f"!dismiss-reports 2 {code} greetings")
    )
    answer = await ask(manager, bot, direct, f"!dismiss-reports {ben.user} {code} greetings")
    assert like("done.dismiss-reports", count="3").search(answer)
    assert like("done.dismiss-reports-kept", count="1").search(answer)
    assert [(f.n, f.reason) for f in bot.facts(CaseDecided)] == [(n, "greetings") for n in (1, 3, 4)]
    assert like("error.dismiss-reports.nothing").match(
        await ask(manager, bot, direct, f"!dismiss-reports 4 {code} greetings")
    )
    # What two people reported waits, with a card and a deadline of its own.
    assert re.search("hello, number 1", (await scene.card(manager, 2)).body)
    # Said in the desk, neither the command nor its answer stays there.
    asked = await manager.send_text(scene.desk, f"!dismiss-reports {ben.user} greetings")
    await until(lambda: manager.is_redacted(scene.desk, asked), "the command to go")
