"""The kinds of spam of `bench/raid.py`, and the accounts that send them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from moderation.values.ids import RoomId
from tests.people.client import Client, MatrixError

WORD = "purple elephant"
PICTURE = "mxc://localhost/aaaaaaaaaaaaaaaaaaaaaaaa"
EACH = 2  # messages of a raider in each room
ENTERING = "entering"

Json = dict[str, Any]
NAME = "name"  # a display name with the word: it is seen as soon as the person enters
KINDS = ("text", "link", "reaction", "inline image", "gallery", NAME)


def spam_of(kind: str, anchor: str, n: int) -> tuple[str, Json]:
    """Return type and content of a message of a kind; `anchor` is an event of somebody else."""
    if kind == "reaction":
        return "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": anchor, "key": f"{WORD} {n}"}}
    return "m.room.message", _MESSAGES[kind](n)


def _gallery(n: int) -> Json:
    item = {"itemtype": "m.image", "body": "a.png", "url": PICTURE, "info": {"mimetype": "image/png", "size": 100}}
    return {"msgtype": "dm.filament.gallery", "body": str(n), "itemtypes": [item, item]}


def _inline_image(n: int) -> Json:
    html = f'look <img src="{PICTURE}" alt="here">'
    return {"msgtype": "m.text", "body": f"{n}", "format": "org.matrix.custom.html", "formatted_body": html}


_MESSAGES: dict[str, Callable[[int], Json]] = {
    "text": lambda n: {"msgtype": "m.text", "body": f"get your {WORD} today, {n}"},  # a rule names the word
    "link": lambda n: {"msgtype": "m.text", "body": f"come over: https://raid{n}.example/join"},  # no rule names it
    "inline image": _inline_image,
    "gallery": _gallery,
}


@dataclass
class Raider:
    """One account of the raid; `taken` has the events that the homeserver took."""

    client: Client
    kind: str
    tried: int = 0  # messages that it wanted to send
    taken: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds until the homeserver had answered each message
    rooms: list[RoomId] = field(default_factory=list)  # those that it could enter

    async def dress(self, number: int) -> None:
        """Take a display name."""
        name = f"{WORD} {number}" if self.kind == NAME else f"Ann {number}"
        await self.client.request("PUT", "profile", self.client.user, "displayname", json={"displayname": name})

    async def spam(self, rooms: Sequence[RoomId], anchors: dict[RoomId, str]) -> None:
        """Enter the rooms one after the other and say in each what this kind says."""
        for room in rooms:
            self.tried += 0 if self.kind == NAME else EACH
            if await enters(self.client, room):
                self.rooms.append(room)
                await self._say(room, anchors[room])

    async def _say(self, room: RoomId, anchor: str) -> None:
        for n in range(0 if self.kind == NAME else EACH):
            began = time.monotonic()
            try:
                self.taken.append(await self.client.send(room, *spam_of(self.kind, anchor, n)))
            except MatrixError:
                continue  # muted or removed by now: nobody sees it
            self.waits.append(time.monotonic() - began)


async def enters(who: Client, room: RoomId) -> bool:
    """Tell whether somebody can enter a room."""
    try:
        await who.join(room)
    except MatrixError:
        return False
    return True
