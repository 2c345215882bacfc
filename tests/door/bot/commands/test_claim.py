"""A manager takes a case, or puts off its deadline once: who is reminded, and what goes on as before."""

from pathlib import Path

import pytest

from bot.texts.case_card import card_lines, read_card
from moderation.model.facts import (
    CaseAssigned,
    CaseClaimed,
    CaseExtended,
    CaseMoved,
    CreditChanged,
)
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.ids import UserId
from storage import queries
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, NOON, OLGA, RULES, Offline, offline
from tests.theatre.opened import made_again

SEVERE = RULES.replace("serious", "severe")
HIDES = RULES.replace('decide = "manager"', 'decide = "manager"\ninterim = "redact"')
WAITING = "SELECT state, asked, due, claimed FROM cases WHERE n = 1"


async def opened(bot: Offline, who: UserId = ANNA) -> int:
    """Open case 1 and post its card. Returns its deadline."""
    await bot.say(who, "forbidden")
    await bot.post_cards()
    ((due,),) = await bot.rows("SELECT due FROM cases WHERE n = 1")
    return int(due)


async def rung(bot: Offline) -> tuple[UserId, ...]:
    """Return who is rung for case 1 now."""
    async with bot.stores.database.read() as db:
        case = await queries.case_view(db, 1)
        assert case is not None
        return await queries.rung_for(db, case, DESK)


async def answers(bot: Offline) -> list[str]:
    """Return the keys of all answers that wait to be said."""
    found = await bot.rows("SELECT json_extract(action, '$.lines[0].key') FROM outbox WHERE action LIKE '%\"say\"%'")
    return [key for (key,) in found]


async def press(bot: Offline, who: UserId, key: str) -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$card1", "key": key}
    await bot.event(who, "m.reaction", {"m.relates_to": relates}, room=DESK)


async def test_who_takes_a_case_is_reminded_alone_and_its_deadline_stays(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        due = await opened(bot)
        assert await rung(bot) == (MARK, MINA)
        await press(bot, MARK, "✋\ufe0f")
        assert await bot.rows(WAITING) == [("acknowledged", "managers", due, MARK)]
        assert await rung(bot) == (MARK,)
        assert [(f.n, f.by) for f in bot.facts(CaseClaimed)] == [(1, MARK)]
        await bot.say(MARK, "!claim 1", DESK)
        assert await answers(bot) == ["error.claim.yours"]
        await bot.say(MINA, "!cases", DESK)
        listed = await bot.rows("SELECT json_extract(action, '$.lines[1].fields.state') FROM outbox ORDER BY id")
        assert listed[-1] == ('{"$phrase":"state.claimed"}',)
        await bot.membership(MARK, "leave", DESK)  # somebody who is gone keeps nobody from being reminded
        assert await rung(bot) == (MINA,)


async def test_another_manager_takes_over_or_decides_all_the_same(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot)
        await bot.say(MARK, "!claim 1", DESK)
        await bot.say(MINA, "!claim 1", DESK)
        assert await rung(bot) == (MINA,)
        assert await answers(bot) == ["done.claim", "done.claim"]
        await bot.say(MARK, "!uphold 1", DESK)
        assert await bot.rows("SELECT outcome, by, claimed FROM cases") == [("upheld", MARK, "")]
        await bot.say(MINA, "!claim 1", DESK)
        assert (await answers(bot))[-1] == "error.claim.decided"


async def test_a_case_that_was_taken_goes_up_and_costs_as_any_other(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot)
        await press(bot, OLGA, "✋")  # the owner was not asked, and answers for it from now on
        assert [(f.subject, f.asked) for f in bot.facts(CaseAssigned)][-1] == (OLGA, "managers")
        for _ in range(2):
            await bot.pass_time(DAY_MS // 2)
            await bot.scheduler.do_what_is_due()
        assert [f.step for f in bot.facts(CaseMoved)] == ["acknowledged", "reminded", "overdue", "escalated"]
        assert {f.subject for f in bot.facts(CreditChanged)} == {OLGA, MARK, MINA}
        assert await bot.rows("SELECT claimed FROM cases WHERE n = 1") == [("",)]


async def test_nobody_takes_a_case_about_themselves_or_puts_it_off(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot, MARK)
        await press(bot, MARK, "✋")
        await press(bot, MARK, "⏳")
        await bot.say(ANNA, "!claim 1")
        assert await answers(bot) == ["error.case.own", "error.case.own", "error.right.manager"]
        assert (bot.facts(CaseClaimed), bot.facts(CaseExtended)) == ([], [])


@pytest.mark.parametrize(("rules", "more"), [(RULES, DAY_MS), (SEVERE, 4 * HOUR_MS)])
async def test_a_deadline_is_put_off_once_and_never_by_more_than_the_class_has(
    tmp_path: Path, rules: str, more: int
) -> None:
    async with offline(tmp_path, rules) as bot:
        due = await opened(bot)
        await press(bot, MARK, "⏳")
        half = NOON + (due + more - NOON) // 2
        assert await bot.rows("SELECT due, remind FROM cases WHERE n = 1") == [(due + more, half)]
        await bot.say(MINA, "!later 1", DESK)
        assert await answers(bot) == ["error.later.twice"]
        await bot.pass_time(due - NOON)
        await bot.scheduler.do_what_is_due()
        assert [(f.step, f.state) for f in bot.facts(CaseMoved)] == [("reminded", "open")]
        assert bot.facts(CreditChanged) == []
        await bot.pass_time(more)
        await bot.scheduler.do_what_is_due()
        assert {f.subject for f in bot.facts(CreditChanged)} == {MARK, MINA}


async def test_an_operator_can_keep_deadlines_from_being_put_off(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + '[cases]\nmore_time = ""\n') as bot:
        due = await opened(bot)
        await press(bot, MARK, "⏳")
        assert await answers(bot) == ["error.later.off"]
        assert await bot.rows("SELECT due FROM cases WHERE n = 1") == [(due,)]
        async with bot.stores.database.read() as db:
            card = await read_card(db, 1, bot.time.ms, bot.config.policy, BOT)
        assert card is not None
        keys = [each.key for each in card_lines(card, bot.config.policy, bot.time.ms, "!")]
        assert "card.hint.open" in keys
        assert "card.hint.later" not in keys


async def test_an_appeal_and_a_case_that_went_up_are_not_put_off(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot)
        await bot.say(MARK, "!uphold 1", DESK)
        await bot.say(MINA, "!later 1", DESK)
        await bot.say(ANNA, "!appeal 1 it was a quotation")
        await bot.say(MINA, "!later 1", DESK)
        await bot.say(MARK, "!claim 1", DESK)  # his own decision
        await bot.pass_time(DAY_MS)
        await bot.scheduler.do_what_is_due()
        assert (await answers(bot))[1:] == ["error.claim.decided", "error.later.appeal", "error.appeal.own-decision"]


async def test_those_who_were_told_a_deadline_are_told_the_new_one(tmp_path: Path) -> None:
    async with offline(tmp_path, HIDES) as bot:
        await bot.say(ANNA, "forbidden")
        flag = {"event_id": "$event14", "rel_type": "m.annotation", "key": "🚩"}
        await bot.event(MINA, "m.reaction", {"m.relates_to": flag})
        await bot.tell()
        await bot.say(MARK, "!later 1", DESK)
        told = await bot.rows(
            "SELECT json_extract(action, '$.subject'), json_extract(action, '$.lines[0].key') FROM outbox"
            " WHERE action LIKE '%\"tell\"%' ORDER BY id"
        )
        assert told == [(MINA, "report.later"), (ANNA, "notice.later")]


async def test_a_member_who_was_told_nothing_is_told_nothing(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot)
        await bot.say(MARK, "!later 1", DESK)
        assert await bot.tell() == []


async def test_a_rebuild_gives_the_same_tables(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot)
        await bot.say(MARK, "!claim 1", DESK)
        await bot.say(MARK, "!later 1", DESK)
        columns = "SELECT n, state, due, remind, claimed, extended FROM cases"
        before = [tuple(row) for row in await bot.rows(columns)], await bot.rows("SELECT user, told FROM assignments")
        again = await made_again(bot.stores.journal, tmp_path / "again")
        assert (again.rows(columns), again.rows("SELECT user, told FROM assignments")) == before


async def test_a_card_is_brought_up_to_date_when_somebody_removes_the_message_by_hand(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await opened(bot)
        await bot.event(MARK, "m.room.redaction", {"redacts": "$event14"})
        assert [n for (n,) in await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%\"edit-card\"%'")] == [1]
