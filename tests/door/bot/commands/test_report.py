"""Reports by members: each way to report, answers to the reporter, who learns their name, consequences of misuse."""

import json
from typing import Any

import pytest

from moderation.model.builtin_rules import MISUSE, REPORTED
from moderation.model.facts import CaseDecided, CaseGrew, CaseOpened, Reported, SanctionStarted
from moderation.values.ids import EventId
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, answer, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like, until

HARSH = (
    RULES
    + """
[reports]
class = "serious"
measure = "mute"
mute_for = "1h"
"""
)
QUICK = (
    RULES
    + """
[credit]
incident_window = "1s"
[reports]
misuse_after = 1
misuse_pause = "7d"
"""
)


async def reply(who: Client, room: str, to: str, text: str) -> EventId:
    """Say something as a reply."""
    return await who.send_text(room, text, **{"m.relates_to": {"m.in_reply_to": {"event_id": to}}})


def link_to(room: str, event: str) -> str:
    """Return a link to a message in the form in which clients copy it."""
    return f"https://matrix.to/#/{room}/{event}?via=localhost"


async def by_the_bot(who: Client, bot: ServedBot) -> str:
    """Return everything by the bot that somebody can read in all their rooms."""
    rooms = (await who.request("GET", "joined_rooms"))["joined_rooms"]
    events = [event for room in rooms for event in await who.messages(room, 500)]
    return "\n".join(json.dumps(event) for event in events if event["sender"] == bot.user)


async def shown(scene: Scene, who: Client, card: Seen, pattern: Any) -> Seen:
    """Wait for an edit of the card that matches the pattern."""
    return await scene.wait_desk(
        who,
        lambda seen: (
            seen.content.get("m.relates_to", {}).get("event_id") == card.id and pattern.search(seen.body) is not None
        ),
        f"a card that says {pattern.pattern!r}",
    )


async def test_a_report_by_reply_is_answered_in_private_and_its_outcome_told(theatre: Theatre) -> None:
    scene = await theatre.scene(HARSH, members=3)
    bot, room, (manager,), (ann, ben, cleo) = scene.bot, scene.room, scene.managers, scene.members
    said = await ann.send_text(room, "you are all fools")
    asked = await reply(ben, room, said, "!report this is unkind")
    word = await told(ben, bot, like("report.thanks", n="1"))
    card = await scene.card(manager, 1)
    assert card.body.splitlines()[3:8] == [
        "“you are all fools”",
        f"Message: https://matrix.to/#/{room}/{said}?via=localhost",
        "The message is still in the room.",
        "Reports by members: 1",
        "Reported: “this is unkind”",
    ]
    await reply(cleo, room, said, "!report")
    await told(cleo, bot, like("report.thanks", n="1"))
    assert cleo.user not in (await shown(scene, manager, card, like("card.reported", count="2"))).body
    alone = await ask(manager, bot, await open_direct(manager, bot), "!case 1")
    assert like("card.reporter-reason", who=ben.user).search(alone) and f"Reported by {cleo.user}" in alone
    await until(lambda: manager.is_redacted(room, asked), "the command to go")

    await manager.react(scene.desk, card.id, "✅")
    for reporter in (ben, cleo):
        outcome = await told(reporter, bot, like("report.outcome.upheld", n="1"))
        assert len(outcome.body.splitlines()) == 1  # nothing about the measures
    await scene.until_level(ann.user, -1)
    await told(ann, bot, like("notice.report.upheld", n="1"))
    assert await manager.is_redacted(room, said)
    assert [(f.rule, f.grade, f.decide, f.event) for f in bot.facts(CaseOpened)] == [
        (REPORTED, "serious", "manager", said)
    ]
    assert [(f.n, f.subject, f.by, f.reason) for f in bot.facts(Reported)] == [
        (1, ann.user, ben.user, "this is unkind"),
        (1, ann.user, cleo.user, ""),
    ]
    assert {f.message for f in bot.facts(Reported)} == {bot.record_of(said).index}
    await bot.idle()
    read = await by_the_bot(ann, bot)
    assert (ben.user in read, cleo.user in read, "unkind" in read) == (False, False, False)
    assert word.room == await direct_room(ben, bot)


@pytest.mark.long
async def test_a_report_with_a_link_in_a_direct_room(theatre: Theatre) -> None:
    scene = await theatre.scene(HARSH, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    said = [await ann.send_text(room, f"fools, number {n}") for n in range(3)]
    await bot.has(*said)
    direct = await open_direct(ben, bot)
    link = link_to(room, said[0])
    assert like("report.thanks", n="1").fullmatch(await ask(ben, bot, direct, f"!report {link} this is unkind"))
    # The other form, and a link pressed in a client, which shows another text; of the same incident.
    uri = f"matrix:roomid/{room[1:]}/e/{said[1][1:]}?via=localhost"
    assert like("report.thanks", n="1").fullmatch(await ask(ben, bot, direct, f"!report {uri}"))
    html = {
        "format": "org.matrix.custom.html",
        "formatted_body": f'!report <a href="{link_to(room, said[2])}">it</a> ah',
    }
    assert like("report.thanks", n="1").fullmatch(await ask(ben, bot, direct, "!report it ah", **html))
    assert like("error.report.twice", n="1").fullmatch(await ask(ben, bot, direct, f"!report {link}"))
    card = await scene.card(manager, 1)
    await shown(scene, manager, card, like("card.more", count="3"))
    assert [(f.n, f.reason) for f in bot.facts(Reported)] == [(1, "this is unkind"), (1, ""), (1, "ah")]
    assert [f.event for f in bot.facts(CaseGrew)] == said[1:]
    assert len(bot.facts(CaseOpened)) == 1
    await ask(manager, bot, scene.desk, "!uphold 1")
    await bot.idle()
    assert [await manager.is_redacted(room, event) for event in said] == [True] * 3
    assert like("report.decided.upheld", n="1").fullmatch(
        await ask(manager, bot, await open_direct(manager, bot), f"!report {link}")
    )


@pytest.mark.long
async def test_a_wrong_report_is_explained_to_the_reporter_alone(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    (stranger,) = await theatre.people("stranger")
    elsewhere = await theatre.room(bot, stranger)
    own, said = await ben.send_text(room, "mine"), await ann.send_text(room, "a word")
    hidden = await stranger.send_text(elsewhere, "not for you")
    status = (await answer(ann, bot, room, await ann.send_text(room, "!status"))).id
    await bot.has(own, said, hidden, EventId(status))
    direct = await open_direct(ben, bot)
    commands = {
        "!report": "error.report.reply",
        "!report it is unkind": "error.report.reply",
        f"!report https://matrix.to/#/{room}": "error.report.link",
        f"!report https://matrix.to/#/{ann.user}": "error.report.link",
        "!report matrix:u/ann:localhost": "error.report.link",
        f"!report {link_to('!nowhere:localhost', said)}": "error.report.room",
        f"!report {link_to(direct, said)}": "error.report.room",
        f"!report {link_to(scene.desk, said)}": "error.report.room",
        f"!report {link_to(elsewhere, hidden)}": "error.report.outside",
        f"!report {link_to(room, hidden)}": "error.report.unknown",
        f"!report {link_to(room, '$never')}": "error.report.unknown",
        f"!report {link_to('#alias:localhost', '$never')}": "error.report.unknown",
        f"!report {link_to(room, own)}": "error.report.self",
        f"!report {link_to(room, status)}": "error.report.bot",
        f"!report {link_to(room, said)} " + "x" * 501: "error.reason.long",
    }
    wrong = {
        command[:80]: body[:80]
        for command, key in commands.items()
        if not like(key).match(body := await ask(ben, bot, direct, command))
    }
    assert wrong == {}
    # In the room nobody else sees that, or what, was asked.
    asked = [await ben.send_text(room, "!report"), await reply(ben, room, own, "!report")]
    await told(ben, bot, like("error.report.reply"))
    await told(ben, bot, like("error.report.self"))
    for event in asked:
        await until(lambda event=event: ann.is_redacted(room, event), "the command to go")  # type: ignore[misc]
    await bot.idle()
    assert "eport" not in await by_the_bot(ann, bot)
    assert (bot.facts(Reported), bot.facts(CaseOpened)) == ([], [])


async def test_a_reporting_reaction_is_removed_at_once_and_answered_in_private(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=3)
    bot, room, (manager,), (ann, ben, cleo) = scene.bot, scene.room, scene.managers, scene.members
    assert await ask(ben, bot, await open_direct(ben, bot), "!lang zh")
    said = await ann.send_text(room, "you are all fools")
    flags = [await ben.react(room, said, "\N{BLACK FLAG}"), await ben.react(room, said, "🚩\ufe0f")]
    await told(ben, bot, like("report.thanks", "zh", n="1"))
    flags.append(await cleo.react(room, said, "⚠"))
    await told(cleo, bot, like("report.thanks", n="1"))
    for event in flags[1:]:
        await until(lambda event=event: ann.is_redacted(room, event), "the reaction to go")  # type: ignore[misc]
    await ben.react(room, said, "🚩")
    await told(ben, bot, like("error.report.twice", "zh", n="1"))
    card = await scene.card(manager, 1)
    await shown(scene, manager, card, like("card.reported", count="2"))
    await manager.react(scene.desk, card.id, "❌")
    await told(ben, bot, like("report.outcome.dismissed", "zh", n="1"))
    await told(cleo, bot, like("report.outcome.dismissed", n="1"))
    await bot.idle()
    assert not await ann.is_redacted(room, flags[0])
    assert [f.by for f in bot.facts(Reported)] == [ben.user, cleo.user]
    own = [e for e in await ann.messages(room, 200) if e["sender"] == bot.user and e["type"] == "m.room.message"]
    ((notice,),) = bot.rows("SELECT notice FROM rooms WHERE room = ?", room)
    assert [event["event_id"] for event in own] == [notice]
    read = await by_the_bot(ann, bot)
    assert (ben.user in read, cleo.user in read) == (False, False)


@pytest.mark.long
async def test_a_reported_manager_reads_the_card_without_reporter_and_words(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, managers=2)
    bot, room, (mark, mina), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    said = await mark.send_text(room, "you are all fools")
    await reply(ann, room, said, "!report he always does this")
    await told(ann, bot, like("report.thanks", n="1"))
    card = await scene.card(mark, 1)
    assert like("card.report-alone").search(card.body) and "he always does this" not in card.body
    assert like("error.case.own").match(await ask(mark, bot, scene.desk, "!uphold 1"))
    direct = await open_direct(mark, bot)
    for where in (scene.desk, direct):
        assert like("card.reported", count="1").search(await ask(mark, bot, where, f"!case 1 {bot.code(room)}"))
    assert ann.user not in await ask(mina, bot, scene.desk, "!case 1")
    assert like("card.reporter-reason", who=ann.user).search(
        await ask(mina, bot, await open_direct(mina, bot), f"!case 1 {bot.code(room)}")
    )
    # A manager's report in the desk is removed too, since its members can read it.
    theirs = await mina.send_text(scene.desk, f"!report {link_to(room, said)} from the desk")
    await bot.until(lambda: [f.by for f in bot.facts(Reported)] == [ann.user, mina.user], "her report")
    await until(lambda: mark.is_redacted(scene.desk, theirs), "the command to go")
    await ask(mina, bot, scene.desk, "!uphold 1 enough")
    await told(ann, bot, like("report.outcome.upheld", n="1"))
    await told(mark, bot, like("notice.report.upheld", n="1"))
    await mark.send_text(direct, "!why 1")
    await mark.send_text(direct, "!appeal 1 it was a joke")
    await told(mark, bot, like("notice.appealed.other"))
    await ask(scene.owner, bot, scene.desk, "!dismiss 1 so it was")
    await told(ann, bot, like("report.outcome.reversed", n="1"))
    await told(mark, bot, like("notice.report.dismissed", n="1"))
    await bot.idle()
    read = await by_the_bot(mark, bot)
    assert "he always does this" in read
    assert ann.user not in read
    assert bot.facts(SanctionStarted)[0].kind == "redact"
    assert [f.rule for f in bot.facts(CaseOpened) if f.rule == MISUSE] == []  # it had been upheld


@pytest.mark.long
async def test_reports_for_nothing_bring_a_warning_then_a_pause_that_an_appeal_ends(theatre: Theatre) -> None:
    scene = await theatre.scene(QUICK, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    direct = await open_direct(ben, bot)
    numbers = []
    for count in range(2):
        bot.ahead_ms += 60_000  # another incident
        said = await ann.send_text(room, f"good day, {count}")
        await bot.has(said)
        assert like("report.thanks").fullmatch(await ask(ben, bot, direct, f"!report {link_to(room, said)}"))
        numbers.append(max(f.n for f in bot.facts(CaseOpened)))
        await ask(manager, bot, scene.desk, f"!dismiss {numbers[-1]} harmless")
        key = "notice.reports-paused" if count else "notice.own.report_misuse"
        word = await told(ben, bot, like(key))
        assert like("report.outcome.dismissed", n=str(numbers[-1])).search(word.body)  # one message for all of it
    misuse = [f for f in bot.facts(CaseOpened) if f.rule == MISUSE]
    assert [(f.subject, f.about, f.decide, f.state) for f in misuse] == [
        (ben.user, n, "auto", "decided") for n in numbers
    ]
    warnings = [f for f in bot.facts(SanctionStarted) if f.rule == MISUSE]
    assert [(f.kind, f.subject, f.n, f.until > 0) for f in warnings] == [
        ("warn", ben.user, misuse[0].n, False),
        ("warn", ben.user, misuse[1].n, True),
    ]
    more = await ann.send_text(room, "good evening")
    await bot.has(more)
    refused = like("error.report.paused")
    assert refused.fullmatch(await ask(ben, bot, direct, f"!report {link_to(room, more)}"))
    await ben.react(room, more, "🚩")
    await told(ben, bot, refused, after=ben.position)

    assert str(misuse[1].n) in await ask(ben, bot, direct, "!why")
    await ben.send_text(direct, f"!appeal {misuse[1].n} I meant well")
    await told(ben, bot, like("notice.appealed.other"))
    assert refused.fullmatch(await ask(ben, bot, direct, f"!report {link_to(room, more)}"))  # until then it holds
    await ask(manager, bot, scene.desk, f"!dismiss {misuse[1].n} fair enough")
    await told(ben, bot, like("notice.case.dismissed", n=str(misuse[1].n)))
    assert like("report.thanks").fullmatch(await ask(ben, bot, direct, f"!report {link_to(room, more)}"))


@pytest.mark.long
async def test_a_report_that_proves_right_takes_back_the_warning(theatre: Theatre) -> None:
    scene = await theatre.scene(QUICK, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    said = await ann.send_text(room, "you are all fools")
    await reply(ben, room, said, "!report")
    await told(ben, bot, like("report.thanks", n="1"))
    await ask(manager, bot, scene.desk, "!dismiss 1 no")
    await told(ben, bot, like("notice.own.report_misuse"))
    await ask(manager, bot, scene.desk, "!uphold 1 I had not seen the rest")
    word = await told(ben, bot, like("report.outcome.upheld", n="1"))
    assert like("notice.case.dismissed", n="2").search(word.body)
    assert [(f.n, f.what, f.subject) for f in bot.facts(CaseDecided)] == [
        (1, "dismissed", ann.user),
        (1, "upheld", ann.user),
        (2, "dismissed", ben.user),
    ]


@pytest.mark.long
async def test_a_case_of_a_rule_takes_in_the_report_of_its_message(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=3)
    bot, room, (manager,), (ann, ben, cleo) = scene.bot, scene.room, scene.managers, scene.members
    waits = await ann.send_text(room, "forbidden 1")
    card = await scene.card(manager, 1)
    await reply(ben, room, waits, "!report")
    await told(ben, bot, like("report.thanks", n="1"))
    await shown(scene, manager, card, like("card.reported", count="1"))
    done = await cleo.send_text(room, "a purple elephant")
    await scene.card(manager, 2)
    await ben.react(room, done, "🚩")
    await told(ben, bot, like("report.decided.upheld", n="2"))
    assert [f.rule for f in bot.facts(CaseOpened)] == ["tickets", "no-elephants"]
    assert [f.n for f in bot.facts(Reported)] == [1, 2]


@pytest.mark.long
async def test_a_bot_without_power_says_that_the_report_stays_visible(theatre: Theatre) -> None:
    bot, (owner, ann, ben) = await theatre.bot(), await theatre.people("owner", "ann", "ben")
    room = await theatre.room(bot, owner, members=[ann, ben], bot_level=0)
    said = await ann.send_text(room, "you are all fools")
    await reply(ben, room, said, "!report")
    word = await told(ben, bot, like("report.thanks", n="1"))
    assert like("report.stays").search(word.body)


async def test_reports_that_the_database_has_not_seen_are_caught_up_and_nothing_is_told_twice(theatre: Theatre) -> None:
    scene = await theatre.scene(QUICK, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    said = await ann.send_text(room, "you are all fools")
    await bot.has(said)
    await bot.idle()
    kept = bot.copy_of_database()  # as after a power cut: the journal was written to disk, the database was not
    await reply(ben, room, said, "!report")
    await told(ben, bot, like("report.thanks", n="1"))
    card = await scene.card(manager, 1)
    await manager.react(scene.desk, card.id, "❌")
    await told(ben, bot, like("notice.own.report_misuse"))
    await bot.idle()
    names = ("cases", "evidence", "sanctions", "reports", "statements", "assignments")
    before = {name: bot.table(name) for name in names}
    records = [(r.kind, r.fields, r.parts) for r in bot.records()]
    await bot.stop()
    bot.put_back(kept)
    bot.start()
    marker = await ann.send_text(room, "and now?")
    await bot.has(marker)
    await bot.idle()
    assert [(r.kind, r.fields, r.parts) for r in bot.records()][: len(records)] == records
    assert {name: bot.table(name) for name in names} == before
    assert (len(bot.facts(Reported)), len(bot.facts(CaseOpened)), len(bot.facts(CaseDecided))) == (1, 2, 1)
    words = [e for e in await ben.messages(await direct_room(ben, bot), 100) if e["sender"] == bot.user]
    assert len([e for e in words if e["type"] == "m.room.message"]) == 2
