"""The simulated homeserver answers as Synapse does: both get the same requests, and whole answers are compared.

Values that always differ are replaced first: ids, times, tokens and secrets are named in the order in which they
appear. Fields of Synapse that the simulation does not need are left out (`_BEYOND` lists them).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest

from bot.matrix.sync_filter import SYNC_FILTER
from moderation.values.ids import UserId
from tests.fakes.homeserver import SimulatedHomeserver
from tests.people.client import Client
from tests.theatre.stage import Stage

Story = Callable[["Side"], Awaitable[None]]
_ID = re.compile(r"[$!@][A-Za-z0-9_=./-]{8,}(:[a-z.]+)?|@[a-z0-9-]+:[a-z.]+")
_BLOCKS = ("state", "account_data", "ephemeral", "timeline", "to_device")
_TOKENS = ("next_batch", "prev_batch", "start", "end")
_TIMES = ("origin_server_ts", "retry_after_ms")
_UNORDERED = ("state of the room", "changed", "left")
# What clients may ignore and the bot does: ages, counters, the state before, other spellings of the same.
_BEYOND = (
    "age",
    "user_id",
    "membership",
    "prev_content",
    "replaces_state",
    "prev_sender",
    "redacted_by",
    "age_ts",
    "unread_notifications",
    "summary",
    "m.relations",
    "org.matrix.msc2732.device_unused_fallback_key_types",
    "org.matrix.msc4222.state_after",
    "presence",
    "groups",
    "invited_state_events",
)


class Side:
    """One of the two homeservers: its people and their answers, with varying values replaced by names."""

    def __init__(self, people: dict[str, Client]) -> None:
        self.people = people
        self._names: dict[str, str] = {client.user: name for name, client in people.items()}
        self.told: list[tuple[str, int, Any]] = []

    async def ask(self, who: str, what: str, method: str, *segments: str, token: str | None = None, **more: Any) -> Any:
        """Make a request, and note the whole answer under the name `what`."""
        client = self.people[who]
        client_token = client.token if token is None else token
        headers = {"Authorization": f"Bearer {client_token}"} if client_token else {}
        version = "v1" if "hierarchy" in segments else "v3"
        url = f"{client.url}/_matrix/client/{version}" + "".join("/" + quote(s, safe="") for s in segments)
        async with aiohttp.ClientSession() as session:
            body = more.get("raw") or (orjson.dumps(more["json"]) if "json" in more else None)
            async with session.request(method, url, data=body, params=more.get("query"), headers=headers) as response:
                answer = orjson.loads(await response.read())
                if "context" in segments and "state" in answer:
                    answer["state"].sort(key=lambda event: (event["type"], self.named(event["state_key"])))
                self.told.append((what, response.status, self.named(answer, what)))
                return answer

    def named(self, value: Any, key: str = "") -> Any:
        """Return a value with varying parts replaced by names."""
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if k not in _BEYOND or key == "content"}
            if kept.get("unsigned") is not None and not self.named(kept["unsigned"]):
                kept.pop("unsigned")
            return {self.named(k): self.named(v, k) for k, v in sorted(kept.items()) if not _empty(k, v)}
        if isinstance(value, list):
            named = [self.named(each, key) for each in value]
            return sorted(named, key=str) if key in _UNORDERED else named
        if key in _TIMES:
            return type(value).__name__
        if key in _TOKENS:
            return "token"
        if not isinstance(value, str):
            return value
        return self._names.get(value) or _ID.sub(lambda found: self._name(found[0]), value)

    def _name(self, text: str) -> str:
        return self._names.setdefault(text, f"{text[0]}{len(self._names)}")


def _empty(key: str, value: Any) -> bool:
    """Tell whether this is an empty block of `/sync`, which may be left out."""
    return value == {} if key == "device_lists" else key in _BLOCKS and value == {"events": []}


@pytest.fixture
async def sides(stage: Stage) -> AsyncIterator[tuple[Side, Side]]:
    names = ("ann", "ben", "cid")
    real = {name: await stage.person(name) for name in names}
    async with SimulatedHomeserver() as server:
        fake = {}
        for name in names:
            user, token, _ = server.account(real[name].user[1:].partition(":")[0])
            fake[name] = Client(server.url, user, token)
        yield Side(real), Side(fake)


def say(body: str) -> dict[str, str]:
    return {"msgtype": "m.text", "body": body}


async def play(side: Side) -> None:
    """Create a room, speak in it, moderate it and leave it; note every answer."""
    ann, ben, cid = (side.people[name].user for name in ("ann", "ben", "cid"))
    made = await side.ask("ann", "create", "POST", "createRoom", json={"preset": "private_chat", "name": "A room"})
    room = made["room_id"]
    since: dict[str, str] = {}

    async def sync(who: str, what: str) -> None:
        query = {"timeout": "0", "filter": orjson.dumps(SYNC_FILTER).decode()}
        if who in since:
            query["since"] = since[who]
        since[who] = (await side.ask(who, what, "GET", "sync", query=query))["next_batch"]

    async def at(who: str, what: str, method: str, *segments: str, **more: Any) -> Any:
        return await side.ask(who, what, method, "rooms", room, *segments, **more)

    await sync("ann", "first sync of the creator")
    await sync("ben", "first sync of a stranger")
    await at("ben", "a stranger speaks", "PUT", "send", "m.room.message", "t1", json=say("hello"))
    await at("ben", "a stranger looks", "GET", "state")
    await at("ben", "a stranger reads", "GET", "messages", query={"dir": "b"})
    await side.ask("ben", "a stranger joins", "POST", "join", room, json={})
    await at("ann", "invite", "POST", "invite", json={"user_id": ben})
    await sync("ben", "sync with an invitation")
    await side.ask("ben", "join", "POST", "join", room, json={})
    await sync("ben", "sync after joining")
    await sync("ann", "sync with a member who came")
    await at("ann", "invite who is there", "POST", "invite", json={"user_id": ben})
    sent = await at("ben", "send", "PUT", "send", "m.room.message", "t2", json=say("hello"))
    await at("ben", "send again", "PUT", "send", "m.room.message", "t2", json=say("hello"))
    await sync("ann", "sync with a message")
    await sync("ben", "sync with one's own message")
    await at("ann", "event", "GET", "event", sent["event_id"])
    await at("ann", "no event", "GET", "event", "$" + "x" * 43)
    await at("ben", "redact another's", "PUT", "redact", made.get("none", "$" + "y" * 43), "t3", json={})
    await at("ann", "redact", "PUT", "redact", sent["event_id"], "t4", json={"reason": "not here"})
    await at("ann", "redact again", "PUT", "redact", sent["event_id"], "t4", json={"reason": "not here"})
    await sync("ben", "sync with a redaction")
    await at("ben", "what was redacted", "GET", "event", sent["event_id"])
    await at("ben", "state by a member", "PUT", "state", "m.room.name", "", json={"name": "Mine"})
    levels = await at("ann", "levels", "GET", "state", "m.room.power_levels", "")
    muted = {**levels, "users": {ben: -1}}
    await at("ann", "set levels", "PUT", "state", "m.room.power_levels", "", json=muted)
    await at("ann", "set the same levels", "PUT", "state", "m.room.power_levels", "", json=muted)
    await at("ben", "the muted speaks", "PUT", "send", "m.room.message", "t5", json=say("let me"))
    await at("ann", "levels as an event", "GET", "state", "m.room.power_levels", "", query={"format": "event"})
    await at("ann", "no such state", "GET", "state", "m.room.tombstone", "")
    await at("ann", "members", "GET", "members")
    await at("ann", "members who are in", "GET", "members", query={"membership": "join"})
    await at("ann", "state of the room", "GET", "state")
    await at("ben", "state at a message", "GET", "context", sent["event_id"], query={"limit": "0"})
    await at("ann", "state at no event", "GET", "context", "$" + "x" * 43, query={"limit": "0"})
    await at("cid", "a stranger asks for state at a message", "GET", "context", sent["event_id"])
    for number in range(15):
        await at("ann", "one of many", "PUT", "send", "m.room.message", f"m{number}", json=say(f"message {number}"))
    await _limited(side, room, since)
    page = await at("ben", "messages back", "GET", "messages", query={"dir": "b", "limit": "5"})
    only_ann = orjson.dumps({"senders": [side.people["ann"].user]}).decode()
    await at("ben", "messages of one", "GET", "messages", query={"dir": "b", "limit": "50", "filter": only_ann})
    await at("ben", "the page before", "GET", "messages", query={"dir": "b", "limit": "5", "from": page["end"]})
    await at("ben", "kick by a member", "POST", "kick", json={"user_id": ann})
    await at("ann", "kick", "POST", "kick", json={"user_id": ben, "reason": "a while"})
    await sync("ben", "sync after a kick")
    await at("ann", "kick who is out", "POST", "kick", json={"user_id": ben})
    await at("ann", "ban", "POST", "ban", json={"user_id": cid})
    await side.ask("cid", "the banned joins", "POST", "join", room, json={})
    await at("ann", "unban", "POST", "unban", json={"user_id": cid})
    await at("ann", "unban who is not banned", "POST", "unban", json={"user_id": cid})
    await side.ask("ann", "rooms one is in", "GET", "joined_rooms")
    await at("ann", "leave", "POST", "leave", json={})
    await sync("ann", "sync after leaving")
    await side.ask("ann", "data never set", "GET", "user", ann, "account_data", "org.example")
    await side.ask("ann", "set data", "PUT", "user", ann, "account_data", "org.example", json={"a": 1})
    await side.ask("ann", "data", "GET", "user", ann, "account_data", "org.example")
    await side.ask("ann", "no JSON", "POST", "createRoom", raw=b"{half")
    await side.ask("ann", "nothing there", "GET", "no_such_thing")
    await side.ask("ann", "no token", "GET", "sync", token="")
    await side.ask("ann", "a token of nobody", "GET", "sync", token="nobody's")


async def play_with_reactions(side: Side) -> None:
    """React in all the ways that are refused; note every answer."""
    room, other = [
        (await side.ask("ann", "create", "POST", "createRoom", json={"preset": "private_chat"}))["room_id"]
        for _ in range(2)
    ]
    said = ("rooms", room, "send", "m.room.message", "t1")
    here = (await side.ask("ann", "to be reacted to", "PUT", *said, json=say("look")))["event_id"]

    async def react(what: str, where: str, event: str, txn: str, **key: str) -> Any:
        relation = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, **key}}
        return await side.ask("ann", what, "PUT", "rooms", where, "send", "m.reaction", txn, json=relation)

    first = await react("react", room, here, "r1", key="+")
    await react("react twice", room, here, "r2", key="+")
    await react("react otherwise", room, here, "r3", key="-")
    await react("react without a key", room, here, "r4")
    await react("react from another room", other, here, "r5", key="+")
    await react("react to nothing", room, "$" + "x" * 43, "r6", key="+")
    await side.ask("ann", "take it back", "PUT", "rooms", room, "redact", first["event_id"], "t2", json={})
    await react("react once more", room, here, "r7", key="+")


async def play_with_knocks(side: Side) -> None:
    """Knock at a closed room, at one that is open for it, and when one is invited; note every answer."""
    cid, since = side.people["cid"].user, ""

    async def sync(what: str) -> None:
        nonlocal since
        query = {"timeout": "0", "filter": orjson.dumps(SYNC_FILTER).decode()} | ({"since": since} if since else {})
        since = (await side.ask("cid", what, "GET", "sync", query=query))["next_batch"]

    await sync("first sync of the person who knocks")
    room = (await side.ask("ann", "create", "POST", "createRoom", json={"preset": "private_chat"}))["room_id"]
    await side.ask("cid", "knock at a closed room", "POST", "knock", room, json={})
    rules = {"join_rule": "knock"}
    await side.ask("ann", "let knock", "PUT", "rooms", room, "state", "m.room.join_rules", "", json=rules)
    await side.ask("cid", "join where one may knock", "POST", "join", room, json={})
    await side.ask("cid", "knock", "POST", "knock", room, json={"reason": "please"})
    await sync("sync after a knock")
    await side.ask("ann", "invite the person who knocked", "POST", "rooms", room, "invite", json={"user_id": cid})
    await sync("sync with the invitation")
    await side.ask("cid", "knock when invited", "POST", "knock", room, json={})
    await side.ask("cid", "knock at no room", "POST", "knock", "!none:localhost", json={})
    await side.ask("cid", "refuse", "POST", "rooms", room, "leave", json={})
    await side.ask("cid", "knock again", "POST", "knock", room, json={})
    await side.ask("ann", "refuse a knock", "POST", "rooms", room, "kick", json={"user_id": cid})
    await side.ask("ann", "ban", "POST", "rooms", room, "ban", json={"user_id": cid})
    await side.ask("cid", "knock when banned", "POST", "knock", room, json={})


async def play_with_coming_back(side: Side) -> None:
    """Read what was said while one was out, as a member who was removed, invited and came back; note every answer."""
    ben = side.people["ben"].user
    made = await side.ask("ann", "create", "POST", "createRoom", json={"preset": "private_chat", "invite": [ben]})
    room, since = made["room_id"], ""

    async def sync(what: str, limit: int = 100) -> None:
        nonlocal since
        timeline = {"timeline": {"limit": limit, "lazy_load_members": True}}
        query = {"timeout": "0", "filter": orjson.dumps({"room": {**SYNC_FILTER["room"], **timeline}}).decode()}
        query |= {"since": since} if since else {}
        since = (await side.ask("ben", what, "GET", "sync", query=query))["next_batch"]

    async def say_in_it(count: int, when: str) -> None:
        for number in range(count):
            body = say(f"{when} {number}")
            await side.ask("ann", "speak", "PUT", "rooms", room, "send", "m.room.message", f"{when}{number}", json=body)

    async def pages(what: str) -> None:
        await side.ask("ben", what, "GET", "rooms", room, "messages", query={"dir": "b", "limit": "4"})

    await side.ask("ben", "join", "POST", "join", room, json={})
    await sync("sync after joining")
    side.told[-1][2].pop("account_data", None)
    await say_in_it(2, "there")
    await side.ask("ann", "kick", "POST", "rooms", room, "kick", json={"user_id": ben})
    await say_in_it(2, "gone")
    await pages("messages of a room one was removed from")
    await side.ask("ann", "invite", "POST", "rooms", room, "invite", json={"user_id": ben})
    await pages("messages of a room one is invited to")
    await sync("sync with the invitation")
    await side.ask("ben", "come back", "POST", "join", room, json={})
    await sync("sync after coming back")
    await pages("messages after coming back")
    await say_in_it(6, "again")
    await side.ask("ann", "kick again", "POST", "rooms", room, "kick", json={"user_id": ben})
    await say_in_it(1, "last")
    await sync("sync after a kick with a gap", limit=3)


async def play_with_profiles(side: Side) -> None:
    """Change one's display name, which changes memberships too; note every answer."""
    ann = side.people["ann"].user
    room = (await side.ask("ann", "create", "POST", "createRoom", json={"preset": "private_chat"}))["room_id"]
    await side.ask("ann", "first name", "GET", "profile", ann)
    await side.ask("ann", "new name", "PUT", "profile", ann, "displayname", json={"displayname": "Ann of the north"})
    await side.ask("ann", "name", "GET", "profile", ann)
    await side.ask("ben", "name as others see it", "GET", "profile", ann)
    async with asyncio.timeout(120):  # Synapse tells the rooms a little later
        while await _name_in(side, room) != "Ann of the north":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await side.ask("ann", "members", "GET", "rooms", room, "members")
    await side.ask("ann", "invite", "POST", "rooms", room, "invite", json={"user_id": side.people["ben"].user})
    await side.ask("ben", "another's name", "PUT", "profile", ann, "displayname", json={"displayname": "x"})


async def play_with_spaces(side: Side) -> None:
    """List rooms in a space, some of which the reader may not see; note every answer."""
    names: dict[str, str] = {}

    async def create(what: str, **more: Any) -> str:
        room = str((await side.ask("ann", what, "POST", "createRoom", json={"name": what, **more}))["room_id"])
        names[room] = what
        return room

    async def summarised(members: int) -> None:
        """Wait until all summaries tell of each room what it is called, and how many are in the space."""
        wanted = {room: (name, members if room == space else 1) for room, name in names.items()}
        async with asyncio.timeout(120):  # Synapse makes them a little later
            while await _summaries(side, space) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    space = await create("space", creation_content={"type": "m.space"}, preset="private_chat")
    rooms = [await create("open", preset="public_chat"), await create("secret", preset="private_chat")]
    rooms.append(await create("inner", preset="public_chat", creation_content={"type": "m.space"}))
    for place, room in enumerate(rooms):
        child = {"via": ["localhost"], "order": f"{place}"}
        await side.ask("ann", "list", "PUT", "rooms", space, "state", "m.space.child", room, json=child)
    await summarised(members=1)
    await side.ask("ann", "rooms of a space", "GET", "rooms", space, "hierarchy", query={"max_depth": "1"})
    await side.ask("ben", "rooms of a secret space", "GET", "rooms", space, "hierarchy", query={"max_depth": "1"})
    await side.ask("ann", "invite", "POST", "rooms", space, "invite", json={"user_id": side.people["ben"].user})
    await side.ask("ben", "join", "POST", "join", space, json={})
    await summarised(members=2)
    await side.ask("ben", "rooms that one may see", "GET", "rooms", space, "hierarchy", query={"max_depth": "1"})


async def play_with_aliases(side: Side) -> None:
    """Find rooms by their aliases, and read the state of rooms from outside."""
    shown = {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "world_readable"}}
    for name, state in (("open", [shown]), ("closed", [])):
        body = {"preset": "public_chat", "room_alias_name": f"{name}-to-read", "initial_state": state}
        room = str((await side.ask("ann", "create", "POST", "createRoom", json=body))["room_id"])
        alias = f"#{name}-to-read:{side.people['ben'].user.partition(':')[2]}"
        await side.ask("ben", "where an alias leads", "GET", "directory", "room", alias)
        side.told[-1][2].pop("servers")
        if state:  # whole states are compared elsewhere, and an alias has the name of the server
            read = await side.people["ben"].request("GET", "rooms", room, "state")
            side.told.append(("state from outside", 200, sorted(each["type"] for each in read)))
        else:
            await side.ask("ben", "state of the room", "GET", "rooms", room, "state")
    await side.ask("ben", "an alias of nothing", "GET", "directory", "room", "#nothing:localhost")


async def _summaries(side: Side, space: str) -> dict[str, tuple[str, int]]:
    """Return name and number of members of each room of a space, as its creator is told them."""
    answer = await side.people["ann"].request("GET", "rooms", space, "hierarchy", base="/_matrix/client/v1")
    return {each["room_id"]: (each.get("name", ""), each.get("num_joined_members", 0)) for each in answer["rooms"]}


async def _name_in(side: Side, room: str) -> str:
    ann = side.people["ann"]
    return str((await ann.state(room, "m.room.member", ann.user) or {}).get("displayname"))


async def play_with_devices(side: Side) -> None:
    """Upload, query and claim keys, and send messages between devices; note every answer."""
    since: dict[str, str] = {}
    devices = {n: (await side.ask(n, "who", "GET", "account", "whoami"))["device_id"] for n in side.people}
    side._names |= {device: f"device of {name}" for name, device in devices.items()}
    side.told.clear()
    ann, ben, cid = (side.people[name].user for name in ("ann", "ben", "cid"))

    async def sync(who: str, what: str, wait_ms: str = "0") -> None:
        query = {"timeout": wait_ms, "filter": orjson.dumps(SYNC_FILTER).decode()}
        query |= {"since": since[who]} if who in since else {}
        since[who] = (await side.ask(who, what, "GET", "sync", query=query))["next_batch"]
        side.told[-1][2].pop("rooms", None)  # `play` looks at those

    def signatures(who: str) -> dict[str, Any]:
        return {side.people[who].user: {"ed25519:D": "a signature"}}

    def key(who: str, name: str, **more: Any) -> dict[str, Any]:
        return {"key": name, "signatures": signatures(who), **more}

    async def keys(who: str, what: str, *one_time: str, **more: Any) -> None:
        body = {"one_time_keys": {f"signed_curve25519:{name}": key(who, name) for name in one_time}, **more}
        await side.ask(who, what, "POST", "keys", "upload", json=body)

    def own(who: str) -> dict[str, Any]:
        user, device = side.people[who].user, devices[who]
        of_device = {"user_id": user, "device_id": device, "algorithms": ["m.megolm.v1.aes-sha2"]}
        return {**of_device, "keys": {f"ed25519:{device}": "a key"}, "signatures": signatures(who)}

    async def claim(who: str, what: str) -> None:
        wanted = {"one_time_keys": {ann: {devices["ann"]: "signed_curve25519"}, cid: {"NONE": "signed_curve25519"}}}
        await side.ask(who, what, "POST", "keys", "claim", json=wanted)

    async def tell(who: str, what: str, txn: str, to: Mapping[UserId, Any]) -> None:
        await side.ask(who, what, "PUT", "sendToDevice", "org.example", txn, json={"messages": dict(to)})

    for name in side.people:
        await sync(name, "first sync")
    room = (await side.ask("ann", "create", "POST", "createRoom", json={"preset": "private_chat"}))["room_id"]
    await keys("ann", "keys of a device", "A", device_keys=own("ann"))
    await sync("ann", "sync with one's own change")
    await keys("ann", "the same key again", "A")
    await keys("ann", "a fallback key", fallback_keys={"signed_curve25519:F": key("ann", "F", fallback=True)})
    await sync("ann", "sync with counts")
    await side.ask("ben", "ask for keys", "POST", "keys", "query", json={"device_keys": {cid: []}})
    for what in ("claim", "claim when there is none left"):
        await claim("ben", what)
    await sync("ann", "sync after claims")
    await side.ask("ann", "invite", "POST", "rooms", room, "invite", json={"user_id": ben})
    await side.ask("ben", "join", "POST", "join", room, json={})
    await sync("ann", "sync of who has a new member")
    await sync("ben", "sync of who came")
    await keys("ben", "keys of a member", device_keys=own("ben"))
    await sync("ann", "sync with a change of a member")
    await sync("cid", "sync of a stranger")
    said = {ann: {devices["ann"]: {"n": 1}}, cid: {"*": {"n": 2}, "NONE": {"n": 3}}}
    await tell("ben", "tell devices", "d1", said)
    await tell("ben", "tell devices again", "d1", said)
    told = since["ann"]
    await sync("ann", "sync with a message to a device")
    since["ann"], later = told, since["ann"]
    await tell("ben", "tell one more", "d2", {ann: {devices["ann"]: {"n": 4}}})
    await sync("ann", "sync with both, unacknowledged", "1")  # Synapse gives the same answer to the same question
    since["ann"] = later
    await sync("ann", "sync with what was not acknowledged")
    await sync("ann", "sync with nothing")
    await sync("cid", "sync with a message to nobody")
    await tell("ben", "tell all devices", "d3", {cid: {"*": {"n": 5}}})
    await sync("cid", "sync with a message to all devices")
    await side.ask("ben", "speak", "PUT", "rooms", room, "send", "m.room.message", "m1", json=say("bye"))
    await sync("ann", "sync with a message")
    await sync("ben", "sync with one's own message")
    await side.ask("ben", "leave", "POST", "rooms", room, "leave", json={})
    await sync("ann", "sync of who is left")
    await sync("ben", "sync of who left")


async def _limited(side: Side, room: str, since: dict[str, str]) -> None:
    short = orjson.dumps({"room": {**SYNC_FILTER["room"], "timeline": {"limit": 10, "lazy_load_members": True}}})
    query = {"timeout": "0", "filter": short.decode(), "since": since["ben"]}
    await side.ask("ben", "sync with a gap", "GET", "sync", query=query)


async def test_the_simulation_answers_as_synapse_does(sides: tuple[Side, Side]) -> None:
    for side in sides:
        await play(side)
    _agree(*sides)


@pytest.mark.parametrize(
    "story",
    [
        play_with_reactions,
        play_with_knocks,
        play_with_coming_back,
        play_with_profiles,
        play_with_spaces,
        play_with_aliases,
    ],
)
async def test_the_simulation_answers_as_synapse_does_to(sides: tuple[Side, Side], story: Story) -> None:
    for side in sides:
        await story(side)
    _agree(*sides)


async def test_the_simulation_carries_keys_and_messages_of_devices_as_synapse_does(sides: tuple[Side, Side]) -> None:
    for side in sides:
        await play_with_devices(side)
    _agree(*sides)


def _agree(real: Side, fake: Side) -> None:
    assert [(what, status) for what, status, _ in fake.told] == [(what, status) for what, status, _ in real.told]
    for theirs, ours in zip(real.told, fake.told, strict=True):
        assert ours == theirs
