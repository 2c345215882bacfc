"""The steps of the story about managers' duties: a missed deadline, its cost, and its review.

As in `steps.py`, a step returns the fields of `demo.NAME.seen`, or raises an error that says what was different.
"""

from .stage import MANAGER, MEMBER, WHEN, DemoStage, expect, mentions, number_of
from .steps import Fields

KEY = "Psst: the gardener hid the key."
NEGLECT = 61  # what a missed deadline costs here; `rules.toml`


async def missed(stage: DemoStage) -> Fields:
    """Leave a severe case undecided: Ben, who is on duty, loses standing and with it his rights."""
    p = stage.people
    event = await p.dora.send_text(stage.room, KEY)
    await stage.moment("missed.sent")
    await stage.card(p.ben, KEY)
    told = await stage.told(p.ben, NEGLECT, 100 - NEGLECT, "!appeal")
    await stage.moment("missed.charged")
    await p.finn.wait_state(
        stage.room, "m.room.power_levels", lambda levels: p.ben.user not in levels["users"], what="the demotion"
    )
    expect(await stage.level(p.ben.user) == MEMBER, "he has a level of his own")
    expect(not await p.finn.is_redacted(stage.room, event), "the message is gone, and nobody has decided")
    expect(bool(WHEN.search(told.body)), told.body)
    return {"standing": 100 - NEGLECT, "level": MEMBER}


async def passed_on(stage: DemoStage) -> Fields:
    """Pass the case on to the owner, who decides it in a direct message."""
    p = stage.people
    case = number_of(await stage.told(p.anna, "!uphold"), "uphold")
    room = await stage.direct(p.anna)
    asked = await p.anna.send_text(room, f"!uphold {case} it spoils the end for others")
    await stage.moment("passed_on.decided")
    await stage.answer(p.anna, room, asked)
    await stage.card_becomes(p.anna, KEY, p.anna)
    await stage.told(p.dora, p.anna.user)
    return {"n": case}


async def appealed(stage: DemoStage) -> Fields:
    """Appeal as Ben, who has lost his rights, not his voice."""
    p = stage.people
    case = number_of(await stage.told(p.ben, NEGLECT, 100 - NEGLECT, "!appeal"), "appeal")
    room = await stage.direct(p.ben)
    await p.ben.send_text(room, f"!appeal {case} I was reading chapter three, as agreed")
    await stage.moment("appealed.sent")
    told = await stage.told(p.anna, f"!dismiss {case}")
    await stage.card(p.anna, f" {case} · ")  # posted now that there is something to decide
    return {"n": case, "told": told.body.splitlines()[0]}


async def reversed_(stage: DemoStage) -> Fields:
    """Grant the appeal as Anna; everything is as if nothing had happened."""
    p = stage.people
    case = number_of(await stage.told(p.ben, NEGLECT, 100 - NEGLECT, "!appeal"), "appeal")
    room = await stage.direct(p.anna)
    await p.anna.send_text(room, f"!dismiss {case} fair enough")
    await stage.moment("reversed.decided")
    await p.finn.wait_state(
        stage.room,
        "m.room.power_levels",
        lambda levels: levels["users"].get(p.ben.user) == MANAGER,
        what="Ben at his old level",
    )
    await stage.told(p.ben, p.anna.user, 100)
    answer = await stage.credit_of(p.ben)
    expect(mentions(answer, 100), answer)
    return {"level": MANAGER, "standing": 100}
