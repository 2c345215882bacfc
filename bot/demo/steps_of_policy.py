"""The steps of the story about messages that are refused before their delivery, and about what happens without it.

As in `steps.py`, a step returns the fields of `demo.NAME.seen`, or raises an error that says what was different.
"""

from moderation.values.ids import EventId

from .person import ClientRefused, DemoPerson
from .stage import DemoStage, expect, found
from .steps import Fields

STATE = "m.room.policy"
WORDS = "Look, the purple elephant is back."
SILENT_S = 120.0  # after ten seconds the bot stops the asking; more where many programs run


async def asks(stage: DemoStage) -> Fields:
    """Start the policy server; the owner has the room ask it, and its user joins by federation."""
    p = stage.people
    await stage.bot.start_policy()
    preview = await stage.answer(p.anna, stage.desk, await p.anna.send_text(stage.desk, "!policy on"))
    confirmed = found(r"!policy on \d+ G-\w+", preview.body)[0]
    await stage.moment("asks.confirmed")
    await stage.answer(p.anna, stage.desk, await p.anna.send_text(stage.desk, confirmed))
    content = await p.finn.wait_state(stage.room, STATE, lambda content: bool(content.get("via")), what="the setting")
    members = await p.finn.members(stage.room)
    user = next((user for user, at in members.items() if at == "join" and user.endswith(f":{content['via']}")), "")
    expect(user != "", f"nobody of {content['via']} is in the room: {members}")
    return {"via": content["via"], "user": user}


async def not_delivered(stage: DemoStage) -> Fields:
    """Send a forbidden message: it is refused, and another member's client never gets it."""
    p = stage.people
    refused = await _refused(stage, p.emil, WORDS)
    await stage.moment("not_delivered.refused")
    after = await p.emil.send_text(stage.room, "Well, then not.")
    await _arrives(stage, p.finn, after)
    expect(not p.finn.has_heard(stage.room, WORDS), "the message reached Finn's client")
    await stage.told(p.emil, WORDS)
    return {"words": refused.words}


async def goes_on(stage: DemoStage) -> Fields:
    """Kill the policy server: nobody can write then, until the bot stops the asking."""
    p = stage.people
    stage.bot.kill_policy()
    refused = await _refused(stage, p.emil, "Is anybody there?")
    await stage.moment("goes_on.silent")
    await p.finn.wait_state(
        stage.room, STATE, lambda content: not content.get("via"), what="the end", within_s=SILENT_S
    )
    await _arrives(stage, p.finn, await p.emil.send_text(stage.room, "There we are again."))
    return {"status": refused.status}


async def _refused(stage: DemoStage, who: DemoPerson, words: str) -> ClientRefused:
    try:
        await who.send_text(stage.room, words)
    except ClientRefused as refused:
        return refused
    raise AssertionError("the homeserver took the message")


async def _arrives(stage: DemoStage, who: DemoPerson, sent: EventId) -> None:
    await who.wait_event(stage.room, lambda event: event.event_id == sent, what="the next message")
