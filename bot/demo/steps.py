"""The steps that set up the story: the homeserver, the people, the bot; joining, records, desk, vouching.

A step does something as one of the people and looks through others' clients at the result. It returns the fields of its
text `demo.NAME.seen`, or raises an error that says what was different. Left to others: cases, credit and power
(`steps_of_cases.py`), running the steps (`story.py`).
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import orjson
from nio import InviteMemberEvent

from .person import DemoPerson
from .stage import BOT, MANAGER, NAMES, PASSWORD, DemoPeople, DemoStage, expect, is_bot

Fields = dict[str, object]
REASON = "demo"


async def homeserver(stage: DemoStage) -> Fields:
    """Start a homeserver of our own."""
    return {"url": (await stage.start_homeserver()).url}


async def people(stage: DemoStage) -> Fields:
    """Bring in an owner, two managers and three members, and make their room."""
    stage.cast = DemoPeople(**{name: await stage.enter(name) for name in NAMES})
    p = stage.cast
    others = (p.ben, p.carla, p.dora, p.emil, p.finn)
    stage.room = await p.anna.create_room("Reading circle", invite=[who.user for who in others])
    await asyncio.gather(*(who.join(stage.room) for who in others))
    # The bot gets its level before it comes: 100, so that it stands above the managers, and Anna, who created the room,
    # above the bot.
    await p.anna.set_power(stage.room, {p.ben.user: MANAGER, p.carla.user: MANAGER, stage.id_of(BOT): 100})
    joined = {user for user, membership in (await p.finn.members(stage.room)).items() if membership == "join"}
    expect(joined == {who.user for who in (p.anna, *others)}, f"in the room: {sorted(joined)}")
    return {"count": len(joined)}


async def bot(stage: DemoStage) -> Fields:
    """Run `answerable init`, then `answerable run`."""
    synapse = await stage.start_homeserver()
    account = await synapse.register(BOT, PASSWORD)
    policy_server = await stage.policy_server()
    await stage.bot.set_up(synapse.url, account.user, PASSWORD, stage.id_of("anna"), policy_server)
    stage.bot.start()
    await stage.bot.until_ready()
    return {"pid": str(stage.bot.pid)}


async def joining(stage: DemoStage) -> Fields:
    """Wait for the notice, and for its pin."""
    p = stage.people
    stage.before = await p.dora.send_text(stage.room, "Nobody has told me yet that this is recorded.")
    await p.anna.invite(stage.room, stage.id_of(BOT))
    await stage.moment("joining.invited")
    notice = await stage.hears(p.dora, stage.room, lambda _: True, what="the notice")
    await stage.moment("joining.told")
    pinned = await p.finn.wait_state(
        stage.room, "m.room.pinned_events", lambda content: notice.event_id in content.get("pinned", []), what="the pin"
    )
    expect(pinned["pinned"] == [notice.event_id], f"pinned: {pinned}")
    return {"words": notice.body.splitlines()[1][:100]}


async def recorded(stage: DemoStage) -> Fields:
    """Check that new messages are recorded, earlier ones are not, and that the pin was there first."""
    p = stage.people
    after = [
        await p.dora.send_text(stage.room, "Good morning, everybody."),
        await p.emil.send_text(stage.room, "今天读第三章。"),
    ]
    # The answer shows that everything said before it has been processed.
    await stage.answer(p.finn, stage.room, await p.finn.send_text(stage.room, "!rules"))
    records = await _records(stage)
    written = {part["ev"]: part.get("body") for record in records for part in record["x"] if "ev" in part}
    expect(set(after) <= written.keys(), f"recorded: {written}")
    expect(stage.before not in written, "what was said before the notice is in the records")
    pinned, first = await _pinned_at(stage, p.dora), _first_of_the_room(records)
    expect(pinned <= first, f"pinned at {pinned}, recorded from {first} on")
    texts = " / ".join(str(written[event]) for event in after)
    return {"texts": texts, "pinned": _clock(pinned), "first": _clock(first)}


async def desk(stage: DemoStage) -> Fields:
    """Check that the managers' room holds exactly those who run the group."""
    p = stage.people
    running = (p.anna, p.ben, p.carla)
    for who in running:
        room = await who.wait_invite(_is_to_the_desk, what="the invitation to the desk")
        await who.join(room)
        expect(stage.desk in ("", room), f"two desks: {stage.desk} and {room}")
        stage.desk = room
    members = {user for user, at in (await p.ben.members(stage.desk)).items() if at in ("join", "invite")}
    expect(members == {stage.id_of(BOT), *(who.user for who in running)}, f"in the desk: {sorted(members)}")
    return {"who": _names(running)}


async def vouched(stage: DemoStage) -> Fields:
    """Vouch for a manager as the operator; the manager then vouches for a member, and everybody can see it."""
    p = stage.people
    await stage.answer(p.anna, stage.room, await p.anna.send_text(stage.room, f"!vouch {p.ben.user}"))
    asked = await p.ben.send_text(stage.room, f"!vouch {p.dora.user}")
    await stage.moment("vouched.asked")
    await stage.answer(p.ben, stage.room, asked)
    await stage.told(p.dora, p.ben.user)
    answer = await stage.answer(p.emil, stage.room, await p.emil.send_text(stage.room, "!who"))
    line = next((line for line in answer.body.splitlines() if p.dora.user in line), "")
    expect(bool(line) and p.emil.user not in answer.body, answer.body)
    return {"line": line}


async def verified(stage: DemoStage) -> Fields:
    """Check the records as the operator."""
    ran = await stage.bot.command("logs", "verify", "--json")
    expect(ran.code == 0, f"exit code {ran.code}: {ran.out} {ran.err}")
    report: dict[str, Any] = orjson.loads(ran.out)
    expect(report["ok"] is True and report["records"] > 0, report)
    return {"records": report["records"]}


def _is_to_the_desk(invite: InviteMemberEvent) -> bool:
    return is_bot(invite.sender) and "is_direct" not in invite.content


async def _records(stage: DemoStage) -> list[dict[str, Any]]:
    """Read the records as the operator does: with a reason, which is recorded, too."""
    ran = await stage.bot.command("logs", "show", "--json", "--last", "10000", "--reason", REASON)
    expect(ran.code == 0, f"logs show: {ran.code} {ran.err}")
    return [orjson.loads(line) for line in ran.out.splitlines()]


def _first_of_the_room(records: Sequence[dict[str, Any]]) -> int:
    """Return when something in the room was first recorded, in milliseconds."""
    entered = next(r for r in records if r["k"] == "state" and r.get("purpose") == "group")
    first = next(r for r in records if r.get("g") == entered["g"] and any("ev" in part for part in r["x"]))
    return int(dt.datetime.fromisoformat(first["t"]).timestamp() * 1000)


async def _pinned_at(stage: DemoStage, who: DemoPerson) -> int:
    pin = await who.wait_event(stage.room, lambda event: event.source["type"] == "m.room.pinned_events", what="the pin")
    return int(pin.server_timestamp)


def _clock(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%H:%M:%S.%f")[:-3]


def _names(people: Sequence[DemoPerson]) -> str:
    return ", ".join(who.user for who in people)
