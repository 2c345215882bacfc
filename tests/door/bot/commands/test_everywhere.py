"""An order for all rooms of a community: one case, one message, one appeal, and never more than by hand."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from bot.texts.names import names_in
from moderation.model.facts import (
    Appealed,
    CaseDecided,
    CaseOpened,
    DataAsked,
    SanctionEnded,
    SanctionStarted,
    StatementGiven,
    Swept,
)
from moderation.values.ids import GroupCode, RoomId, UserId
from moderation.values.notices import RoomNames, line
from storage import queries
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, OLGA, ROOM, RULES, Offline, offline

OPERA = UserId("@opera:example.org")
HALL, SHED, LOFT, CLUB, AWAY, WATCHED = (
    RoomId(f"!{name}:example.org") for name in ("hall", "shed", "loft", "club", "away", "watched")
)
CODES = {HALL: "G-HALL", SHED: "G-SHED", LOFT: "G-LQFT", CLUB: "G-CLUB", AWAY: "G-AWAY", WATCHED: "G-WATC"}
MANAGES = {"users": {str(OLGA): 100, str(BOT): 100, str(MARK): 50}}
IS_ABOVE = {"users": {str(OLGA): 100, str(BOT): 100, str(MARK): 50, str(ANNA): 50}}
NOT_THERE = {"users": {str(OLGA): 100, str(BOT): 100}}
# Besides the garden: of its community are all but the club; Mark manages all but the loft, and is no longer in `AWAY`.
LEVELS: dict[RoomId, dict[str, Any]] = {
    HALL: MANAGES,
    SHED: IS_ABOVE,
    LOFT: NOT_THERE,
    CLUB: MANAGES,
    AWAY: MANAGES,
    WATCHED: {"users": {str(OLGA): 100, str(MARK): 50}},
}
TOGETHER = ["G-7F3K", *(code for room, code in CODES.items() if room != CLUB)]
DAY = 86_400_000


@asynccontextmanager
async def estate(folder: Path, confirm: int = 5) -> AsyncIterator[Offline]:
    """Open the garden and six more rooms; Anna was in the hall, but never in the others."""
    config = f'operators = ["{OPERA}"]\n[groups]\neverywhere_confirm = {confirm}\n'
    config += f'[communities]\n[[communities.named]]\nname = "estate"\nrooms = {json.dumps(TOGETHER)}\n'
    async with offline(folder, config + RULES) as bot:
        if HALL not in bot.pipeline.served.codes:
            for room, code in CODES.items():
                people = (OLGA, MARK) + ((ANNA,) if room == HALL else ())
                await bot.enter_room(room, GroupCode(code), "group", LEVELS[room], "11", people)
            await bot.membership(MARK, "leave", AWAY)
        yield bot


async def said_to(bot: Offline, user: UserId) -> list[list[dict[str, Any]]]:
    """Return the messages that wait to be sent to somebody, and have them sent."""
    rows = await bot.rows(f"SELECT action FROM outbox WHERE action LIKE '%\"tell\"%{user}%'")
    words = [json.loads(action) for (action,) in rows]
    await bot.tell()
    return [word["lines"] for word in words if word["subject"] == user]


def begun(bot: Offline) -> list[tuple[RoomId | None, int, str]]:
    return [(fact.room, fact.n, fact.kind) for fact in bot.facts(SanctionStarted)]


async def test_it_holds_where_the_caller_could_do_it_and_the_person_gets_one_word(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(MARK, f"!ban {ANNA} 30d everywhere advertising")
        assert begun(bot) == [(ROOM, 1, "ban"), (HALL, 1, "ban")]
        [case] = bot.facts(CaseOpened)
        assert (case.room, case.n, case.subject, case.by, case.reason) == (ROOM, 1, ANNA, MARK, "advertising")
        [word] = await said_to(bot, ANNA)
        assert [line["key"] for line in word][:3] == ["notice.command.ban", "notice.until", "notice.reason"]
        assert word[0]["fields"]["room"] == {"$rooms": [ROOM, HALL]}


async def test_an_operator_reaches_every_protected_room(tmp_path: Path) -> None:
    async with estate(tmp_path, confirm=6) as bot:
        direct = await bot.direct(OPERA)
        await bot.say(OPERA, f"!mute {ANNA} 1h 各群", direct)
        assert {room for room, *_ in begun(bot)} == {ROOM, HALL, SHED, LOFT, CLUB, AWAY}


async def test_only_rooms_that_the_person_is_in_are_left_by_a_kick(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        direct = await bot.direct(OPERA)
        await bot.say(OPERA, f"!kick {ANNA} everywhere G-7F3K", direct)
        assert begun(bot) == [(ROOM, 1, "kick"), (HALL, 1, "kick")]


async def test_one_appeal_ends_it_in_all_rooms_and_invites_back_where_they_were(tmp_path: Path) -> None:
    async with estate(tmp_path, confirm=9) as bot:
        await bot.say(OPERA, f"!ban {ANNA} everywhere G-7F3K", await bot.direct(OPERA))
        await said_to(bot, ANNA)
        await bot.say(ANNA, "!appeal 1 it was not me", await bot.direct(ANNA))
        assert len(bot.facts(Appealed)) == 1
        await said_to(bot, ANNA)
        await bot.say(OPERA, "!dismiss 1 mistaken for somebody else", await bot.direct(OPERA))
        started = [(fact.room, fact.n) for fact in bot.facts(SanctionStarted)]
        assert [(fact.room, fact.n) for fact in bot.facts(SanctionEnded)] == started
        [word] = await said_to(bot, ANNA)
        assert [line["key"] for line in word] == [
            "notice.case.dismissed",
            "notice.reason",
            "notice.ended.ban",
            "notice.details",
        ]
        assert word[2]["fields"]["room"] == {"$rooms": [room for room, _ in started]}
        assert await invited(bot) == [ROOM, HALL]


async def test_an_appeal_against_an_order_for_several_rooms_goes_to_the_operator(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(MARK, f"!ban {ANNA} everywhere")
        await bot.say(ANNA, "!appeal 1 it was not me", await bot.direct(ANNA))
        await bot.say(MINA, "!dismiss 1 let her in", DESK)
        assert bot.facts(CaseDecided) == []
        await bot.say(OPERA, "!dismiss 1 let her in", await bot.direct(OPERA))
        assert [fact.state for fact in bot.facts(CaseDecided)] == ["reversed"]
        assert len(bot.facts(SanctionEnded)) == 2


async def test_a_manager_of_one_of_the_rooms_lifts_it_there_and_an_appeal_the_rest(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(OLGA, f"!ban {ANNA} everywhere")
        assert len(begun(bot)) == 5
        await bot.say(MARK, f"!unban {ANNA}", HALL)
        assert [fact.room for fact in bot.facts(SanctionEnded)] == [HALL]
        await bot.say(OLGA, "!dismiss 1 enough now")
        assert sorted(fact.start for fact in bot.facts(SanctionEnded)) == sorted(
            i for i, _ in bot.recorded(SanctionStarted)
        )


async def test_when_its_time_is_over_the_person_gets_one_word(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(MARK, f"!mute {ANNA} 2h everywhere")
        await bot.say(OLGA, f"!mute {MINA} 2h")
        await said_to(bot, ANNA)
        await bot.pass_time(DAY)
        await bot.scheduler.do_what_is_due()
        assert [(fact.subject, fact.room, fact.why) for fact in bot.facts(SanctionEnded)] == [
            (ANNA, ROOM, "time"),
            (ANNA, HALL, "time"),
            (MINA, ROOM, "time"),
        ]
        [word] = await said_to(bot, ANNA)
        assert word[0] == {"key": "notice.ended.mute", "fields": {"room": {"$rooms": [ROOM, HALL]}}}


async def test_an_order_for_many_rooms_is_asked_about_first(tmp_path: Path) -> None:
    async with estate(tmp_path, confirm=1) as bot:
        await bot.say(MARK, f"!ban {ANNA} everywhere 3 warnings already")
        assert begun(bot) == []
        [asked] = bot.facts(DataAsked)
        assert (asked.what, asked.subject) == ("everywhere", MARK)
        await bot.say(OLGA, f"!ban {ANNA} everywhere {asked.on} not her number", CLUB)
        await bot.say(MARK, f"!ban {ANNA} everywhere {asked.on + 1} not a number of mine")
        assert (begun(bot), len(bot.facts(DataAsked))) == ([], 2)
        await bot.say(MARK, f"!ban {ANNA} everywhere {asked.on} 3 warnings already")
        assert [room for room, *_ in begun(bot)] == [ROOM, HALL]
        assert bot.facts(CaseOpened)[0].reason == "3 warnings already"


async def test_managers_of_the_other_rooms_read_who_gave_the_order_and_why(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.membership(MINA, "join", HALL)
        await bot.event(OLGA, "m.room.power_levels", {"users": {**MANAGES["users"], MINA: 50}}, key="", room=HALL)
        await bot.say(MARK, f"!ban {ANNA} everywhere advertising")
        for speaker, room, key in ((MINA, HALL, "everywhere.case"), (OLGA, CLUB, "error.case.none")):
            await bot.say(speaker, "!case 1", room)
            [lines] = await bot.rows("SELECT json_extract(action, '$.lines') FROM outbox ORDER BY id DESC LIMIT 1")
            assert json.loads(lines[0])[0]["key"] == key
        assert "advertising" in str(await bot.rows("SELECT action FROM outbox WHERE action LIKE '%everywhere.case%'"))
        await bot.say(MINA, "!dismiss 1 not mine to decide", HALL)
        assert bot.facts(CaseDecided) == []


async def test_once_confirmed_it_is_not_asked_again_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    async with estate(tmp_path, confirm=1) as bot:
        await bot.say(MARK, f"!mute {ANNA} 1h everywhere")
        await bot.say(MARK, f"!mute {ANNA} 1h everywhere {bot.facts(DataAsked)[0].on}")
        await bot.say(MARK, f"!unmute {ANNA} everywhere", HALL)
        assert len(bot.facts(SanctionEnded)) == 2
        await bot.say(OLGA, f"!mute {ANNA} everywhere")
        bot.time.ms += 16 * 60_000
        await bot.say(MARK, f"!ban {ANNA} everywhere")
        assert (len(begun(bot)), [fact.what for fact in bot.facts(DataAsked)].count("everywhere")) == (2, 3)


async def test_a_number_counts_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    async with estate(tmp_path, confirm=1) as bot:
        await bot.say(MARK, f"!kick {ANNA} everywhere")
        [asked] = bot.facts(DataAsked)
        bot.time.ms += 16 * 60_000
        await bot.say(MARK, f"!kick {ANNA} everywhere {asked.on}")
        assert begun(bot) == []


async def test_lifting_everywhere_also_ends_bans_that_were_set_by_hand(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.membership(ANNA, "ban", HALL)
        await bot.membership(ANNA, "ban", LOFT)  # where Mark may not lift it
        await bot.say(MARK, f"!ban {ANNA}")
        await bot.say(MARK, f"!unban {ANNA} everywhere")
        assert [fact.room for fact in bot.facts(SanctionEnded)] == [ROOM]
        lifted = await bot.rows("SELECT json_extract(action, '$.room') FROM outbox WHERE action LIKE '%\"unban\"%'")
        assert lifted == [(HALL,)]


async def test_with_the_word_it_need_not_be_said_which_room_is_meant(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(MARK, f"!mute {ANNA} 1h everywhere", await bot.direct(MARK))
        assert [room for room, *_ in begun(bot)] == [ROOM, HALL]
        await bot.say(ANNA, f"!mute {MARK} 1h everywhere", await bot.direct(ANNA))
        await bot.say(MARK, f"!mute {MINA} 1h", await bot.direct(MARK))
        assert len(begun(bot)) == 2


async def test_names_of_other_rooms_stay_among_those_who_may_read_of_them(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(MARK, f"!mute {ANNA} everywhere")
        await bot.say(MARK, f"!unmute {ANNA} everywhere G-7F3K", await bot.direct(MARK))
        here, alone = [
            json.loads(action)["lines"][-1]
            for (action,) in await bot.rows("SELECT action FROM outbox WHERE action LIKE '%everywhere.%' ORDER BY id")
        ]
        assert here == {"key": "everywhere.count.done", "fields": {"count": 2}}
        assert alone["fields"]["rooms"] == {"$rooms": [ROOM, HALL]}


async def test_a_person_does_not_learn_the_names_of_rooms_that_they_were_never_in(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        for room in (HALL, LOFT):
            await bot.event(OLGA, "m.room.name", {"name": "Board"}, key="", room=room)
        said = (line("notice.ended.ban", room=RoomNames((ROOM, HALL, LOFT))),)
        async with bot.stores.database.read() as db:
            to_anna, to_all = [await names_in(db, said, "en", to=reader) for reader in (ANNA, None)]
        assert (to_anna[HALL], to_anna[LOFT], to_all[LOFT]) == ("Board (G-HALL)", "G-LQFT", "Board (G-LQFT)")
        words = Speech(Catalog.load(), bot.config.policy, "en").text(said, "en", to_anna).plain
        assert words == "You are no longer banned from G-7F3K, Board (G-HALL), G-LQFT."


async def invited(bot: Offline) -> list[str]:
    """Return the rooms to which somebody is invited back, as the handler does it."""
    rows = await bot.rows(
        "SELECT json_extract(action, '$.room') FROM outbox WHERE action LIKE '%\"invite-back\"%' ORDER BY id"
    )
    async with bot.stores.database.read() as db:
        return [room for (room,) in rows if await queries.was_removed(db, 1, ANNA, RoomId(room))]


async def test_what_they_wrote_goes_in_each_room_with_the_ban_and_alone(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        for room in (ROOM, HALL, HALL, SHED, CLUB):
            await bot.say(ANNA, "buy now", room)
        await bot.say(MARK, f"!ban {ANNA} 30d everywhere redact 24h advertising")
        assert begun(bot) == [(ROOM, 1, "ban"), (HALL, 1, "ban")]
        swept = bot.facts(Swept)
        assert [(fact.room, fact.n, fact.count, fact.reason) for fact in swept] == [
            (ROOM, 1, 1, "advertising"),
            (HALL, 1, 2, "advertising"),
        ]
        stated = json.loads(bot.facts(StatementGiven)[0].statement)["measures"]
        assert [(each["kind"], each["rooms"]) for each in stated] == [("ban", [ROOM, HALL]), ("sweep", [ROOM, HALL])]
        [word] = await said_to(bot, ANNA)
        assert [line["key"] for line in word][:4] == [
            "notice.command.ban",
            "notice.until",
            "notice.reason",
            "notice.swept",
        ]
        assert (word[3]["fields"]["room"], word[3]["fields"]["count"]) == ({"$rooms": [ROOM, HALL]}, 3)
        await bot.say(MARK, f"!redact {ANNA} 24h everywhere")
        assert bot.facts(Swept) == swept
        direct = await bot.direct(OPERA)
        await bot.say(OPERA, f"!redact {ANNA} 24h everywhere all of it", direct)
        assert [(fact.room, fact.n, fact.count) for fact in bot.facts(Swept)[2:]] == [(SHED, 2, 1), (CLUB, 2, 1)]


async def numbers_in_history(bot: Offline, who: UserId, room: RoomId) -> list[int]:
    """Return the cases that `!history` names to somebody."""
    await bot.say(who, f"!history {ANNA}", room)
    rows = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%history.%' ORDER BY id")
    lines = json.loads(rows[-1][0])["lines"]
    return [each["fields"]["n"] for each in lines if each["key"] == "cases.one"]


async def test_the_history_of_each_room_names_the_order_that_holds_there(tmp_path: Path) -> None:
    async with estate(tmp_path) as bot:
        await bot.say(MARK, f"!mute {ANNA} 1d everywhere 5 spam")
        rooms = {fact.room for fact in bot.facts(SanctionStarted)}
        assert {ROOM, HALL} <= rooms and CLUB not in rooms
        assert await numbers_in_history(bot, MARK, HALL) == [1]
        assert await numbers_in_history(bot, MARK, ROOM) == [1]
        await bot.say(OLGA, f"!kick {ANNA} spam", HALL)
        assert await numbers_in_history(bot, MARK, HALL) == [2, 1]
        assert await numbers_in_history(bot, MARK, ROOM) == [1]
        await bot.membership(ANNA, "join", CLUB)
        assert await numbers_in_history(bot, MARK, CLUB) == []
