"""A log with a story: two rooms, three people, two cases, an erased message, a kept file, two days."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.texts.catalog_words import CatalogWords
from moderation.model.facts import (
    CaseDecided,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    Found,
    MediaKept,
    PolicyChanged,
    RecordsExported,
    RoomEntered,
    SanctionEnded,
    SanctionStarted,
)
from moderation.values.events import Json
from moderation.values.ids import EventId, GroupCode, PersonId, RoomId, UserId
from storage.database.place import DatabasePlace
from storage.export import verify
from storage.export.contents import Contents
from storage.export.export import ExportRequest, Summary, export
from storage.export.selection import Selection
from storage.journal.journal import Journal
from storage.journal.record import NOBODY, Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.record_mapping import draft_of_fact

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
DAY_MS = 86_400_000
GARDEN, KITCHEN = GroupCode("G-7F3K"), GroupCode("G-2222")
ROOMS = {GARDEN: RoomId("!garden:example.org"), KITCHEN: RoomId("!kitchen")}
ANNA, BEN, CLEO = UserId("@anna:example.org"), UserId("@ben:example.org"), UserId("@cleo:example.org")
PICTURE = b"\x89PNG not really"
DIGEST = hashlib.sha256(PICTURE).hexdigest()
NASTY = '<img src=x onerror="alert(1)">\u202egnp.exe'
POLICY = json.dumps({"rules": [{"name": "no-coins", "text": {"en": "Do not sell <coins>.", "zh": "不得卖币。"}}]})
WORDS = CatalogWords("en")


class Log:
    """A log on disk, and the index of each record by name."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / "records"
        self.at: dict[str, int] = {}  # name of a record -> its number

    def export(self, selection: Selection | None = None, out: Path | None = None, **more: Any) -> Path:
        """Export to a zip, and keep its description in `summary`."""
        out = out or self.data_dir.parent / f"export-{len(list(self.data_dir.parent.iterdir()))}.zip"
        request = ExportRequest(selection or Selection(), NOON + 2 * DAY_MS, "root", "case 12", id=f"id-{out.stem}")
        self.summary: Summary = export(self.folder, out, request, more.pop("words", WORDS), **more)
        return out

    def record(self, contents: Contents) -> int:
        """Record an export and sign it, as the bot does."""
        said = {"count": contents.count, "note": contents.id, "reader": "root"}
        fact = RecordsExported(records=contents.records, contents=contents.files, **said)  # type: ignore[arg-type]
        keys = PersonKeys.open(DatabasePlace(self.data_dir))
        with Journal.open(self.data_dir, "example.org/log", keys, NOON) as journal:
            (index,) = journal.append([draft_of_fact(fact, NOON + 2 * DAY_MS, None, PersonId)])
            journal.close(NOON + 2 * DAY_MS)
        keys.close()
        return index

    def grow(self, times: list[int]) -> None:
        """Add messages at these times."""
        keys = PersonKeys.open(DatabasePlace(self.data_dir))
        with Journal.open(self.data_dir, "example.org/log", keys, times[0]) as journal:
            part = Part(PersonId(CLEO), {"mxid": CLEO, "body": "more"})
            journal.append([Draft("message", at, GARDEN, parts=(part,)) for at in times])
            journal.close(times[-1])
        keys.close()

    def media(self, digest: str) -> Any:
        path = self.data_dir / "media" / digest
        return path.open("rb") if path.exists() else None

    def erase(self, name: str, by: str, day: str = "2026-11-24") -> None:
        """Change the day's file as an erasure does."""
        path = self.folder / "day" / f"{day}.jsonl"
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for line in lines:
            if line["i"] == self.at[name]:
                line["x"][0] = {"erased": day, "by": self.at[by]}
        text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
        path.write_text(text, "utf-8")


class Writer:
    """Writes drafts under names."""

    def __init__(self, log: Log, journal: Journal) -> None:
        self.log, self.journal = log, journal
        self.now = NOON

    def put(self, name: str, draft: Draft) -> int:
        self.now += 1_000
        (index,) = self.journal.append([draft])
        self.log.at[name] = index
        return index

    def fact(self, name: str, fact: Fact, code: GroupCode | None = GARDEN) -> int:
        return self.put(name, draft_of_fact(fact, self.now, code, PersonId))

    def message(self, name: str, sender: UserId, body: str, code: GroupCode = GARDEN, **more: Json) -> int:
        data: dict[str, Json] = {"mxid": sender, "ev": f"${name}", "ts": self.now - 9, "body": body, **more}
        return self.put(name, Draft("message", self.now, code, parts=(Part(PersonId(sender), data),)))

    def said(self, name: str, kind: str, sender: UserId, fields: dict[str, int | str], **data: Json) -> int:
        part = Part(PersonId(sender), {"mxid": sender, "ev": f"${name}", "ts": self.now, **data})
        return self.put(name, Draft(kind, self.now, GARDEN, fields, (part,)))


def tell(writer: Writer) -> None:
    """Write the story."""
    writer.put("start", Draft("start", writer.now, fields={"version": "0.1.0"}))
    writer.fact("policy", PolicyChanged(digest="0" * 32, policy=POLICY), None)
    for code, room in ROOMS.items():
        writer.fact(f"entered-{code}", RoomEntered(code=code, purpose="group", room_id=room, subject=ANNA), code)
    writer.said("named", "state", ANNA, {"what": "event"}, type="m.room.name", key="", content={"name": NASTY})
    writer.said("join", "join", CLEO, {"membership": "join"}, key=CLEO, content={"displayname": NASTY})
    writer.message("hello", CLEO, "hello 你好 \U0001f600")
    writer.message("formula", BEN, '=HYPERLINK("https://evil.example";"x")', KITCHEN)
    writer.message("regret", BEN, "I should not have said this", KITCHEN)
    writer.said("takenback", "redact", CLEO, {}, target="$hello")
    evidence = writer.message("coins", BEN, f"buy coins {NASTY}\nnow", content={"url": "mxc://example.org/x"})
    writer.fact(
        "found", Found(on=evidence, rule="no-coins", grade="serious", where="body", subject=BEN, matched="coins")
    )
    writer.fact(
        "media", MediaKept(on=evidence, bytes=len(PICTURE), kept=1, subject=BEN, sha256=DIGEST, url="mxc://e/x")
    )
    writer.fact(
        "case",
        CaseOpened(
            on=evidence, n=1, rule="no-coins", grade="serious", decide="manager", state="open", due=NOON + DAY_MS,
            subject=BEN, event=EventId("$coins"), excerpt="buy coins",
        ),
    )  # fmt: skip
    more = writer.message("more", BEN, "buy more coins")
    writer.fact("grew", CaseGrew(on=more, n=1, subject=BEN, event=EventId("$more")))
    other = writer.message("rude", CLEO, "you fool")
    writer.fact(
        "other",
        CaseOpened(on=other, n=2, rule="calm", grade="minor", decide="auto", state="decided", due=0, subject=CLEO),
    )
    order = writer.message("order", ANNA, "!uphold 1 selling coins")
    writer.fact("decision", CaseDecided(on=order, n=1, what="upheld", subject=BEN, by=ANNA, reason=f"selling {NASTY}"))
    writer.fact(
        "credit",
        CreditChanged(on=order, n=1, entry="charge", cost=25, grade="serious", rule="no-coins", left=75, subject=BEN),
    )
    writer.fact(
        "mute",
        SanctionStarted(
            on=order,
            n=1,
            kind="mute",
            until=NOON + DAY_MS,
            basis="decision",
            rule="no-coins",
            subject=BEN,
            by=ANNA,
            reason="+1 day",
        ),
    )
    writer.fact(
        "unmute",
        SanctionEnded(on=writer.log.at["mute"], start=writer.log.at["mute"], kind="mute", why="time", subject=BEN),
    )
    regret = writer.log.at["regret"]
    fields: dict[str, int | str] = {"parts": 1, "what": "request"}
    writer.put(
        "erase",
        Draft(
            "erase",
            writer.now,
            None,
            fields,
            (Part(NOBODY, {"records": str(regret)}), Part(NOBODY, {"reason": "@ben asked"})),
        ),
    )


def build(data_dir: Path, *, two_days: bool = True) -> Log:
    log = Log(data_dir)
    keys = PersonKeys.open(DatabasePlace(data_dir))
    with Journal.open(data_dir, "example.org/log", keys, NOON) as journal:
        writer = Writer(log, journal)
        tell(writer)
        journal.sync()
        log.erase("regret", "erase")
        if two_days:
            writer.now = NOON + DAY_MS
            writer.message("tomorrow", CLEO, "tomorrow", KITCHEN)
        journal.close(writer.now)
    keys.close()
    (data_dir / "media").mkdir()
    (data_dir / "media" / DIGEST).write_bytes(PICTURE)
    return log


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Provide the log, which no test changes."""
    return build(tmp_path_factory.mktemp("story") / "data")


@pytest.fixture
def log(story: Log, tmp_path: Path) -> Log:
    """Provide a copy of the log, to be changed."""
    copy = Log(tmp_path / "data")
    shutil.copytree(story.data_dir, copy.data_dir)
    copy.at = story.at
    return copy


@pytest.fixture(scope="session")
def whole(story: Log) -> Path:
    """Provide an export of everything, as a zip, which no test changes."""
    return story.export(media=story.media)


@pytest.fixture(scope="session")
def unpacked(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the unpacked export as a folder, which no test changes."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(whole) as file:
        file.extractall(folder)
    return folder


@pytest.fixture
def folder(unpacked: Path, tmp_path: Path) -> Path:
    """Provide a copy of the unpacked export, to be changed."""
    return shutil.copytree(unpacked, tmp_path / "export")


class Ran:
    """The result of running `verify.py`."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def run_verify(*arguments: object, script: Path | None = None, python: str = sys.executable) -> Ran:
    """Run `verify.py` as a stranger would: without packages and environment."""
    command = [python, "-I", "-S", str(script or verify.__file__), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture(scope="session")
def tools() -> Any:
    """Provide the helpers of this file, since test files cannot import each other under importlib mode."""

    class Tools:
        noon, day_ms, digest, picture, nasty = NOON, DAY_MS, DIGEST, PICTURE, NASTY
        anna, ben, cleo, garden, kitchen = ANNA, BEN, CLEO, GARDEN, KITCHEN
        words = CatalogWords
        run_verify: Callable[..., Ran] = staticmethod(run_verify)
        build: Callable[..., Log] = staticmethod(build)

        @staticmethod
        def lines(out: Path) -> list[dict[str, Any]]:
            with zipfile.ZipFile(out) as file:
                return [json.loads(line) for line in file.read("records.jsonl").decode().splitlines()]

        @staticmethod
        def text(out: Path, name: str) -> str:
            with zipfile.ZipFile(out) as file:
                return file.read(name).decode()

    return Tools


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """Provide a folder for many small files, for hypothesis."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
