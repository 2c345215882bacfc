"""State next to a timeline may be very old, since another server chooses where a branch begins."""

import json
from typing import Any

from moderation.model.facts import RoleChanged
from tests.fakes.bad_line import BadLine
from tests.theatre.scene import Theatre, ask
from tests.theatre.served import RULES, like

SYNC = "GET /_matrix/client/v3/sync"


async def test_state_from_before_the_bot_gives_nobody_power(theatre: Theatre) -> None:
    async with BadLine(theatre.stage.server.url) as line:
        theatre.url = line.url
        bot = await theatre.bot(RULES)
        owner, ann, ben = await theatre.people("owner", "ann", "ben")
        room = await theatre.stage.room(owner, ann, ben)
        await owner.set_power(room, {ann.user: 100})
        events = (await owner.messages(room))[-20:]
        once = [event for event in events if event["type"] == "m.room.power_levels"][-1]
        assert once["content"]["users"][ann.user] == 100
        await ben.request("POST", "rooms", room, "leave", json={})
        left = [e for e in await owner.messages(room) if e["type"] == "m.room.member" and e["state_key"] == ben.user][
            -1
        ]
        await owner.invite(room, ben.user)
        await ben.join(room)
        await owner.set_power(room, {ann.user: 0, bot.user: 100})
        await owner.invite(room, bot.user)
        await bot.until_condition(room, "protected")

        def told(body: bytes) -> bytes:
            """Add state as of a branch that began earlier."""
            answer: dict[str, Any] = json.loads(body)
            if (part := answer.get("rooms", {}).get("join", {}).get(room)) and part["timeline"]["events"]:
                part["state"]["events"] += [once, left, {**once, "event_id": "$never", "state_key": "nobody"}]
            return json.dumps(answer).encode()

        line.change(SYNC, told)
        assert like("error.right.manager").search(await ask(ann, bot, room, f"!ban {ben.user} 1d I was somebody once"))
        await bot.idle()
        line.clear()
        assert [fact for fact in bot.facts(RoleChanged) if fact.subject == ann.user] == []
        assert once["event_id"] not in bot.recorded(room)
        member = "SELECT membership FROM members WHERE room = ? AND user = ?"
        assert bot.rows(member, room, ben.user) == [("join",)]
        await bot.stop()
