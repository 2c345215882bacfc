"""Somebody is given a level in a hostile room, and cases that they never asked for run over."""

from pathlib import Path

from bot.events.sync_response import Invite
from bot.sync.invitations import Invitations, nowhere_else
from moderation.model.facts import CaseAssigned, CreditChanged, SanctionStarted
from moderation.values.ids import RoomId, UserId
from tests.door.attacks.neighbours import ANNA, KITCHEN, MARK, OPERA, RITA, ROOM, SOCK, Neighbours, neighbours
from tests.door.offline import RULES

DAY = 86_400_000
KITCHEN_DESK = "!kitchendesk:example.org"


async def give(two: Neighbours, user: UserId, level: int) -> None:
    users = {str(RITA): 100, "@bot:example.org": 100, str(SOCK): 50, str(user): level}
    await two.bot.event(RITA, "m.room.power_levels", {"users": users}, key="", room=KITCHEN)


async def run_over(two: Neighbours) -> None:
    """Let a case come, everybody be told who must be, and nobody decide it."""
    await two.in_kitchen(SOCK, "a forbidden word")
    await two.bot.post_cards()
    await two.bot.tell()
    for _ in range(30):
        await two.bot.pass_time(DAY // 4)
        await two.bot.scheduler.do_what_is_due()
        await two.bot.tell()


def asked(two: Neighbours) -> set[UserId]:
    return {fact.subject for fact in two.bot.facts(CaseAssigned) if fact.room == KITCHEN}


async def test_a_level_that_somebody_else_gives_is_an_offer(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await give(two, MARK, 50)
        await run_over(two)
        assert MARK not in asked(two)
        assert MARK not in {fact.subject for fact in two.bot.facts(CreditChanged)}
        assert await two.may_manage(MARK)


async def test_an_owner_by_level_is_not_asked_either(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await give(two, MARK, 101)
        await run_over(two)
        assert MARK not in asked(two)
        assert await two.bot.rows(f"SELECT n FROM cases WHERE subject = '{MARK}'") == []


async def test_joining_the_desk_or_acting_begins_duty_and_neglect_costs_in_that_community_only(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await give(two, MARK, 50)
        await two.bot.membership(MARK, "join", KITCHEN_DESK)  # type: ignore[arg-type]
        await run_over(two)
        assert asked(two) >= {MARK}
        charged = {fact.reach for fact in two.bot.facts(CreditChanged) if fact.subject == MARK}
        assert charged == {"G-CU5K"}
        assert await two.credit(MARK, KITCHEN, "standing") < 100
        assert await two.credit(MARK, ROOM, "standing") == 100


async def test_an_order_accepts_duty_too(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await give(two, MARK, 50)
        await two.in_kitchen(MARK, f"!warn {ANNA} be nice")
        await two.in_kitchen(SOCK, "a forbidden word")
        assert MARK in asked(two)


async def test_more_cases_than_one_can_decide_go_to_the_operator(tmp_path: Path) -> None:
    few = RULES + "[duty]\nat_most = 3\n"
    async with neighbours(tmp_path, few) as two:
        for _ in range(5):
            await two.bot.say(ANNA, "a forbidden word")
            two.bot.time.ms += 3_600_000
        waits = await two.bot.rows(f"SELECT n, asked FROM cases WHERE room = '{ROOM}' ORDER BY n")
        assert [who for _, who in waits] == ["managers"] * 3 + ["operator"] * 2
        assert await two.tasks("case") == [4, 5]


async def test_a_person_made_owner_of_a_room_that_closes_can_still_invite_the_bot_elsewhere(
    tmp_path: Path,
) -> None:
    async with neighbours(tmp_path) as two:
        await give(two, MARK, 100)
        closed = SanctionStarted(room=KITCHEN, kind="close", basis="operator", by=OPERA)
        await two.bot.pipeline.commit((closed,))
        invitations = Invitations(two.bot.services(None), nowhere_else)
        refused = {who: await invitations.refused(Invite(RoomId("!new:example.org"), who), who) for who in (MARK, RITA)}
        assert refused[MARK] is None
        assert (refused[RITA] or ("",))[0] == "closed"
