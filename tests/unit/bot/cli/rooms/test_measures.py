"""`answerable rooms rectify|suspend|close|reopen`: ordered while no bot runs, and shown in the list."""

from pathlib import Path

import pytest

from tests.unit.bot.cli.conftest import ANNA, BEN, HEAD, Answerable

WHY = ("--reason", "raid")


@pytest.fixture
def operator(config_file: Path, data_dir: Path) -> str:
    """Provide the only operator of a deployment with some history."""
    assert data_dir.exists()
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{ANNA}"]\n')
    return ANNA


def in_force(answerable: Answerable) -> list[tuple[str, bool, str, int]]:
    (garden,) = [row for row in answerable("rooms", "--json").json if row["code"] == "G-7F3K"]
    return [(m["kind"], m["until"] > 0, m["basis"], m["case"]) for m in garden["measures"]]


@pytest.mark.usefixtures("operator")
class TestMeasures:
    def test_are_ordered_shown_replaced_and_lifted(self, answerable: Answerable) -> None:
        done = answerable("rooms", "suspend", "g-7f3k", *WHY, "--for", "3d", "--json").json
        assert (done["room"], done["case"], done["ended"]) == ("G-7F3K", 4, [])
        assert in_force(answerable) == [("suspend", True, "operator", 4)]
        assert "posting suspended until" in answerable("rooms").out
        again = answerable("rooms", "suspend", "G-7F3K", *WHY, "--json").json
        assert (again["case"], again["ended"]) == (5, ["suspend"])
        assert "G-7F3K is closed (case 6)" in answerable("rooms", "close", "G-7F3K", *WHY).out
        assert in_force(answerable) == [("suspend", True, "operator", 5), ("close", False, "operator", 6)]
        assert "This ends in 3 days" in answerable("rooms", "rectify", "G-7F3K", *WHY).out
        lifted = answerable("rooms", "reopen", "G-7F3K", *WHY, "--json").json
        assert (lifted["case"], lifted["until"], sorted(lifted["ended"])) == (
            None,
            None,
            ["close", "rectify", "suspend"],
        )
        assert in_force(answerable) == []

    def test_lockdown_of_one_room_or_of_all_of_them_ends_again(self, answerable: Answerable) -> None:
        done = answerable("rooms", "lockdown", "G-7F3K", *WHY, "--for", "15m", "--json").json
        assert (done["room"], done["case"]) == ("G-7F3K", 4)
        assert in_force(answerable) == [("lockdown", True, "operator", 4)]
        every = answerable("rooms", "lockdown", "--all", *WHY, "--json").json["rooms"]
        assert [(each["room"], each["ended"]) for each in every if each["ended"]] == [("G-7F3K", ["lockdown"])]
        assert {each["case"] for each in every} == set(range(5, 5 + len(every)))
        over = answerable("rooms", "lockdown", "--all", "--off", *WHY, "--json").json["rooms"]
        assert [each["room"] for each in over] == [each["room"] for each in every]
        assert "No room" in answerable("rooms", "lockdown", "--all", "--off", *WHY).out
        assert "No measure applies" in answerable("rooms", "lockdown", "G-7F3K", "--off", *WHY).err
        assert answerable("rooms", "lockdown", *WHY).code == 2
        assert in_force(answerable) == []

    def test_actor_and_reason_are_recorded(self, answerable: Answerable) -> None:
        answerable("rooms", "close", "G-7F3K", *WHY)
        shown = answerable("logs", "show", "--kind", "access", "--reason", "audit", "--json").out
        assert '"what":"rooms close"' in shown
        assert '"reason":"raid"' in shown

    def test_impossible_requests_are_explained_and_change_nothing(self, answerable: Answerable) -> None:
        assert "No measure applies" in answerable("rooms", "reopen", "G-7F3K", *WHY).err
        assert "not moderate a group" in answerable("rooms", "close", "G-3333", *WHY).err
        assert "not a length of time" in answerable("rooms", "close", "G-7F3K", *WHY, "--for", "soon").err
        assert answerable("rooms", "close", "G-7F3K").code == 2
        assert answerable("rooms", "close", "G-7F3K", *WHY, "--as", BEN).code == 1
        assert in_force(answerable) == []


@pytest.mark.usefixtures("data_dir")
def test_without_an_operator_in_the_configuration_nothing_is_ordered(answerable: Answerable) -> None:
    result = answerable("rooms", "suspend", "G-7F3K", *WHY)
    assert (result.code, result.out) == (1, "")
    assert "operators" in result.err
