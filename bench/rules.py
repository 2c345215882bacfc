"""The cost of judging one message: with few and very many terms and patterns, and with texts made to be slow.

    python -m bench rules [--json FILE] [--rounds N]

Each step is measured in turn with a smaller one, to show that what must not grow does not. A message goes the same way
as one of a sync, but is not written: raw event -> `receive` -> `judge` by rules of all kinds. Times are the processor
time of the one thread that does it, so other work on the machine counts little.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

from bot.events.parse_event import receive
from moderation.judge.judge import CompiledRule, judge
from moderation.model.context import Context, PersonView, RoomView
from moderation.model.facts import Found
from moderation.policy import Policy
from moderation.rules.normalise_text import normalise
from moderation.values.ids import GroupCode, PersonId, RoomId, UserId
from moderation.values.power_levels import Power

from .figures import Figure, at_most, at_most_times, in_turn, measure

SIZE = 65_000  # characters, as bytes of ASCII: a homeserver takes events of 64 KiB
SLOW_MS = 20.0
FLAT = 2.0
BOT, ANNA, ROOM = UserId("@bot:example.org"), UserId("@anna:example.org"), RoomId("!garden:example.org")
NOW = 1_795_521_600_000
WORDS = [
    "the",
    "garden",
    "club",
    "meets",
    "on",
    "friday",
    "at",
    "seven",
    "and",
    "everybody",
    "brings",
    "something",
    "that",
    "grows",
    "well",
    "in",
    "the",
    "shade",
]
OTHERS: tuple[dict[str, Any], ...] = (
    {"name": "patterns", "kind": "pattern", "patterns": ["TICKET-[0-9]{4}", r"(?:buy|sell)\s+now"], "normalise": True},
    {"name": "links", "kind": "links", "deny": ["elephants.example"]},
    {"name": "flood", "kind": "flood", "messages": 10, "within": "10s"},
    {"name": "mentions", "kind": "mentions", "limit": 5},
    {"name": "media", "kind": "media", "max_size": "100MB"},
)


def main() -> None:
    measure(__doc__, add_arguments, run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--most", type=int, default=100_000, help="terms of the longest list")


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    small = Judging(terms(10))
    for count in (1_000, 10_000, 100_000):
        if count <= options.most:
            yield growth(f"one message, {count:,} terms", Judging(terms(count)), small, "10 terms", options.rounds)
    few = Judging(patterns(5))
    yield growth("one message, 500 patterns", Judging(patterns(500)), few, "5 patterns", options.rounds, FLAT)
    judging = Judging([*terms(min(10_000, options.most)), *OTHERS])
    plain = raw(" ".join(WORDS * (SIZE // 100))[:SIZE])
    for name, event in hostile().items():
        yield slow(name, judging, event, plain, options.rounds)


class Judging:
    """Compiled rules, by which messages are judged and timed."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.policy = Policy.model_validate({"rules": rules})
        self._rules = tuple(map(CompiledRule.of, self.policy.rules))
        power = Power.of(None, {"users": {BOT: 100}}, bot=BOT)
        room = RoomView(ROOM, GroupCode("G-7F3K"), "group", "protected", power)
        self._context = Context(now_ms=NOW, room=room, subject=PersonView(ANNA, PersonId(ANNA)), bot=BOT, next_case=1)

    def judge(self, event: dict[str, Any]) -> list[Found]:
        """Return what the rules find in a raw event."""
        received = receive(event, ROOM, NOW)
        facts = judge(received, self._context, self.policy, self._rules, 1)
        return [fact for fact in facts if isinstance(fact, Found)]

    def takes(self, event: dict[str, Any], times: int) -> float:
        """Return the seconds that one message takes, averaged over `times`."""
        gc.collect()
        began = time.thread_time()
        for _ in range(times):
            normalise.cache_clear()  # as for a message that comes for the first time
            self.judge(event)
        return (time.thread_time() - began) / times


def growth(name: str, ours: Judging, floor: Judging, floor_name: str, rounds: int, limit: float = FLAT) -> Figure:
    """Measure one common message, judged by a long list and by a short one."""
    event = raw(" ".join(WORDS))
    assert ours.judge(event) == floor.judge(event) == []
    one, other, _ = in_turn(lambda: ours.takes(event, 300), lambda: floor.takes(event, 300), rounds)
    return Figure(name, "us", one * 1e6, floor_name, other * 1e6, **at_most_times(limit, one, other))


def slow(name: str, judging: Judging, event: dict[str, Any], plain: dict[str, Any], rounds: int) -> Figure:
    """Measure 64 KiB made to be slow against as much of common words."""
    one, other, _ = in_turn(lambda: judging.takes(event, 1), lambda: judging.takes(plain, 1), rounds)
    wanted = at_most(SLOW_MS, one * 1000, "ms")
    return Figure(f"64 KiB: {name}", "ms", one * 1000, "common words", other * 1000, **wanted)


# The rules.


def terms(count: int) -> list[dict[str, Any]]:
    """Return a list with words that begin alike, as in real lists."""
    listed = [f"purple elephant {number} of the herd" for number in range(count)]
    return [{"name": "terms", "kind": "terms", "terms": listed, "spaced": True}]


def patterns(count: int) -> list[dict[str, Any]]:
    """Return patterns of the kind that people write."""
    listed = [rf"\b(?:offer|ticket)-{number}[a-z]*\d+" for number in range(count)]
    return [{"name": "patterns", "kind": "pattern", "patterns": listed}]


# The messages.


def raw(body: str, **more: object) -> dict[str, Any]:
    """Return a message as a homeserver sends it."""
    content = {"msgtype": "m.text", "body": body, **more}
    about = {"sender": ANNA, "event_id": "$e", "origin_server_ts": NOW}
    return {"type": "m.room.message", "content": content, **about}


def formatted(html: str) -> dict[str, Any]:
    """Return a message with this formatted body."""
    return raw("see above", format="org.matrix.custom.html", formatted_body=html[:SIZE])


def filled(piece: str) -> str:
    """Return the piece repeated until it fills an event, in bytes of UTF-8."""
    return piece * (SIZE // len(piece.encode()))


def hostile() -> dict[str, dict[str, Any]]:
    """Return texts that somebody may send to keep a filter busy."""
    make: dict[str, Callable[[], dict[str, Any]]] = {
        "almost a term, again and again": lambda: raw(filled("purple elephant 1234 of the her ")),
        "a term's beginning, unspaced": lambda: raw(filled("purpleelephant")),
        "one letter": lambda: raw(filled("p")),
        "single letters apart": lambda: raw(filled("p.u.r.p.l.e. ")),
        "links": lambda: raw(filled("https://a.example/x ")),
        "links without a scheme": lambda: raw(filled("a.example ")),
        "dots": lambda: raw(filled("a.")),
        "look-alike letters": lambda: raw(filled("рurрlе еlерhаnt ")),
        "invisible signs": lambda: raw(filled("p\u200bu\u200dr\u2060ple ")),
        "stacked accents": lambda: raw(filled("e\u0301\u0302\u0303\u0304 ")),
        "decompositions": lambda: raw(filled("\ufdfa")),
        "every character there is": lambda: raw("".join(map(chr, range(0x3000, 0x3000 + SIZE // 3)))),
        "HTML: open tags": lambda: formatted(filled("<a ")),
        "HTML: nested": lambda: formatted(filled("<b>")),
        "HTML: attributes": lambda: formatted("<a " + filled('b="c" ')),
        "HTML: comments": lambda: formatted(filled("<!--")),
        "HTML: references": lambda: formatted(filled("&#x00070;")),
        "HTML: a word cut by tags": lambda: formatted(filled("pur<i></i>ple ")),
        "mentions": lambda: formatted(filled('<a href="https://matrix.to/#/@a:b">a</a>')),
        "quotations": lambda: raw(filled("> purple\n")),
    }
    return {name: event() for name, event in make.items()}


if __name__ == "__main__":
    main()
