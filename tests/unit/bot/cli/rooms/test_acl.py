"""`answerable rooms acl`: servers that a room lets in no longer, denied and let in again while no bot runs."""

from pathlib import Path

import pytest

from tests.unit.bot.cli.conftest import ANNA, HEAD, Answerable

WHY = ("--reason", "raid")


@pytest.fixture(autouse=True)
def operator(config_file: Path, data_dir: Path) -> None:
    """Make Anna the only operator of a deployment with some history."""
    assert data_dir.exists()
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{ANNA}"]\n')


def denied(answerable: Answerable) -> list[tuple[str, str, bool, str]]:
    rows = answerable("rooms", "acl", "list", "G-7F3K", "--json").json
    return [(row["server"], row["by"], row["until"] > 0, row["reason"]) for row in rows]


def test_a_server_is_denied_listed_and_let_in_again(answerable: Answerable) -> None:
    assert "no servers" in answerable("rooms", "acl", "list", "G-7F3K").out
    done = answerable("rooms", "acl", "deny", "g-7f3k", "Bad.example", *WHY, "--for", "30d", "--json").json
    assert (done["room"], done["server"], done["case"], done["until"] > 0) == ("G-7F3K", "bad.example", 4, True)
    assert "bad.example (case 5)" in answerable("rooms", "acl", "deny", "G-7F3K", "bad.example", *WHY).out
    assert denied(answerable) == [("bad.example", ANNA, False, "raid")]
    assert "bad.example" in answerable("rooms", "acl", "list", "G-7F3K").out
    assert "again" in answerable("rooms", "acl", "allow", "G-7F3K", "BAD.example", *WHY).out
    assert denied(answerable) == []


def test_people_of_the_room_are_shut_out_only_if_their_number_is_said(answerable: Answerable) -> None:
    there = answerable("members", "G-7F3K", "--json").json
    assert there
    server = "example.org"
    refused = answerable("rooms", "acl", "deny", "G-7F3K", server, *WHY)
    assert refused.code == 1 and "Nothing was done" in refused.err
    nobody = answerable("rooms", "acl", "deny", "G-7F3K", "bad.example", *WHY, "--people", "3")
    assert nobody.code == 1 and "bad.example: 0" in nobody.err
    assert denied(answerable) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deny", "G-7F3K", "203.0.113.7"), "IP address"),
        (("deny", "G-7F3K", "*"), "not the name"),
        (("allow", "G-7F3K", "good.example"), "does not keep good.example out"),
        (("deny", "G-3333", "bad.example"), "G-3333"),
    ],
)
def test_impossible_requests_are_explained_and_change_nothing(
    answerable: Answerable, words: tuple[str, ...], said: str
) -> None:
    refused = answerable("rooms", "acl", *words, *WHY)
    assert refused.code != 0 and said in refused.err
    assert denied(answerable) == []


def test_who_ordered_it_and_why_is_recorded(answerable: Answerable) -> None:
    answerable("rooms", "acl", "deny", "G-7F3K", "bad.example", *WHY)
    shown = answerable("logs", "show", "--kind", "access", "--reason", "audit", "--json").out
    assert '"what":"rooms acl deny"' in shown
