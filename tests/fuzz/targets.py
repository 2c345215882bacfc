"""The fuzzing targets, and what must hold for every input.

The same targets run in three ways: the corpus and a fixed number of inputs in `make test` (`test_targets.py`); at
random, or guided by coverage, for any length of time in `make fuzz` (`run.py`, `guided.py`). An input that once failed
goes into `corpus/<target>/`, in the form used here, and is tried for ever.

Left to others: keys and messages between devices (`keys.py`), other servers (`servers.py`), what needs a disk
(`test_door.py`) or a homeserver (`tests/long/synapse/test_hostile_events.py`), bounds on time
(`test_time_is_bounded.py`).
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bot.admin.roster_csv import parse, write
from bot.commands.parse import bind, read
from bot.commands.permalinks import message_link
from bot.commands.registry import COMMANDS
from bot.config.config import parse_config
from bot.events.parse_event import receive
from bot.events.parse_html import shown, user_of_link
from bot.events.sync_response import changed_lists, read_sync
from bot.matrix.http import decode
from bot.texts.catalog import Catalog
from moderation.duty.hours import covers, next_start, parse_hours
from moderation.values.errors import AnswerableError, Invalid, Refused
from moderation.values.events import MessagePosted, Received, StateChanged, Unreadable
from moderation.values.ids import RoomId, UserId, is_user_id
from moderation.values.notices import Code, Who
from moderation.values.power_levels import Power
from storage.export.markup import escaped
from storage.export.verify import table_head, table_rows
from storage.journal.canonical import canonical, plain
from storage.record_mapping import draft_of_event
from tests.fuzz import events
from tests.fuzz.keys import KEY_TARGETS
from tests.fuzz.servers import SERVER_TARGETS
from tests.fuzz.target import Target
from tests.fuzz.targets_outside import (
    PQ_WITNESS,
    addresses,
    blobs,
    check_address,
    check_cosigned,
    check_issuer,
    check_stamp,
    check_token,
    cosigned,
    issuers,
    stamps,
    token,
)
from tests.fuzz.vocabulary import IDS, texts

ROOM, NOW = RoomId("!room:example.org"), 1_795_511_540_900
CATALOG = Catalog.load()
EXAMPLE = (Path(__file__).parents[2] / "config.example.toml").read_text("utf-8")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# Events.


def check_event(raw: Any) -> None:
    """Check that an input becomes an event that can be recorded, or is refused."""
    event = receive(raw, ROOM, NOW)
    assert isinstance(event, Received)
    assert (event.room, event.received_ms) == (ROOM, NOW)
    hash((type(event), event.event, event.sender))
    for name in ("event", "sender", "target", "user", "reply_to", "thread", "replaces"):
        value = getattr(event, name, None)
        assert value is None or (value.encode() and len(value.encode()) <= 255), name
    assert all(text.value.encode() for text in getattr(event, "texts", ()))
    if isinstance(event, MessagePosted):
        assert all(map(is_user_id, event.mentions))
    if isinstance(event, Unreadable):
        assert event.problem and len(event.raw.encode()) <= 65_536
    draft = draft_of_event(event, "G-2222", lambda user: user)  # type: ignore[arg-type, return-value]
    assert re.fullmatch("[a-z-]+", draft.kind)
    for part in draft.parts:
        written = canonical(plain(part.data))
        assert canonical(json.loads(written)) == written  # recorded data can be read again
    if isinstance(event, StateChanged):
        check_levels(raw)


def check_levels(raw: Any) -> None:
    """Check that with any power levels nobody is above a creator, and nothing raises."""
    content = raw.get("content") if isinstance(raw, dict) else raw
    for power in (Power.of(raw, content), Power.of(None, content), Power.of(raw, None)):
        for user in (events.ANN, events.BOT, "\ud800", ""):
            assert power.role(user) in ("owner", "manager", "member")
            assert isinstance(power.level(user), int)
            power.is_muted(user)
        assert all(map(is_user_id, power.owners() | power.managers()))
        power.missing_for(UserId(events.BOT))
    # The recorded state of a room gives everybody the rights that they have there.
    now, later = Power.of(raw, content), Power.of(plain(raw), plain(content))
    assert (now.kick, now.ban, now.redact, now.events_default) == (
        later.kick,
        later.ban,
        later.redact,
        later.events_default,
    )
    assert [now.level(user) for user in events.PEOPLE] == [later.level(user) for user in events.PEOPLE]


def check_sync(raw: Any) -> None:
    """Check that an answer of `/sync` is read or refused as a whole."""
    try:
        answer = read_sync(raw, NOW, me=UserId(events.BOT))
    except Invalid:
        return
    assert answer.next_batch.encode()
    assert all(map(is_user_id, changed_lists(answer)))
    for room in answer.joined:
        assert all(isinstance(event, Received) for event in (*room.state, *room.timeline))


def check_wire(body: bytes) -> None:
    """Check that bytes from a homeserver give a value that can be written again, or a `ValueError`."""
    try:
        value = decode(body)
    except ValueError:
        return
    json.dumps(value, ensure_ascii=False).encode()


# What people type.


def check_command(pair: Any) -> None:
    """Check that a command is parsed and bound, or refused, and that its arguments have the right form."""
    body, html = pair
    content = {"msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": html}
    raw = {"event_id": "$e", "sender": events.ANN, "origin_server_ts": 1, "type": "m.room.message", "content": content}
    event = receive(raw, ROOM, NOW)
    spoken = read(event, "!") if isinstance(event, MessagePosted) else None
    if spoken is None:
        return
    assert isinstance(event, MessagePosted) and event.body.startswith("!")
    assert len(spoken.name) <= 40
    for spec in sorted({command.spec for command in COMMANDS.values()}):
        try:
            given = bind(spec, spoken.words)
        except Refused as refused:
            assert CATALOG.has(refused.key), refused.key
            continue
        assert given.user is None or is_user_id(given.user)
        assert given.case is None or 0 <= given.case < 10**9
        assert given.duration_ms is None or given.duration_ms > 0
        assert len(given.reason) <= 500


def check_html(text: str) -> None:
    """Check that HTML of a message is read, only people with an id are mentioned, and nothing is invented."""
    seen = shown(text)
    assert all(map(is_user_id, seen.mentions))
    seen.text.encode("utf-8", "surrogatepass")
    user_of_link(text)
    link = message_link(text)
    assert link is None or (link.event.startswith("$") and (link.room is None or link.room.startswith("!")))


def check_hours(text: str) -> None:
    """Check that duty hours are stored in one spelling with the same meaning."""
    try:
        hours = parse_hours(text, "Europe/Berlin")
    except Refused as refused:
        assert CATALOG.has(refused.key)
        return
    assert parse_hours(hours, "UTC") == hours
    start = next_start(hours, NOW)
    assert start is None or covers(hours, start)


# Files of the operator.


def check_config(text: str) -> None:
    """Check that a configuration is accepted, or all its problems are reported without any secret."""
    try:
        config = parse_config(Path("/nowhere/config.toml"), text, {"ANSWERABLE_PASSWORD": "hunter2-hunter2"})
    except AnswerableError as error:
        assert str(error).encode("utf-8", "surrogatepass")
        return
    assert "hunter2" not in repr(config)
    assert config.policy.model_validate_json(config.policy.model_dump_json(by_alias=True)) == config.policy


def check_roster(data: bytes) -> None:
    """Check that a roster is read line by line, and that its output begins no formula and reads back the same."""
    try:
        sheet = parse(data)
    except Refused as refused:
        assert CATALOG.has(refused.key)
        return
    assert len({each.identifier for each in sheet.listed}) == len(sheet.listed)
    rows = [(each.identifier, each.name, each.email) for each in sheet.listed]
    written = write(("identifier", "name", "email"), rows)
    read_back = list(csv.reader(io.StringIO(written, newline="")))[1:]
    assert not [cell for row in read_back for cell in row if begins_a_formula(cell)]
    assert [[cell.removeprefix("'") for cell in row] for row in read_back] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]


# What leaves us.


def begins_a_formula(cell: str) -> bool:
    """Tell, independently of the product, whether LibreOffice, Excel and their importers see a formula."""
    return cell[:1] in tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


def check_table(raw: Any) -> None:
    """Check that no cell of a record's row begins a formula, whatever separator is used for reading."""
    parts = [plain(part) for part in raw] if isinstance(raw, list) else [plain(raw)]
    text = table_head() + table_rows({"i": 1, "t": "now", "k": "message"}, parts)
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text[1:], newline=""), strict=True))
    assert {len(row) for row in rows} == {14}
    pieces = [piece for row in rows for cell in row for piece in re.split(r"[\t\r\n;|]", cell)]
    assert not [piece for piece in pieces if begins_a_formula(piece.lstrip("\"' ")) and not piece.startswith("'")]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    handle_startendtag = handle_starttag

    def unknown_decl(self, data: str) -> None:
        self.tags.append((f"!{data[:20]}", ()))

    def handle_comment(self, data: str) -> None:
        self.tags.append((f"!--{data[:20]}", ()))

    def handle_decl(self, decl: str) -> None:
        self.tags.append((f"!{decl[:20]}", ()))

    def handle_pi(self, data: str) -> None:
        self.tags.append((f"?{data[:20]}", ()))


def tags_of(html: str) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    """Return the tags that a parser of HTML finds."""
    found = _Tags()
    found.feed(html)
    found.close()
    return found.tags


def check_page(text: str) -> None:
    """Check that text in the page of an export stays text, and hidden characters are shown."""
    html = escaped(text)
    assert {tag for tag, _ in tags_of(html)} <= {"span"}
    assert {attributes for _, attributes in tags_of(html)} <= {(("class", "char"),)}
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\ud800-\udfff]", html)
    html.encode()


def check_words(pair: Any) -> None:
    """Check that a name in the bot's messages stays a name: one line, no tags but ours, nobody notified."""
    name, user = pair
    user = user if is_user_id(user) else events.ANN  # the input never lets anything but a user id through
    for language in ("en", "zh"):
        for key, fields in (
            ("notice.reason", {"reason": name}),
            ("error.case.form", {"given": name}),
            ("who.owner", {"who": Who(UserId(user))}),
            ("help.head", {"help": Code(name)}),
        ):
            said = CATALOG.render(language, key, **fields)
            lines = CATALOG.template(language, key).count("\n")
            assert said.plain.count("\n") == lines
            assert {tag for tag, _ in tags_of(said.html)} <= {"a", "code", "br"}
            hrefs = [value for tag, attributes in tags_of(said.html) for _, value in attributes if tag == "a"]
            assert all((href or "").startswith("https://matrix.to/#/") for href in hrefs)
            assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", said.plain + said.html)


# Other people's servers.


# What other people's servers say.


# Their inputs.

_words = st.lists(texts | st.sampled_from(["1", "#1", "1h", "5x", "9" * 5000, "G-2222", "error", *IDS]), max_size=5)
_commands = st.builds(
    lambda prefix, name, words: f"{prefix}{name} {' '.join(words)}",
    st.sampled_from(["!", "!", "!", "", "!!", " !"]),
    st.sampled_from(sorted(COMMANDS)) | texts,
    _words,
)
_tags = st.sampled_from(
    ["a", "b", "img", "span", "div", "style", "script", "mx-reply", "p", "br", "svg", "textarea", "title", "li"]
)
_pieces = st.one_of(
    texts,
    st.builds(lambda tag: f"<{tag}>", _tags),
    st.builds(lambda tag: f"</{tag}>", _tags),
    st.builds(lambda tag, name, value: f"<{tag} {name}={value}", _tags, st.sampled_from(["href", "alt", "x"]), texts),
    st.sampled_from(["<", ">", "'", '"', "<!--", "-->", "<![CDATA[", "]]>", "<?", "&", "&#x", ";", "/>", "=", "\x00"]),
    st.builds(lambda who: f'<a href="https://matrix.to/#/{who}">', st.sampled_from([*IDS, "%40ann%3Aexample.org"])),
    st.builds(lambda room, event: f"https://matrix.to/#/{room}/{event}?via=x", texts, texts),
    st.sampled_from(["matrix:u/ann:example.org", "matrix:roomid/x:y/e/z", "matrix:r/a:b/e/%ff%00"]),
)
_html = st.lists(_pieces, max_size=8).map("".join)
_lines = EXAMPLE.splitlines(keepends=True)
_toml = st.sampled_from(
    [
        "[[rules]]\n", "[bot]\n", "[homeserver]\n", "a.b.c = 1\n", 'name = "x"\n', "kind = 1\n", "[oidc]\n",
        'patterns = ["(a+)+$"]\n', "lasts = '99999999999w'\n", "x = nan\n", "x = 1e999\n", "d = 2026-01-01\n",
        'operators = ["@a"]\n', 'class = "severe"\n', "costs = { minor = -1 }\n", "[a]\n[a]\n", '"" = 1\n',
        'terms = ["\\u0000"]\n', "x = [" * 300 + "\n", f"x = {'9' * 5000}\n",
    ]
)  # fmt: skip
_config = st.lists(
    st.sampled_from(_lines) | _toml | texts.map(lambda text: f"x = {json.dumps(text)}\n"), max_size=25
).map("".join) | st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 200), texts).map(
    lambda cut: EXAMPLE[: cut[0]] + cut[2] + EXAMPLE[cut[0] + cut[1] :]
)
_hours = st.lists(
    st.sampled_from(["mon-fri", "sat,sun", "daily", "08:00-18:00", "22:00-06:00", "25:99", "UTC", "Asia/Shanghai", ","])
    | texts,
    max_size=5,
).map(" ".join)
_cells = st.sampled_from(["identifier", "name", "email", "level", "expires", "a@b.c", "2", "2027-12-31"]) | texts
_csv = st.builds(
    lambda bom, header, rows, by, end: (bom + end.join([header, *(by.join(row) for row in rows)])).encode(
        "utf-8", "surrogatepass"
    ),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["identifier,name,email", "identifier;name;email;level;expires", "name,identifier,email"]) | texts,
    st.lists(st.lists(_cells, min_size=2, max_size=6), max_size=4),
    st.sampled_from([",", ";", '","']),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
_rooms = st.dictionaries(
    st.sampled_from([ROOM, "!other"]) | texts,
    st.dictionaries(
        st.sampled_from(["timeline", "state", "invite_state", "x"]),
        st.fixed_dictionaries(
            {"events": st.lists(events.events, max_size=3) | events.anything}, optional={"limited": events.anything}
        )
        | events.anything,
        max_size=3,
    )
    | events.anything,
    max_size=2,
)
_sync = st.fixed_dictionaries(
    {},
    optional={
        "next_batch": texts | events.anything,
        "rooms": st.dictionaries(st.sampled_from(["join", "invite", "leave", "knock"]), _rooms | events.anything)
        | events.anything,
        "to_device": events.anything,
        "device_lists": st.dictionaries(st.sampled_from(["changed", "left"]), events.anything, max_size=2)
        | events.anything,
    },
)
_part = st.dictionaries(
    st.sampled_from(["as", "mxid", "body", "reason", "excerpt", "matched", "content", "erased", "by", "p", "s"]),
    texts | events.anything,
    max_size=5,
)
blobs |= st.binary(max_size=80).map(lambda rest: PQ_WITNESS.key_id + rest.ljust(2428, b"\0"))

TARGETS: Mapping[str, Target] = {
    each.name: each
    for each in (
        Target("event", events.events | events.anything, check_event, events.loaded, events.dumped),
        Target("levels", events.powers, check_levels, events.loaded, events.dumped),
        Target("sync", _sync, check_sync, events.loaded, events.dumped),
        Target("wire", _sync.map(events.dumped) | st.binary(max_size=60), check_wire, bytes, bytes),
        Target("command", st.tuples(_commands, _html), check_command, events.loaded, events.dumped),
        Target("html", _html, check_html, _text, _bytes),
        Target("hours", _hours, check_hours, _text, _bytes),
        Target("config", _config, check_config, _text, _bytes),
        Target("roster", _csv | st.binary(max_size=60), check_roster, bytes, bytes),
        Target("table", st.lists(_part, max_size=3), check_table, events.loaded, events.dumped),
        Target("page", _html, check_page, _text, _bytes),
        Target("words", st.tuples(texts, texts | st.sampled_from(IDS)), check_words, events.loaded, events.dumped),
        Target("stamp", stamps, check_stamp, bytes, bytes),
        Target("cosigned", cosigned, check_cosigned, _text, _bytes),
        Target("address", addresses, check_address, _text, _bytes),
        Target("token", st.tuples(token, events.anything), check_token, events.loaded, events.dumped),
        Target("issuer", issuers, check_issuer, bytes, bytes),
        *KEY_TARGETS,
        *SERVER_TARGETS,
    )
}
