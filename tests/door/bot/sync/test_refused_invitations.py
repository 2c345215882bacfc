"""Invitations that the bot refuses: by somebody barred, by the owner of a closed group, to a refused group."""

from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from bot.sync import sync_loop
from moderation.model.facts import AccountsLinked
from moderation.values.ids import UserId
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, open_direct, record, told
from tests.theatre.served import RULES, ServedBot, like

DAY_MS = 86_400_000
DEAR = "[credit]\ncosts = { minor = 5, moderate = 10, serious = 25, severe = 81 }\nincident_limit = 81\n"


async def operate(bot: ServedBot, do: str, **arguments: Any) -> Any:
    return await ask_bot(bot.data_dir, do, {"reason": "spam", **arguments}, None)


async def invited(theatre: Theatre, bot: ServedBot, who: Client, **more: Any) -> str:
    """Create a room of somebody, invite the bot, and wait until it has refused."""
    room = await who.create_room("again", invite=[bot.user], **more)
    await who.wait_state(room, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user)
    return room


async def with_operator(theatre: Theatre, more: str = "") -> tuple[Scene, Client]:
    (operator,) = await theatre.people("operator")
    return await theatre.scene(RULES + more, members=2, bot=f'operators = ["{operator.user}"]'), operator


async def test_a_barred_person_brings_the_bot_into_no_room_and_can_still_ask_it_why(theatre: Theatre) -> None:
    scene, operator = await with_operator(theatre)
    bot, (ann, ben) = scene.bot, scene.members
    await operate(bot, "bar", person=ann.user, by=operator.user, until=bot.clock() + DAY_MS)
    await bot.idle()
    room = await invited(theatre, bot, ann)
    await told(ann, bot, like("joining.refused.barred", who=ann.user))
    word = await told(operator, bot, like("joining.not-gone", who=ann.user))
    assert like("joining.refused.barred", who=ann.user).search(word.body)
    assert bot.condition(room) is None
    again = await ann.create_room("by a friend", invite=[ben.user])  # hers as the founder, whoever invites
    await ben.join(again)
    await ann.set_power(again, {ben.user: 100})
    await ben.invite(again, bot.user)
    await ben.wait_state(again, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user)
    await told(ben, bot, like("joining.refused.barred", who=ann.user))
    assert await open_direct(ann, bot)
    fine = await theatre.room(bot, ben, opened=False)
    await bot.until_condition(fine, "protected")


@pytest.mark.long
async def test_somebody_in_tier_e_brings_the_bot_into_no_room_by_any_of_their_accounts(theatre: Theatre) -> None:
    scene, operator = await with_operator(theatre, DEAR)
    bot, (ann, second) = scene.bot, scene.members
    await ann.send_text(scene.room, "volcano")
    await told(ann, bot, like("notice.violation"))
    await bot.idle()
    await record(bot, AccountsLinked(method="confirmed", subject=UserId(second.user), target=UserId(ann.user)))
    rooms = [await invited(theatre, bot, second)]
    await told(second, bot, like("joining.refused.barred", who=second.user))
    await operate(bot, "unbar", person=ann.user, by=operator.user)  # her credit is as low as before
    await bot.idle()
    for account in (ann, second):
        rooms.append(await invited(theatre, bot, account))
        await told(account, bot, like("joining.refused.credit", who=account.user))
        await told(operator, bot, like("joining.not-gone", who=account.user))
    assert [bot.condition(room) for room in rooms] == [None, None, None]


@pytest.mark.long
async def test_the_owner_of_a_closed_group_brings_the_bot_into_no_other(theatre: Theatre) -> None:
    scene, operator = await with_operator(theatre)
    bot, code = scene.bot, scene.bot.code(scene.room)
    await operate(bot, "room-close", room=code, by=operator.user)
    await invited(theatre, bot, scene.owner)
    await told(scene.owner, bot, like("joining.refused.closed", who=scene.owner.user, group=code))
    await operate(bot, "room-reopen", room=code, by=operator.user)
    fine = await theatre.room(bot, scene.owner, opened=False)
    await bot.until_condition(fine, "protected")


async def test_a_group_that_may_not_come_back_is_refused_by_its_alias(theatre: Theatre) -> None:
    (owner,) = await theatre.people("owner")
    bot = await theatre.bot('[groups]\nrefused = ["#spam-*:localhost"]\n')
    alias = f"spam-{owner.user[1:].split(':')[0]}"
    room = await owner.create_room("spam", room_alias_name=alias)
    await owner.set_state(room, "m.room.canonical_alias", {"alias": f"#{alias}:localhost"})
    await owner.invite(room, bot.user)
    await owner.wait_state(room, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user)
    await told(owner, bot, like("joining.refused.group"))


@pytest.mark.long
async def test_invitations_beyond_the_hourly_limit_are_declined_except_of_operators(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_loop, "MOST_INVITATIONS", 1)
    operator, eager = await theatre.people("operator", "eager")
    bot = await theatre.bot("", bot=f'operators = ["{operator.user}"]')
    first = await eager.create_room("A", invite=[bot.user])
    await bot.until_condition(first, "observing")
    second = await eager.create_room("B", invite=[bot.user])
    await eager.wait_state(second, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user)
    await told(eager, bot, like("error.too-often"))
    for name in ("C", "D"):
        await bot.until_condition(await operator.create_room(name, invite=[bot.user]), "observing")
