"""The steps of the story about cases, credit and power: what a broken rule brings, and to whom.

As in `steps.py`, a step returns the fields of `demo.NAME.seen`, or raises an error that says what was different.
"""

import re
from functools import partial

from nio import Event, PowerLevelsEvent, ReactionEvent, RedactionEvent

from moderation.values.ids import EventId

from .person import ClientRefused, DemoPerson
from .stage import MANAGER, MEMBER, WHEN, DemoStage, expect, found, mentions, number_of
from .steps import Fields
from .web import WebBrowser

LINK = re.compile(r"http://\S+/enter/[0-9a-f]+")
UPHOLD, DISMISS = "✅", "❌"
OFFERED = ("❌", "🔎")  # the rule itself has decided

# Cyrillic letters that look like Latin ones: letter for letter, this is not the phrase of the rule.
DISGUISED = "I dreamt of a \u0440urpl\u0435 \u0435leph\u0430nt"
ENDING = "By the way: the butler did it!"
MANAGERS_ENDING = "I can tell you: the butler did it."
MANAGERS_TICKET = "See TICKET-4711 for more."
CHARGE, SERIOUS = 10, 35  # what the two classes cost; `rules.toml`


async def hidden(stage: DemoStage) -> Fields:
    """Send a phrase of a rule, disguised by letters that look alike."""
    p = stage.people
    event = await p.emil.send_text(stage.room, DISGUISED)
    await stage.moment("hidden.sent")
    await _gone(stage, p.finn, event)
    await stage.moment("hidden.gone")
    await stage.told(p.emil, CHARGE, 100 - CHARGE)
    credit = await stage.credit_of(p.emil)
    expect(mentions(credit, 100 - CHARGE), credit)
    return {"sent": DISGUISED, "credit": 100 - CHARGE}


async def card(stage: DemoStage) -> Fields:
    """Check that the case is a card in the desk, with the words and reactions to press."""
    p = stage.people
    seen = await stage.card(p.ben, DISGUISED)
    expect(mentions(seen.body, p.emil.user, 100 - CHARGE), seen.body)
    for key in OFFERED:
        await p.carla.wait_event(stage.desk, partial(_offers, EventId(seen.event_id), key), what=f"a {key}")
    return {"n": number_of(seen), "offered": " ".join(OFFERED)}


async def dismissed(stage: DemoStage) -> Fields:
    """Dismiss the case as another manager, by one reaction."""
    p = stage.people
    await _press(stage, p.carla, DISGUISED, DISMISS)
    await stage.moment("dismissed.pressed")
    await stage.card_becomes(p.ben, DISGUISED, p.carla)
    await stage.told(p.emil, p.carla.user, 100)
    credit = await stage.credit_of(p.emil)
    expect(mentions(credit, 100), credit)
    return {"credit": 100}


async def upheld(stage: DemoStage) -> Fields:
    """Break a rule that managers decide: nothing happens before somebody decides in the console, everything after."""
    p = stage.people
    event = await p.finn.send_text(stage.room, ENDING)
    await stage.moment("upheld.sent")
    card = await stage.card(p.ben, ENDING)
    expect(not await p.dora.is_redacted(stage.room, event), "the message was removed before anybody decided")
    await _decide_in_console(stage, p.ben, number_of(card))
    await stage.moment("upheld.pressed")
    await _gone(stage, p.dora, event)
    await stage.card_becomes(p.carla, ENDING, p.ben)
    await stage.told(p.finn, p.ben.user, SERIOUS, 100 - SERIOUS)
    return {"credit": 100 - SERIOUS}


async def own(stage: DemoStage) -> Fields:
    """Break a rule as a manager, who may not decide that herself."""
    p = stage.people
    event = await p.carla.send_text(stage.room, MANAGERS_ENDING)
    card = await stage.card(p.carla, MANAGERS_ENDING)
    pressed = await _press(stage, p.carla, MANAGERS_ENDING, DISMISS)
    refusal = await stage.answer(p.ben, stage.desk, pressed, thread=card.event_id)
    expect(not await p.dora.is_redacted(stage.room, event), "the message is gone, and nobody has decided")
    await _press(stage, p.ben, MANAGERS_ENDING, UPHOLD)
    await stage.moment("own.pressed")
    await stage.card_becomes(p.ben, MANAGERS_ENDING, p.ben)
    await stage.told(p.carla, p.ben.user, SERIOUS, 100 - SERIOUS)
    return {"refusal": refusal.body, "credit": 100 - SERIOUS}


async def demoted(stage: DemoStage) -> Fields:
    """Uphold a second case, which takes the manager below the threshold and ends her rights without further action."""
    p = stage.people
    expect(await stage.level(p.carla.user) == MANAGER, "she was no manager any more")
    await p.carla.send_text(stage.room, MANAGERS_TICKET)
    await stage.moment("demoted.sent")
    await stage.card(p.ben, MANAGERS_TICKET)
    await _press(stage, p.ben, MANAGERS_TICKET, UPHOLD)
    await stage.moment("demoted.pressed")
    await p.finn.wait_state(
        stage.room, "m.room.power_levels", lambda levels: p.carla.user not in levels["users"], what="the demotion"
    )
    await stage.moment("demoted.lowered")
    expect(await stage.level(p.carla.user) == MEMBER, "she has a level of her own")
    credit = 100 - 2 * SERIOUS
    told = await stage.told(p.carla, p.ben.user, SERIOUS, credit)
    until = found(WHEN, told.body)[0]
    await stage.hears(p.ben, stage.desk, lambda s: mentions(s.body, p.carla.user, credit, until), what="news")
    await p.ben.wait_state(
        stage.desk,
        "m.room.member",
        lambda member: member.get("membership") == "leave",
        what="her removal from the desk",
        key=p.carla.user,
    )
    return {"level": MEMBER, "credit": credit, "until": until}


async def muted(stage: DemoStage) -> Fields:
    """Mute a member by command for a few seconds, in which he cannot post."""
    p = stage.people
    asked = await p.ben.send_text(stage.room, f"!mute {p.finn.user} {stage.mute_s}s let it rest")
    await stage.moment("muted.asked")
    # Seen from his own client, since the time is short and every request would take some of it.
    await p.finn.wait_event(
        stage.room,
        lambda event: isinstance(event, PowerLevelsEvent) and event.power_levels.get_user_level(p.finn.user) < MEMBER,
        what="the mute",
    )
    refused = await _refused(p.finn, stage.room)
    expect(refused is not None and refused.status == 403, f"he could post: {refused}")
    await stage.moment("muted.tried")
    await stage.answer(p.ben, stage.room, asked)
    await stage.told(p.finn, p.ben.user, "let it rest")
    return {"seconds": stage.mute_s, "status": 403}


async def refused(stage: DemoStage) -> Fields:
    """Check that a member, and the manager who was demoted, are refused."""
    p = stage.people
    answers = []
    for who, command in ((p.dora, "!kick"), (p.carla, "!ban")):
        asked = await who.send_text(stage.room, f"{command} {p.emil.user}")
        answers.append(await stage.answer(who, stage.room, asked))
    members = await p.anna.members(stage.room)
    expect(members.get(p.emil.user) == "join", f"Emil: {members.get(p.emil.user)}")
    return {"answer": answers[0].body}


async def restored(stage: DemoStage) -> Fields:
    """Wait for the end of the mute."""
    p = stage.people
    await p.finn.wait_state(
        stage.room,
        "m.room.power_levels",
        lambda levels: levels["users"].get(p.finn.user, 0) >= MEMBER,
        what="the end of the mute",
        within_s=30,
    )
    error = await _refused(p.finn, stage.room)
    expect(error is None, f"he still cannot post: {error}")
    room = await stage.direct(p.finn)
    told = await stage.hears(p.finn, room, _is_the_end, what="the end")
    return {"told": told.body.splitlines()[0]}


async def _decide_in_console(stage: DemoStage, who: DemoPerson, n: int) -> None:
    """Ask for a link to the console, open it, and say on the page of a case that a rule was broken."""
    await stage.bot.start_console()
    room = await stage.direct(who)
    await who.send_text(room, "!console")
    told = await stage.hears(who, room, lambda said: LINK.search(said.body) is not None, what="a link")
    async with WebBrowser() as browser:
        await browser.open(found(LINK, told.body)[0])
        await browser.press()
        await browser.open(f"/cases/{n}")
        expect("the butler did it" in browser.page, "the page does not show what was said")
        await browser.press(("what", "uphold"), reason="It gives the ending away.")
        await browser.press(("sure", "1"))


async def _press(stage: DemoStage, who: DemoPerson, words: str, key: str) -> EventId:
    """Press a reaction that is offered under the card about a message with these words."""
    card = stage.cards[words]
    await who.wait_event(stage.desk, partial(_offers, card, key), what=f"a {key}")
    return await who.react(stage.desk, card, key)


async def _gone(stage: DemoStage, who: DemoPerson, event: EventId) -> None:
    """Wait until `who` is told that the event was redacted, and check that the homeserver has stripped it."""
    await who.wait_event(
        stage.room,
        lambda heard: isinstance(heard, RedactionEvent) and heard.redacts == event,
        what="the redaction",
    )
    expect(await who.is_redacted(stage.room, event), "the homeserver still shows the message")


async def _refused(who: DemoPerson, room: str) -> ClientRefused | None:
    try:
        await who.send_text(room, "May I speak?")
    except ClientRefused as error:
        return error
    return None


def _offers(card: EventId, key: str, event: Event) -> bool:
    return isinstance(event, ReactionEvent) and (event.reacts_to, event.key) == (card, key)


def _is_the_end(seen: Event) -> bool:
    """Tell whether a message says that Finn may speak again: the only one without a charge and without a date."""
    return not mentions(seen.body, SERIOUS) and not WHEN.search(seen.body)
