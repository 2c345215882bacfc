"""`answerable rules`: what rules would have done with what was recorded, without doing it."""

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import run
from bot.cli.rules.reading import read_again
from bot.config.config import load_config
from moderation.values.ids import UserId
from tests.door.offline import ANNA, CONFIG, DESK, MARK, NOON, Offline, offline
from tests.theatre.engine import Block, place_in
from tests.theatre.opened import kept_in

BRIDGED = UserId("@_irc_ben:example.org")
RECORDED = """
[[rules]]
name = "ads"
kind = "terms"
class = "serious"
terms = ["buy"]
"""
TRIED = """
[[rules]]
name = "greetings"
kind = "terms"
measure = "mute"
terms = ["hello", "welcome"]
unless = { users = ["@_irc_*:example.org"] }
[[rules]]
name = "swear"
kind = "terms"
decide = "manager"
terms = ["damn"]
[[rules]]
name = "quiet"
kind = "terms"
dry_run = true
terms = ["psst"]
"""
DAY = 86_400_000
Answer = Callable[..., Any]


async def history(bot: Offline) -> None:
    """Let a week pass in which a rule errs twice and a manager is rude."""
    await bot.say(ANNA, "hello, old times")
    bot.time.ms += 8 * DAY
    for user, words in ((ANNA, "hello"), (ANNA, "welcome"), (BRIDGED, "hello"), (MARK, "damn"), (ANNA, "psst")):
        await bot.say(user, words)
    for number in (1, 2):
        bot.time.ms += DAY
        await bot.say(ANNA, "hello, do not buy that")
        await bot.say(MARK, f"!dismiss {number} a warning", room=DESK)
    await bot.say(MARK, '!rule add own terms "psst" minor', room=DESK)
    bot.time.ms += DAY
    await bot.say(BRIDGED, "psst")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, as_bots_do: Block) -> Path:
    """Provide the folder of a deployment with a history, which all tests read."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "config.toml").write_text(CONFIG + RECORDED)
    (folder / "tried.toml").write_text(TRIED)

    async def lived() -> None:
        async with offline(folder, RECORDED) as bot:
            await history(bot)

    with as_bots_do():
        asyncio.run(lived())
    return folder


@pytest.fixture
def answer(deployment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Answer:
    """Provide the command on the deployment; it answers with JSON, or with its words."""
    monkeypatch.chdir(deployment)
    monkeypatch.setenv("ANSWERABLE_LANG", "en")

    def ask(*arguments: str) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(["rules", *arguments, *(() if "--since" in arguments else ("--since", day(8)))])
        out, err = capsys.readouterr()
        assert not ended.value.code, err
        return json.loads(out) if "--json" in arguments else out

    return ask


def day(number: int) -> str:
    """Return the beginning of a day of the history, as it is typed."""
    return dt.datetime.fromtimestamp((NOON + number * DAY) / 1000, dt.UTC).strftime("%Y-%m-%d")


def notes(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the notes of who read what, by file."""
    return {file.name: json.loads(file.read_bytes()) for file in (folder / "data/spool").glob("access-*.json")}


def test_it_says_what_the_rules_of_a_file_would_have_done_and_to_whom(answer: Answer) -> None:
    told = answer("try", "tried.toml", "--json")
    assert (told["events"], told["wordless"]) == (11, 0)  # commands are messages, too
    rules = {each.pop("rule"): each for each in told["rules"]}
    examples = {name: each.pop("examples") for name, each in rules.items()}
    common = {"dry_run": False, "recorded": 0, "decided": 0, "dismissed": 0, "harmless": 0, "to_decide": 0}
    anna, room = [{"person": ANNA, "matched": 1}], [{"room": "G-7F3K", "matched": 1}]
    assert rules == {
        "greetings": common
        | {
            "matched": 4,  # not in the week before, not by the people of the bridge
            "cases": 3,  # the first two are one incident
            "measures": {"mute": 3, "redact": 4},
            "people": [{"person": ANNA, "matched": 4}],
            "rooms": [{"room": "G-7F3K", "matched": 4}],
            "harmless": 2,  # people found nothing wrong with them
        },
        "swear": common
        | {
            "matched": 1,
            "cases": 1,
            "to_decide": 1,
            "measures": {},
            "people": [{"person": MARK, "matched": 1}],
            "rooms": room,
        },
        "quiet": common
        | {
            "dry_run": True,
            "matched": 2,
            "cases": 0,
            "measures": {},
            "people": [*anna, {"person": BRIDGED, "matched": 1}],
            "rooms": [{"room": "G-7F3K", "matched": 2}],
        },
    }
    assert len(examples["greetings"]) == 3
    assert not any("matched" in each for each in examples["greetings"])


def test_it_says_what_the_present_configuration_would_have_done_and_how_often_its_rules_erred(answer: Answer) -> None:
    (ads, own) = answer("replay", "--json")["rules"]
    assert [ads[name] for name in ("rule", "matched", "recorded", "decided", "dismissed", "harmless")] == [
        "ads", 2, 2, 2, 2, 2,
    ]  # fmt: skip
    assert (own["rule"], own["matched"], own["recorded"]) == ("own", 1, 1)  # of the room, from when it was written
    assert answer("replay", "--json", "--since", day(11))["rules"] == [own]


def test_a_whole_configuration_can_be_tried(answer: Answer, deployment: Path) -> None:
    (deployment / "whole.toml").write_text(CONFIG.replace('"data"', '"elsewhere"') + TRIED)
    assert {each["rule"] for each in answer("try", "whole.toml", "--json")["rules"]} == {"greetings", "swear", "quiet"}


def test_nothing_of_the_data_is_changed(answer: Answer, deployment: Path) -> None:
    def stands() -> dict[str, bytes]:
        kept = kept_in(place_in(deployment / "data"))
        return {name: content for name, content in kept.items() if not name.startswith("spool/")}

    before = stands()
    answer("try", "tried.toml")
    assert stands() == before
    assert not list((deployment / "data").glob(".scratch-*"))


def test_whom_it_names_is_noted_and_words_are_shown_with_a_reason_only(answer: Answer, deployment: Path) -> None:
    before = notes(deployment)
    shown = answer("try", "tried.toml")
    assert "Since" in shown and "@anna" in shown and "psst" not in shown
    with_words = answer("try", "tried.toml", "--reason", "are these false alarms")
    assert "psst" in with_words
    named = [ANNA, MARK, BRIDGED]
    fresh = [note for name, note in notes(deployment).items() if name not in before]
    about = sorted((note["filters"]["what"], note["reason"], sorted(note["filters"]["person"])) for note in fresh)
    assert about == [("rules", "", sorted(named)), ("rules-words", "are these false alarms", sorted(named))]


def test_a_file_without_rules_or_with_wrong_ones_is_refused(
    answer: Answer, deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del answer
    (deployment / "empty.toml").write_text("rules = []\n")
    (deployment / "wrong.toml").write_text('[[rules]]\nname = "a"\nkind = "terms"\nterms = [""]\n')
    for file, words in (("empty.toml", "no [[rules]]"), ("wrong.toml", "line 4"), ("none.toml", "no file")):
        with pytest.raises(SystemExit) as ended:
            run(["rules", "try", file])
        assert ended.value.code
        assert words in capsys.readouterr().err


def test_it_says_how_far_it_is(answer: Answer, deployment: Path) -> None:
    del answer
    config, steps = load_config(deployment / "config.toml"), list[tuple[str, int, int]]()
    read_again(config, config.policy, (), 0, lambda *step: steps.append(step))
    records = sum(len(file.read_bytes().splitlines()) for file in (deployment / "data/records/day").glob("*.jsonl"))
    assert steps[0][:2] == ("Reading the records", 0)
    assert steps[0][2] >= records > 0  # closed days are compressed
