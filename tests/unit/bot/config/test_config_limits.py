"""Limits and dossiers in the configuration: 0 switches one off, less is a mistake."""

from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.config.errors import ConfigError

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n'
FILE = Path("/nowhere/config.toml")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("member_limits", "members"),
        ("member_limits", "founded"),
        ("member_limits", "joined"),
        ("dossiers", "serious"),
        ("dossiers", "severe"),
    ],
)
def test_a_limit_is_0_or_more(table: str, name: str) -> None:
    settings = parse_config(FILE, f"{HEAD}[{table}]\n{name} = 0\n", {})
    assert getattr(getattr(settings.policy, table), name) == 0
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, f"{HEAD}[{table}]\n{name} = -1\n", {})
    assert [(p.place, p.key) for p in caught.value.problems] == [((table, name), "expected.at_least")]


def test_newcomers_are_those_of_rooms_that_can_match() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, f'{HEAD}[newcomers]\nrooms = ["garden"]\nfor = 5\n', {})
    expected = [(("newcomers", "for"), "expected.duration"), (("newcomers", "rooms", 0), "expected.room")]
    assert sorted((p.place, p.key) for p in caught.value.problems) == sorted(expected)


def test_our_own_lists_have_ids_of_rooms_and_names_of_their_own() -> None:
    one = '[[lists.publish]]\nname = "ours"\nroom = "!ours:example.org"\n'
    [ours] = parse_config(FILE, HEAD + one, {}).lists.publish
    assert (ours.by, ours.hashed, ours.least, ours.rooms) == ("owner", True, "serious", ("*",))
    wrong = one.replace("!ours", "#ours") + 'by = "member"\nfrom = "grave"\n'
    for text, expected in (
        (one + one + 'rooms = ["garden"]\n', {(1, "name"): "list_twice", (1, "rooms", 0): "expected.room"}),
        (wrong, {(0, "room"): "expected.own_list_room", (0, "by"): "expected.one_of", (0, "from"): "expected.one_of"}),
    ):
        with pytest.raises(ConfigError) as caught:
            parse_config(FILE, HEAD + text, {})
        assert {problem.place[2:]: problem.key for problem in caught.value.problems} == expected


def test_lists_have_names_of_their_own_and_rooms() -> None:
    one = '[[lists.watch]]\nname = "cme"\nroom = "#cme:example.org"\n'
    assert parse_config(FILE, HEAD + one, {}).lists.watch[0].trust == "propose"
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, f'{HEAD}{one}{one}rooms = ["garden"]\n[[lists.watch]]\nname = "x"\nroom = "x"\n', {})
    found = {(problem.place, problem.key) for problem in caught.value.problems}
    assert (("lists", "watch", 2, "room"), "expected.list_room") in found
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, f'{HEAD}{one}{one}rooms = ["garden"]\n', {})
    found = {(problem.place, problem.key) for problem in caught.value.problems}
    assert found == {
        (("lists", "watch", 1, "name"), "list_twice"),
        (("lists", "watch", 1, "rooms", 0), "expected.room"),
    }
