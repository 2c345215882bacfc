"""The barred list in real rooms: it applies everywhere, for every account, is announced, can be appealed, and ends."""

import time

import pytest

from bot.cli.access.admin_client import ask_bot
from moderation.model.builtin_rules import BARRED
from moderation.model.facts import CaseOpened, SanctionEnded, SanctionStarted
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

NOW = time.time_ns() // 1_000_000


async def add(bot: ServedBot, by: Client, who: Client, **more: object) -> dict[str, object]:
    """Send the running bot the request of `answerable barred add`."""
    asked = {"person": who.user, "by": by.user, "reason": "threats", "until": NOW + 90 * DAY_MS, "reader": "ann"}
    return await ask_bot(bot.data_dir, "bar", {**asked, **more}, None)


async def until_membership(who: Client, room: str, user: str, wanted: str) -> None:
    await who.wait_state(room, "m.room.member", lambda there: there.get("membership") == wanted, key=user, what=wanted)


async def a_scene(theatre: Theatre, *, members: int = 1) -> tuple[Scene, Client]:
    """Create a scene with an operator."""
    (operator,) = await theatre.people("operator")
    return await theatre.scene(RULES, members=members, bot=f'operators = ["{operator.user}"]'), operator


async def test_a_barred_person_is_removed_from_every_room_and_told_why(theatre: Theatre) -> None:
    scene, operator = await a_scene(theatre)
    bot, owner, (ann,) = scene.bot, scene.owner, scene.members
    second = await theatre.room(bot, owner, members=[ann])
    third = await theatre.room(bot, owner)
    await ann.send_text(scene.room, "a volcano")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1"), "a case")
    done = await add(bot, operator, ann, evidence=[1])
    assert (done["case"], done["room"]) == (2, bot.code(scene.room))
    for room in (scene.room, second):
        await until_membership(owner, room, ann.user, "ban")
    word = await told(ann, bot, like("notice.own.barred_list", n="2"))
    for key in ("notice.until", "notice.reason", "notice.foot-same"):
        assert like(key, reason="threats", n="2").search(word.body), key
    await owner.invite(third, ann.user)
    await until_membership(owner, third, ann.user, "ban")
    opened = [(f.rule, f.state, f.by, f.reason) for f in bot.facts(CaseOpened) if f.n == 2]
    assert opened == [(BARRED, "decided", operator.user, "threats")]
    (start,) = [f for f in bot.facts(SanctionStarted) if f.rule == BARRED]
    assert (start.room, start.kind, start.basis, start.n, start.by, start.reader) == (
        None, "ban", "operator", 2, operator.user, "ann",
    )  # fmt: skip
    # The evidence belongs to the new case too, so it is kept as long as the entry holds.
    assert bot.rows("SELECT n FROM evidence ORDER BY n") == [(1,), (2,)]
    assert bot.rows("SELECT n FROM statements WHERE n = 2") == [(2,)]


@pytest.mark.long
async def test_barring_covers_linked_accounts_and_its_end_lets_both_in(theatre: Theatre) -> None:
    scene, operator = await a_scene(theatre, members=2)
    bot, owner, (ann, twin) = scene.bot, scene.owner, scene.members
    await bot.stop()
    bot.state.change('INSERT INTO accounts ("user", person, language) VALUES (?, ?, ?)', twin.user, ann.user, "")
    bot.start()
    await bot.until_condition(scene.room, "protected")
    await bot.until(lambda: (bot.data_dir / "control.sock").exists(), "the door")
    await add(bot, operator, ann)
    for who in (ann, twin):
        await until_membership(owner, scene.room, who.user, "ban")
    asked = {"person": twin.user, "by": operator.user, "reason": "we talked", "reader": "ann"}
    assert (await ask_bot(bot.data_dir, "unbar", asked, None))["cases"] == [1]
    for who in (ann, twin):
        await until_membership(owner, scene.room, who.user, "leave")
    word = await told(ann, bot, like("notice.ended.ban"))
    assert like("why-ended.operator").search(word.body)
    assert like("notice.reason", reason="we talked").search(word.body)
    assert [(f.why, f.by, f.reason, f.reader) for f in bot.facts(SanctionEnded)] == [
        ("command", operator.user, "we talked", "ann")
    ]
    with pytest.raises(Refused) as refused:
        await ask_bot(bot.data_dir, "unbar", asked, None)
    assert refused.value.key == "cli.barred.not"


@pytest.mark.long
async def test_an_appeal_that_is_granted_lifts_the_bans_everywhere(theatre: Theatre) -> None:
    scene, operator = await a_scene(theatre)
    bot, owner, (ann,) = scene.bot, scene.owner, scene.members
    await add(bot, operator, ann)
    await until_membership(owner, scene.room, ann.user, "ban")
    alone = await direct_room(ann, bot)
    await ann.send_text(alone, "!appeal 1 it was not me")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE state = 'appealed'"), "the appeal")
    direct = await open_direct(operator, bot)
    await ask(operator, bot, direct, f"!dismiss 1 {bot.code(scene.room)} mistaken identity")
    await until_membership(owner, scene.room, ann.user, "invite")  # unbanned, and asked to come back
    await told(ann, bot, like("notice.ended.ban"))


@pytest.mark.long
async def test_an_entry_ends_by_itself_at_its_date(theatre: Theatre) -> None:
    scene, operator = await a_scene(theatre)
    bot, owner, (ann,) = scene.bot, scene.owner, scene.members
    await add(bot, operator, ann, until=bot.clock() + DAY_MS)
    await until_membership(owner, scene.room, ann.user, "ban")
    bot.ahead_ms += DAY_MS
    await bot.restart()
    await until_membership(owner, scene.room, ann.user, "leave")
    assert [(f.why, f.room) for f in bot.facts(SanctionEnded)] == [("time", None)]


async def test_only_operators_bar_and_neither_operators_nor_the_bot_can_be_barred(theatre: Theatre) -> None:
    scene, operator = await a_scene(theatre)
    bot, (ann,), (stranger,) = scene.bot, scene.members, await theatre.people("stranger")
    refusals = []
    for by, who in ((scene.owner, ann), (operator, operator), (operator, stranger)):
        with pytest.raises(Refused) as refused:
            await add(bot, by, who)
        refusals.append(refused.value.key)
    with pytest.raises(Refused) as refused:
        await ask_bot(
            bot.data_dir,
            "bar",
            {
                "person": bot.user,
                "by": operator.user,
                "reason": "x",
                "until": NOW + DAY_MS,
                "room": bot.code(scene.room),
            },
            None,
        )
    refusals.append(refused.value.key)
    assert refusals == [
        "cli.operator.unknown",
        "cli.barred.operator",
        "cli.barred.name_group",
        "error.target.bot",
    ]
    # Somebody the bot has never met can be barred all the same, with a group that hears the appeal.
    await add(bot, operator, stranger, room=bot.code(scene.room))
    await scene.owner.invite(scene.room, stranger.user)
    await until_membership(scene.owner, scene.room, stranger.user, "ban")
