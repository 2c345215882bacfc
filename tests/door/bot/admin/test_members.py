"""The list of members: their roles, and who verified them."""

import pytest

from moderation.model.facts import PersonVerified, RoleChanged
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import like

RULES = """
[[rules]]
name = "serious"
kind = "terms"
class = "serious"
terms = ["purple elephant"]
[verification]
vouches_per_manager = 2
vouch_lasts = "30d"
"""


async def test_a_vouched_member_is_shown_as_verified_next_to_the_responsible_people(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=4, known=["managers"])
    bot, room, owner, (manager,), people = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    ann, ben, cid, _ = people
    assert like("done.vouch", who=ann.user).search(await ask(manager, bot, room, f"!vouch {ann.user}"))
    word = await told(ann, bot, like("notice.verified", by=manager.user))
    assert word.sender == bot.user
    shown = (await ask(ben, bot, room, "!who")).splitlines()
    assert (like("who.room", count="7", verified="2").fullmatch(shown[0]) is not None, shown[1:]) == (
        True,
        [
            f"Owner: {owner.user}",
            f"Manager: {manager.user}",
            *(f"Verified: {user}" for user in sorted((ann.user, manager.user))),
        ],
    )
    assert like("error.target.self").search(await ask(manager, bot, room, f"!vouch {manager.user}"))
    assert like("error.right.manager").search(await ask(ann, bot, room, f"!vouch {ben.user}"))
    assert like("done.vouch", who=ben.user).search(await ask(manager, bot, room, f"!vouch {ben.user}"))
    assert like("error.vouch.limit", limit="2").search(await ask(manager, bot, room, f"!vouch {cid.user}"))
    facts = [fact for fact in bot.facts(PersonVerified) if fact.method == "vouch"]
    assert [(f.subject, f.by, f.method, f.level, f.step) for f in facts] == [
        (who.user, manager.user, "vouch", 2, "verified") for who in (ann, ben)
    ]
    lasts = [until - at for until, at in bot.rows("SELECT until, at FROM verifications WHERE method = 'vouch'")]
    assert lasts == [30 * 86_400_000] * 2


@pytest.mark.long
async def test_a_manager_below_tier_a_cannot_vouch(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, managers=2, known=["managers"])
    bot, room, (first, second), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await first.send_text(room, "a purple elephant")
    await scene.card(second, 1)
    await ask(second, bot, scene.desk, "!uphold 1")
    refused = await ask(first, bot, room, f"!vouch {ann.user}")
    assert like("error.vouch.credit", credit="75", needed="80").search(refused)
    assert {fact.method for fact in bot.facts(PersonVerified)} == {"roster"}


@pytest.mark.long
async def test_an_unverified_manager_cannot_vouch(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    refused = await ask(manager, bot, room, f"!vouch {ann.user}")
    assert like("error.vouch.level", level="0", needed="2").search(refused)
    assert bot.facts(PersonVerified) == []


async def test_changes_of_roles_and_membership_are_followed(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, owner, (manager,), (ann, ben) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await owner.set_power(room, {ann.user: 75, manager.user: None})
    await bot.until(lambda: len(bot.facts(RoleChanged)) == 4, "two changes of role")
    await ben.leave(room)
    shown = await ask(ann, bot, room, "!who")
    assert shown.splitlines()[1:] == [f"Owner: {owner.user}", f"Manager: {ann.user}"]
    assert like("who.room", count="4").search(shown)
    assert [(f.subject, f.was, f.role) for f in bot.facts(RoleChanged)[2:]] == sorted(
        [(ann.user, "member", "manager"), (manager.user, "manager", "member")]
    )
    members = bot.rows("SELECT user, membership, role FROM members WHERE room = ? ORDER BY user", room)
    assert members == sorted(
        [
            (owner.user, "join", "owner"),
            (manager.user, "join", "member"),
            (ann.user, "join", "manager"),
            (ben.user, "leave", "member"),
            (bot.user, "join", "member"),
        ]
    )
    # The desk follows.
    await ann.wait_invite(scene.desk)
    await owner.wait_state(scene.desk, "m.room.member", lambda c: c["membership"] == "leave", key=manager.user)
