"""`[verification]` in `config.toml`: levels, consequences below them, methods, and settings of single rooms."""

from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.config.errors import ConfigError
from bot.texts.catalog import LANGUAGES
from moderation.policy import Policy, RoomVerification, VerificationSettings
from moderation.values.durations import DAY_MS

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n[verification]\n'
ROOM = '[[verification.rooms]]\nrooms = ["G-7F3K"]\n'


def read(text: str) -> VerificationSettings:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, {}).policy.verification


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [(".".join(map(str, p.place)), p.key) for p in caught.value.problems]


def test_nothing_is_asked_by_default() -> None:
    settings = read("")
    assert (settings.write, settings.manage, settings.found) == (0, 0, 0)


def test_all_of_it_is_read_and_comes_back_from_the_record_of_the_policy() -> None:
    settings = read(
        'write = 1\nmanage = 3\nfound = 2\nbelow = "remove"\ngrace = "14d"\nmethods = ["email", "oidc"]\n'
        + ROOM
        + 'write = 0\ngrace = "1d"\n'
    )
    own = RoomVerification(rooms=("G-7F3K",), write=0, grace=DAY_MS)
    assert settings == VerificationSettings(
        write=1, manage=3, found=2, below="remove", grace=14 * DAY_MS, methods=("email", "oidc"), rooms=(own,)
    )
    policy = Policy(verification=settings)
    assert Policy.model_validate_json(policy.model_dump_json(by_alias=True)) == policy


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write = 3\n", [("verification.write", "level_unreachable")]),
        ("write = 1\nmethods = []\n", [("verification.write", "level_unreachable")]),
        ('found = 2\nmethods = ["email"]\n', [("verification.found", "level_unreachable")]),
        (ROOM + "manage = 3\n", [("verification.rooms.0.manage", "level_unreachable")]),
        ("write = 2\n" + ROOM + 'methods = ["email"]\n', [("verification.rooms.0.write", "level_unreachable")]),
        ("write = 4\n", [("verification.write", "expected.at_most")]),
        ("write = -1\n", [("verification.write", "expected.at_least")]),
        ('write = "2"\n', [("verification.write", "expected.number")]),
        ('below = "kick"\n', [("verification.below", "expected.one_of")]),
        ('methods = ["mail"]\n', [("verification.methods.0", "expected.one_of_near")]),
        ("grace = 7\n", [("verification.grace", "expected.duration")]),
        ('[[verification.rooms]]\nrooms = ["garden"]\n', [("verification.rooms.0.rooms.0", "expected.room")]),
        ("[[verification.rooms]]\nwrite = 1\n", [("verification.rooms.0.rooms", "missing")]),
        (ROOM + "grace = 7\n", [("verification.rooms.0.grace", "expected.duration")]),
        (ROOM + 'grace = "soon"\n', [("verification.rooms.0.grace", "expected.duration")]),
        (ROOM + "wirte = 2\n", [("verification.rooms.0.wirte", "unknown.near")]),
    ],
)
def test_wrong_settings_are_reported(text: str, found: list[tuple[str, str]]) -> None:
    assert problems(text) == found


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_level_nobody_can_reach_is_said_in_words(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    with pytest.raises(ConfigError, match="vouch, roster") as caught:
        read("write = 3\n")
    assert "{" not in str(caught.value)
