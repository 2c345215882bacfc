"""`answerable barred` while the bot does not run: what is written and shown, and refusals that name a next step."""

from pathlib import Path

import pytest

from bot.cli.access.lookup import now_ms
from moderation.values.durations import DAY_MS
from tests.unit.bot.cli.conftest import ANNA, BEN, CLEO, HEAD, Answerable

OPERA = "@opera:example.org"
NEVER_MET = "@zoe:example.org"


@pytest.fixture
def operators(config_file: Path) -> Path:
    """Provide a configuration with one operator."""
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{OPERA}"]\n')
    return config_file


@pytest.mark.usefixtures("data_dir", "operators")
class TestTheList:
    def test_is_empty_at_first(self, answerable: Answerable) -> None:
        assert "Nobody is on the list." in answerable("barred", "list").out
        assert answerable("barred", "list", "--json").json == []

    def test_holds_people_until_they_are_taken_off(self, answerable: Answerable) -> None:
        before = now_ms()
        done = answerable("barred", "add", BEN, "--reason", "threats", "--for", "30d", "--evidence", "1", "--json").json
        assert (done["person"], done["case"], done["room"]) == (BEN, 4, "G-7F3K")
        assert before + 30 * DAY_MS <= done["until"] <= now_ms() + 30 * DAY_MS
        (entry,) = answerable("barred", "list", "--json").json
        record = entry.pop("record")
        since = entry.pop("since")
        assert before <= since <= now_ms()
        assert entry == {
            "person": BEN, "until": done["until"], "basis": "operator", "case": 4, "by": OPERA, "reason": "threats"
        }  # fmt: skip
        out = answerable("barred", "list", "--wide").out
        assert (BEN in out, "threats" in out) == (True, True)
        shown = answerable("barred", "show", BEN, "--json").json
        assert (shown["barred"], shown["accounts"], [each["record"] for each in shown["entries"]]) == (
            True, [BEN], [record],
        )  # fmt: skip
        assert answerable("barred", "remove", BEN, "--reason", "talked").out == (
            f"{BEN} is off the list, and is told.\n"
        )
        assert answerable("barred", "list", "--json").json == []
        gone = answerable("barred", "show", BEN, "--json").json
        assert (gone["barred"], [each["why_ended"] for each in gone["entries"]]) == (False, ["command"])
        assert f"{BEN} is not on the list." in answerable("barred", "show", BEN).out

    def test_uses_the_period_of_the_policy_unless_one_is_given(self, answerable: Answerable) -> None:
        default = answerable("barred", "add", BEN, "--reason", "audit", "--json").json["until"]
        assert abs(default - (now_ms() + 90 * DAY_MS)) < DAY_MS
        dated = answerable("barred", "add", CLEO, "--reason", "audit", "--until", "2999-01-01", "--json").json["until"]
        assert dated == 32_472_144_000_000

    def test_takes_somebody_nobody_has_met_once_a_group_is_named(self, answerable: Answerable) -> None:
        refused = answerable("barred", "add", NEVER_MET, "--reason", "audit")
        assert (refused.code, "--room" in refused.err) == (1, True)
        assert answerable("barred", "add", NEVER_MET, "--reason", "audit", "--room", "kitchen", "--json").json[
            "room"
        ] == ("G-2222")

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["add", OPERA, "--reason", "audit"], 1, "is an operator and cannot be on the list"),
            (["add", "@answerable:example.org", "--reason", "audit"], 1, "That is me"),
            (["add", "ben", "--reason", "audit"], 2, "@anna:example.org"),
            (["add", BEN], 2, "--reason"),
            (["add", BEN, "--reason", " "], 2, "say in a few words"),
            (["add", BEN, "--reason", "audit", "--for", "90"], 2, "90d"),
            (["add", BEN, "--reason", "audit", "--for", "9d", "--until", "2999-01-01"], 2, "not both"),
            (["add", BEN, "--reason", "audit", "--until", "2020-01-01"], 1, "must be in the future"),
            (["add", CLEO, "--reason", "audit", "--evidence", "1"], 1, "Case 1 is not a case about"),
            (["add", BEN, "--reason", "audit", "--evidence", "99"], 1, "99"),
            (["add", BEN, "--reason", "audit", "--as", ANNA], 1, "is not an operator"),
            (["remove", BEN, "--reason", "audit"], 1, "is not on the list"),
        ],
    )
    def test_explains_an_error_and_changes_nothing(
        self, answerable: Answerable, arguments: list[str], code: int, said: str
    ) -> None:
        result = answerable("barred", *arguments)
        assert (result.code, said in result.err) == (code, True), result.err
        assert answerable("barred", "list", "--json").json == []

    def test_lists_each_person_once(self, answerable: Answerable) -> None:
        answerable("barred", "add", BEN, "--reason", "audit")
        again = answerable("barred", "add", BEN, "--reason", "again")
        assert (again.code, "is already on the list" in again.err) == (1, True)


@pytest.mark.usefixtures("data_dir")
def test_without_an_operator_in_the_configuration_it_says_where_to_add_one(answerable: Answerable) -> None:
    result = answerable("barred", "add", BEN, "--reason", "audit")
    assert (result.code, "[bot] operators" in result.err) == (1, True)


@pytest.mark.usefixtures("data_dir")
def test_with_several_operators_one_is_named(answerable: Answerable, config_file: Path) -> None:
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{OPERA}", "{ANNA}"]\n')
    result = answerable("barred", "add", BEN, "--reason", "audit")
    assert (result.code, "--as" in result.err) == (1, True)
    answerable("barred", "add", BEN, "--reason", "audit", "--as", ANNA)
    assert [each["by"] for each in answerable("barred", "list", "--json").json] == [ANNA]
