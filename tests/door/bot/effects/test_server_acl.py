"""Servers that a room lets in no longer: who may order it, what is written when, and what is given back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from bot.effects.server_acl import PAUSE_MS, ServerAcls
from bot.matrix.errors import Unreachable
from bot.outbox.handler import PollAgain
from moderation.model.actions.base import Action
from moderation.model.actions.rooms import AlignServers
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.model.facts import CaseOpened, Fact, LevelKept, SanctionEnded, SanctionStarted
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from moderation.values.power_levels import SERVER_ACL
from tests.door.offline import BOT, DESK, LEVELS, MARK, OLGA, ROOM, RULES, Offline, offline
from tests.theatre.opened import made_again
from tests.theatre.scene import Theatre, ask
from tests.theatre.served import like

KITCHEN, ORCHARD, OTHER = (RoomId(f"!{name}:example.org") for name in ("kitchen", "orchard", "other"))
OPERA = UserId("@opera:example.org")
ALSO = ("help.", "measure.", "notice.")  # how what is said as well begins
SPAMMER = UserId("@spam:bad.example")


class Homeserver:
    """The ACL of a room, and what was written there."""

    user = BOT

    def __init__(self, content: dict[str, Any] | None = None) -> None:
        self.content = content
        self.written = 0
        self.lost: Literal["", "request", "answer"] = ""  # what the next write loses

    async def state_event(self, _room: RoomId, type: str, _key: str = "") -> dict[str, Any] | None:
        assert type == SERVER_ACL
        return self.content

    async def set_state(self, _room: RoomId, type: str, content: Mapping[str, Any]) -> str:
        assert type == SERVER_ACL
        lost, self.lost = self.lost, ""
        if lost != "request":
            self.content, self.written = dict(content), self.written + 1
        if lost:
            raise Unreachable("stopped")
        return "$acl"

    @property
    def denied(self) -> list[str]:
        return list((self.content or {}).get("deny", []))


async def align(bot: Offline, acls: ServerAcls) -> tuple[Action, ...]:
    """Do what waits, and record it."""
    done = await acls.handle(AlignServers(room=ROOM), "txn")
    await bot.pipeline.commit(done.facts)
    return done.actions


async def said(bot: Offline, who: UserId, words: str, room: RoomId = DESK) -> list[str]:
    """Let somebody say something, and return the keys of the answer."""
    before = {row.txn for row in await bot.waiting()}
    await bot.say(who, words, room)
    fresh = [row.action for row in await bot.waiting() if row.txn not in before]
    answers = [action for action in fresh if isinstance(action, Say | Tell)]
    return [each.key for answer in answers for each in answer.lines if not each.key.startswith(ALSO)]


async def waits(bot: Offline) -> list[AlignServers]:
    return [row.action for row in await bot.waiting() if isinstance(row.action, AlignServers)]


async def test_an_order_about_a_server_says_who_why_and_until_when_and_is_about_nobody(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        assert "acl.none" in await said(bot, MARK, "!acl")
        assert "acl.denied" in await said(bot, MARK, "!acl deny Bad.Example:8448 30d one spam account a minute")
        (begun,) = bot.facts(SanctionStarted)
        assert (begun.kind, begun.server, begun.by, begun.n, begun.subject) == ("server", "bad.example", MARK, 0, "")
        assert (begun.reason, begun.until - bot.time.ms > 29 * DAY_MS) == ("one spam account a minute", True)
        assert bot.facts(CaseOpened) == []
        assert [row.room for row in await waits(bot)] == [ROOM]
        assert await said(bot, MARK, "!acl list") == ["acl.head", "acl.entry.unwritten"]
        assert "status.servers" in await said(bot, MARK, "!status")
        assert await said(bot, MARK, "!acl deny bad.example") == ["error.in-force.server"]
        assert "acl.allowed" in await said(bot, OLGA, "!acl allow BAD.example")
        assert [(each.kind, each.why, each.server) for each in bot.facts(SanctionEnded)] == [
            ("server", "command", "bad.example")
        ]
        assert await said(bot, OLGA, "!acl allow bad.example") == ["error.acl.not-denied"]


async def test_in_the_room_itself_the_notice_is_the_answer(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        assert await said(bot, MARK, "!acl deny bad.example", ROOM) == []
        (notice,) = [row.action for row in await bot.waiting() if isinstance(row.action, Say)]
        assert (notice.room, notice.lines[0].key) == (ROOM, "measure.begun.server")


async def test_only_what_somebody_could_write_by_hand_is_ordered(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        levels = {**LEVELS, "events": {SERVER_ACL: 100}}
        await bot.event(OLGA, "m.room.power_levels", levels, key="")
        assert await said(bot, MARK, "!acl deny bad.example") == ["error.right.servers"]
        assert "acl.denied" in await said(bot, OLGA, "!acl deny bad.example")
        assert await said(bot, MARK, "!acl allow bad.example") == ["error.right.servers"]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("!acl deny example.org", "error.acl.own"),
        ("!acl deny *ample.org", "error.acl.own"),
        ("!acl deny ex*.example.org", "acl.denied"),
        ("!acl deny 10.0.0.1", "error.acl.address"),
        ("!acl deny", "error.acl.server"),
        ("!acl forbid bad.example", "error.acl.word"),
        ("!acl deny bad.example 3x no", "error.duration.form"),
    ],
)
async def test_an_order_that_would_hit_the_wrong_is_refused(tmp_path: Path, order: str, why: str) -> None:
    async with offline(tmp_path, RULES) as bot:
        assert await said(bot, OLGA, order) == [why]
        assert len(bot.facts(SanctionStarted)) == (why == "acl.denied")


async def test_the_server_of_somebody_who_runs_the_room_is_spared(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.membership(SPAMMER, "join")
        await bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50, SPAMMER: 50})
        assert await said(bot, OLGA, "!acl deny *bad.example.org") == ["acl.denied"]
        assert await said(bot, OLGA, "!acl deny bad.example 1") == ["error.acl.spared"]


async def test_who_shuts_people_out_says_how_many(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        for name in ("a", "b"):
            await bot.membership(UserId(f"@{name}:bad.example"), "join")
        assert await said(bot, OLGA, "!acl deny bad.example 30d raid") == ["error.acl.people"]
        assert await said(bot, OLGA, "!acl deny bad.example 1 raid") == ["error.acl.people"]
        assert bot.facts(SanctionStarted) == []
        assert await said(bot, OLGA, "!acl deny good.example 2 raid") == ["error.acl.nobody"]
        assert await said(bot, OLGA, "!acl deny bad.example 2 30d raid") == ["acl.denied"]
        (begun,) = bot.facts(SanctionStarted)
        assert (begun.reason, begun.until > 0) == ("raid", True)


async def test_everywhere_means_the_rooms_of_the_community_where_the_caller_could_do_it_by_hand(tmp_path: Path) -> None:
    estate = '[communities]\n[[communities.named]]\nname = "estate"\nrooms = ["G-7F3K", "G-CU5K", "G-ACDE"]\n'
    async with offline(tmp_path, estate + RULES) as bot:
        low = {**LEVELS, "events": {SERVER_ACL: 100}}
        for room, code, levels in (
            (KITCHEN, "G-CU5K", LEVELS),
            (ORCHARD, "G-ACDE", low),  # there Mark may not
            (OTHER, "G-BBBB", LEVELS),  # another community
        ):
            await bot.enter_room(room, GroupCode(code), "group", levels, "11", (OLGA, MARK))
        await bot.membership(SPAMMER, "join", KITCHEN)
        assert await said(bot, MARK, "!acl deny bad.example everywhere raid") == ["error.acl.people"]
        keys = await said(bot, MARK, "!acl deny bad.example 1 2h everywhere raid")
        assert keys[0] == "acl.denied"
        assert keys[1].startswith("everywhere.")
        begun = bot.facts(SanctionStarted)
        assert [(each.room, each.server, each.reason) for each in begun] == [
            (ROOM, "bad.example", "raid"),
            (KITCHEN, "bad.example", "raid"),
        ]
        assert {each.until - bot.time.ms > 3_600_000 for each in begun} == {True}
        await said(bot, MARK, "!acl allow bad.example everywhere")
        assert {each.room for each in bot.facts(SanctionEnded)} == {ROOM, KITCHEN}


async def test_an_operator_without_a_level_orders_it_with_a_case_for_each_owner(tmp_path: Path) -> None:
    async with offline(tmp_path, f'operators = ["{OPERA}"]\n' + RULES) as bot:
        await bot.enter_room(KITCHEN, GroupCode("G-CU5K"), "group", LEVELS, "11", (OLGA, MARK))
        direct = await bot.direct(OPERA)
        await said(bot, OPERA, "!acl deny bad.example G-7F3K everywhere raid", direct)
        assert [(each.room, each.n, each.subject) for each in bot.facts(SanctionStarted)] == [
            (ROOM, 1, OLGA),
            (KITCHEN, 2, OLGA),
        ]
        assert [(each.n, each.room, each.by) for each in bot.facts(CaseOpened)] == [
            (1, ROOM, OPERA),
            (2, KITCHEN, OPERA),
        ]


async def test_orders_are_written_together_and_given_back_one_by_one(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        homeserver = Homeserver({"allow": ["*.org"], "deny": ["worse.example"], "allow_ip_literals": False})
        acls = ServerAcls(bot.services(homeserver))
        await bot.say(OLGA, "!acl deny bad.example", DESK)
        await align(bot, acls)
        assert homeserver.denied == ["worse.example", "bad.example"]
        for server in ("spam.example", "scam.example", "worse.example"):
            await bot.say(OLGA, f"!acl deny {server}", DESK)
        with pytest.raises(PollAgain) as again:
            await align(bot, acls)
        assert 0 < again.value.wait_ms <= PAUSE_MS
        assert homeserver.written == 1
        bot.time.ms += PAUSE_MS
        await align(bot, acls)
        assert homeserver.written == 2
        assert homeserver.denied == ["worse.example", "bad.example", "scam.example", "spam.example"]
        for server in ("bad.example", "worse.example"):
            await bot.say(OLGA, f"!acl allow {server}", DESK)
        bot.time.ms += PAUSE_MS
        await align(bot, acls)
        assert homeserver.denied == ["worse.example", "scam.example", "spam.example"]
        assert (homeserver.content or {})["allow"] == ["*.org"]
        kept = [(each.step, each.server) for each in bot.facts(LevelKept) if each.server == "bad.example"]
        assert kept == [
            ("intended", "bad.example"),
            ("held", "bad.example"),
            ("intended", "bad.example"),
            ("released", "bad.example"),
        ]


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_write_that_was_cut_short_is_done_once(tmp_path: Path, lost: Any) -> None:
    async with offline(tmp_path, RULES) as bot:
        homeserver = Homeserver()
        homeserver.lost = lost
        await bot.say(OLGA, "!acl deny bad.example", DESK)
        with pytest.raises(Unreachable):
            await align(bot, ServerAcls(bot.services(homeserver)))
        assert await bot.rows("SELECT what, step FROM holds") == [("acl bad.example", "intended")]
        await align(bot, ServerAcls(bot.services(homeserver)))  # as after a restart
        assert await bot.rows("SELECT what, step FROM holds") == [("acl bad.example", "held")]
        assert (homeserver.denied, homeserver.written) == (["bad.example"], 1)


async def test_a_change_by_hand_is_put_right_twice_and_told_and_then_respected(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        homeserver = Homeserver()
        acls = ServerAcls(bot.services(homeserver))
        await bot.say(OLGA, "!acl deny bad.example", DESK)
        told: list[str] = []
        for _ in range(4):
            told += [each.lines[0].key for each in await align(bot, acls) if isinstance(each, TellDesk)]
            homeserver.content = {"allow": ["*"], "deny": []}
            before = len(await waits(bot))
            await bot.event(MARK, SERVER_ACL, homeserver.content, key="")
            assert len(await waits(bot)) == max(before, 1)
            bot.time.ms += PAUSE_MS
        assert told == ["desk.servers.corrected", "desk.servers.corrected", "desk.servers.overruled"]
        assert homeserver.denied == []
        assert await said(bot, OLGA, "!acl") == ["acl.head", "acl.entry.overruled"]
        await bot.say(OLGA, "!slow 30s", DESK)  # another measure of the room takes nothing up again
        await align(bot, acls)
        assert homeserver.denied == []
        await bot.say(OLGA, "!acl allow bad.example", DESK)
        await bot.say(OLGA, "!acl deny bad.example", DESK)
        await align(bot, acls)
        assert homeserver.denied == ["bad.example"]


async def test_without_the_level_it_is_said_once_and_done_when_the_level_comes(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        homeserver = Homeserver()
        acls = ServerAcls(bot.services(homeserver))
        users = LEVELS["users"] | {str(OLGA): 150}
        await bot.event(OLGA, "m.room.power_levels", {"users": users, "events": {SERVER_ACL: 150}}, key="")
        await bot.say(OLGA, "!acl deny bad.example", DESK)
        told = [each.lines[0].key for _ in range(2) for each in await align(bot, acls) if isinstance(each, TellDesk)]
        assert (told, homeserver.written) == (["desk.servers-not.denied"], 0)
        await bot.event(OLGA, "m.room.power_levels", LEVELS, key="")
        assert len(await waits(bot)) == 1
        await align(bot, acls)
        assert homeserver.denied == ["bad.example"]


async def test_it_ends_by_its_time_and_not_by_reopening_the_room(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        homeserver = Homeserver()
        acls = ServerAcls(bot.services(homeserver))
        await bot.say(OLGA, "!acl deny bad.example 1h", DESK)
        await bot.say(OLGA, "!close", DESK)
        await align(bot, acls)
        await bot.say(OLGA, "!reopen", DESK)
        assert [each.kind for each in bot.facts(SanctionEnded)] == ["close"]
        bot.be_asked(3_700_000)
        await bot.scheduler.do_what_is_due()
        assert [(each.kind, each.why) for each in bot.facts(SanctionEnded)][1:] == [("server", "time")]
        await align(bot, acls)
        assert homeserver.content == {"allow": ["*"], "deny": [], "allow_ip_literals": True}


async def test_a_bot_that_leaves_takes_out_what_it_added(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        homeserver = Homeserver({"allow": ["*"], "deny": ["worse.example"]})
        acls = ServerAcls(bot.services(homeserver))
        await bot.say(OLGA, "!acl deny bad.example", DESK)
        await align(bot, acls)
        facts: tuple[Fact, ...] = await acls.give_back(ROOM)
        assert homeserver.content == {"allow": ["*"], "deny": ["worse.example"]}
        assert [getattr(fact, "step", "") for fact in facts] == ["released"]


async def test_a_replayed_log_gives_the_same_rows(tmp_path: Path) -> None:
    tables = ("record, kind, room, server, until, ended FROM sanctions", "room, user, what, step, prior FROM holds")
    async with offline(tmp_path, RULES) as bot:
        acls = ServerAcls(bot.services(Homeserver()))
        for order in ("deny bad.example", "deny spam.example 1h", "deny scam.example", "allow bad.example"):
            await bot.say(OLGA, f"!acl {order}", DESK)
        await align(bot, acls)
        live = [await bot.rows(f"SELECT {each} ORDER BY 1, 3") for each in tables]
        assert [len(rows) for rows in live] == [3, 2]
        again = await made_again(bot.stores.journal, tmp_path / "again")
        assert [again.rows(f"SELECT {each} ORDER BY 1, 3") for each in tables] == live


async def test_a_denial_is_written_on_the_homeserver_told_to_the_room_and_taken_back(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, owner, room = scene.bot, scene.owner, scene.room
    before = {"allow": ["*"], "deny": ["worse.example"], "allow_ip_literals": False}
    await owner.set_state(room, SERVER_ACL, before)
    order = await owner.send_text(room, "!acl deny *.bad.example 30d raid")

    async def until(deny: list[str]) -> dict[str, Any]:
        return await owner.wait_state(room, SERVER_ACL, lambda content: content.get("deny") == deny, what=f"{deny}")

    await until(["worse.example", "*.bad.example"])
    begun = like("measure.begun.server", server="*.bad.example")
    await owner.wait_event(
        room, lambda seen: seen.sender == bot.user and bool(begun.search(seen.body)), what="a notice"
    )
    await bot.idle()
    assert like("acl.entry.one", server="*.bad.example").search(await ask(owner, bot, scene.desk, "!acl"))
    await bot.idle()
    assert await owner.is_redacted(room, order)
    bot.ahead_ms += PAUSE_MS
    await ask(owner, bot, scene.desk, "!acl allow *.bad.example")
    await until(["worse.example"])
    assert await owner.state(room, SERVER_ACL) == before
    await bot.idle()
    assert bot.rows("SELECT * FROM holds") == []
