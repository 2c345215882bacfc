"""Every table of the command line at 80 columns, on a deployment with long names, Chinese ones and hostile ones."""

import asyncio
import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.core import TyperGroup
from typer.main import get_command

from bot.app import records_only
from bot.cli.main import app
from bot.cli.terminal.output import text
from bot.cli.terminal.tables import Look, table
from bot.config.config import load_config
from bot.events.parse_event import receive
from moderation.lists.entries import read_entries
from moderation.model.facts import (
    CaseOpened,
    CreditChanged,
    ListChosen,
    RoomEntered,
    RoomStateChanged,
    SanctionStarted,
    TaskOpened,
)
from moderation.values.durations import DAY_MS
from moderation.values.events import Received
from moderation.values.ids import EventId, GroupCode, PersonId, RoomId, UserId
from moderation.values.notices import Moment
from storage.database.place import FILE, DatabasePlace
from storage.identity.store import IdentityStore, Kek, NewClaim
from storage.state.list_entries import change_entries
from tests.unit.bot.cli.conftest import GARDEN, HEAD, NOW, Answerable

OPERA = "@opera:example.org"
LONG = "@" + "a-very-long-name-indeed." * 6 + "x:" + "far." * 20 + "example.net"
HAN = "@安娜很长很长很长很长很长的名字:example.org"
HOSTILE = "@eve\u202e\x1b[31m:example.org"
ROOM = RoomId(GARDEN)
EVENT = EventId("$" + "0aB-" * 10 + "xyz")
WORDS = "because of 很多人都说这条消息不符合规则，所以处理了 and " + "w" * 90 + " " + "more words " * 30
CODE = GroupCode("G-7F3K")
LIST, LIST_ROOM = "a-very-long-name-of-a-list", RoomId("!" + "0aB-" * 10 + "bans:lists.example")

# Commands that show a table, each with what it needs.
TABLES = {
    "rooms": ["--all"],
    "rooms acl list": ["G-7F3K"],
    "members": ["G-7F3K", "--all"],
    "cases": [],
    "credit": [],
    "tasks": [],
    "barred list": [],
    "barred show": [HAN],
    "dossier list": [],
    "dossier show": [],
    "approver list": [],
    "roster list": ["--reason", "an audit"],
    "identity show": [HAN, "--case", "2", "--reason", "an audit"],
    "logs hold list": [],
    "lists": [],
    "lists match": [HAN],
    "lists preview": [LIST],
    "lists search": ["many"],
    "rules try": ["rules.toml", "--reason", "an audit"],
    "rules replay": [],
}
OTHERS = ("check", "cases 2", f"credit {HAN}", f"credit {LONG} --standing", "identity status", "status")


@pytest.fixture
def crowd(config_file: Path, answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide a deployment in which every table has something to show."""
    key = config_file.parent / "identity.key"
    assert answerable("identity", "new-key", str(key)).code == 0
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{OPERA}"]\n[identity]\nkey_file = "{key}"\n')
    data = config_file.parent / "data"
    data.mkdir(mode=0o700)
    asyncio.run(_happen(config_file))
    with closing(IdentityStore.open(DatabasePlace(data), Kek.parse(key.read_text()))) as store:
        told = {"email": "a" * 60 + "@example.net", "name": "安娜" * 20}
        person, until = PersonId(HAN), NOW + DAY_MS
        store.add_claim(
            NewClaim(
                person=person, method="email", issuer="", identifier="a", fields=told, created_ms=NOW, expires_ms=until
            )
        )
    with closing(sqlite3.connect(data / FILE)) as database, database:
        database.execute("UPDATE rooms SET name = ?", ("花园" * 30 + " [bold]\u202e",))
        for who, name in ((LONG, "x" * 200), (HAN, "安娜 " * 40), (HOSTILE, "Eve\n\x1b[2J")):
            row = (GARDEN, who, "join", name, "member")
            database.execute("INSERT INTO members (room, user, membership, display_name, role) VALUES (?,?,?,?,?)", row)
        database.execute(
            "UPDATE cases SET state = 'decided', outcome = 'upheld', decided = ?, due = 0 WHERE n = 2", (NOW,)
        )
        database.execute("UPDATE cases SET reason = ?, by = ?", (WORDS, OPERA))
    rule = f'[[rules]]\nname = "no-very-long-name-of-a-rule"\nkind = "pattern"\npatterns = [\'{"w" * 60}.*\']\n'
    (config_file.parent / "rules.toml").write_text(rule)
    list_file = config_file.parent / "list.csv"
    list_file.write_text("identifier,name,email\n" + f"M-{'1' * 60},{'安娜' * 20},{'a' * 60}@example.net\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    for command in (
        ["roster", "import", str(list_file), "--yes"],
        ["logs", "hold", "place", "--duty", WORDS, "--until", "2d", "--person", LONG],
        ["approver", "new", "安娜的钥匙", "--as", OPERA, "--to", "a.key", "--reason", "audit", "--passphrase-stdin"],
        ["dossier", "new", HAN, "--reason", WORDS],
    ):
        done = answerable(*command)
        assert done.code == 0, done.err


async def _happen(config_file: Path) -> None:
    async with records_only(load_config(config_file)) as operations:
        commit = operations._pipeline.commit
        await commit((RoomEntered(code=CODE, purpose="group", room_id=GARDEN),))
        await commit((RoomStateChanged(room=ROOM, condition="protected"),))
        chosen = ListChosen(room=ROOM, step="watched", list=LIST, list_room=LIST_ROOM)
        entries = read_entries(_entry(entity) for entity in (LONG, HAN, HOSTILE, "@many*:" + "w" * 60 + ".example"))
        await commit((chosen,), also=partial(change_entries, room=LIST_ROOM, gone=(), added=entries))
        await operations._pipeline.take([_said(n, who) for n, who in enumerate((LONG, HAN))])
        kept_out: dict[str, Any] = {"server": "w" * 60 + ".example", "by": UserId(LONG), "reason": WORDS}
        await commit((SanctionStarted(room=ROOM, kind="server", basis="operator", subject=UserId(OPERA), **kept_out),))
        for n, who in enumerate((LONG, HAN, HOSTILE), 1):
            of: dict[str, Any] = {"room": ROOM, "n": n, "subject": UserId(who)}
            broken: dict[str, Any] = {"rule": "no-very-long-name-of-a-rule", "grade": "serious", **of}
            due = NOW + DAY_MS
            await commit((CaseOpened(decide="manager", state="open", due=due, event=EVENT, on=0, **broken),))
            await commit((SanctionStarted(kind="mute", basis="operator", until=NOW + DAY_MS, **of),))
            barred = SanctionStarted(
                kind="ban", basis="operator", n=n, subject=UserId(who), by=UserId(OPERA), reason=WORDS
            )
            await commit((barred,))
            await commit((CreditChanged(entry="charge", cost=10, left=90, **broken),))
            await commit((TaskOpened(task="dossier", **of),))


def _said(number: int, who: str) -> Received:
    content = {"msgtype": "m.text", "body": WORDS}
    raw = {"event_id": f"$said{number}", "sender": who, "type": "m.room.message", "content": content}
    return receive({**raw, "origin_server_ts": NOW}, ROOM, NOW)


def _entry(entity: str) -> dict[str, Any]:
    content = {"entity": entity, "recommendation": "m.ban", "reason": WORDS}
    return {"type": "m.policy.rule.user", "state_key": entity, "sender": LONG, "content": content}


def _commands() -> Iterator[str]:
    """Yield the commands that have `--wide`."""

    def walk(command: object, name: str) -> Iterator[str]:
        if isinstance(command, TyperGroup):
            with command.make_context(name, [], resilient_parsing=True) as context:
                for each in command.list_commands(context):
                    _, below, _ = command.resolve_command(context, [each])
                    yield from walk(below, f"{name} {each}".strip())
        if any("--wide" in each.opts for each in getattr(command, "params", ())):
            yield name

    yield from walk(get_command(app), "")


def test_all_commands_with_tables_are_walked() -> None:
    assert set(_commands()) == set(TABLES)


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_table_breaks_a_word_or_is_wider_than_the_terminal(
    answerable: Answerable, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    number = str(answerable("dossier", "list", "--json").json[0]["dossier"])
    lines = [[*name.split(), *more, *([number] if name == "dossier show" else [])] for name, more in TABLES.items()]
    for command in [*lines, *(each.split() for each in OTHERS)]:
        monkeypatch.setenv("COLUMNS", "80")
        fitted = answerable(*command).out
        monkeypatch.setenv("COLUMNS", "9999")
        whole = answerable(*command).out
        assert fitted.strip(), command
        # The terminal folds sentences, and a path or a hash in a sheet.
        prose = set(whole.splitlines()) | {
            each for each in fitted.splitlines() if cell_len((each.split() or [""])[-1]) > 40
        }
        assert [line for line in fitted.splitlines() if cell_len(line) > 80 and line not in prose] == [], command
        known = _words(whole) | _words(text("cli.table.cut"))
        broken = {each for each in _words(fitted) - known if not re.fullmatch(r".*…|─+|[0-9.,]+", each)}
        assert broken == set(), (command, fitted)
        assert not re.search(r"[\x1b\u202e]|1970", fitted), command


def _words(out: str) -> set[str]:
    """Return the words; a line may end anywhere in Chinese."""
    return set(re.split(r"[\s\u2e80-\u9fff\uff00-\uff60]+", out))


@pytest.mark.usefixtures("crowd")
def test_a_wide_table_says_all(answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "--wide" in answerable("cases").out
    wide = answerable("cases", "--wide").out
    assert LONG in wide
    assert f"{HAN} " in wide
    assert "UTC" in wide
    assert "…" not in wide


def test_a_word_stays_whole_where_another_can_give_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table(("room", "at", "reason"), [("!" + "a" * 40, Moment(NOW), "indivisible words")])
    out = capsys.readouterr().out
    assert "!aaaaaaaaaa…" in out
    assert "indivisible" in out
    table(("room", "at", "reason", "person", "by", "rule"), [("!" + "a" * 40, Moment(NOW), *["some words"] * 4)])
    assert "Reason: some words\n" in capsys.readouterr().out


def test_people_of_other_servers_keep_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    table(("person",), [("@anna:example.org",), ("@ben:example.net",)], Look(home="example.org"))
    out = capsys.readouterr().out
    assert "@anna\n@ben:example.net\n" in out
    assert "example.org." in out
