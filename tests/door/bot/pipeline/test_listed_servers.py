"""Entries of policy lists about servers: a case for each server, and its denial in the rooms where its people are."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.texts.burst_card import burst_lines
from moderation.lists.book import digest_of
from moderation.lists.entries import Entry
from moderation.model.actions.cards import PostCard
from moderation.model.actions.lists import MatchAgain
from moderation.model.actions.rooms import AlignServers
from moderation.model.facts import CaseOpened, ListSpared, SanctionEnded, SanctionStarted, ServerListed, StatementGiven
from moderation.policy import Trust
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import queries
from tests.door.bot.effects.test_server_acl import said
from tests.door.lists import LIST
from tests.door.lists import entries as entries_of
from tests.door.offline import ANNA, BOT, DESK, LEVELS, MARK, OLGA, ROOM, Offline, offline
from tests.theatre.opened import made_again
from tests.unit.moderation.lists.made import made

BAD = UserId("@spammer:bad.example")
NAMED, OTHER = made("server", "bad.example"), made("server", "worse.example", key="2")
HALL = RoomId("!hall:example.org")
WATCH = """
[[lists.watch]]
name = "cme"
room = "{room}"
trust = "{trust}"
acl = true
"""


def watching(trust: Trust = "apply", more: str = "") -> str:
    return f"[lists]\n{more}\n" + WATCH.format(room=LIST, trust=trust)


entries = partial(entries_of, room=None)


def begun(bot: Offline) -> list[tuple[RoomId | None, str, int, str]]:
    return [(fact.room, fact.server, fact.n, fact.basis) for fact in bot.facts(SanctionStarted)]


async def crowd(bot: Offline, count: int = 60) -> None:
    """Let people of another server join, so that one person more is no large part of the room."""
    for number in range(count):
        await bot.membership(UserId(f"@n{number}:good.example"), "join")


async def test_a_server_of_which_people_are_here_is_denied_by_one_case_about_it(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        for name in ("a", "b", "c"):
            await bot.membership(UserId(f"@{name}:bad.example"), "join")
        await entries(bot, NAMED, OTHER)
        [listed] = bot.facts(ServerListed)
        assert (listed.server, listed.people, listed.author, listed.reason) == (
            "bad.example",
            3,
            "@mod:lists.example",
            "spam",
        )
        [opened] = bot.facts(CaseOpened)
        assert (opened.n, opened.state, opened.subject) == (listed.n, "decided", "")
        assert begun(bot) == [(ROOM, "bad.example", opened.n, "list")]
        assert bot.facts(StatementGiven) == []  # to nobody
        waiting = [row.action for row in await bot.waiting()]
        assert [each.room for each in waiting if isinstance(each, AlignServers)] == [ROOM]
        assert [each.n for each in waiting if isinstance(each, PostCard)] == [1]
        assert await said(bot, MARK, "!acl") == ["acl.head", "acl.listed.unwritten"]


async def test_it_is_denied_as_soon_as_somebody_of_it_comes(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await entries(bot, NAMED)
        assert bot.facts(ServerListed) == []
        await bot.membership(BAD, "join")
        await bot.membership(UserId("@b:bad.example"), "join")
        assert begun(bot) == [(ROOM, "bad.example", 1, "list")]


async def test_without_the_setting_its_people_are_meant(tmp_path: Path) -> None:
    async with offline(tmp_path, watching().replace("acl = true", "acl = false")) as bot:
        await crowd(bot)
        await entries(bot, NAMED)
        await bot.membership(BAD, "join")
        assert [(fact.kind, fact.subject) for fact in bot.facts(SanctionStarted)] == [("ban", BAD)]


@pytest.mark.parametrize("entity", ["*", "*.example"])
async def test_what_no_acl_carries_is_proposed_about_its_people(tmp_path: Path, entity: str) -> None:
    async with offline(tmp_path, watching()) as bot:
        for name in ("a", "b"):
            await bot.membership(UserId(f"@{name}:bad.example"), "join")
        await entries(bot, made("server", entity))
        assert (bot.facts(ServerListed), bot.facts(SanctionStarted)) == ([], [])
        assert {fact.state for fact in bot.facts(CaseOpened)} == {"open"}


async def test_a_server_of_many_people_is_proposed(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        for name in ("a", "b"):
            await bot.membership(UserId(f"@{name}:bad.example"), "join")
        await entries(bot, NAMED)
        assert [(fact.step, fact.people) for fact in bot.facts(ServerListed)] == [("propose", 2)]
        assert begun(bot) == []


async def test_a_list_that_denies_one_server_after_the_other_is_held_back(tmp_path: Path) -> None:
    async with offline(tmp_path, watching(more="act_at_most = 2")) as bot:
        await crowd(bot)
        servers = [made("server", f"bad{number}.example", key=str(number)) for number in range(4)]
        await entries(bot, *servers)
        for number in range(4):
            await bot.membership(UserId(f"@a:bad{number}.example"), "join")
        assert [fact.step for fact in bot.facts(ServerListed)] == ["apply", "apply", "propose", "propose"]


async def test_a_change_that_denies_too_many_at_once_is_proposed(tmp_path: Path) -> None:
    async with offline(tmp_path, watching(more="act_at_most = 2")) as bot:
        await crowd(bot)
        for number in range(3):
            await bot.membership(UserId(f"@a:bad{number}.example"), "join")
        await entries(bot, *(made("server", f"bad{number}.example", key=str(number)) for number in range(3)))
        assert [fact.step for fact in bot.facts(ServerListed)] == ["propose"] * 3


async def test_a_proposal_is_upheld_and_then_denied(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose")) as bot:
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        assert begun(bot) == []
        await bot.say(MARK, "!uphold 1 nothing good came from there", DESK)
        assert begun(bot) == [(ROOM, "bad.example", 1, "decision")]
        await entries(bot, OTHER)  # the entry is gone, and people here said so
        assert bot.facts(SanctionEnded) == []
        await bot.say(MARK, "!dismiss 1 it was one person", DESK)
        assert [(fact.server, fact.why) for fact in bot.facts(SanctionEnded)] == [("bad.example", "reversed")]


async def test_a_denial_ends_with_its_entry_unless_another_list_says_so(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        await entries(bot, made("server", "*bad.example"))
        assert bot.facts(SanctionEnded) == []
        await entries(bot, OTHER)
        ended = {(fact.server, fact.why) for fact in bot.facts(SanctionEnded)}
        assert ended == {("bad.example", "list"), ("*bad.example", "list")}


async def test_a_denial_ends_when_somebody_on_it_runs_the_room(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        await bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50, BAD: 50})
        await entries(bot, NAMED, OTHER)
        assert [(fact.server, fact.why) for fact in bot.facts(SanctionEnded)] == [("bad.example", "list")]


async def test_a_dismissed_server_is_touched_no_more_until_somebody_takes_that_back(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        await bot.say(MARK, "!dismiss 1 our neighbours", DESK)
        [spared] = bot.facts(ListSpared)
        assert (spared.list, spared.server, spared.subject, spared.n) == ("cme", "bad.example", "", 1)
        await entries(bot, NAMED, OTHER)
        await bot.membership(UserId("@b:bad.example"), "join")
        assert len(begun(bot)) == len(bot.facts(SanctionEnded)) == 1
        assert len(bot.facts(CaseOpened)) == 1
        await bot.say(MARK, "!uphold 1 they are none", DESK)
        assert begun(bot)[1:] == [(ROOM, "bad.example", 1, "decision")]
        assert await bot.rows("SELECT 1 FROM list_spared") == []


async def test_somebody_on_it_who_comes_to_run_the_room_has_the_lists_looked_at_again(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        await bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50, ANNA: 50})
        assert await looks(bot) == 1
        await bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50, ANNA: 50, BAD: -1})
        assert await looks(bot) == 1


async def looks(bot: Offline) -> int:
    """Return how many looks at whom the lists mean wait to be done."""
    return sum(isinstance(row.action, MatchAgain) for row in await bot.waiting())


async def test_its_cases_count_among_those_of_the_list(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose")) as bot:
        await bot.membership(BAD, "join")
        await entries(bot, NAMED, made("user", ANNA, key="3"))
        async with bot.stores.database.read() as db:
            figures = (await queries.list_figures(db))["cme"]
            case = await queries.whole_case(db, figures.cases)
        assert (figures.cases, figures.waiting) == (2, 2)
        assert case is not None
        assert (case.server, case.list) == ("bad.example", "cme")


async def test_a_replayed_log_gives_the_same_tables_without_the_list(tmp_path: Path) -> None:
    tables = ("listed_servers", "list_spared", "sanctions")
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        for server in ("bad.example", "worse.example"):
            await bot.membership(UserId(f"@spammer:{server}"), "join")
        await entries(bot, NAMED, OTHER)
        await bot.say(MARK, "!list spare bad.example our neighbours", DESK)
        live = [await bot.rows(f"SELECT * FROM {name}") for name in tables]
        assert [len(rows) for rows in live] == [2, 1, 2]
        again = await made_again(bot.stores.journal, tmp_path / "again")
        assert [again.rows(f"SELECT * FROM {name}") for name in tables] == live


async def test_many_proposals_at_once_share_a_card_and_are_counted_as_servers(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose") + "[groups]\ncards = 2\n") as bot:
        for number in range(6):
            await bot.membership(UserId(f"@a:bad{number}.example"), "join")
        await entries(bot, *(made("server", f"bad{number}.example", key=str(number)) for number in range(6)))
        waiting = [row.action for row in await bot.waiting()]
        assert [each.n for each in waiting if isinstance(each, PostCard)] == [1, 2]
        await bot.say(MARK, "!uphold 3 spam", DESK)
        async with bot.stores.database.read() as db:
            burst = await queries.burst_view(db, 3)
        assert burst is not None
        assert (burst.cases, burst.people, burst.done, burst.waiting) == (4, 0, {"server": 1}, (4, 5, 6))
        keys = [each.key for each in burst_lines(burst, "!", names_room=False)]
        assert {"card.burst.head-servers", "card.burst.done.server"} <= set(keys)


async def test_acl_allow_names_the_case(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        assert await said(bot, OLGA, "!acl allow bad.example") == ["error.imposed.list"]
        assert bot.facts(SanctionEnded) == []


async def test_a_spared_server_is_let_in_again_until_somebody_takes_that_back(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        assert await said(bot, MARK, "!list spare bad.example") == ["error.list.reason"]
        assert await said(bot, ANNA, "!list spare bad.example please", ROOM) != ["policy-list.server-spared"]
        assert await said(bot, MARK, "!list spare bad.example our neighbours") == ["policy-list.server-spared"]
        assert [(fact.server, fact.why, fact.by) for fact in bot.facts(SanctionEnded)] == [
            ("bad.example", "command", MARK)
        ]
        assert await said(bot, MARK, "!list spare bad.example again") == ["error.list.server-spared"]
        await entries(bot, NAMED, OTHER)
        assert len(begun(bot)) == 1
        assert await said(bot, MARK, "!list unspare bad.example") == ["policy-list.server-unspared"]
        assert await said(bot, MARK, "!list unspare bad.example") == ["error.list.server-not-spared"]
        await entries(bot, NAMED)
        assert begun(bot) == [(ROOM, "bad.example", 1, "list")] * 2


async def test_a_list_that_acts_on_no_server_cannot_spare_one(tmp_path: Path) -> None:
    async with offline(tmp_path, watching().replace("acl = true", "acl = false")) as bot:
        await entries(bot, NAMED)
        assert await said(bot, MARK, "!list spare bad.example our neighbours") == ["error.list.no-servers"]


async def test_a_match_is_said_to_be_about_the_server(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose")) as bot:
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        assert "policy-list.of-server" in await said(bot, MARK, f"!list match {BAD}")


async def test_what_people_deny_already_is_no_case(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await bot.membership(BAD, "join")
        await bot.say(OLGA, "!acl deny bad.example 1 raid", DESK)
        await entries(bot, NAMED)
        assert bot.facts(ServerListed) == []


async def test_another_room_of_the_community_goes_by_the_same_case(tmp_path: Path) -> None:
    estate = '[communities]\n[[communities.named]]\nname = "estate"\nrooms = ["G-7F3K", "G-HALL"]\n'
    async with offline(tmp_path, estate + watching("propose")) as bot:
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, MARK))
        for number in range(60):
            await bot.membership(UserId(f"@n{number}:good.example"), "join", HALL)
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        await bot.membership(BAD, "join", HALL)
        assert len(bot.facts(CaseOpened)) == 1
        await bot.say(MARK, "!uphold 1 spam", DESK)
        await bot.membership(UserId("@b:bad.example"), "join", HALL)
        assert begun(bot) == [(ROOM, "bad.example", 1, "decision"), (HALL, "bad.example", 1, "list")]


async def test_each_community_decides_for_itself(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose")) as bot:
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, MARK))
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        await bot.say(MARK, "!dismiss 1 our neighbours", DESK)
        await bot.membership(BAD, "join", HALL)
        assert [fact.room for fact in bot.facts(CaseOpened)] == [ROOM, HALL]


async def test_a_server_that_is_only_looked_at_is_a_line_in_the_desk_once(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("look")) as bot:
        await bot.membership(BAD, "join")
        for _ in range(2):
            await entries(bot, NAMED, trust="look")
        assert (bot.facts(CaseOpened), begun(bot)) == ([], [])
        assert len(await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%lists.look-server%'")) == 1


async def test_the_card_says_which_server_which_list_and_what_a_decision_brings(tmp_path: Path) -> None:
    async with offline(tmp_path, watching("propose")) as bot:
        await bot.membership(BAD, "join")
        await entries(bot, NAMED)
        lines = await case_lines(bot, MARK, 1)
        about = lines["card.about-server"]
        assert (about["server"], about["list"], about["people"]) == ({"$code": "bad.example"}, "cme", 1)


async def case_lines(bot: Offline, user: UserId, n: int) -> dict[str, Any]:
    """Return the lines of the answer to `!case`, by key."""
    await bot.say(user, f"!case {n}", DESK)
    last = json.loads((await bot.rows("SELECT action FROM outbox WHERE action LIKE '%card.head%' ORDER BY id"))[-1][0])
    return {line["key"]: line["fields"] for line in last["lines"]}


def hashed(server: str) -> Entry:
    return made("server", digest=digest_of(server))


async def test_a_hashed_entry_denies_the_server_that_it_means(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await entries(bot, hashed("bad.example"))
        await bot.membership(BAD, "join")
        assert begun(bot) == [(ROOM, "bad.example", 1, "list")]
        await entries(bot, hashed("worse.example"))
        assert [fact.why for fact in bot.facts(SanctionEnded)] == ["list"]


async def test_people_whom_a_list_names_themselves_are_banned_beside(tmp_path: Path) -> None:
    async with offline(tmp_path, watching()) as bot:
        await crowd(bot)
        await entries(bot, NAMED, made("user", BAD, key="2"), made("user", ANNA, key="3"))
        await bot.membership(BAD, "join")
        assert sorted((fact.kind, fact.subject, fact.n) for fact in bot.facts(SanctionStarted)) == [
            ("ban", ANNA, 1),
            ("ban", BAD, 2),
            ("server", "", 3),
        ]
