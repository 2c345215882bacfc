"""Choosing a policy list in chat: it is shown first, what is confirmed is what was shown, and people can end it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moderation.lists import choosing
from moderation.model.actions.lists import ChooseList
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import CaseOpened, ListChosen, ListPreviewed, ListRead, SanctionEnded, SanctionStarted
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.chosen_lists import ALIAS, BANS, CREATED, ORDINARY, WRITER, Chooser, ListRooms, entry
from tests.door.offline import ANNA, BOT, DESK, LEVELS, MARK, MINA, OLGA, ROOM, Offline, offline
from tests.theatre.opened import made_again

OPERA = UserId("@opera:example.org")
HALL = RoomId("!hall:example.org")
STRANGER = UserId("@stranger:bad.example")


@asynccontextmanager
async def choosers(folder: Path, more: str = "") -> AsyncIterator[tuple[Offline, Chooser, ListRooms]]:
    """Open a bot that can be asked for lists; the list names a stranger who is there, a manager, and Anna."""
    async with offline(folder, more) as bot:
        homeserver = ListRooms()
        homeserver.say(entry(ANNA, "1"), entry(MARK, "2"), entry("bad.example", "3", kind="server"), entry("*:x", "4"))
        await bot.membership(STRANGER, "join")
        yield bot, Chooser(bot, homeserver), homeserver


def watched(bot: Offline) -> dict[str, str]:
    return {name: watch.trust for name, watch in bot.pipeline.lists.watches.items()}


async def test_a_preview_says_what_the_list_says_and_whom_it_would_touch(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        said = await chooser.ask(MARK, f"!list preview {ALIAS}")
        head, here = said["policy-list.preview.head"], said["policy-list.preview.room"]
        assert (head["users"], head["servers"], head["rooms"], head["globs"]) == (3, 1, 0, 1)
        assert said["policy-list.preview.author"]["by"].text == WRITER
        assert (said["policy-list.preview.widest"]["entity"].text, here["count"]) == ("bad.example", 3)
        assert (here["ban"], here["propose"], here["spared"], here["exempt"]) == (2, 0, 0, 1)
        assert (here["managers"], here["verified"]) == (1, 0)
        assert said["policy-list.preview.next"]["typed"].text == f"!list watch NAME look {chooser.number}"
        assert homeserver.inside == [BANS]
        asked, entered, shown = bot.facts(ListPreviewed)
        assert [each.step for each in (asked, entered, shown)] == ["asked", "entered", "shown"]
        assert {each.number for each in (asked, entered, shown)} == {chooser.number}
        assert (asked.by, shown.list_room, shown.entries, len(shown.digest)) == (MARK, BANS, 4, 64)
        assert bot.facts(CaseOpened) == []


async def test_a_list_that_can_be_read_from_outside_is_entered_only_when_it_is_chosen(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, homeserver):
        homeserver.readable.add(BANS)
        await chooser.ask(MARK, f"!list preview {ALIAS}")
        assert homeserver.entered == []
        await chooser.choose(MARK)
        assert homeserver.inside == [BANS]


async def test_what_was_shown_is_watched_and_brings_cases(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        said = await chooser.choose(MARK)
        assert said["policy-list.watched.propose"]["count"] == 4
        [chosen], [read], shown = bot.facts(ListChosen), bot.facts(ListRead), bot.facts(ListPreviewed)[-1]
        assert (chosen.step, chosen.list, chosen.trust, chosen.list_room) == ("watched", "cme", "propose", BANS)
        assert (chosen.by, chosen.reason, chosen.room, chosen.preview) == (MARK, "because", ROOM, chooser.number)
        assert read.digest == shown.digest
        assert {case.subject for case in bot.facts(CaseOpened)} == {ANNA, STRANGER}


async def test_it_counts_in_the_room_that_chose_it_alone(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, ANNA))
        await chooser.choose(OLGA, trust="apply")
        assert {ban.room for ban in bot.facts(SanctionStarted) if ban.kind == "ban"} == {ROOM}
        [chosen] = bot.facts(ListChosen)
        assert chosen.reach == "G-7F3K"


OLGAS = {"users": {OLGA: 100, BOT: 100}}
TOGETHER = """
[[communities.named]]
name = "garden"
rooms = ["*"]
"""


async def test_it_counts_in_the_community_only_if_they_run_all_of_it(tmp_path: Path) -> None:
    async with choosers(tmp_path, TOGETHER) as (bot, chooser, _):
        await bot.enter_room(
            HALL, GroupCode("G-HALL"), "group", {"users": {OLGA: 100, "@bot:example.org": 100}}, "11", (OLGA, ANNA)
        )
        await chooser.choose(MARK)
        await chooser.choose(OLGA, name="ours-too", trust="apply")
        assert [(each.list, each.reach) for each in bot.facts(ListChosen)] == [
            ("cme", "G-7F3K"),
            ("ours-too", "garden"),
        ]
        bans = [ban for ban in bot.facts(SanctionStarted) if ban.kind == "ban" and ban.subject == ANNA]
        assert [ban.reach for ban in bans] == ["garden"]


async def test_an_owner_who_confirms_what_a_manager_saw_gets_no_more_than_was_shown(tmp_path: Path) -> None:
    async with choosers(tmp_path, TOGETHER) as (bot, chooser, _):
        await bot.enter_room(
            HALL, GroupCode("G-HALL"), "group", {"users": {OLGA: 100, "@bot:example.org": 100}}, "11", (OLGA, ANNA)
        )
        await chooser.ask(MARK, f"!list preview {BANS}")
        await chooser.ask(OLGA, f"!list watch cme apply {chooser.number}")
        [chosen] = bot.facts(ListChosen)
        assert (chosen.by, chosen.trust, chosen.reach) == (OLGA, "apply", "G-7F3K")


async def test_with_one_community_for_all_rooms_it_still_counts_in_one(tmp_path: Path) -> None:
    async with choosers(tmp_path, '[communities]\ndefault = "deployment"\n') as (bot, chooser, _):
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, ANNA))
        await chooser.choose(OLGA, trust="apply")
        [ban] = [each for each in bot.facts(SanctionStarted) if each.subject == ANNA]
        assert (ban.room, ban.reach) == (ROOM, "")


async def test_an_operator_chooses_for_all_rooms(tmp_path: Path) -> None:
    async with choosers(tmp_path, f'operators = ["{OPERA}"]\n') as (bot, chooser, _):
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, ANNA))
        here = await bot.direct(OPERA)
        said = await chooser.ask(OPERA, f"!list preview {BANS} G-7F3K", here)
        assert "policy-list.preview.room" in said
        await chooser.ask(OPERA, f"!list watch cme apply {chooser.number} G-7F3K", here)
        assert [each.reach for each in bot.facts(ListChosen)] == [""]
        assert "error.list.by-operator" in await chooser.ask(OLGA, "!list end cme")
        assert "policy-list.ended" in await chooser.ask(OPERA, "!list end cme G-7F3K", here)


@pytest.mark.parametrize(
    ("settings", "who", "trust", "answer"),
    [
        ("", MARK, "look", "policy-list.watched.look"),
        ("", MARK, "apply", "error.list.most-propose"),
        ("", MARK, "agree", "error.list.most-propose"),
        ("", OLGA, "apply", "policy-list.watched.apply"),
        ("", OLGA, "agree", "policy-list.watched.agree"),
        ('managers = "look"', MARK, "look", "policy-list.watched.look"),
        ('managers = "look"', MARK, "propose", "error.list.most-look"),
        ('managers = "none"', MARK, "look", "error.list.not-chosen"),
        ('managers = "apply"', MARK, "apply", "policy-list.watched.apply"),
        ('owners = "propose"', OLGA, "apply", "error.list.most-propose"),
        ('owners = "none"', OLGA, "look", "error.list.not-chosen"),
        ("", ANNA, "look", "error.right.manager"),
    ],
)
async def test_the_operator_says_how_far_each_may_trust_a_list(
    tmp_path: Path, settings: str, who: UserId, trust: str, answer: str
) -> None:
    async with choosers(tmp_path, f"[lists]\n{settings}\n") as (_, chooser, _rooms):
        assert answer in await chooser.choose(who, trust=trust)


async def test_a_list_that_bans_is_chosen_only_by_those_who_may_ban(tmp_path: Path) -> None:
    async with choosers(tmp_path, '[lists]\nmanagers = "apply"\n') as (bot, chooser, _):
        await bot.event(OLGA, "m.room.power_levels", {**LEVELS, "ban": 60}, key="")
        assert "error.right.ban" in await chooser.choose(MARK, trust="apply")
        assert "policy-list.watched.propose" in await chooser.choose(MARK, trust="propose")


async def test_a_number_counts_for_a_day_and_for_its_room(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await bot.enter_room(HALL, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, MARK))
        await chooser.ask(MARK, f"!list preview {BANS}")
        number, direct = chooser.number, await bot.direct(MARK)
        assert "error.list.number" in await chooser.ask(MARK, f"!list watch cme look {number} G-HALL", direct)
        assert "error.list.number" in await chooser.ask(MARK, f"!list watch cme look {number + 1}")
        await bot.pass_time(DAY_MS + 1)
        assert "error.list.number" in await chooser.ask(MARK, f"!list watch cme look {number}")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("preview", "error.list.room"),
        ("preview bans", "error.list.room"),
        ("preview #nobody:lists.example", "error.list.nowhere"),
        ("preview !nobody:lists.example", "error.list.closed"),
        (f"preview {ROOM}", "error.list.closed"),
        ("watch", "error.list.watch-form"),
        ("watch cme propose", "error.list.watch-form"),
        ("watch cme propose soon", "error.list.watch-form"),
        ("watch Für-Alle propose 1", "error.list.name"),
        ("watch cme blindly 1", "error.list.trust"),
        ("watch cme propose 1", "error.list.number"),
        ("end", "error.list.end-form"),
        ("end cme", "error.list.unknown"),
    ],
)
async def test_what_cannot_be_is_said_with_the_next_step(tmp_path: Path, words: str, answer: str) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        assert answer in await chooser.ask(MARK, f"!list {words}")
        assert bot.facts(ListChosen) == []


async def test_links_name_rooms_too(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, _rooms):
        link = "https://matrix.to/#/%23bans%3Alists.example?via=lists.example&via=other.example"
        assert "policy-list.preview.head" in await chooser.ask(MARK, f"!list preview {link}")


async def test_in_the_group_nothing_is_shown(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, _rooms):
        assert "error.list.here" in await chooser.ask(MARK, f"!list preview {ALIAS}", ROOM)
        assert "error.list.here" in await chooser.ask(MARK, "!list watch cme look 1", ROOM)


async def test_an_ordinary_room_is_left_at_once(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        homeserver.states[BANS] = [ORDINARY]
        assert "error.list.no-list" in await chooser.ask(MARK, f"!list preview {ALIAS}")
        assert (homeserver.entered, homeserver.inside) == ([BANS], [])
        assert [each.step for each in bot.facts(ListPreviewed)] == ["asked", "entered", "left"]


async def test_an_empty_list_can_be_chosen(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, homeserver):
        homeserver.states[BANS] = [CREATED]
        assert "policy-list.watched.propose" in await chooser.choose(MARK)


async def test_a_list_that_was_moved_is_not_followed(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, homeserver):
        tomb = {"type": "m.room.tombstone", "state_key": "", "content": {"replacement_room": "!new:lists.example"}}
        homeserver.states[BANS].append(tomb)
        said = await chooser.ask(MARK, f"!list preview {ALIAS}")
        assert said["error.list.moved"]["target"].text == "!new:lists.example"
        assert homeserver.inside == []


async def test_nobody_confirms_and_the_bot_leaves_within_a_day(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        await chooser.ask(MARK, f"!list preview {ALIAS}")
        await bot.pass_time(DAY_MS - 1)
        await _hour(chooser)
        assert homeserver.inside == [BANS]
        await bot.pass_time(2)
        homeserver.away = True
        await _hour(chooser)
        assert homeserver.inside == [BANS]
        homeserver.away = False
        await _hour(chooser)
        assert homeserver.inside == []
        assert bot.facts(ListPreviewed)[-1].step == "left"


async def _hour(chooser: Chooser) -> None:
    chooser.lists.look_again()
    await chooser.lists.look()


async def test_the_room_of_a_watched_list_is_kept(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        await chooser.choose(MARK)
        await bot.pass_time(3 * DAY_MS)
        await _hour(chooser)
        assert homeserver.inside == [BANS]


async def test_a_homeserver_that_is_away_is_said(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, homeserver):
        homeserver.away = True
        assert "error.list.away" in await chooser.ask(MARK, f"!list preview {ALIAS}")


async def test_the_end_of_a_list_ends_its_bans_and_leaves_its_room(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        await chooser.choose(OLGA, trust="apply")
        assert len(bot.facts(SanctionStarted)) == 2
        assert "error.list.most-propose" in await chooser.ask(MARK, "!list end cme"), "an owner trusts it further"
        assert "policy-list.ended" in await chooser.ask(OLGA, "!list end cme no longer looked after")
        assert {end.why for end in bot.facts(SanctionEnded)} == {"list"}
        assert len(bot.facts(SanctionEnded)) == 2
        assert (watched(bot), homeserver.inside, await bot.rows("SELECT * FROM list_entries")) == ({}, [], [])
        ended = bot.facts(ListChosen)[-1]
        assert (ended.step, ended.by, ended.reason) == ("ended", OLGA, "no longer looked after")


async def test_a_list_of_the_configuration_is_the_operators(tmp_path: Path) -> None:
    lists = f'[lists]\n[[lists.watch]]\nname = "theirs"\nroom = "{BANS}"\ntrust = "look"\n'
    async with choosers(tmp_path, lists) as (bot, chooser, _):
        await _hour(chooser)
        assert "error.list.configured" in await chooser.ask(OLGA, "!list end theirs")
        assert "error.list.name-operators" in await chooser.choose(OLGA, name="theirs")
        assert watched(bot) == {"theirs": "look"}


async def test_a_name_that_the_configuration_takes_later_is_told_in_the_desk(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, homeserver):
        await chooser.choose(MARK, trust="look")
    lists = '[lists]\n[[lists.watch]]\nname = "cme"\nroom = "!theirs:lists.example"\ntrust = "propose"\n'
    async with offline(tmp_path, lists) as bot:
        homeserver.say(room=RoomId("!theirs:lists.example"))
        again = Chooser(bot, homeserver)
        await again.lists.begin()
        await _hour(again)
        assert watched(bot) == {"cme": "propose"}
        told = [row.action for row in await bot.waiting() if isinstance(row.action, TellDesk)]
        assert [each.room for each in told if each.lines[0].key == "lists.taken"] == [ROOM]
        assert homeserver.inside == ["!theirs:lists.example"]


async def test_names_are_given_once_and_trust_can_be_changed(tmp_path: Path) -> None:
    other = RoomId("!other:lists.example")
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        homeserver.say(entry("@x:y", "1"), room=other)
        await chooser.choose(MARK, trust="look")
        await chooser.ask(MARK, f"!list preview {other}")
        assert "error.list.taken" in await chooser.ask(MARK, f"!list watch cme look {chooser.number}")
        assert "policy-list.watched.propose" in await chooser.choose(MARK, trust="propose")
        assert watched(bot) == {"cme": "propose"}


async def test_a_room_has_only_so_many_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "MOST_LISTS", 1)
    async with choosers(tmp_path) as (_, chooser, _rooms):
        await chooser.choose(MARK, trust="look")
        assert "error.list.many" in await chooser.choose(MARK, name="more")


async def test_somebody_who_runs_the_room_no_longer_chooses_nothing(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        await bot.say(MARK, f"!list preview {BANS}", DESK)
        await bot.levels(OLGA, {OLGA: 100, BOT: 100})
        await chooser.act()
        assert homeserver.entered == []


async def test_the_right_is_asked_for_again_when_the_list_is_watched(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await chooser.ask(MARK, f"!list preview {BANS}")
        await bot.say(MARK, f"!list watch cme look {chooser.number}", DESK)
        await bot.levels(OLGA, {OLGA: 100, BOT: 100})
        await chooser.act()
        assert bot.facts(ListChosen) == []


async def test_a_list_stays_when_the_person_who_chose_it_runs_the_room_no_longer(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await chooser.choose(MARK, trust="look")
        await bot.levels(OLGA, {OLGA: 100, BOT: 100, MINA: 50})
        await _hour(chooser)
        assert watched(bot) == {"cme": "look"}
        assert "policy-list.ended" in await chooser.ask(MINA, "!list end cme")


async def test_it_is_shown_with_the_person_who_chose_it(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (_, chooser, _rooms):
        await chooser.choose(MARK, trust="look")
        said = await chooser.ask(MINA, "!list")
        assert (said["policy-list.one"]["list"], said["policy-list.by"]["who"].user) == ("cme", MARK)


async def test_what_is_watched_outlives_the_records_of_the_choice(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await chooser.choose(MARK, trust="look")
        [first] = bot.recorded(ListChosen)
        await bot.pass_time(100 * DAY_MS)
        await _hour(chooser)
        await _hour(chooser)
        (_, chosen), (_, again) = bot.recorded(ListChosen)
        assert (again.list_room, again.by, again.preview) == (BANS, MARK, chosen.preview)
        [row] = await bot.rows("SELECT list_room, reach, since FROM chosen_lists")
        assert row == (BANS, "G-7F3K", again.since)
        assert first[1] == chosen


async def test_a_list_counts_where_it_was_chosen_however_communities_are_named_later(tmp_path: Path) -> None:
    async with choosers(tmp_path, TOGETHER) as (bot, chooser, homeserver):
        await chooser.choose(OLGA, trust="look")
        assert [each.reach for each in bot.facts(ListChosen)] == ["garden"]
    async with offline(tmp_path, TOGETHER.replace("garden", "park")) as bot:
        again = Chooser(bot, homeserver)
        await again.lists.begin()
        await _hour(again)
        async with bot.stores.database.read() as db:
            garden = await bot.pipeline.knowledge.room(db, ROOM)
        assert garden is not None
        assert (garden.community, bot.pipeline.lists.watches["cme"].holds_in(garden)) == ("park", True)


async def test_a_list_ends_when_the_bot_has_left_its_room(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        await chooser.choose(MARK, trust="look")
        await _hour(chooser)
        assert watched(bot) == {"cme": "look"}
        await bot.membership(BOT, "leave")
        await _hour(chooser)
        assert (watched(bot), homeserver.inside) == ({}, [])
        assert bot.facts(ListChosen)[-1].step == "ended"


async def test_what_is_wrong_with_a_list_is_told_in_its_desk_once(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, homeserver):
        await chooser.choose(MARK, trust="propose")
        homeserver.states.pop(BANS)
        homeserver.inside.remove(BANS)
        for _ in range(2):
            await _hour(chooser)
        told = [row.action for row in await bot.waiting() if isinstance(row.action, TellDesk)]
        assert [(each.room, each.lines[0].key) for each in told] == [(ROOM, "lists.trouble.chosen-unreadable")]
        assert watched(bot) == {"cme": "propose"}


async def test_a_choice_that_was_recorded_before_a_crash_is_not_recorded_twice(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await chooser.ask(MARK, f"!list preview {BANS}")
        await bot.say(MARK, f"!list watch cme look {chooser.number}", DESK)
        [row] = [each for each in await bot.waiting() if isinstance(each.action, ChooseList)]
        for _attempt in range(2):
            done = await chooser.handler.handles[ChooseList](row.action, row.txn)
            assert [each.key for each in done.actions[0].lines] == ["policy-list.watched.look"]  # type: ignore[attr-defined]
        assert len(bot.facts(ListChosen)) == 1


async def test_a_rebuild_gives_the_same_choice_and_previews(tmp_path: Path) -> None:
    async with choosers(tmp_path) as (bot, chooser, _):
        await chooser.choose(MARK, trust="look")
        await chooser.ask(MARK, f"!list preview {ALIAS}")
        tables = ("chosen_lists", "list_previews")
        live = [await bot.rows(f"SELECT * FROM {table}") for table in tables]
        again = await made_again(bot.stores.journal, tmp_path / "again")
        assert [again.rows(f"SELECT * FROM {table}") for table in tables] == live
