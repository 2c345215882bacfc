"""One group on a simulated homeserver with its desk: what people do there and can see there.

Rules kept here:
- People act once, as soon as they see what they wait for.
- Their messages have names that are the same in every run.
Left to others: how messages are sent and read, in the clear or encrypted (`people.py`); what they do when (`stories/`).
"""

from collections.abc import Mapping
from typing import Any

from tests.fakes.homeserver_rooms import Event, Room, World
from tests.long.faults.people import People
from tests.long.faults.running import Running

# What somebody says: who, the type and the content of the event, and what it is called.
Said = tuple[str, str, dict[str, Any], str]


class Group:
    """A group and its people."""

    def __init__(self, running: Running, people: People, room: str, desk: str) -> None:
        self.running = running
        self.people = people
        self.world: World = running.server.world
        self.room, self.desk = self.world.rooms[room], self.world.rooms[desk]
        self.users = people.users
        self.bot = running.session[0]
        self.place = len(self.world.order)  # where the story begins
        self.called: dict[str, str] = {}  # what the events of people are called
        self._done: set[str] = set()

    # What people do.

    async def say(self, name: str, body: str, room: Room) -> None:
        """Let somebody say something."""
        self.send(room, name, *await self.people.sealed(name, room, body), f"{name}: {body}")

    def send(self, room: Room, name: str, type: str, content: dict[str, Any], called: str) -> None:
        """Let somebody send an event, if they may."""
        event = self.world.send(room, self.users[name], type, content)
        self.called[event.id] = called
        self.running.server.tell()

    def press(self, name: str, event: Event, key: str, called: str) -> None:
        """Let somebody press a reaction in the desk."""
        relation = {"rel_type": "m.annotation", "event_id": event.id, "key": key}
        self.send(self.desk, name, "m.reaction", {"m.relates_to": relation}, called)

    def accept(self) -> None:
        """Let everybody whom the bot has invited join."""
        for room in [each for each in self.world.rooms.values() if each.creator == self.bot]:
            for user in self.users.values():
                if room.membership(user) == "invite":
                    self.world.join(room.id, user)
                    self.running.server.tell()

    def once(self, what: str) -> bool:
        """Tell whether this is the first call with `what`."""
        if what in self._done:
            return False
        self._done.add(what)
        return True

    # What they see.

    def direct(self, name: str) -> list[Room]:
        """Return the direct rooms of the bot with somebody."""
        made = [room for room in self.world.rooms.values() if room.creator == self.bot and room is not self.desk]
        return [room for room in made if room.membership(self.users[name]) == "join"]

    def card(self, n: int) -> Event | None:
        """Return the card of a case."""
        return next((e for e in self.desk.events if self.body(e.raw).startswith(f"Case {n} ")), None)

    def hears(self, room: Room, words: str) -> bool:
        """Tell whether the bot has sent these words to a room."""
        return any(e.raw["sender"] == self.bot and words in self.body(e.raw) for e in room.events)

    def body(self, raw: Mapping[str, Any]) -> str:
        """Return the text of an event."""
        return str(self.people.clear(dict(raw))["content"].get("body", ""))

    def label(self, room: Room) -> str:
        """Return a name for a room that is the same in every run."""
        if room.id in (self.room.id, self.desk.id):
            return "group" if room.id == self.room.id else "desk"
        people = [name for name, user in self.users.items() if room.membership(user) != "leave"]
        return "direct with " + " ".join(people)
