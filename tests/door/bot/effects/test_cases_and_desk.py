"""Cases, their cards in the desk, and who decides them."""

import asyncio

import pytest

from bot.texts.catalog import Catalog
from moderation.model.facts import CaseDecided, CaseGrew, CaseOpened, CreditChanged, SanctionEnded, SanctionStarted
from moderation.values.notices import Moment
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, answer, ask, told
from tests.theatre.served import RULES, like, phrase, until

MINOR_AND_MUTE = """
[[rules]]
name = "small"
kind = "terms"
terms = ["purple elephant"]
[[rules]]
name = "loud"
kind = "terms"
class = "serious"
measure = "mute"
mute_for = "1h"
terms = ["volcano"]
"""


async def test_a_case_decided_by_its_rule_has_a_card_and_is_reversed_by_a_reaction(theatre: Theatre) -> None:
    scene = await theatre.scene(MINOR_AND_MUTE)
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": "Anna B."})
    said = await ann.send_text(room, "a <b>volcano</b>")
    card = await scene.card(manager, 1)
    link = f"https://matrix.to/#/{room}/{said}?via=localhost"
    ((since,),) = bot.rows("SELECT since FROM members WHERE room = ? AND user = ?", room, ann.user)
    lines = card.body.splitlines()
    assert lines == [
        "Case 1 · serious · loud",
        f"Anna B. ({ann.user}) · 75/100 points · earlier violations: 0 (reversed ones not counted)",
        f"First seen in the room: {Catalog.load().text('en', 'cli.value', value=Moment(since))}",
        "“a <b>«volcano»</b>”",
        f"Message: {link}",
        "The message is removed.",
        "Handled automatically (message removed, −25 points, muted). If this is wrong, press ❌.",
        "❌ not broken (gives back 25 points, ends the mute) · 🔎 history. With a reason: !dismiss 1",
    ]
    html = card.content["formatted_body"]
    assert html.startswith("<strong>Case 1 · serious · loud</strong><br>")
    assert "a &lt;b&gt;<strong>volcano</strong>&lt;/b&gt;" in html
    assert f">Anna B.</a> ({ann.user})" in html and f'<a href="{link}">' in html
    await _offers(scene, manager, card)
    await scene.until_level(ann.user, -1)
    word = await told(ann, bot, like("notice.violation"))
    assert like("notice.credit.charge", cost="25", left="75").search(word.body)

    await manager.react(scene.desk, card.id, "❌")
    edit = await _edit_of(scene, manager, card)
    assert edit.content["m.new_content"]["body"].splitlines() == [
        *lines[:1],
        f"Anna B. ({ann.user}) · 100/100 points · earlier violations: 0 (reversed ones not counted)",
        *lines[2:6],
        f"{manager.user} decided: rule not broken.",
        "Reason: No rule was broken.",
        "Changed your mind? ✅ rule broken (−25 points, mutes for 1 hour). With a reason: !uphold 1",
    ]
    await scene.until_level(ann.user, None)
    word = await told(ann, bot, like("notice.message.dismissed", by=manager.user))
    assert like("notice.credit.compensation", left="100").search(word.body)
    assert like("notice.ended.mute").search(word.body)
    await ann.send_text(room, "I can speak again")
    assert [(f.n, f.what, f.by) for f in bot.facts(CaseDecided)] == [(1, "dismissed", manager.user)]
    assert [(f.entry, f.cost, f.left) for f in bot.facts(CreditChanged)] == [
        ("charge", 25, 75),
        ("compensation", 0, 100),
    ]
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded)] == [("mute", "reversed")]
    assert await owner.is_redacted(room, said)


async def test_a_case_for_managers_waits_and_is_upheld_by_command_in_its_thread(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    said = await ann.send_text(room, "forbidden 17")
    card = await scene.card(manager, 1)
    assert [(f.state, f.decide) for f in bot.facts(CaseOpened)] == [("open", "manager")]
    assert (bot.facts(CreditChanged), bot.facts(SanctionStarted)) == ([], [])
    thread = {"rel_type": "m.thread", "event_id": card.id}
    order = await manager.send_text(scene.desk, "!uphold 1 clear enough", **{"m.relates_to": thread})
    await _edit_of(scene, manager, card)
    reply = await answer(manager, bot, scene.desk, order)
    assert like("decided.upheld", n="1", who=ann.user).search(reply.body)
    assert reply.content["m.relates_to"] == thread | {"is_falling_back": False, "m.in_reply_to": {"event_id": order}}
    word = await told(ann, bot, like("notice.message.upheld", by=manager.user))
    assert like("notice.reason", reason="clear enough").search(word.body)
    await bot.idle()
    assert await owner.is_redacted(room, said)
    assert [(f.entry, f.cost, f.left) for f in bot.facts(CreditChanged)] == [("charge", 25, 75)]
    assert [(f.n, f.what, f.by, f.reason) for f in bot.facts(CaseDecided)] == [
        (1, "upheld", manager.user, "clear enough")
    ]
    assert like("statement.by-person", by=manager.user, outcome=phrase("state.upheld")).search(
        await ask(ann, bot, word.room, "!why")
    )


async def test_nobody_decides_their_own_case_and_others_may(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, (first, second), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await first.send_text(room, "a purple elephant")
    card = await scene.card(first, 1)
    assert like("card.open-manager").search(card.body)
    assert (
        await ask(first, bot, scene.desk, "!dismiss 1")
        == "Case 1 is about you, so somebody else has to decide it. Nothing was done."
    )
    await first.react(scene.desk, card.id, "❌")
    refused = await _in_thread(scene, first, card)
    assert refused.body == "Case 1 is about you, so somebody else has to decide it. Nothing was done."
    assert bot.facts(CaseDecided) == []
    await second.react(scene.desk, card.id, "✅")
    await _edit_of(scene, second, card)
    # Another manager's decision is changed by nobody at the same level, but by the owner.
    await ann.send_text(room, "forbidden 1")
    await scene.card(first, 2)
    await ask(first, bot, scene.desk, "!uphold 2")
    assert like("error.case.decided-by-other", who=first.user).search(await ask(second, bot, scene.desk, "!dismiss 2"))
    assert like("decided.dismissed").search(await ask(scene.owner, bot, scene.desk, "!dismiss 2 no"))
    assert [(f.n, f.what, f.by) for f in bot.facts(CaseDecided)] == [
        (1, "upheld", second.user),
        (2, "upheld", first.user),
        (2, "dismissed", scene.owner.user),
    ]


async def test_repeated_hits_make_one_case_one_card_and_one_charge_and_all_are_redacted(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    said = [await ann.send_text(room, f"{n} purple elephant") for n in range(5)]
    await bot.has(*said)
    card = await scene.card(manager, 1)
    await bot.idle()
    assert await asyncio.gather(*(owner.is_redacted(room, event) for event in said)) == [True] * 5
    assert len(bot.facts(CaseOpened)) == 1
    assert [(f.n, f.event) for f in bot.facts(CaseGrew)] == [(1, event) for event in said[1:]]
    assert [(f.cost, f.left) for f in bot.facts(CreditChanged)] == [(10, 90)]
    shown = [
        event for event in await manager.messages(scene.desk, 200) if _text(event).lstrip("* ").startswith("Case 1")
    ]
    cards = [event["event_id"] for event in shown if "m.relates_to" not in event["content"]]
    assert cards == [card.id]
    assert like("card.more", count="5").search(_text(shown[-1]))


@pytest.mark.long
async def test_the_first_minor_offence_is_a_warning_and_the_second_costs_more(theatre: Theatre) -> None:
    scene = await theatre.scene(MINOR_AND_MUTE + '[credit]\nincident_window = "1s"\n')
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await ann.send_text(room, "a purple elephant")
    await told(ann, bot, like("notice.credit.warning", left="100"))
    ((opened,),) = bot.rows("SELECT opened FROM cases")
    late = await ann.send_text(room, "1")  # time passes by talking
    await bot.has(late)
    number = 2
    while bot.rows("SELECT max(at) FROM events")[0][0] - opened <= 1000:
        await bot.has(await ann.send_text(room, f"{number}"))
        number += 1
    await ann.send_text(room, "another purple elephant")
    await told(ann, bot, like("notice.credit.charge", cost="8", left="92"))
    await scene.card(manager, 2)
    assert [(f.entry, f.cost, f.left) for f in bot.facts(CreditChanged)] == [("warning", 0, 100), ("charge", 8, 92)]


@pytest.mark.long
async def test_a_decision_twice_is_refused_and_a_member_decides_nothing(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    await ann.send_text(room, "a purple elephant")
    card = await scene.card(manager, 1)
    assert like("error.case.already.upheld", n="1").search(await ask(manager, bot, scene.desk, "!uphold 1"))
    assert like("error.case.none", n="9").search(await ask(manager, bot, scene.desk, "!dismiss 9"))
    assert like("error.right.manager").search(await ask(ben, bot, room, "!dismiss 1"))
    await manager.react(scene.desk, card.id, "🦆")  # means nothing
    await manager.react(scene.desk, card.id, "🔎")
    shown = await _in_thread(scene, manager, card)
    assert like("around.no-earlier", who=ann.user).search(shown.body)
    assert bot.facts(CaseDecided) == []


async def _offers(scene: Scene, who: Client, card: Seen) -> None:
    """Wait for the reactions under a card, and check their order."""
    await scene.bot.idle()
    seen = [event["content"]["m.relates_to"] for event in await who.messages(scene.desk, 200) if _reacts(event)]
    assert seen == [{"rel_type": "m.annotation", "event_id": card.id, "key": key} for key in "❌🔎"]


def _reacts(event: dict[str, object]) -> bool:
    return event["type"] == "m.reaction"


async def _edit_of(scene: Scene, who: Client, card: Seen) -> Seen:
    return await scene.wait_desk(
        who,
        lambda seen: (
            seen.content.get("m.relates_to", {}).get("event_id") == card.id and "m.new_content" in seen.content
        ),
        "an edit of the card",
    )


async def _in_thread(scene: Scene, who: Client, card: Seen) -> Seen:
    """Return the first message in the thread of a card.

    Nothing can reply to a reaction, so its answer is there too.
    """
    relation = {"rel_type": "m.thread", "event_id": card.id, "is_falling_back": True}
    reply = {"m.in_reply_to": {"event_id": card.id}}
    return await scene.wait_desk(
        who, lambda seen: seen.content.get("m.relates_to") == relation | reply, "a word in the thread"
    )


def _text(event: dict[str, object]) -> str:
    content = event.get("content")
    return str(content.get("body", "")) if isinstance(content, dict) else ""


async def test_an_appeal_goes_to_somebody_else_and_a_reversal_undoes_everything(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, managers=2)
    bot, room, owner, (mark, mina), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    said = await ann.send_text(room, "forbidden 7")
    await scene.card(mark, 1)
    await ask(mark, bot, scene.desk, "!uphold 1")
    await until(lambda: owner.is_redacted(room, said), "the message to go")
    word = await told(ann, bot, like("notice.message.upheld"))
    assert "!appeal 1" in word.body
    await ann.send_text(word.room, "!appeal 1 I was quoting the rules")
    await told(ann, bot, like("notice.appealed.other"))
    await scene.wait_desk(mina, lambda seen: like("desk.appealed").search(seen.body) is not None, "the appeal")
    assert like("error.appeal.own-decision").search(await ask(mark, bot, scene.desk, "!dismiss 1"))
    await mina.react(scene.desk, (await scene.card(mina, 1)).id, "❌")
    await told(ann, bot, like("notice.message.dismissed"))
    assert bot.rows("SELECT state, outcome, by FROM cases") == [("reversed", "dismissed", mina.user)]
    assert like("credit.now", credit="100").search(await ask(ann, bot, word.room, "!credit"))
