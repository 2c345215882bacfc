"""Messages and reactions to try: commands are drawn from `COMMANDS` by their declarations, so new ones are included.

They are sent in groups, desks and direct rooms, in threads, replies and edits, with the code of another room or with
cases of other rooms; reactions are given to cards and messages.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from bot.commands.registry import COMMANDS
from moderation.values.events import Received
from moderation.values.ids import RoomId
from tests.fuzz.door import BOT, OPERATOR
from tests.fuzz.world import GROUP, MAX, MIA, OTHER, OTHER_MAX, OTHER_OWNER, OWNER, PEOPLE, World


def mostly(*usual: Any, rarely: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Return one of the usual values, or now and then a wrong one."""
    return st.sampled_from([*usual * (1 + 6 * len(rarely) // len(usual)), *rarely])


words_of = {
    "user": mostly(*PEOPLE, "ben", "@mia", "owner", rarely=[str(BOT), "@nobody:example.org", "@", "ann", ""]),
    "person": mostly(*PEOPLE, rarely=[str(BOT), "@nobody:example.org", "@", "ann", ""]),
    "case": mostly(*map(str, range(1, 31)), rarely=["#1", "x", "9" * 20, "9" * 9, "0", "-1", "1" * 1500]),
    "request": mostly("", *map(str, range(1, 31)), rarely=["#1", "x", "9" * 20, "0", "-1"]),
    "duration": mostly("1h", "3d", rarely=["10w", "1s", "x", ""]),
    "everywhere": mostly("", "everywhere", rarely=["各群", "everywhere 1", "everywhere 3d"]),
    "sweep": mostly("", "redact 24h", rarely=["redact", "redact 10w", "redact x"]),
    "count": mostly("", "3", rarely=["0", "x", "9" * 20]),
    "server": mostly("bad.example", "*.bad.example", rarely=["example.org", "*", "127.0.0.1", "x", ""]),
    "word": mostly(
        "zh", "en", "add", "remove", "test", "language", "verify", "digest", "newcomers", "joins", "deny", "allow",
        "ours", "match", "spare", "unspare", "preview", "watch", "end",
        rarely=["5m", "room", ""],
    ),
    "text": mostly(
        "no-spam terms spam", "no-spam", "en", "2 restrict", "links media", "gate", "off",
        rarely=["x pattern (a+)+$", "<b> {}"],
    ),
    "reason": mostly(
        "", "why", "error it was", "bad-faith it was", "false he lied", "off", "room", "mon-fri 08:00-18:00 UTC",
        "withdraw", "#bans:lists.example", "cme propose 5", "cme",
        rarely=["12345678"],
    ),
}  # fmt: skip
names = st.sampled_from(sorted({command.name for command in COMMANDS.values()}))
REACTIONS = ("\u2705", "\u274c", "\U0001f50e", "\U0001f6a9", "\u26a0\ufe0f")
HOW = mostly("plain", "plain", "reply", "thread", "link", rarely=["edit", "notice"])


@st.composite
def commands(draw: st.DrawFn) -> str:
    """Return a command with the arguments it declares, or nearly so; about this room or another."""
    name = draw(names)
    wanted = [item.rstrip("?*") for item in COMMANDS[name].spec.split()]
    words = [draw(words_of[item]) for item in wanted]
    code = draw(mostly("", "", "G-2222", "G-4222", rarely=["G-3222", "G-ZZZZ"]))
    return " ".join(["!" + name, *words, code])


steps = st.tuples(
    st.sampled_from([*PEOPLE, MAX, MAX, MIA, OWNER, OWNER, OTHER_MAX, OTHER_OWNER, str(OPERATOR), str(OPERATOR)]),
    mostly("group", "desk", "direct", "other", "other desk", rarely=["another's direct"]),
    st.one_of(*[commands()] * 4, st.sampled_from(REACTIONS)),
    HOW,
    st.integers(0, 80),
)


def place_of(world: World, place: str, speaker: str, number: int = 0) -> RoomId:
    """Return the room that a name such as "group" means."""
    if place.startswith("direct of "):
        return world.direct[place.removeprefix("direct of ")]
    rooms = {
        "group": GROUP,
        "other": OTHER,
        "desk": world.desks[GROUP],
        "other desk": world.desks[OTHER],
        "direct": world.direct[speaker],
        "another's direct": world.direct[PEOPLE[number % len(PEOPLE)]],
    }
    return rooms[place]


def event_of(world: World, step: Any) -> Received:
    """Return the event of a message or reaction. Anybody may send it anywhere, unlike on a homeserver."""
    speaker, place, said, how, number = step
    room, target = place_of(world, place, speaker, number), world.messages[number % len(world.messages)][1]
    if not said.startswith("!"):
        cards = [*world.cards.values(), target]
        on = cards[number % len(cards)]
        relation = {"rel_type": "m.annotation", "event_id": on, "key": said}
        return world.door.read(room, speaker, "m.reaction", {"m.relates_to": relation})
    content: dict[str, Any] = {"msgtype": "m.notice" if how == "notice" else "m.text", "body": said}
    if how == "reply":
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": target}}
    if how == "thread":
        content["m.relates_to"] = {"rel_type": "m.thread", "event_id": target}
    if how == "edit":
        content |= {"m.new_content": dict(content), "m.relates_to": {"rel_type": "m.replace", "event_id": target}}
    if how == "link":
        where, which = world.messages[number % len(world.messages)]
        content["body"] += f" https://matrix.to/#/{where}/{which}?via=example.org"
    return world.door.read(room, speaker, "m.room.message", content)
