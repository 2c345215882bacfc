"""`answerable decide`, `charge`, `statement` and `credit --standing`, while no bot runs."""

from pathlib import Path

import pytest

from tests.unit.bot.cli.conftest import ANNA, BEN, CLEO, HEAD, Answerable

WHY = ("--reason", "the board looked at it")


@pytest.fixture
def operator(config_file: Path, data_dir: Path) -> str:
    """Provide the only operator of a deployment with some history."""
    assert data_dir.exists()
    config_file.write_text(f'{HEAD}[bot]\noperators = ["@opera:example.org"]\n')
    return "@opera:example.org"


@pytest.mark.usefixtures("operator")
class TestDecide:
    def test_upholds_a_waiting_case_with_reasons(self, answerable: Answerable) -> None:
        assert answerable("decide", "3", "uphold", *WHY, "--json").json == {"n": 3, "outcome": "upheld"}
        case = answerable("cases", "3", "--json").json
        assert (case["state"], case["outcome"], case["by"], case["due"]) == (
            "decided",
            "upheld",
            "@opera:example.org",
            0,
        )
        (stated,) = answerable("statement", "3", *WHY, "--json").json
        assert (stated["case"], stated["outcome"], stated["by"]) == (3, "upheld", "@opera:example.org")
        assert stated["reason"] == "the board looked at it"
        assert stated["entry"] == "charge"
        assert stated["appeal_until"] > stated["decided"]

    def test_shows_the_statement_in_words(self, answerable: Answerable) -> None:
        assert "Case 3 is upheld: the rule was broken." in answerable("decide", "3", "uphold", *WHY).out
        shown = answerable("statement", "3", *WHY).out
        assert "Why this was done: case 3 in" in shown
        assert "by @opera:example.org on" in shown

    def test_reversing_a_person_for_clear_error_costs_standing(self, answerable: Answerable) -> None:
        answerable("decide", "1", "dismiss", *WHY, "--fault", "error")
        standing = answerable("credit", ANNA, "--standing", "--json").json
        assert (standing["credit"], [entry["cost"] for entry in standing["entries"]]) == (95, [5])
        assert answerable("credit", "--standing", "--json").json[0]["person"] == ANNA
        assert ANNA not in [row["person"] for row in answerable("credit", "--json").json]

    def test_impossible_requests_are_explained_and_change_nothing(self, answerable: Answerable) -> None:
        assert "case 99" in answerable("decide", "99", "uphold", *WHY).err.lower()
        assert answerable("decide", "1", "uphold", *WHY).code == 1  # it is upheld
        assert answerable("decide", "2", "dismiss", *WHY, "--fault", "error").code == 1  # nobody decided it before
        assert answerable("decide", "2", "dismiss").code == 2
        assert answerable("decide", "2", "perhaps", *WHY).code == 2
        assert answerable("decide", "2", "dismiss", *WHY, "--as", BEN).code == 1
        states = [(row["n"], row["state"]) for row in answerable("cases", "--json").json]
        assert states == [(1, "decided"), (2, "open"), (3, "overdue")]

    def test_the_operator_is_recorded(self, answerable: Answerable) -> None:
        answerable("decide", "3", "dismiss", *WHY)
        shown = answerable("logs", "show", "--kind", "access", "--reason", "audit", "--json").out
        assert '"what":"decide dismiss"' in shown
        assert "the board looked at it" in shown


@pytest.mark.usefixtures("operator")
class TestCharge:
    def test_is_a_case_that_can_be_appealed(self, answerable: Answerable) -> None:
        done = answerable("charge", ANNA, "--for", "vouch", "--room", "g-7f3k", *WHY, "--json").json
        assert done == {"n": 4, "cost": 15, "left": 85}
        case = answerable("cases", "4", "--json").json
        assert (case["rule"], case["subject"], case["outcome"]) == ("duty_vouch", ANNA, "upheld")
        answerable("decide", "4", "dismiss", *WHY)
        assert answerable("credit", ANNA, "--standing", "--json").json["credit"] == 100

    def test_only_applies_to_people_with_a_duty(self, answerable: Answerable) -> None:
        assert "does not run G-7F3K" in answerable("charge", CLEO, "--for", "vouch", "--room", "G-7F3K", *WHY).err
        assert answerable("charge", ANNA, "--for", "sleeping", "--room", "G-7F3K", *WHY).code == 2
        assert answerable("charge", ANNA, "--for", "vouch", "--room", "G-3333", *WHY).code == 1


@pytest.mark.usefixtures("operator")
class TestStatement:
    def test_is_reported_as_missing_for_a_case_without_one(self, answerable: Answerable) -> None:
        assert "No statement" in answerable("statement", "2", *WHY).out
        assert answerable("statement", "2", *WHY, "--json").json == []
        assert answerable("statement", "99", *WHY).code == 1

    def test_needs_a_reason_which_is_kept(self, answerable: Answerable, data_dir: Path) -> None:
        assert answerable("statement", "2").code == 2
        answerable("statement", "2", *WHY)
        (note,) = (data_dir / "spool").iterdir()
        assert b"the board looked at it" in note.read_bytes()
