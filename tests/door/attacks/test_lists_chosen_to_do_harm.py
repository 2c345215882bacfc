"""People who choose policy lists in chat to do harm: to the bot, to other rooms, or to people of their own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.events.sync_response import read_sync
from bot.outbox.selection import Past, choose
from bot.pipeline.list_matches import MOST_LOOKS
from bot.sync.sync_loop import FULL, is_full
from moderation.lists import choosing
from moderation.model.actions.base import Action
from moderation.model.actions.lists import PreviewList
from moderation.model.actions.telling import Say
from moderation.model.facts import CaseOpened, ConsoleCommand, ListChosen, ListPreviewed, SanctionStarted
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from storage.outbox import OutboxRow
from tests.door.chosen_lists import ALIAS, BANS, CREATED, ORDINARY, Chooser, ListRooms, entry
from tests.door.offline import ANNA, BOT, LEVELS, MARK, OLGA, ROOM, Offline, offline

OPERA = UserId("@opera:example.org")
HALL = RoomId("!hall:example.org")
CAROL = UserId("@carol:example.org")


def lists(homeserver: ListRooms, count: int) -> Iterator[RoomId]:
    """Yield rooms of as many lists."""
    for number in range(count):
        homeserver.say(entry("@x:y", "1"), room=RoomId(f"!list{number}:lists.example"))
        yield RoomId(f"!list{number}:lists.example")


async def test_nobody_makes_the_bot_enter_room_after_room(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        chooser = Chooser(bot, homeserver)
        for each in lists(homeserver, 8):
            homeserver.states[each] = [ORDINARY]
            await chooser.ask(MARK, f"!list preview {each}")
        assert len(homeserver.entered) == choosing.MOST_PREVIEWS
        assert homeserver.inside == []
        assert "error.list.spent" in await chooser.ask(MARK, f"!list preview {ALIAS}")
        await bot.pass_time(HOUR_MS)
        assert "policy-list.preview.head" in await chooser.ask(MARK, f"!list preview {ALIAS}")


async def test_friends_of_one_room_do_not_multiply_it(tmp_path: Path) -> None:
    friends = tuple(UserId(f"@sock{number}:example.org") for number in range(6))
    levels = {"users": LEVELS["users"] | {str(each): 50 for each in friends}}
    async with offline(tmp_path, "", levels=levels, desk=(OLGA, *friends)) as bot:
        homeserver = ListRooms()
        chooser = Chooser(bot, homeserver)
        for each in friends:
            await bot.membership(each, "join")
        for number, room in enumerate(lists(homeserver, 18)):
            homeserver.states[room] = [ORDINARY]
            await chooser.ask(friends[number // 3], f"!list preview {room}")
        assert len(homeserver.entered) == choosing.MOST_PREVIEWS_OF_ROOM


async def test_one_room_keeps_the_bot_in_few_lists_at_once(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        chooser = Chooser(bot, homeserver)
        answers = [await chooser.ask(MARK, f"!list preview {each}") for each in lists(homeserver, 4)]
        assert ["error.list.busy" in each for each in answers] == [False, False, False, True]
        assert len(homeserver.inside) == choosing.MOST_ENTERED_OF_ROOM
        assert "policy-list.preview.head" in await chooser.ask(MARK, "!list preview !list0:lists.example"), "again"


async def test_all_rooms_together_keep_the_bot_in_few_lists_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MOST_ENTERED", 1)
    async with offline(tmp_path, "") as bot:
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", {"users": {CAROL: 100}}, "11", (CAROL,), owner=CAROL)
        homeserver = ListRooms()
        chooser = Chooser(bot, homeserver)
        first, second = lists(homeserver, 2)
        await chooser.ask(MARK, f"!list preview {first}")
        here = await bot.direct(CAROL)
        assert "error.list.busy" in await chooser.ask(CAROL, f"!list preview {second}", here)


async def test_rooms_that_the_bot_serves_are_neither_read_nor_left(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", {"users": {CAROL: 100}}, "11", (CAROL,), owner=CAROL)
        homeserver = ListRooms(inside=[HALL, ROOM])
        homeserver.states[HALL] = [CREATED, entry(CAROL, "1")]
        homeserver.aliases["#hall:example.org"] = HALL
        chooser = Chooser(bot, homeserver)
        for target in (str(HALL), "#hall:example.org"):
            said = await chooser.ask(MARK, f"!list preview {target}")
            assert set(said) == {"error.list.closed"}, "as of a room that nobody here knows"
        assert homeserver.inside == [HALL, ROOM]


async def test_a_list_swapped_after_it_was_shown_is_not_chosen(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(entry("@spam:bad.example", "1"), entry("@old:bad.example", "2"))
        chooser = Chooser(bot, homeserver)
        await chooser.ask(OLGA, f"!list preview {ALIAS}")
        homeserver.say(entry("@spam:bad.example", "1"), entry("*:example.org", "3"))
        said = await chooser.ask(OLGA, f"!list watch cme apply {chooser.number}")
        assert (said["policy-list.changed.head"]["added"], said["policy-list.changed.head"]["gone"]) == (1, 1)
        assert said["policy-list.changed.added"]["entity"].text == "*:example.org"
        assert said["policy-list.changed.gone"]["entity"].text == "@old:bad.example"
        assert (bot.facts(ListChosen), bot.facts(SanctionStarted)) == ([], [])
        homeserver.say(entry("@spam:bad.example", "1"), entry("@old:bad.example", "2"))
        assert "policy-list.watched.apply" in await chooser.ask(OLGA, f"!list watch cme apply {chooser.number}")


async def test_a_list_swapped_while_the_bot_was_down_is_not_chosen(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(entry("@spam:bad.example", "1"))
        chooser = Chooser(bot, homeserver)
        await chooser.ask(OLGA, f"!list preview {ALIAS}")
        homeserver.say(entry("@spam:bad.example", "1", reason="another word"))
        said = await Chooser(bot, homeserver).ask(OLGA, f"!list watch cme apply {chooser.number}")
        assert set(said) == {"policy-list.changed.unknown"}
        assert bot.facts(ListChosen) == []


async def test_an_alias_that_leads_elsewhere_later_changes_nothing(tmp_path: Path) -> None:
    trap = RoomId("!trap:lists.example")
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(entry("@spam:bad.example", "1"))
        homeserver.say(entry(ANNA, "1"), room=trap)
        chooser = Chooser(bot, homeserver)
        await chooser.ask(OLGA, f"!list preview {ALIAS}")
        homeserver.aliases[ALIAS] = trap
        await chooser.ask(OLGA, f"!list watch cme apply {chooser.number}")
        assert [each.list_room for each in bot.facts(ListChosen)] == [BANS]
        assert trap not in homeserver.entered


async def test_a_room_that_bans_the_bot_or_is_too_large_is_said_and_left(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms(closed={BANS})
        chooser = Chooser(bot, homeserver)
        assert "error.list.closed" in await chooser.ask(MARK, f"!list preview {ALIAS}")
        homeserver.closed, homeserver.huge = set(), {BANS}
        assert "error.list.large" in await chooser.ask(MARK, f"!list preview {ALIAS}")
        assert homeserver.inside == []
        assert bot.facts(ListPreviewed)[-1].step == "left"


async def test_words_of_a_list_are_shown_short_and_as_code(tmp_path: Path) -> None:
    evil = "@" + "\u202e<b>`_" * 30 + "*:bad.example"
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(entry("@spam:bad.example", "1"))
        chooser = Chooser(bot, homeserver)
        await chooser.ask(OLGA, f"!list preview {ALIAS}")
        homeserver.say(entry(evil, "1"))
        said = await chooser.ask(OLGA, f"!list watch cme apply {chooser.number}")
        shown = said["policy-list.changed.added"]["entity"]
        assert (type(shown).__name__, len(shown.text)) == ("Code", 120)


@pytest.mark.long
async def test_a_list_of_20_000_entries_can_be_chosen_and_a_longer_one_cannot(tmp_path: Path) -> None:
    many = [entry(f"@spam{number}:bad.example", f"k{number}") for number in range(20_000)]
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(*many, entry(ANNA, "anna"))
        chooser = Chooser(bot, homeserver)
        assert "policy-list.watched.propose" in await chooser.choose(MARK)
        assert [each.subject for each in bot.facts(CaseOpened)] == [ANNA]
        assert len(chooser.book.match(UserId("@spam19999:bad.example"))) == 1
        homeserver.say(*(entry(f"@a{number}:b", f"a{number}") for number in range(choosing.MOST_ENTRIES + 1)))
        said = await chooser.ask(MARK, f"!list preview {ALIAS}")
        assert said["error.list.long"]["limit"] == choosing.MOST_ENTRIES


async def test_a_list_that_grows_beyond_all_bounds_counts_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MOST_ENTRIES", 3)
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(entry(ANNA, "1"))
        chooser = Chooser(bot, homeserver)
        await chooser.choose(MARK)
        homeserver.say(*(entry(f"@spam{number}:x", f"{number}") for number in range(4)))
        chooser.lists.look_again()
        await chooser.lists.look()
        assert await bot.rows("SELECT entity FROM list_entries") == [(ANNA,)]


@pytest.mark.parametrize("limit", ["MOST_ENTRIES", "MOST_ENTRIES_IN_ALL"])
async def test_all_lists_chosen_in_chat_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(choosing, limit, 3)
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(entry("@a:x", "1"), entry("@b:x", "2"))
        chooser = Chooser(bot, homeserver)
        await chooser.choose(MARK, trust="look")
        said = await chooser.choose(MARK, name="more", trust="look")
        assert set(said) & {"error.list.full", "error.list.long"}


async def test_patterns_that_are_dear_to_match_are_bounded(tmp_path: Path) -> None:
    dear = [entry(f"*{number}*a*b*c*", f"{number}") for number in range(choosing.MOST_GLOBS + 1)]
    async with offline(tmp_path, "") as bot:
        homeserver = ListRooms()
        homeserver.say(*dear)
        chooser = Chooser(bot, homeserver)
        said = await chooser.ask(MARK, f"!list preview {ALIAS}")
        assert said["error.list.globs"]["limit"] == choosing.MOST_GLOBS
        homeserver.say(*dear[:-1])
        await chooser.choose(MARK, trust="look")
        homeserver.say(*dear)
        chooser.lists.look_again()
        await chooser.lists.look()
        assert await bot.rows("SELECT count(*) FROM list_entries") == [(choosing.MOST_GLOBS,)]
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%lists.trouble.chosen-too-long%'")


async def test_a_list_that_would_bring_hundreds_of_cases_is_only_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MOST_CASES", 2)
    async with offline(tmp_path, "") as bot:
        crowd = [UserId(f"@member{number}:elsewhere.example") for number in range(3)]
        for each in crowd:
            await bot.membership(each, "join")
        homeserver = ListRooms()
        homeserver.say(entry("@member*:elsewhere.example", "1"))
        chooser = Chooser(bot, homeserver)
        assert "error.list.cases" in await chooser.choose(OLGA, trust="apply")
        assert "error.list.cases" in await chooser.choose(MARK, trust="propose")
        assert "policy-list.watched.look" in await chooser.choose(MARK, trust="look")
        assert bot.facts(CaseOpened) == []


async def test_a_list_that_is_looked_at_does_not_fill_the_desk(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        for number in range(MOST_LOOKS + 5):
            await bot.membership(UserId(f"@member{number}:elsewhere.example"), "join")
        homeserver = ListRooms()
        homeserver.say(entry("*:elsewhere.example", "1"))
        chooser = Chooser(bot, homeserver)
        await chooser.choose(MARK, trust="look")
        assert await _looks(bot) == MOST_LOOKS * ["lists.look"] + ["lists.look-many"]
        await bot.membership(UserId("@late:elsewhere.example"), "join")
        assert len(await _looks(bot)) == MOST_LOOKS + 1
        await bot.pass_time(DAY_MS)
        await bot.membership(UserId("@later:elsewhere.example"), "join")
        assert (await _looks(bot))[-1] == "lists.look"


async def _looks(bot: Offline) -> list[str]:
    """Return the keys of what the desk is told of lists that are looked at."""
    found = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%lists.look%' ORDER BY id")
    return [json.loads(action)["lines"][0]["key"] for (action,) in found]


async def test_a_link_of_the_console_gives_no_rights_of_an_operator(tmp_path: Path) -> None:
    async with offline(tmp_path, f'operators = ["{OPERA}", "{MARK}"]\n') as bot:
        chooser, here = Chooser(bot, ListRooms()), await bot.direct(MARK)

        async def ordered(words: str) -> set[str]:
            async def check(_db: object) -> ConsoleCommand:
                return ConsoleCommand(room=here, start=0, subject=MARK, words=words)

            answer = await bot.pipeline.carry_out(check)
            await chooser.act()
            return {each.key for each in answer.told}

        assert await ordered(f"list preview {ALIAS} G-7F3K") == {"policy-list.soon"}
        assert await bot.rows("SELECT reach FROM list_previews") == [("G-7F3K",)]
        assert await ordered(f"list watch cme apply {chooser.number} G-7F3K") == {"error.list.most-propose"}
        await ordered(f"list watch cme propose {chooser.number} G-7F3K")
        assert [each.reach for each in bot.facts(ListChosen)] == ["G-7F3K"]


def test_lists_of_slow_servers_keep_no_answers_waiting() -> None:
    def row(number: int, action: Action) -> OutboxRow:
        return OutboxRow(number, f"t{number}", action, -1, 0, 0, action.priority, 0)

    look = PreviewList(room=ROOM, target=ALIAS, via="", number=1, subject=MARK, operates=False, where=ROOM, alone=False)
    slow = [row(number, replace(look, room=RoomId(f"!{number}:x"))) for number in range(8)]
    begun = choose(slow, [], (), Past(), 0)
    answer = row(9, Say(room=ROOM, lines=()))
    assert answer in choose([*slow[len(begun) :], answer], begun, (), Past(), 0)


def test_a_list_in_which_all_talk_does_not_look_like_a_raid() -> None:
    raw = {"room_id": str(BANS), "type": "m.room.message", "content": {"body": "x"}, "sender": "@a:b", "event_id": "$1"}
    talk = [{**raw, "event_id": f"${number}", "origin_server_ts": 1} for number in range(FULL)]
    said = {"next_batch": "s", "rooms": {"join": {str(BANS): {"timeline": {"events": talk}}}}}
    response = read_sync(said, 1, me=BOT)
    assert is_full(response, frozenset({BANS}))
    assert not is_full(response, frozenset({ROOM}))


async def test_members_have_nothing_read(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        chooser = Chooser(bot, ListRooms())
        assert "error.right.manager" in await chooser.ask(ANNA, f"!list preview {ALIAS}", await bot.direct(ANNA))
        assert bot.facts(ListPreviewed) == []
