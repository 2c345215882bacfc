"""Commands that people give in the web console: theirs alone, while they may, and once."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.commands import dispatcher
from bot.runtime.tokens import hashed
from moderation.model.facts import CaseDecided, ConsoleCommand, ConsoleOpened, NotSeen, SanctionStarted
from moderation.values.errors import Refused
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.bot.admin.test_console import CONSOLE, MINUTE_MS, a_link, door
from tests.door.bot.commands.test_personal_data import confirm_erasing
from tests.door.offline import ANNA, LEVELS, MARK, ROOM, Offline, offline
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, direct_room, told
from tests.theatre.served import RULES, ServedBot, like

DIRECT = RoomId("!direct:example.org")


async def session(person: Client, bot: ServedBot) -> str:
    """Get into the console. Returns what the browser holds."""
    opened = await door(bot, "console-login", ticket=await a_link(person, bot))
    return str(opened["session"])


async def a_case(theatre: Theatre, **more: Any) -> tuple[Scene, str]:
    """Return a scene in which case 1 waits, and the manager's session."""
    scene = await theatre.scene(RULES + CONSOLE, **more)
    await scene.members[0].send_text(scene.room, "forbidden 1")
    await scene.card(scene.managers[0], 1)
    return scene, await session(scene.managers[0], scene.bot)


def last(bot: ServedBot, n: int) -> int:
    """Return the last record about a case, as a page would."""
    tables = ("cases", "evidence", "credit", "sanctions", "assignments", "case_notes", "statements", "case_steps")
    found = [bot.rows(f"SELECT max(record) FROM {table} WHERE n = ?", n)[0][0] for table in tables]
    return max(int(record) for record in found if record is not None)


async def test_a_decision_is_like_one_in_chat_and_the_record_says_by_which_door(
    theatre: Theatre,
) -> None:
    scene, held = await a_case(theatre)
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    shown = await door(bot, "command", session=held, words="case 1")
    assert (shown["refused"], any("forbidden 1" in each for each in shown["lines"])) == (False, True)
    done = await door(bot, "command", session=held, words="uphold 1 clear enough", seen=last(bot, 1))
    assert (done["refused"], done["facts"] > 1) == (False, True)
    assert like("decided.upheld", n="1").search(done["lines"][0])
    await told(ann, bot, like("notice.message.upheld", n="1"))
    (decided,) = bot.facts(CaseDecided)
    assert (decided.by, decided.reason) == (manager.user, "clear enough")
    numbered = dict(bot.numbered_facts())
    start, opening = next((n, each) for n, each in numbered.items() if isinstance(each, ConsoleOpened))
    words = "uphold 1 clear enough"
    asked = ConsoleCommand(room=opening.room, start=start, subject=UserId(manager.user), words=words)
    assert numbered[decided.on] == asked
    with pytest.raises(Refused, match=r"console\.moved"):
        await door(bot, "command", session=held, words="dismiss 1 no", seen=last(bot, 1) - 1)
    assert len(bot.facts(CaseDecided)) == 1


async def test_of_two_who_decide_what_they_saw_one_is_told_that_it_moved(theatre: Theatre) -> None:
    scene, held = await a_case(theatre)
    bot, seen = scene.bot, last(scene.bot, 1)
    before = len(bot.facts(ConsoleCommand))
    assert like("decided.dismissed").search(await ask(scene.owner, bot, scene.desk, "!dismiss 1 a joke"))
    with pytest.raises(Refused, match=r"console\.moved"):
        await door(bot, "command", session=held, words="uphold 1 yes", seen=seen)
    with pytest.raises(Refused, match=r"console\.moved"):
        await door(bot, "command", session=held, words="help", seen=seen)
    assert (len(bot.facts(CaseDecided)), len(bot.facts(ConsoleCommand))) == (1, before)


@pytest.mark.long
async def test_a_session_that_is_over_gives_no_commands(theatre: Theatre) -> None:
    scene, held = await a_case(theatre)
    bot, (manager,) = scene.bot, scene.managers

    async def is_refused(token: str) -> None:
        with pytest.raises(Refused, match="session-over"):
            await door(bot, "command", session=token, words="uphold 1 yes")

    for wrong in ("", "0" * 64, hashed(held), held.upper()):
        await is_refused(wrong)
    await door(bot, "console-end", session=held)
    await is_refused(held)
    late = await session(manager, bot)
    bot.ahead_ms += 12 * 60 * MINUTE_MS
    await is_refused(late)
    gone = await session(manager, bot)
    room = await direct_room(manager, bot)
    await manager.leave(room)
    left = "SELECT 1 FROM members WHERE room = ? AND user = ? AND membership = 'leave'"
    await bot.until(lambda: bot.rows(left, room, manager.user), "the manager gone")
    await is_refused(gone)
    assert (bot.facts(CaseDecided), bot.facts(ConsoleCommand)) == ([], [])


async def test_rights_are_those_of_the_moment(theatre: Theatre) -> None:
    scene, held = await a_case(theatre, managers=2)
    bot, (manager, other) = scene.bot, scene.managers
    banned = await session(other, bot)
    await scene.owner.set_power(scene.room, {manager.user: 0})
    await scene.until_level(manager.user, 0)
    await scene.owner.ban(scene.room, other.user)
    there = "SELECT 1 FROM members WHERE room = ? AND user = ? AND membership = 'ban'"
    await bot.until(lambda: bot.rows(there, scene.room, other.user), "the ban")
    for token in (held, banned):
        done = await door(bot, "command", session=token, words="uphold 1 yes", group=bot.code(scene.room))
        assert (done["refused"], done["facts"]) == (True, 0)
    assert bot.facts(CaseDecided) == []


@pytest.mark.long
async def test_an_erased_person_has_no_session_left(theatre: Theatre) -> None:
    scene, held = await a_case(theatre)
    bot, (manager,) = scene.bot, scene.managers
    await scene.owner.set_power(scene.room, {manager.user: 0})
    await confirm_erasing(manager, bot, await direct_room(manager, bot))
    await bot.until(lambda: not bot.rows("SELECT * FROM console_sessions"), "the session erased")
    assert bot.rows("SELECT * FROM console_links") == []
    with pytest.raises(Refused, match="session-over"):
        await door(bot, "command", session=held, words="help")


@pytest.mark.long
async def test_an_answer_is_in_the_language_of_its_reader_and_bad_words_are_refused(theatre: Theatre) -> None:
    scene, held = await a_case(theatre)
    bot = scene.bot
    await door(bot, "command", session=held, words="lang zh")
    done = await door(bot, "command", session=held, words="cases")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in done["lines"][0])
    assert (await door(bot, "command", session=held, words="nonsense"))["refused"]
    for wrong in ("", " ", "!help", "\u0000", "1", "/help", None, 7, ["help"], {"a": 1}):
        with pytest.raises(Refused):
            await door(bot, "command", session=held, words=wrong)
    with pytest.raises(Refused, match="too-long"):
        await door(bot, "command", session=held, words="note 1 " + "x" * 5_000)
    with pytest.raises(Refused):
        await door(bot, "command", session=held, words="cases", group="G-; DROP")
    reason = "</script>{{7*7}}\u202e\u0000 \U0001f468 G-2222"
    done = await door(bot, "command", session=held, words=f"note 1 {reason}", group=bot.code(scene.room))
    assert done["refused"] is False
    assert "G-2222" in bot.facts(ConsoleCommand)[-1].words
    assert held not in json.dumps(theatre.logged, default=repr)


async def with_direct_room(bot: Offline) -> ConsoleCommand:
    """Let a case wait, and return the command that decides it."""
    await bot.enter_room(DIRECT, GroupCode("G-D7RC"), "direct", LEVELS, "11", (MARK,), owner=MARK)
    await bot.say(ANNA, "forbidden")
    return ConsoleCommand(room=DIRECT, start=0, subject=MARK, words="uphold 1 G-7F3K clear")


async def test_a_command_that_was_recorded_and_not_done_is_done_once_at_the_next_start(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        asked = await with_direct_room(bot)
        (index,) = bot.stores.journal.append([bot.pipeline.processor.draft_of(asked, bot.time())])
        bot.stores.journal.sync()
        assert bot.facts(CaseDecided) == []
    for _ in range(2):
        async with offline(tmp_path) as bot:
            (decided,) = bot.facts(CaseDecided)
            assert (decided.by, decided.reason, decided.on) == (MARK, "clear", index)
            assert [(each.room, each.on) for each in bot.facts(SanctionStarted)] == [(ROOM, index)]
            assert len(await bot.rows("SELECT 1 FROM decisions")) == 1


async def test_the_tables_that_lack_a_command_get_all_that_followed_from_it(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        asked = await with_direct_room(bot)
        await bot.post_cards()
        before = bot.state.copy()

        async def check(_db: object) -> ConsoleCommand:
            return asked

        answer = await bot.pipeline.carry_out(check)
        assert answer.refused is False
        facts = bot.recorded(CaseDecided)
        queued = await bot.rows("SELECT txn, action FROM outbox ORDER BY id")
    bot.state.put_back(before)
    async with offline(tmp_path) as bot:
        assert bot.recorded(CaseDecided) == facts
        assert await bot.rows("SELECT txn, action FROM outbox ORDER BY id") == queued


async def test_who_gives_a_command_with_a_defect_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with offline(tmp_path) as bot:
        asked = await with_direct_room(bot)

        async def check(_db: object) -> ConsoleCommand:
            return asked

        monkeypatch.setattr(dispatcher, "spoken_in", lambda _: 1 / 0)
        answer = await bot.pipeline.carry_out(check)
        assert (answer.refused, [each.key for each in answer.told]) == (True, ["error.defect"])
        assert [fact.what for fact in bot.facts(NotSeen)] == ["failed"]
