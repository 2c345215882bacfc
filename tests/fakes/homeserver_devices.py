"""The simulated homeserver's messages between devices, and its reports of changed devices.

Rules kept here:
- A message is in every answer until its device has acknowledged it by the token of a later answer.
- A request with the same transaction id is delivered only once.
- The place in this order is the second half of a sync token, so that it moves forward and back with the first.
Left to others: keys (`homeserver_keys.py`), rooms (`homeserver_rooms.py`).

Specification: Matrix client-server API v1.19, "Send-to-Device messaging", "Extensions to /sync".
"""

from collections.abc import Iterable

from tests.fakes.homeserver_rooms import MEMBER, Event, Json, Room, World

_AT_ONCE = 100  # messages in one answer


class Devices:
    """Everybody's devices."""

    def __init__(self) -> None:
        self.count = 0  # of all that was ever noted
        self._of: dict[str, list[str]] = {}
        self._waiting: dict[tuple[str, str], list[tuple[int, Json]]] = {}
        self._changed: list[tuple[int, str]] = []
        self._sent: set[tuple[str, str, str]] = set()

    def add(self, user: str, device: str) -> None:
        """Add a device of a user."""
        self._of.setdefault(user, []).append(device)

    def changed(self, user: str) -> None:
        """Note that a user's keys have changed."""
        self.count += 1
        self._changed.append((self.count, user))

    def send(self, user: str, device: str, type: str, txn: str, body: Json) -> Json:
        """Queue messages for devices (section "PUT /sendToDevice/{eventType}/{txnId}")."""
        if (device, type, txn) not in self._sent:
            self._sent.add((device, type, txn))
            for receiver, messages in body["messages"].items():
                there = self._of.get(receiver, [])
                named = dict.fromkeys(there, messages["*"]) if list(messages) == ["*"] else messages
                for each in named.keys() & there:
                    self._put(receiver, each, {"type": type, "sender": user, "content": named[each]})
        return {}

    def _put(self, user: str, device: str, message: Json) -> None:
        self.count += 1
        self._waiting.setdefault((user, device), []).append((self.count, message))

    def has_news(self, world: World, user: str, device: str, since: int) -> bool:
        """Tell whether there is news for a device that knows everything up to `since`."""
        return bool(self._waiting.get((user, device))) or bool(self._changed_for(world, user, since))

    def acknowledged(self, user: str, device: str, place: int) -> None:
        """Drop the messages up to here, which the device has received."""
        waiting = self._waiting.get((user, device), [])
        waiting[:] = [each for each in waiting if each[0] > place]

    def of_sync(
        self, world: World, user: str, device: str, since: int, events: Iterable[tuple[Room, Event]], *, first: bool
    ) -> tuple[Json, int]:
        """Return the parts of `/sync` for this device, and the place up to which they go.

        `events` are the new events of rooms.
        """
        waiting = self._waiting.get((user, device), [])[:_AT_ONCE]
        upto = waiting[-1][0] if len(waiting) == _AT_ONCE else self.count
        answer: Json = {"to_device": {"events": [message for _, message in waiting]}} if waiting else {}
        if not first:
            changed = self._changed_for(world, user, since, upto)
            came, left = _moved(world, user, events)
            lists = {"changed": sorted(changed | came), "left": sorted(left)}
            answer |= {"device_lists": {name: users for name, users in lists.items() if users}}
        return answer, upto

    def _changed_for(self, world: World, user: str, since: int, upto: int | None = None) -> set[str]:
        end = self.count if upto is None else upto
        names = {name for place, name in self._changed if since < place <= end}
        return {name for name in names if name == user or _share_a_room(world, user, name)}


def _share_a_room(world: World, one: str, other: str) -> bool:
    """Tell whether two users share a room."""
    theirs = sorted((world.rooms_of.get(each, {}) for each in (one, other)), key=len)
    found = (room for id, room in theirs[0].items() if id in theirs[1])
    return any(room.membership(one) == room.membership(other) == "join" for room in found)


def _moved(world: World, user: str, events: Iterable[tuple[Room, Event]]) -> tuple[set[str], set[str]]:
    """Return with whom the user shares a room since these events, and with whom no longer."""
    came, gone = set[str](), set[str]()
    for room, event in events:
        if event.raw["type"] != MEMBER or (room.membership(user) != "join" and event.raw["state_key"] != user):
            continue
        before = event.before.raw["content"]["membership"] if event.before else "leave"
        mine, now = event.raw["state_key"] == user, event.raw["content"]["membership"]
        whom = set(room.joined()) if mine else {event.raw["state_key"]}
        if now == "join" != before:
            came |= whom
        elif before == "join" != now:
            gone |= whom
    return came - gone, {each for each in gone if each != user and not _share_a_room(world, user, each)}
