"""Many cases at once are shown on one card; what people decide still rings, and nothing is lost."""

from pathlib import Path

from moderation.model.actions.cards import EditBurst, EditCard, PostBurst, PostCard
from moderation.model.facts import CaseAssigned, CaseOpened, StatementGiven, WaveNoticed
from moderation.values.ids import RoomId, UserId
from storage import queries
from tests.door.offline import ANNA, DESK, MARK, ROOM, RULES, Offline, offline

AUTO = RULES.replace("tickets", "spam").replace("forbidden", "elephant").replace("manager", "auto")
FEW = "[groups]\ncards = 2\n"
MINUTE = 60_000


def raider(n: int) -> UserId:
    return UserId(f"@raider-{n}:example.org")


async def cards(bot: Offline) -> list[tuple[str, int]]:
    """Return the cards that wait to be posted or edited, each with its case."""
    kinds = (PostCard, PostBurst, EditCard, EditBurst)
    rows = sorted(await bot.waiting(), key=lambda row: row.id)
    return [(row.action.NAME, row.action.n) for row in rows if isinstance(row.action, kinds)]


async def test_after_some_cases_the_others_share_a_card_and_each_person_is_told_why(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + FEW) as bot:
        for n in range(1, 7):
            await bot.say(raider(n), "an elephant")
        assert [fact.burst for fact in bot.facts(CaseOpened)] == [0, 0, 3, 3, 3, 3]
        assert await cards(bot) == [("card", 1), ("card", 2), ("burst-card", 3), ("edit-burst", 3)]
        assert [fact.n for fact in bot.facts(StatementGiven)] == [1, 2, 3, 4, 5, 6]
        assert [user for user, _ in await bot.tell()] == [raider(n) for n in range(1, 7)]


async def test_the_card_says_how_many_by_which_rules_and_what_was_done(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + RULES + FEW) as bot:
        for n in (1, 2, 3, 4, 5, 4):
            await bot.say(raider(n), "an elephant")
            await bot.pass_time(MINUTE)
        for n in (6, 7, 8):
            await bot.say(raider(n), "forbidden")
        await bot.say(MARK, "!dismiss 4 a pet", DESK)
        async with bot.stores.database.read() as db:
            burst = await queries.burst_view(db, 3)
        assert burst is not None
        assert (burst.n, burst.cases, burst.people, burst.last, burst.reversed) == (3, 5, 5, 8, 1)
        assert burst.rules == (("spam", "serious", 3), ("tickets", "serious", 2))
        assert burst.waiting == (7, 8)
        assert burst.done == {"redact": 4}


async def test_the_first_case_that_people_decide_rings_and_all_have_somebody_responsible(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + RULES + FEW) as bot:
        for n in (1, 2, 3):
            await bot.say(raider(n), "an elephant")
        for n in (4, 5, 6):
            await bot.say(raider(n), "forbidden")
        rows = [row.action for row in await bot.waiting()]
        assert [(a.n, a.ring) for a in rows if isinstance(a, PostCard)] == [(1, True), (2, True), (4, True)]
        assigned = {fact.n for fact in bot.facts(CaseAssigned)}
        assert assigned == {4, 5, 6}
        await bot.say(MARK, "!uphold 4", DESK)
        await bot.say(raider(7), "forbidden")  # nothing of the rule is shown any more that waits
        assert [fact.burst for fact in bot.facts(CaseOpened)][-3:] == [3, 3, 0]


async def test_a_wave_of_people_makes_the_second_case_a_common_card(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO) as bot:
        await bot.pipeline.commit((WaveNoticed(room=ROOM, count=20, within=MINUTE, do="tell"),))
        for n in (1, 2, 3):
            await bot.say(raider(n), "an elephant")
        assert [fact.burst for fact in bot.facts(CaseOpened)] == [0, 2, 2]


async def test_after_a_restart_the_burst_goes_on(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + FEW) as bot:
        for n in (1, 2, 3):
            await bot.say(raider(n), "an elephant")
    async with offline(tmp_path, AUTO + FEW) as again:
        again._events = bot._events  # ids that are not known yet
        await again.say(raider(4), "an elephant")
        assert [fact.burst for fact in again.facts(CaseOpened)] == [0, 0, 3, 3]


async def test_a_manager_lists_the_cases_of_a_card_and_others_do_not(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + FEW) as bot:
        for n in range(1, 27):
            await bot.say(raider(n), "an elephant")
        for who, words in ((MARK, "!cases 3"), (MARK, "!cases 24"), (MARK, "!cases 1"), (ANNA, "!cases 3")):
            await bot.say(who, words, DESK if who == MARK else await bot.direct(ANNA))
        said = await bot.rows('SELECT action FROM outbox WHERE action LIKE \'%"do": "say"%\' ORDER BY id')
        keys = [[part.split('"')[0] for part in text.split('"key": "')[1:]] for (text,) in said]
        assert keys == [
            ["cases.burst", *["cases.one"] * 20, "cases.burst-more"],
            ["cases.burst", *["cases.one"] * 3],
            ["error.case.alone"],
            ["error.case.none"],
        ]


async def test_rooms_do_not_share_a_card(tmp_path: Path) -> None:
    other = RoomId("!shed:example.org")
    async with offline(tmp_path, AUTO + FEW) as bot:
        await bot.enter_room(other, "G-5HED", "group", {"users": {}}, "11", ())  # type: ignore[arg-type]
        for n in (1, 2, 3):
            await bot.say(raider(n), "an elephant")
        await bot.say(raider(4), "an elephant", other)
        assert [fact.burst for fact in bot.facts(CaseOpened)] == [0, 0, 3, 0]
