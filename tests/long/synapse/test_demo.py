"""The demo: the whole story through the real command line, and again with the bot killed in the middle of it.

The results are compared completely: what the homeserver shows, and what the bot's own command line prints.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from bot.config.config import load_config
from bot.demo.bot_process import BotFailed, BotProcess
from bot.demo.stage import NAMES, PASSWORD, WHEN, DemoStage, is_bot
from bot.demo.steps import Fields
from bot.demo.story import STEPS, Story, StoryOutcome, StoryStep
from bot.demo.web import WebBrowser
from moderation.values.ids import server_of
from storage.database.place import FILE
from tests.people.client import Client
from tests.theatre.forked_command import ForkedBot

DEADLINE_S = 500.0  # the story takes minutes where many programs run
QUIET_S = 1.0
STOP_SIGN = "Stop with Ctrl-C"

# When the bot is killed -> how many times it first writes to its journal (0: it is killed at once).
KILLS = {
    "joining.invited": 1,
    "vouched.after": 0,
    "hidden.sent": 1,
    "dismissed.pressed": 1,
    "demoted.pressed": 1,
    "demoted.lowered": 0,
    "muted.tried": 0,
    "missed.sent": 1,
    "passed_on.decided": 1,
    "appealed.sent": 1,
    "reversed.decided": 1,
    "asks.confirmed": 1,
    "not_delivered.refused": 0,
    "goes_on.silent": 0,
}

CREDIT = {"@carla": 30, "@dora": 50, "@emil": 90, "@finn": 65}
CASES = [
    (1, "@emil", "no-elephants", "moderate", "decided", "dismissed"),
    (2, "@finn", "no-endings", "serious", "decided", "upheld"),
    (3, "@carla", "no-endings", "serious", "decided", "upheld"),
    (4, "@carla", "no-ticket-numbers", "serious", "decided", "upheld"),
    (5, "@finn", "by_order", "moderate", "decided", "upheld"),
    (6, "@dora", "no-solutions", "severe", "decided", "upheld"),
    (7, "@ben", "duty_overdue", "moderate", "reversed", "dismissed"),
    (8, "@emil", "no-elephants", "moderate", "decided", "upheld"),
]


@dataclass(frozen=True)
class End:
    """The result of the story."""

    rooms: dict[str, Any]  # as the homeserver shows them
    cases: list[tuple[Any, ...]]
    credit: dict[str, Any]
    entries: dict[str, Any]


@dataclass
class Demo:
    """`answerable demo` as a process."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text("utf-8")

    async def until(self, words: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while words not in self.said():
                assert self.process.poll() is None, self.said()
                await asyncio.sleep(0.05)

    async def end_by(self, number: int) -> int:
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, DEADLINE_S)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def _with_ctrl_c() -> None:
    """Accept Ctrl-C as from a terminal: processes that a shell starts in the background ignore it, and pass this on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(temporary: Path, *arguments: str) -> Iterator[Demo]:
    output = temporary.parent / "output.txt"
    environ = {**os.environ, "TMPDIR": str(temporary), "ANSWERABLE_LANG": "en"}
    with output.open("wb") as file:
        command = [sys.executable, "-m", "bot.cli.main", "demo", *arguments]
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=environ, start_new_session=True, preexec_fn=_with_ctrl_c
        )
    try:
        yield Demo(process, output)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(DEADLINE_S)


# The end of the story, as others see it.


async def until_sent(folder: Path) -> None:
    """Wait until the bot has had nothing to send for some seconds: what follows from an act is queued after it."""

    def waits() -> bool:
        with contextlib.closing(sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True, timeout=60)) as db:
            return bool(db.execute("SELECT 1 FROM outbox LIMIT 1").fetchone())

    async with asyncio.timeout(DEADLINE_S):
        empty = 0
        while empty < 30:
            empty = 0 if await asyncio.to_thread(waits) else empty + 1
            await asyncio.sleep(0.1)


async def printed(bot: ForkedBot, *arguments: str) -> Any:
    """Return what a command prints with ``--json``."""
    ran = await bot.command(*arguments, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


async def the_end(bot: ForkedBot) -> End:
    config = load_config(bot.config, {})
    url, policy_server = config.homeserver.url, config.policy_server.server_name
    assert policy_server is not None
    # Their names differ each time.
    names = {policy_server: "policy.localhost", server_of(config.homeserver.user): "localhost"}
    await until_sent(bot.folder)
    cases, everybody = await asyncio.gather(printed(bot, "cases"), printed(bot, "credit"))
    people = [row["person"] for row in everybody]
    bare = [person.partition(":")[0] for person in people]
    found = await asyncio.gather(*(printed(bot, "credit", person) for person in people))
    return End(
        rooms=await rooms_of(url, names),
        cases=[
            (case["n"], case["subject"].partition(":")[0], *(case[k] for k in ("rule", "class", "state", "outcome")))
            for case in cases
        ],
        credit=dict(zip(bare, (row["credit"] for row in everybody), strict=True)),
        entries={person: _without_times(own) for person, own in zip(bare, found, strict=True)},
    )


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Replace names of servers wherever they stand in what the homeserver shows."""
    match value:
        case str():
            for name, other in names.items():
                value = value.replace(name, other)
            return value
        case Counter():
            return Counter({_renamed(key, names): count for key, count in value.items()})
        case dict():
            return {_renamed(key, names): _renamed(each, names) for key, each in value.items()}
        case tuple():
            return tuple(_renamed(each, names) for each in value)
    return value


def _without_times(found: dict[str, Any]) -> Any:
    entries = [(e["entry"], e["cost"], e["rule"], e["case"], e["counts"]) for e in found["entries"]]
    return entries, sorted((hold["kind"], hold["basis"], hold["case"]) for hold in found["in_force"])


async def rooms_of(url: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return all rooms of the people in the story: their members, power levels and the bot's messages.

    `names` are put in the place of the servers' names.
    """
    rooms: dict[str, Any] = {}
    for name in NAMES:
        async with await Client.log_in(url, name, PASSWORD) as client:
            for room in (await client.request("GET", "joined_rooms"))["joined_rooms"]:
                called = (await client.state(room, "m.room.name") or {}).get("name", "")
                members = _renamed(await client.members(room), names)
                key = _normal(f"{called} {sorted(members)}")
                assert key not in rooms or rooms[key]["id"] == room, f"two rooms for the same: {key}"
                rooms[key] = {
                    "id": room,
                    "members": members,
                    "levels": _renamed((await client.power_levels(room))["users"], names),
                    "said": _renamed(await _said(client, room), names),
                }
    return {key: {part: value for part, value in room.items() if part != "id"} for key, room in rooms.items()}


async def _said(client: Client, room: str) -> Counter[tuple[str, ...]]:
    """Return what the bot did in a room. Only the last edit of each card counts, as edits may be merged."""
    events = await client.messages(room, 1000)
    bodies = {event["event_id"]: str(event["content"].get("body", "")) for event in events}
    edits: dict[str, tuple[str, ...]] = {}
    said: Counter[tuple[str, ...]] = Counter()
    for event in events:
        if not is_bot(event["sender"]) or "state_key" in event:
            continue
        content = event["content"]
        relation = content.get("m.relates_to", {})
        about = (
            content.get("redacts") or relation.get("event_id") or relation.get("m.in_reply_to", {}).get("event_id", "")
        )
        line = (event["type"], _normal(content.get("body") or relation.get("key", "")), _normal(bodies.get(about, "")))
        if relation.get("rel_type") == "m.replace":
            edits[about] = line
        else:
            said[line] += 1
    said.update(edits.values())
    return said


def differences(one: End, other: End) -> list[str]:
    """Return what is in the rooms of only one of the two, as readable lines."""
    flat = [
        {
            f"{room} {part}: {item}"
            for room, parts in end.rooms.items()
            for part, items in parts.items()
            for item in items.items()
        }
        for end in (one, other)
    ]
    return sorted([f"- {line}" for line in flat[0] - flat[1]] + [f"+ {line}" for line in flat[1] - flat[0]])


def _reply(relation: dict[str, Any]) -> str:
    return str(relation.get("m.in_reply_to", {}).get("event_id", ""))


def _normal(text: str) -> str:
    """Remove what differs every time: dates, codes of groups, numbers of requests, the key of the log."""
    text = re.sub(r"http://127\.0\.0\.1:\d+/enter/[0-9a-f]+", "<link>", text)
    text = re.sub(r"\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", "+<key>", WHEN.sub("<time>", text))
    text = text.replace(", suspends management rights for 10 days", "")  # Ben's level may come back before or after it
    text = re.sub(r"\nMore time, once: .* \(12 seconds more\)", "", text)  # they may be over before the card comes
    text = re.sub(r"!policy on \d+", "!policy on <number>", text)
    text = re.sub(r"matrix\.to/#/[!$A-Za-z0-9_:.-]+(?:/[$A-Za-z0-9_-]+)?", "matrix.to/...", text)
    return re.sub(r"G-[0-9A-Z]{4}\b", "G-....", text)


def failures(outcomes: Sequence[StoryOutcome]) -> list[str]:
    return [f"{outcome.step.name}: {outcome.seen}" for outcome in outcomes if not outcome.ok]


# The whole story, undisturbed.


async def play_by_command(folder: Path, temporary: Path) -> End:
    """Run `answerable demo --keep`, examine what it leaves running, and end it by Ctrl-C."""
    data, json = folder / "data", folder / "demo.json"
    with started(temporary, "--keep", "--json", str(json), "--data-dir", str(data)) as demo:
        await demo.until(STOP_SIGN)
        url = load_config(data / "config.toml", {}).homeserver.url
        end = await the_end(ForkedBot(data, "en"))
        assert f"console --config {data / 'config.toml'}" in demo.said()
        await open_the_console(ForkedBot(data, "en"))
        pid = int((data / "lock").read_text())
        assert await demo.end_by(signal.SIGINT) == 0, demo.said()
    assert f"All {len(STEPS)} steps went well" in demo.said()
    assert not is_running(pid)
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    steps = orjson.loads(json.read_bytes())["steps"]
    assert [step["ok"] for step in steps] == [True] * len(STEPS)
    assert all(step.keys() == {"name", "expected", "seen", "ok"} and all(step.values()) for step in steps)
    assert (await ForkedBot(data, "en").command("logs", "verify")).code == 0
    return end


async def open_the_console(bot: ForkedBot) -> None:
    """Open the console as the operator does who has typed what the demo says."""
    printed = (await bot.command("console")).out
    link = re.search(r"http://\S+/enter/[0-9a-f]+", printed)
    assert link is not None, printed
    async with WebBrowser() as browser:
        await browser.open(link[0])
        await browser.press()
        await browser.open("/cases?tab=all")
        assert "no-endings" in browser.page


async def play_with_kills(folder: Path) -> End:
    """Play the story, and kill and restart the bot at every moment of `KILLS`."""
    bot = ForkedBot(folder, "en")

    async def kill(moment: str) -> None:
        if moment in KILLS:
            await until_written(folder, KILLS[moment])
            bot.kill()
            bot.start()

    stage = DemoStage(folder / "homeserver", bot)
    try:
        outcomes = [outcome async for outcome in Story(stage, "en", kill).play()]
        assert failures(outcomes) == [], bot.log(100)
        assert bot.restarts == len(KILLS)
        end = await the_end(bot)
        assert await bot.stop() == 0
    finally:
        await stage.close()
    assert (await bot.command("logs", "verify")).code == 0
    return end


async def until_written(folder: Path, times: int) -> None:
    """Wait until the bot has written to its journal so many times, or writes no more."""

    def size() -> int:
        return sum(day.stat().st_size for day in (folder / "records" / "day").glob("*.jsonl"))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            for _ in range(times):
                before = size()
                while size() == before:  # noqa: ASYNC110 - another process writes
                    await asyncio.sleep(0.001)


def names_in(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_story_goes_as_told_and_a_bot_killed_in_the_middle_of_it_comes_to_the_same_end(
    tmp_path: Path, temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with asyncio.TaskGroup() as both:  # at the same time, each on a homeserver of its own
        by_command = both.create_task(play_by_command(tmp_path, temporary))
        with_kills = both.create_task(play_with_kills(tmp_path_factory.mktemp("disturbed")))
    undisturbed, disturbed = by_command.result(), with_kills.result()
    assert (undisturbed.cases, undisturbed.credit) == (CASES, CREDIT)
    said = [item for room in undisturbed.rooms.values() for item in room["said"].items()]
    assert [line for line, count in said if count > 1 and line[0] != "m.room.redaction"] == []

    assert differences(disturbed, undisturbed) == []
    assert disturbed == undisturbed


# Deviations from the story.


class TestAnEarlyEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_everything_is_ended_and_removed(self, temporary: Path, number: int) -> None:
        with started(temporary) as demo:
            await demo.until(f"2/{len(STEPS)}")
            assert await demo.end_by(number) == 128 + number
        assert names_in(temporary) == []
        assert "Traceback" not in demo.said()

    async def test_a_folder_with_something_else_in_it_is_left_alone(self, temporary: Path) -> None:
        folder = temporary.parent / "mine"
        folder.mkdir()
        (folder / "diary.txt").write_text("dear diary")
        with started(temporary, "--data-dir", str(folder)) as demo:
            assert await asyncio.to_thread(demo.process.wait, DEADLINE_S) == 1
        assert "diary.txt, which is not from a demo" in demo.said()
        assert names_in(folder) == ["diary.txt"]
        assert names_in(temporary) == []


class TestAStepThatFails:
    @pytest.fixture
    def stage(self, tmp_path: Path) -> DemoStage:
        return DemoStage(tmp_path, BotProcess(tmp_path, "en"))

    async def test_dependent_steps_are_skipped_and_others_run(self, stage: DemoStage) -> None:
        async def fails(_stage: DemoStage) -> Fields:
            raise AssertionError("the sky is green")

        async def works(_stage: DemoStage) -> Fields:
            return {"url": "-", "pid": "-", "count": 1}

        steps = (
            StoryStep("homeserver", fails),
            StoryStep("people", works, ("homeserver",)),
            StoryStep("bot", works),
        )
        outcomes = [outcome async for outcome in Story(stage, "en", steps=steps).play()]
        assert [outcome.state for outcome in outcomes] == ["failed", "not_run", "ok"]
        assert outcomes[0].seen == "AssertionError: the sky is green"

    async def test_the_bot_ending_by_itself_is_told_at_once(self, stage: DemoStage) -> None:
        async def bot_ends(stage: DemoStage) -> Fields:
            stage.bot.start()  # without a configuration
            await asyncio.Event().wait()
            return {}

        outcomes = [outcome async for outcome in Story(stage, "en", steps=(StoryStep("bot", bot_ends),)).play()]
        assert outcomes[0].state == "failed"
        assert "ended by itself (2)" in outcomes[0].seen
        assert "config.toml" in outcomes[0].seen
        with pytest.raises(BotFailed):
            await stage.bot.until_ready()
