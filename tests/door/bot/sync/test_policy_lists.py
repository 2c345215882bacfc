"""Policy lists that others write: followed, never blindly; what they bring is a case with an appeal."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from bot.config.config import parse_config
from bot.sync import list_rests
from moderation.model.facts import CaseOpened, ListMatched, ListRead, SanctionEnded, SanctionStarted
from moderation.values.ids import RoomId
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import HEAD, like

LISTS = """
[lists]
{more}
[[lists.watch]]
name = "cme"
room = "{room}"
trust = "{trust}"
"""
OTHER = """
[[lists.watch]]
name = "calm"
room = "{room}"
trust = "apply"
"""


def ban(entity: str, **more: Any) -> dict[str, Any]:
    return {"entity": entity, "recommendation": "m.ban", "reason": "spam", **more}


def hashed(entity: str) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(entity.encode()).digest()).decode()
    return {"hashes": {"sha256": digest}, "recommendation": "m.ban", "reason": "spam"}


async def add(writer: Client, room: str, content: dict[str, Any], key: str = "rule:1", kind: str = "user") -> None:
    await writer.set_state(RoomId(room), f"m.policy.rule.{kind}", content, key)


async def watching(
    theatre: Theatre, trust: str, more: str = "", members: int = 2, bot: str = ""
) -> tuple[Scene, Client, RoomId]:
    """Return a scene whose bot watches an empty list, its writer, and its room."""
    (writer,) = await theatre.people("writer")
    room = await writer.create_room("Bans", private=False)
    scene = await theatre.scene(LISTS.format(room=room, trust=trust, more=more), members=members, bot=bot)
    await scene.bot.until(lambda: scene.bot.rows("SELECT 1 FROM chosen_lists"), "the list to be watched")
    return scene, writer, room


async def until_read(scene: Scene, entries: int) -> None:
    await scene.bot.until(
        lambda: [fact for fact in scene.bot.facts(ListRead) if fact.entries == entries], f"{entries} entries"
    )


async def test_an_applied_entry_bans_and_ends_with_the_entry(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, ben) = scene.bot, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    (matched,) = bot.facts(ListMatched)
    assert (matched.list, matched.subject, matched.author, matched.reason) == ("cme", ann.user, writer.user, "spam")
    (opened,) = [fact for fact in bot.facts(CaseOpened) if fact.rule == "policy_list"]
    (start,) = [fact for fact in bot.facts(SanctionStarted) if fact.kind == "ban"]
    assert (start.n, start.basis, start.until > 0) == (opened.n, "list", True)
    assert (await scene.owner.members(scene.room))[ben.user] == "join"
    await add(writer, room, {})
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "leave", key=ann.user)
    assert [fact.why for fact in bot.facts(SanctionEnded)] == ["list"]


@pytest.mark.long
async def test_a_hashed_entry_keeps_somebody_out_who_comes_later(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    (late,) = await theatre.people("late")
    await add(writer, room, hashed(late.user))
    await until_read(scene, 1)
    await scene.owner.invite(scene.room, late.user)
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=late.user)


async def test_a_proposal_waits_for_the_managers_and_a_dismissal_spares(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "propose")
    bot, (manager,), (ann, _) = scene.bot, scene.managers, scene.members
    await add(writer, room, ban(ann.user))
    await scene.card(manager, 1)
    assert (await scene.owner.members(scene.room))[ann.user] == "join"
    assert like("decided.dismissed").search(await ask(manager, bot, scene.desk, "!dismiss 1 we know her"))
    await add(writer, room, ban(ann.user, reason="again"))
    await add(writer, room, ban("@nobody:elsewhere"), key="rule:2")
    await until_read(scene, 2)
    await bot.idle()
    assert [fact.n for fact in bot.facts(CaseOpened)] == [1]
    assert (await scene.owner.members(scene.room))[ann.user] == "join"


async def test_an_upheld_proposal_bans(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "propose")
    bot, (manager,), (ann, _) = scene.bot, scene.managers, scene.members
    await add(writer, room, ban(ann.user))
    await scene.card(manager, 1)
    await ask(manager, bot, scene.desk, "!uphold 1")
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    await add(writer, room, {})
    await until_read(scene, 0)
    await bot.idle()
    assert (await scene.owner.members(scene.room))[ann.user] == "ban", "the managers said so, not only the list"


async def test_a_list_that_was_taken_over_harms_nobody(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply", members=3)
    bot = scene.bot
    await add(writer, room, ban("*"))
    await until_read(scene, 1)
    await bot.idle()
    there = await scene.owner.members(scene.room)
    assert {there[each.user] for each in (*scene.members, *scene.managers, scene.owner)} == {"join"}


async def test_nothing_is_lost_while_the_list_is_gone(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, _) = scene.bot, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    await writer.kick(room, bot.user)
    await writer.set_state(room, "m.room.join_rules", {"join_rule": "invite"})
    await bot.stop()
    bot.start()
    await bot.idle()
    assert (await scene.owner.members(scene.room))[ann.user] == "ban"


@pytest.mark.long
async def test_who_is_spared_comes_back_and_is_banned_again_once_no_longer_spared(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (manager,), (ann, _) = scene.bot, scene.managers, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    answer = await ask(manager, bot, scene.desk, f"!list spare {ann.user} we know her")
    assert like("policy-list.spared", lists="cme").search(answer)
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "leave", key=ann.user)
    await scene.owner.invite(scene.room, ann.user)
    await ann.join(scene.room)
    assert like("policy-list.unspared").search(await ask(manager, bot, scene.desk, f"!list unspare {ann.user}"))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)


@pytest.mark.long
async def test_a_list_that_changes_again_and_again_holds_up_no_other_and_no_decision(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_rests, "FIRST_S", 100_000.0)  # longer than any test
    monkeypatch.setattr(list_rests, "LONGEST_S", 100_000.0)
    (writer,) = await theatre.people("writer")
    restless, calm = [await writer.create_room(name, private=False) for name in ("Restless", "Calm")]
    watched = LISTS.format(room=restless, trust="apply", more="") + OTHER.format(room=calm)
    scene = await theatre.scene(watched, members=3)
    bot, (manager,), (ann, ben, cid) = scene.bot, scene.managers, scene.members
    await bot.until(lambda: len(bot.rows("SELECT 1 FROM chosen_lists")) == 2, "the lists to be watched")

    async def until_membership(person: Client, membership: str) -> None:
        await scene.owner.wait_state(
            scene.room, "m.room.member", lambda c: c["membership"] == membership, key=person.user
        )

    await add(writer, restless, ban(ann.user))
    await until_membership(ann, "ban")
    await add(writer, restless, ban(cid.user), key="rule:2")  # within its rest
    await add(writer, calm, ban(ben.user))
    await until_membership(ben, "ban")
    await ask(manager, bot, scene.desk, f"!list spare {ben.user} we know him")
    await until_membership(ben, "leave")
    await scene.owner.invite(scene.room, ben.user)
    await ben.join(scene.room)
    await ask(manager, bot, scene.desk, f"!list unspare {ben.user}")
    await until_membership(ben, "ban")
    assert (await scene.owner.members(scene.room))[cid.user] == "join"
    assert [(fact.list, fact.entries) for fact in bot.facts(ListRead) if fact.entries] == [("cme", 1), ("calm", 1)]


@pytest.mark.long
async def test_a_look_is_a_line_in_the_desk(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "look")
    (manager,), (ann, _) = scene.managers, scene.members
    await add(writer, room, ban(ann.user))
    await scene.wait_desk(manager, lambda seen: like("lists.look").search(seen.body) is not None, "the look")
    assert scene.bot.facts(CaseOpened) == []


@pytest.mark.long
async def test_the_person_is_told_which_list_and_how_to_appeal(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    (ann, _) = scene.members
    await add(writer, room, ban(ann.user))
    word = await told(ann, scene.bot, like("notice.foot", n="1"))
    assert "cme" in word.body


@pytest.mark.long
async def test_a_rebuild_without_the_list_gives_the_same_tables(theatre: Theatre, tmp_path: Path) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, ben) = scene.bot, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    await add(writer, room, ban(ben.user), key="rule:2")
    await add(writer, room, {})
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "leave", key=ann.user)
    await ask(scene.managers[0], bot, scene.desk, f"!list spare {ben.user} we know him")
    await bot.idle()
    await bot.stop()
    tables = (*TABLES, "chosen_lists", "list_matches", "list_spared")
    live = {name: bot.table(name) for name in tables}
    assert (len(live["list_matches"]), len(live["list_spared"])) == (2, 1)
    assert {name for name, rows in (await rebuilt(bot, tmp_path, tables)).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_a_list_taken_out_of_the_configuration_bans_nobody(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, _) = scene.bot, scene.members
    await bot.stop()
    text = HEAD.format(url=theatre.url, user=bot.user, bot="")
    narrowed = LISTS.format(room=room, trust="apply", more="") + 'senders = ["@trusted:localhost"]\n'
    bot.config = parse_config(bot.config.file, text + narrowed, {})
    bot.start()
    await add(writer, room, ban(ann.user))
    await until_read(scene, 1)
    await bot.stop()
    bot.config = parse_config(bot.config.file, text, {})
    bot.start()
    await bot.until(lambda: not bot.rows("SELECT 1 FROM chosen_lists"), "the end of the list")
    await bot.idle()
    assert [fact for fact in bot.facts(SanctionStarted) if fact.kind == "ban"] == []


@pytest.mark.long
async def test_somebody_who_runs_another_room_is_proposed(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, ben), (manager,) = scene.bot, scene.members, scene.managers
    second = await theatre.room(bot, scene.owner, [ann], [ben])
    await bot.idle()
    await add(writer, room, ban(ann.user))
    await scene.card(manager, 1)
    assert (await scene.owner.members(second))[ann.user] == "join"


@pytest.mark.long
async def test_a_list_that_takes_one_after_the_other_is_held_back(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply", more="act_at_most = 1", members=2)
    bot, (manager,), (ann, ben) = scene.bot, scene.managers, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    await add(writer, room, ban(ben.user), key="rule:2")
    await scene.card(manager, 2)
    (late,) = await theatre.people("late")
    await add(writer, room, ban(late.user), key="rule:3")
    await until_read(scene, 3)
    await scene.owner.invite(scene.room, late.user)
    await scene.card(manager, 3)
    assert [fact.n for fact in bot.facts(SanctionStarted) if fact.kind == "ban"] == [1]


@pytest.mark.long
async def test_a_list_that_was_moved_is_told_once(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene, writer, room = await watching(theatre, "look", bot=f'operators = ["{operator.user}"]')
    await open_direct(operator, scene.bot)
    await writer.set_state(room, "m.room.tombstone", {"body": "x", "replacement_room": "!abc:localhost"}, "")
    word = await told(operator, scene.bot, like("lists.trouble.moved"))
    for number in range(2):
        await add(writer, room, ban(f"@n{number}:elsewhere"), key=f"rule:{number}")
        await until_read(scene, number + 1)
    await scene.bot.idle()
    said = [event["content"].get("body", "") for event in await operator.messages(word.room)]
    assert len([body for body in said if like("lists.trouble.moved").search(body)]) == 1


@pytest.mark.long
async def test_bans_stay_after_a_rebuild_of_the_tables(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, _) = scene.bot, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    await bot.idle()
    await bot.stop()
    bot.state.change("DELETE FROM list_entries")  # no record makes them
    bot.start()
    await bot.until(lambda: bot.rows("SELECT 1 FROM list_entries"), "the list to be read")
    await bot.idle()
    assert [fact for fact in bot.facts(SanctionEnded) if fact.kind == "ban"] == []


@pytest.mark.long
async def test_who_was_let_in_again_by_the_managers_may_come_back(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (manager,), (ann, _) = scene.bot, scene.managers, scene.members
    await add(writer, room, ban(ann.user))
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=ann.user)
    await ask(manager, bot, scene.desk, f"!unban {ann.user}")
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "leave", key=ann.user)
    await scene.owner.invite(scene.room, ann.user)
    await bot.idle()
    assert (await scene.owner.members(scene.room))[ann.user] == "invite"


async def test_a_list_is_chosen_in_the_desk_and_ended_there(theatre: Theatre) -> None:
    (writer,) = await theatre.people("writer")
    name = f"bans-{writer.user[1:].partition(':')[0]}"
    room = await writer.create_room("Bans", private=False, room_alias_name=name)
    scene = await theatre.scene("", members=2)
    bot, (ann, ben) = scene.bot, scene.members
    await add(writer, room, ban(ann.user))
    shown = await ask(scene.owner, bot, scene.desk, f"!list preview #{name}:{writer.user.partition(':')[2]}")
    assert like("policy-list.preview.head", users="1", servers="0", rooms="0", globs="0").search(shown)
    [(number,)] = bot.rows("SELECT number FROM list_previews")
    await add(writer, room, ban(ben.user), key="rule:2")
    changed = await ask(scene.owner, bot, scene.desk, f"!list watch bans apply {number}")
    assert like("policy-list.changed.head", list="bans", added="1", gone="0").search(changed)
    await ask(scene.owner, bot, scene.desk, f"!list preview {room}")
    [(number,)] = bot.rows("SELECT max(number) FROM list_previews")
    chosen = await ask(scene.owner, bot, scene.desk, f"!list watch bans apply {number} they know our spammers")
    assert like("policy-list.watched.apply", list="bans", count="2").search(chosen)
    for each in (ann, ben):
        await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=each.user)
    assert like("policy-list.ended", list="bans").search(await ask(scene.owner, bot, scene.desk, "!list end bans"))
    for each in (ann, ben):
        await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "leave", key=each.user)
    await writer.wait_state(room, "m.room.member", lambda c: c["membership"] == "leave", key=bot.user)


@pytest.mark.long
async def test_a_list_that_can_be_read_from_outside_is_shown_without_entering_it(theatre: Theatre) -> None:
    (writer,) = await theatre.people("writer")
    readable = {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}
    room = await writer.create_room("Bans", private=False, initial_state=[readable])
    scene = await theatre.scene("", members=1)
    await add(writer, room, ban(scene.members[0].user))
    shown = await ask(scene.managers[0], scene.bot, scene.desk, f"!list preview {room}")
    assert like("policy-list.preview.head", users="1", servers="0", rooms="0", globs="0").search(shown)
    assert scene.bot.user not in await writer.members(room)
