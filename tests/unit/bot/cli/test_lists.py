"""`answerable rooms`, `members`, `credit` and `cases`: their output, also when there is nothing to show."""

import json
import os
import sqlite3
from pathlib import Path

import pytest
from rich.cells import cell_len

from bot.cli.access.lookup import now_ms
from bot.cli.run import only_instance
from bot.matrix.known_limit import remember_limit
from bot.pipeline.heartbeat import SILENT_MS
from storage.database.place import FILE
from tests.unit.bot.cli.conftest import ANNA, BEN, CLEO, DESK, GARDEN, KITCHEN, NOW, Answerable

DAY_MS = 86_400_000


@pytest.mark.usefixtures("data_dir")
class TestRooms:
    def test_groups_are_listed_with_what_waits_in_them(self, answerable: Answerable) -> None:
        assert [(r["code"], r["members"], r["open_cases"]) for r in answerable("rooms", "--json").json] == [
            ("G-7F3K", 2, 1),
            ("G-2222", 0, 1),
        ]

    def test_each_names_the_desk_that_shows_its_cases(self, answerable: Answerable) -> None:
        found = {r["room"]: r for r in answerable("rooms", "--all", "--json").json}
        assert (found[GARDEN]["desk"], found[KITCHEN]["desk"]) == (found[DESK]["code"], "")

    def test_desks_are_listed_on_request(self, answerable: Answerable) -> None:
        assert [r["room"] for r in answerable("rooms", "--all", "--json").json] == [GARDEN, KITCHEN, DESK]

    def test_a_name_is_neither_markup_nor_able_to_turn_the_line_round(self, answerable: Answerable) -> None:
        out = answerable("rooms").out
        assert "The [bold]garden" in out
        assert "\u202e" not in out

    def test_the_state_is_in_the_readers_language(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "observing (not enough power)" in answerable("rooms").out
        monkeypatch.setenv("ANSWERABLE_LANG", "zh")
        assert "仅观察" in answerable("rooms").out


@pytest.mark.usefixtures("data_dir")
class TestStatus:
    def test_counts_what_waits_and_says_what_is_kept(self, answerable: Answerable) -> None:
        found = answerable("status", "--json").json
        assert (found["running"], found["heard"], found["open_cases"]) == (None, 0, 2)
        assert sum(found["rooms"].values()) == 2
        assert (found["content"], found["retention"]) == ("full", 190 * DAY_MS)
        assert found["disk_free"] > 0

    def test_says_what_is_known_of_the_rate_limit(self, answerable: Answerable, data_dir: Path) -> None:
        assert answerable("status", "--json").json["rate_limit"] is None
        assert "not known; to find out: `answerable rate-limit`" in answerable("status").out
        remember_limit(data_dir, "limited", 1)
        assert answerable("status", "--json").json["rate_limit"] == "limited"
        assert "yes; to lift the limit: `answerable rate-limit`" in answerable("status").out

    def test_alive_is_a_bot_that_runs_and_heard_its_homeserver_lately(
        self, answerable: Answerable, data_dir: Path
    ) -> None:
        def heard(ms: int) -> None:
            with sqlite3.connect(data_dir / FILE) as database:
                database.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('alive', ?)", (str(ms),))

        def code() -> int:
            return answerable("status", "--alive", "--json").code

        heard(now_ms())
        assert code() == 1
        with only_instance(data_dir):
            assert code() == 0
            heard(now_ms() - SILENT_MS)
            assert code() == 1
        assert answerable("status").code == 0

    def test_fits_on_a_page_of_80_columns(self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
        for language in ("en", "zh"):
            monkeypatch.setenv("ANSWERABLE_LANG", language)
            monkeypatch.setenv("COLUMNS", "80")
            lines = answerable("status").out.splitlines()
            assert len(lines) <= 24
            assert all(len(each) <= 80 for each in lines)


@pytest.mark.usefixtures("data_dir")
class TestTablesOnANarrowTerminal:
    @pytest.mark.parametrize("language", ["en", "zh"])
    @pytest.mark.parametrize(
        ("command", "whole"),
        [
            ("rooms", ["G-7F3K", "[bold]garden", "Kitchen"]),
            ("cases", ["G-7F3K", "@cleo", "calm", "example.org", "UTC"]),
            (f"credit {BEN}", ["calm", "UTC"]),
            ("members G-7F3K", ["@cleo", "example.org"]),
        ],
    )
    def test_no_word_is_broken_and_no_line_is_wider(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch, command: str, whole: list[str], language: str
    ) -> None:
        monkeypatch.setenv("ANSWERABLE_LANG", language)
        monkeypatch.setenv("COLUMNS", "80")
        out = answerable(*command.split()).out
        assert [line for line in out.splitlines() if cell_len(line) > 80] == []
        assert [word for word in whole if word not in out] == []

    def test_a_wide_one_says_all(self, answerable: Answerable) -> None:
        assert "People without a server" in answerable("cases").out
        out = answerable("cases", "--wide").out
        assert CLEO in out
        assert "People without a server" not in out

    def test_a_list_of_cases_shows_what_was_decided(self, answerable: Answerable) -> None:
        out = answerable("cases").out
        assert "rule broken" in out
        assert "1970" not in out


@pytest.mark.usefixtures("data_dir")
class TestMembers:
    def test_people_in_charge_come_first(self, answerable: Answerable) -> None:
        assert answerable("members", "G-7F3K", "--json").json == [
            {"user": ANNA, "display_name": "Anna", "membership": "join", "role": "owner", "verified": 0},
            {"user": CLEO, "display_name": "Cleo", "membership": "join", "role": "member", "verified": 2},
        ]

    def test_former_members_are_shown_on_request(self, answerable: Answerable) -> None:
        assert BEN not in answerable("members", "G-7F3K", "--wide").out
        assert BEN in answerable("members", "G-7F3K", "--all", "--wide").out

    @pytest.mark.parametrize("typed", ["g-7f3k", GARDEN, "kitchen", "G-2222"])
    def test_a_room_is_found_by_code_id_and_name(self, answerable: Answerable, typed: str) -> None:
        assert answerable("members", typed).code == 0

    def test_the_nearest_room_is_named(self, answerable: Answerable) -> None:
        result = answerable("members", "G-7F33")
        assert (result.code, result.out) == (1, "")
        assert "Did you mean G-7F3K?" in result.err

    def test_an_empty_room_is_said_to_be_empty(self, answerable: Answerable) -> None:
        assert "Nobody is known" in answerable("members", "G-2222").out


class TestWhoLooked:
    @pytest.mark.parametrize(
        ("command", "filters"),
        [
            (["cases"], {"what": "cases"}),
            (["cases", "1"], {"what": "case", "case": 1}),
            (["credit"], {"what": "credit"}),
            (["credit", BEN], {"what": "credit", "person": BEN}),
            (["members", "G-7F3K"], {"what": "members", "room": "G-7F3K"}),
        ],
    )
    def test_is_noted(
        self, answerable: Answerable, data_dir: Path, command: list[str], filters: dict[str, object]
    ) -> None:
        assert answerable(*command).code == 0
        (note,) = (data_dir / "spool").glob("access-*.json")
        assert json.loads(note.read_bytes())["filters"] == filters

    def test_sees_nothing_if_the_reading_cannot_be_noted(self, answerable: Answerable, data_dir: Path) -> None:
        (data_dir / "spool").write_text("in the way")
        result = answerable("credit", BEN)
        assert (result.code, result.out) == (1, "")
        assert "could not record that you read this" in result.err

    @pytest.mark.usefixtures("data_dir")
    def test_is_told_that_a_read_only_copy_records_nothing(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.access
        monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK and real(path, mode))
        result = answerable("credit", BEN)
        assert BEN in result.out
        assert "not recorded that you read this" in result.err


@pytest.mark.usefixtures("data_dir")
class TestCredit:
    def test_one_person_is_shown_with_all_entries(self, answerable: Answerable) -> None:
        found = answerable("credit", BEN, "--json").json
        assert (found["user"], found["person"], found["credit"], found["tier"]) == (BEN, BEN, 25, "D")
        assert found["in_force"] == [
            {
                "kind": "mute",
                "room": GARDEN,
                "community": None,
                "until": NOW + DAY_MS,
                "basis": "credit",
                "case": 1,
            }
        ]
        assert [(e["record"], e["cost"], e["class"], e["counts"]) for e in found["entries"]] == [
            (10, 50, "severe", True),
            (11, 25, "serious", True),
        ]
        assert found["back_in_a"] == NOW - DAY_MS + (7 + 55 * 3) * DAY_MS

    def test_it_can_be_read_by_people(self, answerable: Answerable) -> None:
        out = answerable("credit", BEN).out
        assert f"{BEN} has 25 credit, tier D." in out
        assert "muted" in out

    def test_without_a_person_all_are_listed_the_lowest_first(self, answerable: Answerable) -> None:
        assert answerable("credit", "--json").json == [
            {"person": BEN, "community": None, "credit": 25, "tier": "D", "entries": 2},
            {"person": CLEO, "community": None, "credit": 100, "tier": "A", "entries": 0},
        ]

    def test_somebody_without_entries_has_full_credit(self, answerable: Answerable) -> None:
        out = answerable("credit", ANNA).out
        assert "100 credit, tier A" in out
        assert "There are no entries." in out

    def test_the_nearest_person_is_named(self, answerable: Answerable) -> None:
        result = answerable("credit", "@anne:example.org")
        assert result.code == 1
        assert f"Did you mean {ANNA}?" in result.err
        assert f"Did you mean {CLEO}?" in answerable("credit", "cleo").err

    def test_a_person_is_found_by_the_short_name_of_a_table(self, answerable: Answerable) -> None:
        assert answerable("credit", "@ben", "--json").json["user"] == BEN
        assert "Did you mean" in answerable("credit", "@be").err


@pytest.mark.usefixtures("data_dir")
class TestCases:
    def test_all_are_listed_in_their_order(self, answerable: Answerable) -> None:
        found = answerable("cases", "--json").json
        assert [case["n"] for case in found] == [1, 2, 3]
        assert list(found[0]) == [
            "n", "room", "subject", "rule", "class", "state", "outcome", "opened", "due", "decided",
        ]  # fmt: skip

    def test_open_ones_come_with_the_most_urgent_first(self, answerable: Answerable) -> None:
        assert [case["n"] for case in answerable("cases", "--open", "--json").json] == [3, 2]
        assert "overdue, past its deadline" in answerable("cases", "--open").out

    def test_a_case_that_waits_for_nobody_has_no_deadline(self, answerable: Answerable, data_dir: Path) -> None:
        with sqlite3.connect(data_dir / FILE) as database:
            database.execute("UPDATE cases SET due = 0 WHERE n = 1")
        assert "1970" not in answerable("cases").out + answerable("cases", "1").out

    def test_they_can_be_narrowed_to_a_room(self, answerable: Answerable) -> None:
        assert [case["n"] for case in answerable("cases", "--room", "kitchen", "--json").json] == [3]

    def test_a_case_is_shown_with_evidence_and_without_words(self, answerable: Answerable) -> None:
        found = answerable("cases", "1", "--json").json
        assert (found["by"], found["outcome"]) == (ANNA, "upheld")
        assert found["evidence"] == [{"record": 20, "event": "$one"}, {"record": 21, "event": "$two"}]
        assert found["reports"] == 2
        out = answerable("cases", "1").out
        assert "$two" in out
        assert CLEO not in out  # who reported it
        assert "private words" not in out

    def test_an_unknown_number_is_answered_with_the_newest_cases(self, answerable: Answerable) -> None:
        result = answerable("cases", "9")
        assert (result.code, result.out) == (1, "")
        assert "the newest is 3" in result.err


@pytest.mark.usefixtures("empty")
class TestNothingYet:
    @pytest.mark.parametrize("command", ["rooms", "credit", "cases"])
    def test_a_list_says_what_to_do_or_that_all_is_well(self, answerable: Answerable, command: str) -> None:
        result = answerable(command)
        assert (result.code, result.err) == (0, "")
        assert result.out.strip().endswith(".")
        assert answerable(command, "--json").json == []

    def test_a_room_cannot_be_found_before_there_is_one(self, answerable: Answerable) -> None:
        assert "Invite it into one" in answerable("members", "G-7F3K").err


class TestNeverStarted:
    @pytest.mark.parametrize("command", [["rooms"], ["credit"], ["cases"], ["members", "G-7F3K"]])
    def test_a_list_before_the_first_start_says_to_start(self, answerable: Answerable, command: list[str]) -> None:
        result = answerable(*command)
        assert result.code == 1
        assert "answerable run" in result.err

    def test_reading_makes_no_file(self, answerable: Answerable, config_file: Path) -> None:
        answerable("rooms")
        assert [path.name for path in config_file.parent.iterdir()] == ["config.toml"]
