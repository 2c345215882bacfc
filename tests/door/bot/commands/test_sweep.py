"""All that somebody wrote for some time is redacted at once: by a command of its own, or with a measure."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.effects.sweep import Sweeper
from bot.events.parse_event import receive
from bot.matrix.errors import Unreachable
from bot.outbox.handler import Done, PollAgain
from moderation.model.actions.removal import Redact, Sweep
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import ActionTaken, CaseOpened, SanctionStarted, StatementGiven, Swept
from moderation.values.durations import HOUR_MS
from moderation.values.ids import EventId, GroupCode, RoomId
from storage import queries
from storage.state.backfill import Delivered, close_gap, open_gap
from tests.door.offline import ANNA, LEVELS, MARK, OLGA, ROOM, offline
from tests.fakes.homeserver import Fault
from tests.fakes.homeserver_rooms import seed
from tests.theatre.garden import Garden, garden_in
from tests.theatre.scene import Theatre, ask, direct_room, told
from tests.theatre.served import like

MINUTE = 60_000
CLUB = """
[[communities.named]]
name = "club"
rooms = ["*"]
"""


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with garden_in(tmp_path) as garden:
        yield garden


def is_gone(garden: Garden, *events: str) -> list[bool]:
    return [bool(garden.server.world.by_id[event][1].gone) for event in events]


def redactions(garden: Garden) -> list[str]:
    return [placed.raw["redacts"] for placed in garden.room.events if placed.raw["type"] == "m.room.redaction"]


async def test_what_somebody_wrote_lately_goes_with_one_case_and_one_word(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    said = [await ann.send_text(room, f"look at my shop {n}") for n in range(6)]
    thumb = await ann.react(room, said[0], "👍")
    fine = await ben.send_text(room, "good morning")
    word = await ask(manager, bot, scene.desk, f"!redact {ann.user} 24h advertising")
    assert like("done.sweep", who=ann.user, count="7").search(word)
    notice = await told(ann, bot, like("notice.swept", by=manager.user, count="7"))
    assert like("notice.reason", reason="advertising").search(notice.body)
    assert like("notice.foot", n="1").search(notice.body)
    assert like("statement.did-sweep", count="7").search(await ask(ann, bot, await direct_room(ann, bot), "!why 1"))
    await bot.idle()
    gone = [await ben.is_redacted(room, each) for each in (*said, thumb, fine)]
    assert gone == [True] * 7 + [False]
    [fact] = bot.facts(Swept)
    assert (fact.subject, fact.by, fact.count, fact.n, fact.reason) == (ann.user, manager.user, 7, 1, "advertising")
    assert (fact.until - fact.since, bot.facts(SanctionStarted)) == (24 * HOUR_MS, [])
    assert [(case.n, case.rule, case.by) for case in bot.facts(CaseOpened)] == [(1, "by_order", manager.user)]
    stated = json.loads(bot.facts(StatementGiven)[0].statement)["measures"]
    assert [(each["kind"], each["count"], each["since"]) for each in stated] == [("sweep", 7, fact.since)]
    assert [(f.result, f.n) for f in bot.facts(ActionTaken) if f.action == "sweep"] == [("done", 1)]
    nothing = await ask(manager, bot, scene.desk, f"!redact {ann.user} 24h")
    assert like("error.redact.none", who=ann.user).search(nothing)


@pytest.mark.long
async def test_a_command_finds_what_was_written_before_it_in_rooms_that_come_later_in_the_answer(
    garden: Garden,
) -> None:
    manager, ann, world = garden.people["manager"], garden.people["ann"], garden.server.world
    [(desk,)] = garden.bot.rows("SELECT room FROM rooms WHERE purpose = 'desk'")
    room = world.join(desk, manager)
    garden.server.hold()
    world.send(room, manager, "m.room.message", {"msgtype": "m.text", "body": "good morning"})  # the desk is first
    said = [garden.say("ann", f"look at my shop {n}") for n in range(3)]
    world.send(room, manager, "m.room.message", {"msgtype": "m.text", "body": f"!redact {ann} 24h advertising"})
    garden.server.let_go()
    await garden.bot.until(lambda: garden.bot.facts(Swept) != [], "the order")
    await garden.bot.idle()
    assert [(each.count, each.subject) for each in garden.bot.facts(Swept)] == [(3, ann)]
    assert is_gone(garden, *said) == [True] * 3


async def test_a_command_in_a_group_counts_what_was_written_before_it_in_others(tmp_path: Path) -> None:
    async with garden_in(tmp_path, CLUB) as garden:
        world, manager, ann, owner = garden.server.world, *(garden.people[name] for name in ("manager", "ann", "owner"))
        levels = {"users": {owner: 100, garden.bot.user: 100, manager: 50}}
        pond = world.create(owner, {"name": "Pond", "room_version": "10", "power_level_content_override": levels})
        seed(world, pond, [manager, ann])
        world.invite(pond, owner, garden.bot.user)
        garden.server.tell()
        await garden.bot.until_condition(pond.id, "protected")
        await garden.bot.idle()
        garden.server.hold()
        shop = garden.say("ann", "look at my shop")  # the garden is first in the answer
        there = world.send(pond, ann, "m.room.message", {"msgtype": "m.text", "body": "look at my other shop"})
        garden.say("manager", f"!redact {ann} 24h everywhere advertising")
        garden.server.let_go()
        await garden.bot.until(lambda: len(garden.bot.facts(Swept)) == 2, "the orders")
        await garden.bot.idle()
        assert sorted(each.count for each in garden.bot.facts(Swept)) == [1, 1]
        assert is_gone(garden, shop, there.id) == [True, True]


async def test_a_ban_takes_along_what_they_wrote_before_it_and_until_they_are_out(garden: Garden) -> None:
    said = [garden.say("ann", f"buy now {n}") for n in range(3)]
    fine = garden.say("ben", "good morning")
    await garden.bot.has(*said, fine)
    garden.limit()
    garden.say("manager", f"!ban {garden.people['ann']} 30d redact 24h spam")
    await garden.bot.until(lambda: garden.bot.facts(Swept) != [], "the order")
    late = garden.say("ann", "you cannot stop me")
    garden.server.allowed = None
    await garden.bot.until(lambda: is_gone(garden, *said, late) == [True] * 4, "everything to be gone")
    await garden.bot.idle()
    assert is_gone(garden, fine) == [False]
    assert (garden.room.membership(garden.people["ann"]), len(redactions(garden))) == ("ban", 4)
    [ban], [gone] = garden.bot.facts(SanctionStarted), garden.bot.facts(Swept)
    assert (ban.kind, ban.n, ban.reason, gone.n, gone.count) == ("ban", gone.n, "spam", 1, 3)


@pytest.mark.long
async def test_a_ban_that_takes_all_along_says_so(garden: Garden) -> None:
    await garden.bot.came_first()
    said = [garden.say("ann", f"buy now {n}") for n in range(2)]
    await garden.bot.has(*said)
    garden.say("manager", f"!ban {garden.people['ann']} 1d redact 1h")
    await garden.bot.until(lambda: is_gone(garden, *said) == [True] * 2, "everything to be gone")
    await garden.bot.idle()
    ban = garden.room.members[garden.people["ann"]].raw["content"]
    assert (ban["membership"], ban["org.matrix.msc4293.redact_events"]) == ("ban", True)


async def test_where_few_requests_are_accepted_others_have_their_turn_and_each_message_goes_once(
    garden: Garden,
) -> None:
    said = [garden.say("ann", f"buy now {n}") for n in range(12)]
    await garden.bot.has(*said)
    garden.limit()
    garden.say("manager", f"!redact {garden.people['ann']} 24h spam")
    await garden.bot.until(lambda: garden.bot.facts(Swept) != [], "the order")
    garden.say("ben", "forbidden 1")
    for _ in range(4):
        await garden.allow(2)
    garden.server.allowed = None
    await garden.bot.until(lambda: is_gone(garden, *said) == [True] * 12, "everything to be gone")
    await garden.bot.idle()
    assert sorted(each for each in redactions(garden) if each in said) == sorted(said)


async def test_only_what_was_written_in_that_time_is_meant(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "good morning")
        await bot.pass_time(3 * HOUR_MS)
        await bot.say(ANNA, "buy now")
        await bot.say(MARK, f"!redact {ANNA} 1h")
        await bot.say(ANNA, "who, me?")
        said = await bot.rows(f"SELECT event FROM events WHERE sender = '{ANNA}' AND kind = 'posted' ORDER BY record")
        ids = [event for (event,) in said]
        async with bot.stores.database.read() as db:
            assert await queries.unwanted_events(db, ids) == {ids[1]}
        [action] = [json.loads(each) for (each,) in await bot.rows("SELECT action FROM outbox") if '"sweep"' in each]
        assert (action["oldest"] < action["on"], action["events"]) == (True, [])


async def test_killed_in_the_middle_it_goes_on_with_the_same_messages(garden: Garden) -> None:
    said = [garden.say("ann", f"buy now {n}") for n in range(11)]
    await garden.bot.has(*said)
    garden.limit()
    garden.say("manager", f"!redact {garden.people['ann']} 24h spam")
    await garden.bot.until(lambda: garden.bot.facts(Swept) != [], "the order")
    for count in (3, 2):
        await garden.allow(count)
        await garden.bot.crash()
        garden.bot.start()
    garden.server.allowed = None
    await garden.bot.until(lambda: is_gone(garden, *said) == [True] * 11, "everything to be gone")
    await garden.bot.idle()
    assert sorted(each for each in redactions(garden) if each in said) == sorted(said)
    assert [(f.result, f.n) for f in garden.bot.facts(ActionTaken) if f.action == "sweep"] == [("done", 1)]


async def test_killed_before_the_tables_know_of_it_nothing_else_goes(garden: Garden) -> None:
    said = [garden.say("ann", f"buy now {n}") for n in range(5)]
    await garden.bot.has(*said)
    await garden.bot.idle()
    kept = garden.bot.copy_of_database()  # as after a power cut: the journal was written to disk, the database was not
    garden.limit()
    garden.say("manager", f"!redact {garden.people['ann']} 24h spam")
    await garden.bot.until(lambda: garden.bot.facts(Swept) != [], "the order")
    later = garden.say("ann", "I only asked")
    await garden.bot.has(later)
    await garden.bot.crash()
    garden.bot.put_back(kept)
    garden.bot.start()
    garden.server.allowed = None
    await garden.bot.until(lambda: is_gone(garden, *said) == [True] * 5, "everything to be gone")
    await garden.bot.idle()
    assert is_gone(garden, later) == [False]
    assert sorted(each for each in redactions(garden) if each in said) == sorted(said)
    assert len(garden.bot.facts(Swept)) == 1


@pytest.mark.long
async def test_an_order_reaches_as_far_as_the_settings_and_the_rights_of_who_gives_it(theatre: Theatre) -> None:
    limits = '[sweep]\nat_most = 3\nwithin = "2d"\n'
    scene = await theatre.scene(limits, members=1)
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    said = [await ann.send_text(room, f"hello {n}") for n in range(5)]
    theirs = await owner.send_text(room, "welcome")
    assert like("error.redact.within").search(await ask(manager, bot, room, f"!redact {ann.user} 3d"))
    assert like("error.target.creator").search(await ask(manager, bot, room, f"!redact {owner.user} 24h"))
    assert like("done.sweep-most", count="3").search(await ask(manager, bot, scene.desk, f"!redact {ann.user} 24h"))
    await bot.idle()
    assert [await owner.is_redacted(room, each) for each in said] == [False] * 2 + [True] * 3
    assert like("done.sweep", count="2").search(await ask(manager, bot, scene.desk, f"!redact {ann.user} 24h"))
    await bot.idle()
    assert [await owner.is_redacted(room, each) for each in (*said, theirs)] == [True] * 5 + [False]


@pytest.mark.long
async def test_in_a_reply_a_time_means_all_of_its_sender_and_words_mean_that_message(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    first, second = [await ann.send_text(room, f"hello {n}") for n in range(2)]
    theirs = await ben.send_text(room, "hello")
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": second}}}
    said = await ask(manager, bot, room, f"!redact {ben.user} said so", **reply)
    assert like("error.user.reply", who=ben.user, other=ann.user).search(said)
    await manager.send_text(room, "!redact rude words", **reply)
    await told(ann, bot, like("notice.command.redact"))
    await bot.idle()
    assert [await ben.is_redacted(room, each) for each in (first, second, theirs)] == [False, True, False]
    await manager.send_text(room, "!redact 1h all of it", **reply)
    await told(ann, bot, like("notice.swept", count="1"))
    await bot.idle()
    assert [await ben.is_redacted(room, each) for each in (first, second, theirs)] == [True, True, False]


def refusing(times: int) -> Fault:
    body = b'{"errcode": "M_FORBIDDEN", "error": "no"}'
    return Fault("rooms/redact", times, 403, body, "application/json")


def outcomes(garden: Garden) -> list[tuple[str, str]]:
    return [(each.result, each.code) for each in garden.bot.facts(ActionTaken) if each.action == "sweep"]


@pytest.mark.long
async def test_a_message_that_cannot_be_removed_keeps_no_other_and_all_can_be_asked_for_again(garden: Garden) -> None:
    said = [garden.say("ann", f"buy now {n}") for n in range(9)]
    await garden.bot.has(*said)
    garden.server.faults.append(refusing(2))  # one of them is for the order itself, which is redacted, too
    garden.say("manager", f"!redact {garden.people['ann']} 24h spam")
    await garden.bot.until(lambda: outcomes(garden) == [("refused", "M_FORBIDDEN")], "the outcome")
    assert is_gone(garden, *said).count(False) in (1, 2)
    garden.say("manager", f"!redact {garden.people['ann']} 24h spam")
    await garden.bot.until(lambda: is_gone(garden, *said) == [True] * 9, "everything to be gone")
    await garden.bot.until(lambda: outcomes(garden)[1:] == [("done", "-")], "the outcome")


async def test_a_message_for_which_no_answer_comes_goes_last(tmp_path: Path) -> None:
    asked: list[str] = []

    async def redact(action: Redact, _txn: str) -> Done:
        asked.append(action.event)
        if action.event in ("$0", "$1", "$2", "$3"):
            raise Unreachable("no answer")
        return Done()

    async with offline(tmp_path) as bot:
        sweeper = Sweeper(bot.services(Answering()), redact)
        events = tuple(EventId(f"${n}") for n in range(9))
        action = Sweep(room=ROOM, subject=ANNA, n=1, on=1, oldest=0, until=0, events=events)
        for _ in range(9):
            try:
                await sweeper.sweep(action, "txn")
            except PollAgain as again:
                assert isinstance(again.action, Sweep)
                action = again.action
            except Unreachable:
                pass
        assert set(action.events) == {"$0", "$1", "$2", "$3"}


async def test_what_was_written_before_an_upgrade_of_the_room_goes_too(tmp_path: Path) -> None:
    new, asked = RoomId("!garden2:example.org"), []

    async def redact(action: Redact, _txn: str) -> Done:
        asked.append(action.event)
        return Done()

    async with offline(tmp_path) as bot:
        text = {"msgtype": "m.text", "body": "buy now"}
        before = await bot.event(ANNA, "m.room.message", text)
        await bot.enter_room(new, GroupCode("G-7F3K"), "group", LEVELS, "11", (OLGA, MARK, ANNA))
        after = await bot.event(ANNA, "m.room.message", text, room=new)
        await bot.say(MARK, f"!redact {ANNA} 24h spam", room=new)
        assert [(each.room, each.count) for each in bot.facts(Swept)] == [(new, 2)]
        (action,) = [row.action for row in await bot.waiting() if isinstance(row.action, Sweep)]
        assert await at_rest(Sweeper(bot.services(None), redact), action) is None
        assert asked == [after, before]
        await bot.say(MARK, f"!redact {ANNA} 24h spam", room=new)
        assert len(bot.facts(Swept)) == 1  # nothing is left


class Answering:
    """A homeserver that answers who asks, or is down."""

    def __init__(self) -> None:
        self.up = True

    async def whoami(self) -> dict[str, str]:
        if not self.up:
            raise Unreachable("nobody there")
        return {}


async def test_a_message_for_which_only_errors_come_is_given_up_while_the_homeserver_is_there(tmp_path: Path) -> None:
    async def redact(action: Redact, _txn: str) -> Done:
        if action.event == "$3":
            raise Unreachable("500 M_UNKNOWN")
        return Done()

    async with offline(tmp_path) as bot:
        homeserver, waits = Answering(), list[int]()
        sweeper = Sweeper(bot.services(homeserver), redact)
        events = tuple(EventId(f"${n}") for n in range(5))
        action = Sweep(room=ROOM, subject=ANNA, n=1, on=1, oldest=0, until=0, events=events)
        done: Done | None = None
        while done is None:
            if len(waits) == 20:
                homeserver.up = False  # nobody gives anything up now
                for _ in range(300):
                    with pytest.raises(Unreachable):
                        await sweeper.sweep(action, "txn")
                homeserver.up = True
            try:
                done = await sweeper.sweep(action, "txn")
            except PollAgain as again:
                waits.append(again.wait_ms)
                action = again.action if isinstance(again.action, Sweep) else action
        assert HOUR_MS <= sum(waits) < 2 * HOUR_MS
        assert (done.result, done.code) == ("abandoned", "unanswered")
        (told_desk,) = done.actions
        assert isinstance(told_desk, TellDesk)
        assert (told_desk.once, [each.key for each in told_desk.lines]) == ("unanswered", ["desk.unanswered"])


async def test_in_a_room_that_is_behind_what_was_written_after_the_order_stays(tmp_path: Path) -> None:
    asked: list[str] = []

    async def redact(action: Redact, _txn: str) -> Done:
        asked.append(action.event)
        return Done()

    async with offline(tmp_path) as bot:
        read = await bot.event(ANNA, "m.room.message", {"msgtype": "m.text", "body": "buy now"})
        missed = bot.raw(ANNA, "m.room.message", {"msgtype": "m.text", "body": "buy here"})
        last = bot.raw(ANNA, "m.room.message", {"msgtype": "m.text", "body": "buy there"})
        await bot.pass_time(MINUTE)
        await bot.pipeline.commit(also=lambda db: open_gap(db, ROOM, Delivered()))
        await bot.say(MARK, f"!redact {ANNA} 24h spam")
        ordered, action = bot.time.ms, next(r.action for r in await bot.waiting() if isinstance(r.action, Sweep))
        await bot.pass_time(MINUTE)
        sorry = bot.raw(ANNA, "m.room.message", {"msgtype": "m.text", "body": "I am sorry"})
        sweeper = Sweeper(bot.services(None), redact)
        left: Sweep | None = action
        for page in ((missed, sorry), (last,)):
            assert left is not None, "it waits for the rest"
            await bot.pipeline.take([receive(raw, ROOM, bot.time()) for raw in page], heard_ms=ordered - 2 * MINUTE)
            if page[-1] is last:  # read in the same transaction in which the room is no longer behind
                await bot.pipeline.commit(also=lambda db: close_gap(db, ROOM))
            left = await at_rest(sweeper, left)
        assert left is None
        assert asked == [missed["event_id"], read, last["event_id"]]


async def at_rest(sweeper: Sweeper, action: Sweep) -> Sweep | None:
    """Let a sweep go on until it has nothing to redact for now. Returns what it waits for; None: it is over."""
    while True:
        try:
            await sweeper.sweep(action, "txn")
        except PollAgain as again:
            if again.action is None:
                return action
            assert isinstance(again.action, Sweep)
            action = again.action
        else:
            return None


@pytest.mark.long
async def test_what_somebody_writes_once_they_are_back_stays(garden: Garden) -> None:
    world, ann = garden.server.world, garden.people["ann"]
    said = [garden.say("ann", f"buy now {n}") for n in range(3)]
    await garden.bot.has(*said)
    garden.limit()
    garden.say("manager", f"!kick {ann} redact 24h calm down")
    await garden.bot.until(lambda: garden.bot.facts(Swept) != [], "the order")
    while garden.room.membership(ann) != "leave":
        await garden.allow(1)
    garden.bot.ahead_ms += 10_000
    world.invite(garden.room, garden.people["owner"], ann)
    world.join(garden.room.id, ann)
    garden.server.tell()
    sorry = garden.say("ann", "I am sorry, I read the rules now")
    await garden.bot.has(sorry)
    garden.server.allowed = None
    await garden.bot.until(lambda: outcomes(garden) != [], "the end of the sweep")
    assert is_gone(garden, *said, sorry) == [True, True, True, False]
