"""The people of one room try to take the rights of somebody who helps to run another."""

import json
from pathlib import Path
from random import Random

import pytest

from bot.scheduler.tables_sample import TablesSample
from moderation.model.facts import CreditChanged, EntryConfirmed, SanctionStarted, TaskOpened
from tests.door.attacks.neighbours import ANNA, KITCHEN, MARK, OPERA, RITA, ROOM, SOCK, TOGETHER, neighbours
from tests.door.offline import RULES, offline

BY_ITSELF = RULES.replace('decide = "manager"', 'decide = "auto"')
THE_OTHER_WAY = '[communities]\ndefault = "deployment"\n'


async def test_an_own_rule_that_matches_everything_costs_nobody_anything(tmp_path: Path) -> None:
    """Removed and added under a next name each time, it made a new incident of every word."""
    async with neighbours(tmp_path) as two:
        for name in "abcdefg":
            await two.in_kitchen(RITA, f'!rule add {name} pattern "." moderate none auto')
            await two.in_kitchen(MARK, "hello")
            await two.in_kitchen(RITA, f"!rule remove {name}")
        assert two.bot.facts(CreditChanged) == []
        assert await two.credit(MARK, KITCHEN) == await two.credit(MARK, ROOM) == 100
        assert await two.may_manage(MARK)


async def test_an_own_rule_that_matches_nearly_everything_is_refused_with_the_figure(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await two.in_kitchen(MARK, "hello", "good morning", "is there tea?", "12", "bye")
        await two.in_kitchen(RITA, '!rule add all pattern "." moderate none auto')
        assert await two.bot.rows("SELECT name FROM room_rules") == []
        [(told,)] = await two.bot.rows("SELECT action FROM outbox WHERE action LIKE '%error.rule.nearly-all%'")
        assert json.loads(told)["lines"][0]["fields"] == {"count": 5, "total": 5}
        await two.in_kitchen(RITA, '!rule add tea pattern "tea" moderate none auto')
        assert await two.bot.rows("SELECT name FROM room_rules") == [("tea",)]


async def test_a_rule_that_is_removed_and_added_again_keeps_its_count(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        for _ in range(2):
            await two.in_kitchen(RITA, '!rule add hi terms "hello" moderate none manager')
            await two.break_rule(MARK, 1, "hello")
            await two.decide(SOCK, "uphold")
            await two.in_kitchen(RITA, "!rule remove hi")
        assert [fact.cost for fact in two.bot.facts(CreditChanged)] == [10, 15]


async def test_an_own_rule_that_people_decide_reaches_their_room_alone(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await two.in_kitchen(RITA, '!rule add hi terms "hello" moderate none manager')
        await two.break_rule(MARK, 5, "hello")
        await two.decide(SOCK, "uphold")
        assert await two.credit(MARK, KITCHEN) == 15
        assert await two.holding(MARK, KITCHEN) == ["ban", "mute"]
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (100, [])
        assert await two.may_manage(MARK)
        assert await two.tasks("confirm") == []  # a room's own rule is nobody's business elsewhere


async def test_reports_that_socks_uphold_reach_their_room_alone(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        for _ in range(5):
            event = await two.bot.event(MARK, "m.room.message", {"msgtype": "m.text", "body": "hi"}, room=KITCHEN)
            await two.in_kitchen(ANNA, f"!report https://matrix.to/#/{KITCHEN}/{event} bad")
            two.bot.time.ms += 3_600_000
        await two.decide(RITA, "uphold")
        assert await two.credit(MARK, KITCHEN) < 40
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (100, [])
        assert await two.may_manage(MARK)


async def test_a_sock_decision_under_an_operator_rule_waits_for_the_operator(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        assert await two.credit(MARK, KITCHEN) == 37
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (100, [])
        assert await two.may_manage(MARK)
        assert await two.tasks("confirm") == [1, 2]
        for n in (1, 2):
            await two.bot.say(OPERA, f"!uphold {n} so it is", KITCHEN)
        assert await two.credit(MARK, ROOM) == 37
        assert await two.holding(MARK, ROOM) == ["demote", "mute"]
        assert not await two.may_manage(MARK)
        assert await two.tasks("confirm") == []
        assert [fact.by for fact in two.bot.facts(EntryConfirmed)] == [OPERA, OPERA]


async def test_decisions_by_socks_raise_no_prices_in_other_rooms(tmp_path: Path) -> None:
    """Breaking the same rule again costs more, but not because of decisions by anybody but the rule's author."""
    async with neighbours(tmp_path) as two:
        await two.break_rule(MARK, 3)
        await two.decide(RITA, "uphold")
        await two.bot.say(MARK, "forbidden")
        await two.decide(OPERA, "uphold", ROOM)
        assert await two.credit(MARK, ROOM) == 75


async def test_automatic_findings_of_operator_rules_count_everywhere(tmp_path: Path) -> None:
    async with neighbours(tmp_path, BY_ITSELF) as two:
        await two.break_rule(MARK, 2)
        assert await two.credit(MARK, ROOM) == await two.credit(MARK, KITCHEN) == 37
        assert await two.holding(MARK, ROOM) == ["demote", "mute"]


async def test_a_room_rule_cannot_hide_findings_of_operator_rules(tmp_path: Path) -> None:
    """Managers of a room cannot hide findings of the operator's rules behind a graver rule of their own."""
    async with neighbours(tmp_path, BY_ITSELF.replace("serious", "minor")) as two:
        await two.in_kitchen(RITA, '!rule add ours terms "forbidden" moderate redact auto')
        await two.break_rule(MARK, 2)
        assert await two.bot.rows(f"SELECT rule FROM cases WHERE subject = '{MARK}'") == [("tickets",), ("tickets",)]
        assert await two.credit(MARK, ROOM) == 92


async def test_rooms_that_trust_each_other_share_what_their_people_decide(tmp_path: Path) -> None:
    async with neighbours(tmp_path, TOGETHER + RULES) as two:
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        assert await two.credit(MARK, ROOM) == 37
        assert await two.holding(MARK, ROOM) == ["demote", "mute"]
        assert {fact.reach for fact in two.bot.facts(SanctionStarted) if fact.kind != "redact"} == {"estate"}
        await two.bot.say(RITA, "!dismiss 2 wrong", KITCHEN)
        await two.bot.say(RITA, "!dismiss 1 wrong", KITCHEN)
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (100, [])


async def test_the_default_deployment_makes_all_rooms_one_community(tmp_path: Path) -> None:
    async with neighbours(tmp_path, THE_OTHER_WAY + RULES) as two:
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        assert not await two.may_manage(MARK)
        assert two.bot.facts(TaskOpened) == []


async def test_credit_that_is_low_only_with_room_decisions_is_low_only_in_that_room(tmp_path: Path) -> None:
    """Points that count everywhere and a room's own decisions may together be too low, but only in that room."""
    async with neighbours(tmp_path) as two:
        await two.break_rule(MARK, 1)
        await two.decide(RITA, "uphold")
        await two.bot.say(MARK, "forbidden")
        await two.decide(OPERA, "uphold", ROOM)
        assert (await two.credit(MARK, KITCHEN), await two.credit(MARK, ROOM)) == (50, 75)
        await two.bot.pass_time(3_600_000)
        await two.bot.say(MARK, "forbidden")
        await two.decide(OPERA, "uphold", ROOM)
        assert (await two.credit(MARK, KITCHEN), await two.credit(MARK, ROOM)) == (12, 37)
        assert await two.holding(MARK, KITCHEN) == ["ban", "demote", "mute"]
        assert await two.holding(MARK, ROOM) == ["demote", "mute"]
        await two.bot.say(OPERA, "!dismiss 3 wrong", ROOM)
        assert (await two.credit(MARK, KITCHEN), await two.holding(MARK, KITCHEN)) == (50, [])
        assert (await two.credit(MARK, ROOM), await two.holding(MARK, ROOM)) == (75, [])


async def test_records_carry_their_reach_and_replay_with_it(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as two:
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        columns = "record, reach FROM credit", "record, reach FROM sanctions", "room, community FROM rooms"
        before = [await two.bot.rows(f"SELECT {each} ORDER BY 1") for each in columns]
    assert {reach for _, reach in before[0]} == {"G-CU5K"}
    two.bot.state.lose()
    async with offline(tmp_path, 'operators = ["@opera:example.org"]\n' + RULES) as bot:
        assert [await bot.rows(f"SELECT {each} ORDER BY 1") for each in columns] == before


async def test_records_without_a_reach_count_everywhere_and_a_new_grouping_is_recorded(tmp_path: Path) -> None:
    from moderation.model.facts import PolicyChanged

    async with neighbours(tmp_path) as two:
        old = CreditChanged(
            room=KITCHEN, entry="charge", cost=70, grade="serious", rule="tickets", left=30, subject=MARK
        )
        await two.bot.pipeline.commit((old,))
        assert await two.credit(MARK, ROOM) == 30
        policies = len(two.bot.facts(PolicyChanged))
    async with neighbours(tmp_path, TOGETHER + RULES) as two:
        assert len(two.bot.facts(PolicyChanged)) == policies + 1
        assert set(await two.bot.rows("SELECT community FROM rooms WHERE purpose = 'group'")) == {("estate",)}
        assert await two.credit(MARK, ROOM) == 30


@pytest.mark.parametrize("room", [ROOM, KITCHEN])
async def test_a_room_that_leaves_a_community_keeps_its_own_decisions(tmp_path: Path, room: str) -> None:
    async with neighbours(tmp_path, TOGETHER + RULES) as two:
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
    async with neighbours(tmp_path) as two:
        left = {ROOM: (100, []), KITCHEN: (37, ["demote", "mute"])}[room]  # type: ignore[index]
        assert (await two.credit(MARK, room), await two.holding(MARK, room)) == left  # type: ignore[arg-type]


async def test_a_reach_that_somebody_widens_in_the_tables_is_found(tmp_path: Path) -> None:
    """A reach that the operator confirmed has a record; one written only into the database has none."""
    async with neighbours(tmp_path) as two:
        await two.break_rule(MARK, 2)
        await two.decide(RITA, "uphold")
        await two.bot.say(OPERA, "!uphold 1 so it is", KITCHEN)
        look = TablesSample(
            two.bot.config.place, two.bot.stores.database, two.bot.pipeline, two.bot.config.policy, Random(1)
        )
        assert await look.look() == []
        assert two.bot.state.change("UPDATE credit SET reach = ''") == 2
        assert [(each.table, each.what) for each in await look.look()] == [("credit", "reach")]
