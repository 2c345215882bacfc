"""`!slow`: in slow mode members may write one message per interval; others are removed without a charge."""

import re
from pathlib import Path

import pytest

from moderation.model.facts import CaseOpened, CreditChanged, SanctionEnded, SanctionStarted
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.theatre.scene import Scene, Theatre, ask, direct_room, told
from tests.theatre.served import like

MINUTE, HOUR = 60_000, 3_600_000
WRONG = {
    "!slow": "error.pace.missing",
    "!slow down": "error.pace.form",
    "!slow 1s": "error.pace.limits",
    "!slow 7h": "error.pace.limits",
    "!slow 30s 2hours": "error.duration.form",
}


async def test_slow_mode_limits_members_and_not_managers(theatre: Theatre, tmp_path: Path) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    order = await manager.send_text(room, "!slow 1h 9h too many at once")
    notice = await _said(scene, like("measure.begun.slow", every="1 hour"))
    assert like("notice.reason", reason="too many at once").search(notice)
    assert like("status.ordered.slow", every="1 hour").search(await ask(manager, bot, scene.desk, "!status"))
    first = await ann.send_text(room, "one")
    soon = [await ann.send_text(room, text) for text in ("two", "three")]
    others = [await ben.send_text(room, "mine"), *[await manager.send_text(room, text) for text in "ab"]]
    await bot.has(first, *soon, *others)
    await told(ann, bot, like("notice.held.room_slow", every="1 hour"))
    await bot.idle()
    gone = [await scene.owner.is_redacted(room, each) for each in (order, first, *soon, *others)]
    assert gone == [True, False, True, True, False, False, False]
    with_ann = await ann.messages(await direct_room(ann, bot))
    assert len([e for e in with_ann if like("notice.held.room_slow").search(str(e["content"].get("body")))]) == 1
    await bot.crash()  # what was held back is still known as such, and that she was told
    bot.ahead_ms = 50 * MINUTE
    bot.start()
    again = await ann.send_text(room, "four")
    await bot.has(again)
    bot.ahead_ms = 61 * MINUTE  # an hour after the first, the only one that stood
    await bot.has(await manager.send_text(room, "good evening"))  # so that it was not away for those minutes
    late = await ann.send_text(room, "five")
    await bot.has(late)
    await bot.idle()
    assert [await scene.owner.is_redacted(room, each) for each in (again, late)] == [True, False]
    held = [(f.rule, f.every, f.quiet, f.n) for f in bot.facts(SanctionStarted) if f.kind == "redact"]
    assert held == [("room_slow", HOUR, 0, 0), ("room_slow", HOUR, 1, 0), ("room_slow", HOUR, 1, 0)]
    assert bot.facts(CreditChanged) == []
    (begun,) = [f for f in bot.facts(SanctionStarted) if f.kind == "slow"]
    assert (begun.by, begun.subject, begun.n, begun.reason) == (manager.user, "", 0, "too many at once")
    assert bot.facts(CaseOpened) == []
    words = [e for e in await scene.owner.messages(room, 200) if e["sender"] == bot.user]
    assert len([e for e in words if e["type"] == "m.room.message"]) == 2  # when it came, and this
    assert bot.rows("SELECT room FROM rooms WHERE direct_with = ?", scene.owner.user) == []
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert {name for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_slow_mode_ends_by_command_or_time_and_its_pace_can_change(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, (manager, second), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    for typed, wrong in WRONG.items():
        assert like(wrong).search(await ask(manager, bot, scene.desk, typed)), typed
    assert like("error.right.manager").search(await ask(ann, bot, room, "!slow 30s"))
    assert like("done.slow", every="1 hour").search(await ask(manager, bot, scene.desk, "!slow 1h"))
    assert like("done.slow-until", every="2 hours").search(await ask(manager, bot, scene.desk, "!slow 2h 1d"))
    assert like("done.slow-off").search(await ask(second, bot, scene.desk, "!slow off"))
    await _said(scene, like("measure.ended.slow"))
    assert like("error.not-slow").search(await ask(manager, bot, scene.desk, "!slow off"))
    free = [await ann.send_text(room, text) for text in ("one", "two")]
    await bot.has(*free)
    await ask(manager, bot, scene.desk, "!slow 1h 2h")
    bot.ahead_ms = 2 * HOUR
    await bot.restart()
    await bot.until(lambda: len(bot.facts(SanctionEnded)) == 3, "its time to be over")
    await bot.idle()
    assert [(f.kind, f.why, f.by) for f in bot.facts(SanctionEnded)] == [
        ("slow", "overtaken", ""),
        ("slow", "command", second.user),
        ("slow", "time", ""),
    ]
    assert [await scene.owner.is_redacted(room, each) for each in free] == [False, False]


@pytest.mark.long
async def test_upholding_a_case_does_not_redact_slowed_messages_again(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await ask(manager, bot, scene.desk, "!slow 1h")
    await bot.has(await ann.send_text(room, "one"))
    soon = await ann.send_text(room, "forbidden 7")
    await scene.card(manager, 1)
    assert like("decided.upheld", n="1").search(await ask(manager, bot, scene.desk, "!uphold 1"))
    await told(ann, bot, like("notice.message.upheld", n="1"))
    await bot.idle()
    gone = [e for e in await scene.owner.messages(room) if e["type"] == "m.room.redaction"]
    assert [e["content"].get("redacts") for e in gone].count(soon) == 1
    assert [(f.rule, f.n) for f in bot.facts(SanctionStarted) if f.event == soon] == [("room_slow", 0)]


@pytest.mark.long
async def test_low_credit_pace_is_told_once_a_day_with_the_number_of_removed_messages(theatre: Theatre) -> None:
    scene = await theatre.scene("[credit]\nstart = 59\n")
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await bot.has(*[await ann.send_text(room, f"hello {number}") for number in range(4)])
    word = await told(ann, bot, like("notice.held.tier_slow", every="30 seconds"))
    bot.ahead_ms = 25 * HOUR
    await bot.has(*[await ann.send_text(room, f"good morning {number}") for number in range(2)])
    await told(ann, bot, like("notice.held-several.tier_slow", count="3"))
    await bot.idle()
    words = [event for event in await ann.messages(word.room) if event["content"].get("msgtype") == "m.text"]
    assert len(words) == 2
    held = [(f.quiet, f.messages) for f in bot.facts(SanctionStarted) if f.rule == "tier_slow"]
    # The first of the next day is held as well where the homeserver's clock says that it came at once.
    assert (held[:4], set(held[4:]) - {(1, 1)}) == ([(0, 1), (1, 1), (1, 1), (0, 3)], set())


async def _said(scene: Scene, pattern: re.Pattern[str]) -> str:
    seen = await scene.owner.wait_event(
        scene.room, lambda s: s.sender == scene.bot.user and pattern.search(s.body) is not None, what="a notice to all"
    )
    return seen.body
