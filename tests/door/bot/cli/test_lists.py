"""`answerable lists`: what is watched, what it says, and whom of our people a list would touch."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import run
from storage.state.list_entries import digest_of
from tests.door.lists import LIST, entries
from tests.door.offline import ANNA, CONFIG, MARK, ROOM, Offline, offline
from tests.theatre.engine import Block
from tests.unit.moderation.lists.made import made

STRANGER = "@stranger:elsewhere.example"
NAMED = (
    made("user", ANNA, key="1"),
    made("user", MARK, key="2"),
    made("server", "elsewhere.example", key="3"),
    made("user", "@spam:bad.example", key="4"),
)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, as_bots_do: Block) -> Path:
    """Provide the folder of a deployment that watches a list, which all tests read."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "config.toml").write_text(CONFIG)

    async def lived(bot: Offline) -> None:
        await bot.membership(STRANGER, "join")  # type: ignore[arg-type]
        await entries(bot)
        await bot.say(MARK, f"!list spare {STRANGER} a friend")
        await entries(bot, *NAMED, trust="look")

    async def live() -> None:
        async with offline(folder, "") as bot:
            await lived(bot)

    with as_bots_do():
        asyncio.run(live())
    return folder


@pytest.fixture
def answer(deployment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Provide the command on the deployment; it answers with JSON, or with its words."""
    monkeypatch.chdir(deployment)
    monkeypatch.setenv("ANSWERABLE_LANG", "en")

    def ask(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(["lists", *arguments])
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, err
        return json.loads(out) if "--json" in arguments else out or err

    return ask


def test_it_lists_what_is_watched(answer: Callable[..., Any]) -> None:
    (found,) = answer("--json")
    assert (found["group"], found["by"]) == ("G-7F3K", "")
    assert (found["list"], found["room"], found["trust"], found["entries"], found["cases"]) == (
        "cme",
        LIST,
        "look",
        4,
        0,
    )
    assert "cme" in answer()


def test_it_finds_entries_by_person_and_by_word(answer: Callable[..., Any], deployment: Path) -> None:
    assert [each["entity"] for each in answer("match", STRANGER, "--json")] == ["elsewhere.example"]
    assert [each["entity"] for each in answer("search", "BAD.ex", "--json")] == ["@spam:bad.example"]
    notes = [json.loads(file.read_bytes()) for file in (deployment / "data/spool").glob("access-*.json")]
    assert STRANGER in {str(note.get("person", note.get("filters", {}).get("person"))) for note in notes}


def test_it_says_whom_a_list_would_touch(answer: Callable[..., Any]) -> None:
    found = answer("preview", "cme", "--json")
    assert {each["person"]: each["fate"] for each in found["people"]} == {
        ANNA: "apply",
        MARK: "exempt",
        STRANGER: "spared",
    }
    assert (found["kinds"], found["widest"]) == (
        {"server": 1, "user": 3},
        [{"entity": "elsewhere.example", "people": 1}],
    )
    assert [(each["by"], each["entries"]) for each in found["authors"]] == [("@mod:lists.example", 4)]
    assert found["digest"] == digest_of(sorted(NAMED, key=lambda each: (each.kind, each.key)))
    shown = answer("preview", LIST)
    assert "Never touched" in shown and ROOM in shown


def test_a_list_that_is_not_watched_is_refused(answer: Callable[..., Any]) -> None:
    assert "other" in answer("preview", "other", code=1)
