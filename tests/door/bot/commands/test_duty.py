"""Absence, return and duty hours: set by command, announced to those concerned, and applied when a case comes."""

import datetime as dt
import re

import pytest

from moderation.model.facts import AwayChanged, RosterChanged
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import ServedBot, like

HERE = 'timezone = "Europe/Berlin"'


def hours_from(bot: ServedBot, hour: int) -> str:
    """Return two hours a day that begin `hour` hours from now."""
    now = dt.datetime.fromtimestamp(bot.clock() / 1000, dt.UTC) + dt.timedelta(hours=hour)
    return f"daily {now:%H}:00-{now + dt.timedelta(hours=2):%H}:00 UTC"


async def duty_of(who: Client, bot: ServedBot, room: RoomId) -> list[str]:
    """Return the answer to `!duty` without its heading."""
    return (await ask(who, bot, room, "!duty")).splitlines()[1:]


def assigned(bot: ServedBot, n: int) -> list[tuple[str, str]]:
    """Return who was asked about a case, in order."""
    return bot.rows("SELECT user, asked FROM assignments WHERE n = ? ORDER BY record", n)


def fit(said: str | list[str], *patterns: re.Pattern[str]) -> bool:
    """Tell whether these lines match exactly these patterns, in this order."""
    lines = said.splitlines() if isinstance(said, str) else said
    return len(lines) == len(patterns) and all(p.fullmatch(line) for p, line in zip(patterns, lines, strict=True))


async def case(scene: Scene, n: int) -> None:
    """Open a case for managers, by another person each time, since it would be the same incident otherwise."""
    await scene.members[n - 1].send_text(scene.room, f"forbidden {n}")
    await scene.card(scene.owner, n)


@pytest.mark.long
async def test_one_away_command_is_announced_in_the_desk(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2, bot=HERE)
    bot, (mark, mina) = scene.bot, scene.managers
    direct = await open_direct(mark, bot)
    earliest = bot.clock() + 3 * DAY_MS
    said = await ask(mark, bot, direct, "!away 3d moving house")
    assert fit(said, like("away.until"), like("away.covered"), like("away.keeps-none")), said
    (gone,) = bot.facts(AwayChanged)
    assert (gone.what, gone.subject, gone.room) == ("away", mark.user, None)
    assert earliest <= gone.until <= bot.clock() + 3 * DAY_MS
    # Times are those of clocks in Berlin, and say so.
    assert any(f"{offset} " in said for offset in ("UTC+1", "UTC+2"))
    word = await scene.wait_desk(
        mina, lambda seen: like("desk.away", who=mark.user).search(seen.body) is not None, "away"
    )
    assert like("notice.reason", reason="moving house").search(word.body)
    until = "SELECT until FROM away WHERE user = ?"
    assert bot.rows(until, mark.user) == [(gone.until,)]
    assert like("away.back").fullmatch(await ask(mark, bot, direct, "!back"))
    await scene.wait_desk(mina, lambda seen: like("desk.back", who=mark.user).fullmatch(seen.body) is not None, "back")
    assert [fact.what for fact in bot.facts(AwayChanged)] == ["away", "back"]
    assert bot.rows(until, mark.user) == []
    assert like("error.away.not").fullmatch(await ask(mark, bot, direct, "!back"))
    assert like("error.away.long").fullmatch(await ask(mark, bot, direct, "!away 61d"))


@pytest.mark.long
async def test_being_away_ends_by_itself_and_is_shown_to_members_until_then(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, (mark, mina), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    before = await duty_of(ann, bot, room)
    assert fit(before, like("duty.on"), like("duty.on"), like("duty.no-roster")), before
    await ask(mark, bot, scene.desk, "!away 2d")
    during = await duty_of(ann, bot, room)
    expected = (like("duty.on", who=mina.user), like("duty.away", who=mark.user), like("duty.no-roster"))
    assert fit(during, *expected), during
    bot.ahead_ms += 2 * DAY_MS + 60_000
    assert await duty_of(ann, bot, room) == before


async def test_a_case_goes_to_managers_on_duty_and_stays_with_them(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2, members=3)
    bot, (mark, mina) = scene.bot, scene.managers
    await case(scene, 1)
    said = await ask(mark, bot, scene.desk, "!away 3d")
    assert like("away.keeps", cases="1").search(said)
    await case(scene, 2)
    await ask(mark, bot, scene.desk, "!back")
    await case(scene, 3)
    both = sorted([(mark.user, "managers"), (mina.user, "managers")])
    assert [sorted(assigned(bot, n)) for n in (1, 2, 3)] == [both, [(mina.user, "managers")], both]


@pytest.mark.long
async def test_a_manager_who_leaves_nobody_on_duty_is_warned(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=1)
    bot, room, owner, (mark,) = scene.bot, scene.room, scene.owner, scene.managers
    other = await theatre.room(bot, mark)
    names = {each: f"{name} ({code})" for each, name, code in bot.rows("SELECT room, name, code FROM rooms")}
    direct = await open_direct(mark, bot)
    said = (await ask(mark, bot, direct, "!away 3d")).splitlines()
    assert len(said) == 4
    assert like("away.owner", room=names[room], who=owner.user).fullmatch(said[1])
    assert like("away.nobody", room=names[other], cost="10").fullmatch(said[2])
    # In the desk of the group too; and nothing there about the other group.
    word = await scene.wait_desk(
        owner, lambda seen: like("desk.away", who=mark.user).search(seen.body) is not None, "away"
    )
    assert names[room] in word.body and names[other] not in word.body
    await case(scene, 1)
    assert assigned(bot, 1) == [(owner.user, "managers")]
    said = (await ask(owner, bot, scene.desk, "!away 1d")).splitlines()
    assert like("away.nobody", room=names[room]).fullmatch(said[1])
    assert like("away.keeps", cases="1").fullmatch(said[2])
    assert like("duty.nobody").fullmatch((await duty_of(owner, bot, scene.desk))[0])


async def test_the_owner_writes_duty_hours_and_everybody_in_them_is_told(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, owner, (mark, mina), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    hours = "mon-fri 08:00-18:00, sat 10:00-12:00 Europe/Berlin"
    said = await ask(owner, bot, room, f"!duty {mark.user} Mon-Fri 8:00-18:00, sat 10-12 europe/berlin")
    expected = (
        like("roster.set", who=mark.user, hours=hours),
        like("duty.hours", who=mark.user, hours=hours),
        like("duty.not-in", who=mina.user),
    )
    assert fit(said, *expected), said
    await told(mark, bot, like("notice.roster", by=owner.user, hours=hours))
    await scene.wait_desk(
        mina, lambda seen: like("desk.roster", by=owner.user, who=mark.user).fullmatch(seen.body) is not None, "a word"
    )
    wrong = {
        (mark, f"!duty {mina.user} {hours}"): "error.right.roster",
        (ann, f"!duty {mark.user} off"): "error.right.roster",
        (owner, f"!duty {ann.user} {hours}"): "error.roster.member",
        (owner, f"!duty {mina.user} off"): "error.roster.not-in",
        (owner, f"!duty {mina.user} mon-fri 8-18 Berlin"): "error.hours.zone-near",
        (owner, f"!duty {mina.user} mon-fri 8-18 Mars/Olympus"): "error.hours.zone",
        (owner, f"!duty {mina.user} office hours please!"): "error.hours.form",
        (owner, "!duty mon-fri 08:00-18:00"): "error.missing.user",
    }
    found = {asked: await ask(asked[0], bot, room, asked[1]) for asked in wrong}
    assert [(asked[1], found[asked]) for asked, key in wrong.items() if not like(key).match(found[asked])] == []
    assert [(fact.subject, fact.hours, fact.by) for fact in bot.facts(RosterChanged)] == [
        (mark.user, hours, owner.user)
    ]
    assert like("roster.off", who=mark.user).search(await ask(owner, bot, scene.desk, f"!duty {mark.user} off"))
    await told(mark, bot, like("notice.roster-off", by=owner.user))
    assert (bot.facts(RosterChanged)[-1].hours, bot.rows("SELECT * FROM rosters")) == ("", [])


@pytest.mark.long
async def test_duty_hours_decide_who_gets_a_case_and_who_is_next(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2, members=2, bot=HERE)
    bot, room, owner, (mark, mina), (ann, _) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ask(owner, bot, scene.desk, f"!duty {mark.user} 00:00-24:00")
    hours = hours_from(bot, 3)
    await ask(owner, bot, scene.desk, f"!duty {mina.user} {hours}")
    assert {fact.hours for fact in bot.facts(RosterChanged)} == {"daily 00:00-24:00 Europe/Berlin", hours}
    await case(scene, 1)
    await ask(owner, bot, scene.desk, f"!duty {mark.user} off")
    await case(scene, 2)
    assert [assigned(bot, n) for n in (1, 2)] == [[(mark.user, "managers")], [(owner.user, "managers")]]
    shown = await duty_of(ann, bot, room)
    expected = (
        like("duty.owner", who=owner.user),
        like("duty.next", who=mina.user),
        like("duty.hours", who=mina.user),
        like("duty.not-in", who=mark.user),
    )
    assert fit(shown, *expected), shown
