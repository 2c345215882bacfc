"""Our own policy lists: who puts whom on them, what is written, and when it is taken back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from bot import app
from bot.effects.publish_entry import EntryPublisher
from bot.matrix.errors import Forbidden, Unreachable
from bot.outbox.handler import RetryLater
from moderation.lists.publishing import content, state_key
from moderation.model.actions.lists import PublishEntry
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.model.facts import ListPublished
from moderation.values.durations import DAY_MS
from moderation.values.ids import CaseNumber, RoomId, UserId
from tests.door.offline import ANNA, BOT, DESK, MARK, OLGA, ROOM, Offline, offline
from tests.theatre.opened import made_again
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import like

OPERA = UserId("@opera:example.org")
OURS = RoomId("!ours:example.org")
GRAVE = """
[[rules]]
name = "no-spam"
kind = "terms"
class = "serious"
decide = "manager"
measure = "ban"
terms = ["forbidden"]
"""
LIGHT = GRAVE.replace("no-spam", "no-noise").replace("serious", "minor").replace("forbidden", "noise")
LIST = f'[lists]\n[[lists.publish]]\nname = "ours"\nroom = "{OURS}"\n'
SETTINGS = f'operators = ["{OPERA}"]\n' + LIST + GRAVE + LIGHT
ENTRY = content(ANNA, "ours", CaseNumber(1), "spam", hashed=True)


class Homeserver:
    """The room of a list, and what was written there."""

    user = BOT

    def __init__(self) -> None:
        self.state: dict[str, dict[str, Any]] = {}
        self.written: list[dict[str, Any]] = []
        self.inside: list[RoomId] = []
        self.fails: Literal["", "right", "answer"] = ""

    async def joined_rooms(self) -> list[RoomId]:
        return self.inside

    async def join(self, room: RoomId, _via: object) -> RoomId:
        self.inside.append(room)
        return room

    async def set_state(self, room: RoomId, type: str, content: Mapping[str, Any], key: str) -> str:
        assert (room, type) == (OURS, "m.policy.rule.user")
        if self.fails == "right":
            raise Forbidden("no level", status=403, errcode="M_FORBIDDEN")
        self.state[key] = dict(content)
        self.written.append(dict(content))
        if self.fails == "answer":
            raise Unreachable("stopped")
        return "$entry"


async def said(bot: Offline, who: UserId, words: str, room: RoomId = DESK) -> list[str]:
    """Let somebody say something, and return the keys of the answer."""
    before = {row.txn for row in await bot.waiting()}
    await bot.say(who, words, room)
    fresh = [row.action for row in await bot.waiting() if row.txn not in before]
    return [each.key for answer in fresh if isinstance(answer, Say) for each in answer.lines]


async def upheld(bot: Offline, words: str = "forbidden") -> None:
    """Let Anna break a rule, and a manager uphold the case."""
    await bot.say(ANNA, words)
    n = (await bot.rows("SELECT max(n) FROM cases"))[0][0]
    assert "decided.upheld" in await said(bot, MARK, f"!uphold {n} yes")


async def waits(bot: Offline) -> list[PublishEntry]:
    return [row.action for row in await bot.waiting() if isinstance(row.action, PublishEntry)]


async def write(bot: Offline, homeserver: Homeserver) -> None:
    """Do the newest of what waits."""
    await EntryPublisher(bot.services(homeserver)).handle((await waits(bot))[-1], "txn")


async def test_it_is_named_with_the_lists_of_others(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        assert "policy-list.own" in await said(bot, MARK, "!list")
        [own] = [
            line
            for row in await bot.waiting()
            if isinstance(row.action, Say)
            for line in row.action.lines
            if line.key == "policy-list.own"
        ]
        assert (own.fields["list"], own.fields["count"]) == ("ours", 1)
        assert "status.protects.own-lists" in await said(bot, ANNA, "!status", ROOM)


async def test_an_entry_has_a_hash_a_word_and_a_case_and_ends_with_a_reversal(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        assert await said(bot, OLGA, "!publish 1 ours spam") == ["done.publish"]
        [fact] = bot.facts(ListPublished)
        assert (fact.step, fact.list, fact.n, fact.word, fact.hashed) == ("published", "ours", 1, "spam", 1)
        assert (fact.subject, fact.by, fact.list_room, fact.room) == (ANNA, OLGA, OURS, ROOM)
        homeserver = Homeserver()
        await write(bot, homeserver)
        assert homeserver.inside == [OURS]
        assert homeserver.state == {state_key(ANNA): ENTRY}
        assert (ENTRY["org.answerable.case"], "entity" in ENTRY) == ("ours-1", False)
        assert "decided.dismissed" in await said(bot, OLGA, "!dismiss 1 we were wrong")
        await write(bot, homeserver)
        assert homeserver.state == {state_key(ANNA): {}}
        withdrawn = bot.facts(ListPublished)[1]
        assert (withdrawn.step, withdrawn.n, withdrawn.by) == ("withdrawn", 1, "")
        words = [row.action for row in await bot.waiting() if isinstance(row.action, Tell)]
        keys = [each.key for word in words if word.subject == ANNA for each in word.lines]
        assert [key for key in keys if key.startswith("notice.listed")] == [
            "notice.listed.published",
            "notice.listed.withdrawn",
        ]


async def test_an_entry_ends_with_the_ban(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours")
        await bot.pass_time(8 * DAY_MS)
        await bot.scheduler.do_what_is_due()
        assert [(fact.step, fact.word) for fact in bot.facts(ListPublished)] == [
            ("published", "other"),
            ("withdrawn", "other"),
        ]


async def test_an_entry_is_taken_back_by_command_and_can_be_published_again(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        assert await said(bot, OLGA, "!publish 1 ours withdraw") == ["error.publish.not"]
        await said(bot, OLGA, "!publish 1 ours spam")
        assert await said(bot, OLGA, "!publish 1 ours withdraw") == ["done.off-list"]
        assert len(await waits(bot)) == 2
        assert await said(bot, OLGA, "!publish 1 ours withdraw") == ["done.off-list"]
        assert len(await waits(bot)) == 3, "it may not have been possible to write it"
        await said(bot, OLGA, "!publish 1 ours scam")
        assert [(fact.step, fact.by) for fact in bot.facts(ListPublished)] == [
            ("published", OLGA),
            ("withdrawn", OLGA),
            ("published", OLGA),
        ]
        homeserver = Homeserver()
        await write(bot, homeserver)
        assert homeserver.state[state_key(ANNA)]["reason"] == "scam"


async def test_what_is_not_decided_here_upheld_and_grave_enough_is_not_published(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await bot.say(ANNA, "forbidden")
        assert await said(bot, OLGA, "!publish 1 ours") == ["error.publish.undecided"]
        assert await said(bot, OLGA, "!publish 9 ours") == ["error.case.none"]
        assert await said(bot, OLGA, "!publish 1 theirs") == ["error.publish.unknown"]
        assert await said(bot, OLGA, "!publish 1 ours Bob Smith did it") == ["error.publish.word"]
        await said(bot, MARK, "!dismiss 1 no")
        assert await said(bot, OLGA, "!publish 1 ours") == ["error.publish.undecided"]
        await upheld(bot, "noise")
        assert await said(bot, OLGA, "!publish 2 ours") == ["error.publish.class"]
        await said(bot, MARK, "!uphold 1 it was")
        await said(bot, OLGA, "!unban @anna:example.org")
        assert await said(bot, OLGA, "!publish 1 ours") == ["error.publish.no-ban"]
        assert bot.facts(ListPublished) == []


@pytest.mark.parametrize(
    ("by", "manager", "owner"),
    (
        ("manager", "done.publish", "done.publish"),
        ("owner", "error.publish.for-owner", "done.publish"),
        ("operator", "error.publish.for-operator", "error.publish.for-operator"),
    ),
)
async def test_a_list_says_who_may_publish(tmp_path: Path, by: str, manager: str, owner: str) -> None:
    settings = SETTINGS.replace('name = "ours"\n', f'name = "ours"\nby = "{by}"\n')
    async with offline(tmp_path, settings) as bot:
        await upheld(bot)
        assert await said(bot, MARK, "!publish 1 ours") == [manager]
        assert await said(bot, OLGA, "!publish 1 ours") == [owner]
        assert await said(bot, ANNA, "!publish 1 ours", await bot.direct(ANNA)) != ["done.publish"]
        assert await said(bot, OPERA, "!publish 1 ours G-7F3K", await bot.direct(OPERA)) == ["done.publish"]


async def test_a_list_may_be_for_some_rooms_only(tmp_path: Path) -> None:
    settings = SETTINGS.replace('name = "ours"\n', 'name = "ours"\nrooms = ["G-CU5K"]\n')
    async with offline(tmp_path, settings) as bot:
        await upheld(bot)
        assert await said(bot, OLGA, "!publish 1 ours") == ["error.publish.rooms"]


async def test_without_a_list_the_answer_says_so(tmp_path: Path) -> None:
    async with offline(tmp_path, GRAVE) as bot:
        await upheld(bot)
        assert await said(bot, OLGA, "!publish 1 ours") == ["error.publish.nowhere"]


async def test_a_plain_list_names_the_person(tmp_path: Path) -> None:
    settings = SETTINGS.replace('name = "ours"\n', 'name = "ours"\nhashed = false\n')
    async with offline(tmp_path, settings) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        homeserver = Homeserver()
        await write(bot, homeserver)
        assert homeserver.state[state_key(ANNA)]["entity"] == ANNA


async def test_a_kill_between_record_and_answer_repeats_the_same_write(tmp_path: Path) -> None:
    homeserver = Homeserver()
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        homeserver.fails = "answer"
        with pytest.raises(Unreachable):
            await write(bot, homeserver)
    homeserver.fails = ""
    async with offline(tmp_path, SETTINGS) as bot:
        assert len(await waits(bot)) == 1
        await write(bot, homeserver)
        assert homeserver.written == [ENTRY, ENTRY]


async def test_a_late_write_does_not_undo_a_withdrawal(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        await said(bot, OLGA, "!publish 1 ours withdraw")
        homeserver = Homeserver()
        for action in reversed(await waits(bot)):
            await EntryPublisher(bot.services(homeserver)).handle(action, "txn")
        assert homeserver.written == [{}, {}]


async def test_a_bot_that_may_not_write_says_so_once_and_tries_again(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        homeserver = Homeserver()
        homeserver.fails = "right"
        publisher = EntryPublisher(bot.services(homeserver))
        [action] = await waits(bot)
        for _ in range(2):
            with pytest.raises(RetryLater) as later:
                await publisher.handle(action, "txn")
        [last_word] = later.value.given_up.actions
        assert isinstance(last_word, TellDesk)
        assert [each.key for each in last_word.lines] == ["lists.own.given-up"]
        desk = [row.action for row in await bot.waiting() if isinstance(row.action, TellDesk)]
        assert [each.key for word in desk for each in word.lines if each.key.startswith("lists.")] == [
            "lists.own.not-published"
        ]
        homeserver.fails = ""
        assert (await publisher.handle(action, "txn")).made == "$entry"


async def test_nobody_escapes_by_erasure_and_nothing_is_left_of_them_afterwards(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        operations = app.make_operations(bot.config, bot.stores, bot.pipeline, bot.time)
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        await bot.membership(ANNA, "leave")
        await operations.erase(ANNA, what="operator")
        assert await bot.rows("SELECT subject, step FROM published_entries") == [(ANNA, "published")]
        homeserver = Homeserver()
        await write(bot, homeserver)
        assert homeserver.state == {state_key(ANNA): ENTRY}
        await said(bot, OLGA, "!unban @anna:example.org")
        await operations.erase(OLGA, what="operator")
        await bot.pass_time(400 * DAY_MS)
        await operations.erase(ANNA, what="operator")
        assert await bot.rows("SELECT * FROM published_entries") == []
        assert [fact.key for fact in bot.facts(ListPublished)] == ["", ""]
        await write(bot, homeserver)
        assert homeserver.state == {state_key(ANNA): {}}


async def test_the_tables_made_again_are_the_same(tmp_path: Path) -> None:
    async with offline(tmp_path, SETTINGS) as bot:
        await upheld(bot)
        await said(bot, OLGA, "!publish 1 ours spam")
        live = await bot.rows("SELECT * FROM published_entries")
        assert len(live) == 1
        again = await made_again(bot.stores.journal, tmp_path / "again")
        assert again.rows("SELECT * FROM published_entries") == live


async def test_others_who_watch_the_list_lift_their_ban_with_us(theatre: Theatre) -> None:
    (keeper,) = await theatre.people("keeper")
    room = await keeper.create_room("Ours", private=False)
    scene = await theatre.scene(LIST.replace(OURS, room) + GRAVE)
    bot, (ann, *_) = scene.bot, scene.members
    await keeper.wait_state(room, "m.room.member", lambda now: now["membership"] == "join", key=bot.user)
    await keeper.set_power(room, {bot.user: 50})
    await ann.send_text(scene.room, "forbidden")
    await scene.card(scene.managers[0], 1)
    assert like("decided.upheld").search(await ask(scene.owner, bot, scene.desk, "!uphold 1 yes"))
    assert like("done.publish").search(await ask(scene.owner, bot, scene.desk, "!publish 1 ours spam"))
    entry = content(ann.user, "ours", CaseNumber(1), "spam", hashed=True)
    await keeper.wait_state(room, "m.policy.rule.user", lambda now: now == entry, key=state_key(ann.user))
    assert "ours" in (await told(ann, bot, like("notice.listed.published"))).body
    await ask(scene.owner, bot, scene.desk, "!dismiss 1 we were wrong")
    await keeper.wait_state(room, "m.policy.rule.user", lambda now: now == {}, key=state_key(ann.user))
