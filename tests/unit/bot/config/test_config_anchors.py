"""`[anchors]` in `config.toml`: off by default, and refused if incomplete."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.config.config import parse_config
from bot.config.deployment import AnchorSettings
from bot.config.errors import ConfigError
from bot.texts.catalog import LANGUAGES
from storage.journal.transparency.cosignature import ML_DSA_44, Cosigner

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n[anchors]\n'
URL = 'witness_url = "https://witness.example.net/x"\n'
VKEY = 'witness_vkey = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"\n'


def read(text: str) -> AnchorSettings:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, {}).anchors


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [(".".join(map(str, p.place)), p.key) for p in caught.value.problems]


def test_no_witness_or_authority_is_asked_by_default() -> None:
    assert read("") == AnchorSettings(rooms=(), witness_url=None, witness_vkey=(), timestamp_url=None)


def test_all_of_it_is_read() -> None:
    settings = read(f'rooms = ["G-7F3K", "!x:*", "*"]\n{URL}{VKEY}timestamp_url = "http://tsa.example.net"\n')
    assert settings.rooms == ("G-7F3K", "!x:*", "*")
    assert (settings.witness_url, settings.timestamp_url) == ("https://witness.example.net/x", "http://tsa.example.net")


def test_a_witness_may_have_keys_of_both_kinds() -> None:
    one = VKEY.split(" = ")[1].strip()
    pq = json.dumps(Cosigner("w.example.net", bytes(1312), ML_DSA_44).text)
    assert read(URL + VKEY).witness_vkey == (json.loads(one),)
    assert read(f"{URL}witness_vkey = [{one}, {pq}]\n").witness_vkey == (json.loads(one), json.loads(pq))


def test_rooms_are_named_by_their_community_too() -> None:
    club = '[[communities.named]]\nname = "club"\nrooms = ["G-7F3K"]\n'
    assert read(f'rooms = ["club"]\n{club}').rooms == ("club",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (URL, [("anchors.witness_url", "not_alone")]),
        (VKEY, [("anchors.witness_vkey", "not_alone")]),
        (URL + VKEY.replace("da77", "da78"), [("anchors.witness_vkey", "expected.vkey")]),
        (URL + 'witness_vkey = ["x"]\n', [("anchors.witness_vkey", "expected.vkey")]),
        (URL + "witness_vkey = []\n", [("anchors.witness_url", "not_alone")]),
        (URL + "witness_vkey = 3\n", [("anchors.witness_vkey", "expected.list")]),
        (VKEY + 'witness_url = "witness.example.net"\n', [("anchors.witness_url", "expected.address")]),
        ('timestamp_url = "https://a b"\n', [("anchors.timestamp_url", "expected.address")]),
        ('rooms = ["*", "lobby"]\n', [("anchors.rooms.1", "expected.room")]),
        ('rooms = "*"\n', [("anchors.rooms", "expected.list")]),
        ("rooms = [1]\n", [("anchors.rooms.0", "expected.text")]),
        ('witness = "x"\n', [("anchors.witness", "unknown.near")]),
    ],
)
def test_wrong_settings_are_reported(text: str, found: list[tuple[str, str]]) -> None:
    assert problems(text) == found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_is_said_in_words(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    for text in (URL, 'timestamp_url = "x"\n', URL + 'witness_vkey = "x"\n'):
        with pytest.raises(ConfigError) as caught:
            read(text)
        assert "{" not in str(caught.value)


def test_a_value_in_place_of_a_table_is_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    head: Any = HEAD.replace("[anchors]\n", "").split("\n", 1)
    with pytest.raises(ConfigError) as caught:
        parse_config(Path("/nowhere/config.toml"), "anchors = 3\n" + "\n".join(head), {})
    assert [(p.place, p.key) for p in caught.value.problems] == [(("anchors",), "expected.table")]
