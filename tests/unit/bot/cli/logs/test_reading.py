"""`answerable logs search`, `proof` and `coverage`: their results, their requirements and their errors."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from moderation.values.ids import PersonId
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.search import quick_test
from tests.proofs import check_record
from tests.unit.bot.cli.conftest import Answerable

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


def message(body: str, at_ms: int = NOON, user: str = "@anna:example.org", group: str = "G-7F3K") -> Draft:
    part = Part(PersonId(user), {"mxid": user, "ev": "$e", "ts": at_ms, "body": body, "content": {"note": ["Äpfel"]}})
    return Draft("message", at_ms, group, parts=(part,))


def unseen(what: str, count: int, at_ms: int, group: str | None = "G-7F3K") -> Draft:
    return Draft("coverage", at_ms, group, {"what": what, "count": count})


@pytest.fixture
def log(config_file: Path) -> Path:
    """Provide a log of three days, two of them closed."""
    data = config_file.parent / "data"
    keys = PersonKeys.open(DatabasePlace(data))
    with Journal.open(data, "example.org/log", keys, NOON) as journal:
        start = Draft("start", NOON, fields={"version": "1"})
        journal.append([start, message("Free COINS\x1b[31m"), message('say "hi" \\o/', user="@ben:example.org")])
        journal.append([unseen("gap", 3, NOON), unseen("gap", 2, NOON + 60_000), unseen("torn", 1, NOON, None)])
        journal.append([Draft("stop", NOON + 90_000, fields={"why": "asked"})])
        journal.append([Draft("start", NOON + DAY_MS, fields={"version": "1"}), message("coins", NOON + DAY_MS)])
        journal.append([Draft("start", NOON + 2 * DAY_MS, fields={"version": "1"})])
        journal.append([message("金币 coins", NOON + 2 * DAY_MS, group="G-2222")])
        journal.append([unseen("undecryptable", 1, NOON + 2 * DAY_MS, "G-2222")])
        journal.close(NOON + 2 * DAY_MS)
    keys.close()
    assert len(list((data / "records" / "day").glob("*.zst"))) == 2
    return data


def notes(data: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (data / "spool").glob("access-*.json")]


def lines(out: str) -> list[int]:
    return [json.loads(line)["i"] for line in out.splitlines()]


@pytest.mark.usefixtures("log")
class TestSearch:
    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            (["coins"], [2, 9, 11]),
            (["FREE coins"], [2]),
            (["金币"], [11]),
            (["äPFEL"], [2, 3, 9, 11]),
            (['"hi" \\o'], [3]),
            (["@BEN"], [3]),
            (["body"], []),
            (["coins", "--room", "G-2222"], [11]),
            (["coins", "--person", "@anna:example.org", "--since", "2026-11-25", "--until", "2026-11-26"], [9]),
            (["coins", "--last", "2"], [9, 11]),
            (["undecryptable", "--kind", "coverage"], [12]),
        ],
    )  # fmt: skip
    def test_finds_what_people_wrote_in_open_and_closed_days(
        self, answerable: Answerable, arguments: list[str], found: list[int]
    ) -> None:
        result = answerable("logs", "search", *arguments, "--json", "--reason", "case 12")
        assert (result.code, lines(result.out)) == (0, found)

    def test_shows_it_for_people(self, answerable: Answerable) -> None:
        result = answerable("logs", "search", "free", "--reason", "case 12")
        assert "@anna wrote a message · “Free COINS[31m”" in result.out
        assert "\x1b" not in result.out
        assert "Records found: 1." in result.err
        assert "Records found: 0." in answerable("logs", "search", "nothing", "--reason", "case 12").err

    def test_is_noted_before_anything_is_shown(self, log: Path, answerable: Answerable) -> None:
        answerable("logs", "search", "coins", "--room", "G-7F3K", "--reason", " case 12 ")
        (note,) = notes(log)
        assert (note["reason"], note["filters"]) == ("case 12", {"what": "search", "text": "coins", "room": "G-7F3K"})
        (log / "spool" / "x").write_text("")
        for path in (log / "spool").iterdir():
            path.unlink()
        (log / "spool").rmdir()
        (log / "spool").write_text("in the way")
        result = answerable("logs", "search", "coins", "--reason", "case 12")
        assert (result.code, result.out) == (1, "")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["coins"], "--reason"),
            (["coins", "--reason", " "], "appeal in case 12"),
            (["coins", "--reason", "-"], "appeal in case 12"),
            ([" ", "--reason", "an audit"], "TEXT"),
            (["coins", "--reason", "an audit", "--kind", "mesage"], "Did you mean message?"),
            (["coins", "--reason", "an audit", "--room", "kitchen"], "G-7F3K"),
            (["coins", "--reason", "an audit", "--since", "yesterday"], "2026-11-24T09:30"),
        ],
    )
    def test_used_wrongly_says_how(self, log: Path, answerable: Answerable, arguments: list[str], said: str) -> None:
        result = answerable("logs", "search", *arguments)
        assert (result.code, result.out) == (2, "")
        assert said in result.err
        assert not (log / "spool").exists()

    def test_at_a_damaged_line_names_it(self, log: Path, answerable: Answerable) -> None:
        day = log / "records" / "day" / "2026-11-26.jsonl"
        day.write_bytes(day.read_bytes().replace(b'"k":"message"', b'"k":coins', 1))
        result = answerable("logs", "search", "coins", "--reason", "an audit")
        assert result.code == 1
        assert "2026-11-26.jsonl, line 2" in result.err

    @pytest.mark.parametrize("words", ["coins", "金币", "Äpfel", 'a "b"', "ß", "\\", "\n"])
    def test_the_quick_test_lets_every_hit_pass(self, words: str) -> None:
        for said in (words, words.upper(), words.lower(), f"x{words}y"):
            if words.casefold() in said.casefold():
                assert quick_test(words)(json.dumps({"body": said}, ensure_ascii=False).encode())


class TestProof:
    def test_is_what_anybody_can_check(self, log: Path, answerable: Answerable) -> None:
        result = answerable("logs", "proof", "2")
        vkey = (log / "records" / "log.vkey").read_text()
        line = subprocess.run(
            ["zstdcat", str(log / "records" / "day" / "2026-11-24.jsonl.zst")], capture_output=True, check=False
        ).stdout.splitlines()
        assert result.code == 0
        if line:  # zstd is not on every machine
            assert check_record(line[2], result.out, vkey).index == 2
        assert result.out.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")

    def test_as_a_file_and_as_json(self, log: Path, answerable: Answerable, tmp_path: Path) -> None:
        out = tmp_path / "11.tlog-proof"
        result = answerable("logs", "proof", "11", "--out", str(out), "--json")
        said = result.json
        assert out.read_text("utf-8") == said["proof"] == answerable("logs", "proof", "11").out
        assert (said["index"], said["size"], said["origin"]) == (11, 13, "example.org/log")
        assert len(base64.b64decode(said["leaf"])) == 32
        day = (log / "records" / "day" / "2026-11-26.jsonl").read_bytes().splitlines()
        assert check_record(day[1], said["proof"], (log / "records" / "log.vkey").read_text()).index == 11
        again = answerable("logs", "proof", "11", "--out", str(out))
        assert (again.code, "already exists" in again.err) == (2, True)

    def test_of_a_missing_record_is_refused(self, log: Path, answerable: Answerable) -> None:
        result = answerable("logs", "proof", "13")
        assert (result.code, result.out) == (2, "")
        assert "Record 13 cannot be proved" in result.err
        assert answerable("logs", "proof", "-1").code == 2
        (log / "records" / "checkpoint").unlink()
        assert "no signed checkpoint" in answerable("logs", "proof", "1").err


@pytest.mark.usefixtures("log")
class TestCoverage:
    def test_tells_room_time_and_cause(self, answerable: Answerable) -> None:
        result = answerable("logs", "coverage")
        assert result.code == 0
        assert result.out.splitlines() == [
            "G-7F3K  2026-11-24 12:00 - 12:01  places where messages could not be fetched: 5  (record 4)",
            "-  2026-11-24 12:00  lost in a crash: 1  (record 6)",
            "G-2222  2026-11-26 12:00  could not be decrypted: 1  (record 12)",
            "The bot did not run from 2026-11-24 12:01 to 2026-11-25 12:00. What was posted then was fetched "
            "later, except for what is listed above.",
            "The bot stopped unexpectedly, and ran again from 2026-11-26 12:00. What was posted in between was "
            "fetched later, except for what is listed above.",
        ]

    def test_as_json_and_filtered(self, answerable: Answerable) -> None:
        said = answerable("logs", "coverage", "--room", "G-7F3K", "--since", "2026-11-24", "--json").json
        assert said["unseen"] == [
            {
                "room": "G-7F3K", "what": "gap", "code": None, "count": 5, "first": "2026-11-24T12:00:00.000Z",
                "last": "2026-11-24T12:01:00.000Z", "records": [4, 5],
            }
        ]  # fmt: skip
        assert said["off"] == [
            {"from": "2026-11-24T12:01:30.000Z", "to": "2026-11-25T12:00:00.000Z", "stopped": True},
            {"from": None, "to": "2026-11-26T12:00:00.000Z", "stopped": False},
        ]

    def test_without_entries_says_so(self, answerable: Answerable) -> None:
        result = answerable("logs", "coverage", "--room", "G-9999")
        assert "As far as is known, nothing is missing." in result.out
        later = answerable("logs", "coverage", "--since", "2026-12-24", "--json").json
        assert later == {"unseen": [], "off": []}


class TestCoverageOfEncryptedMessages:
    """Four that could not be read: one was read later, of another the reason became known later."""

    @pytest.fixture
    def log(self, config_file: Path) -> None:
        data = config_file.parent / "data"
        keys = PersonKeys.open(DatabasePlace(data))
        with Journal.open(data, "example.org/log", keys, NOON) as journal:
            sealed = [self.sealed(code) for code in ("missing", "missing", "m.unverified", "org.odd")]
            journal.append([Draft("start", NOON, fields={"version": "1"}), *sealed])
            late = message("read after all", NOON + DAY_MS)
            journal.append([Draft("message", late.at_ms, late.group, {"late": 2}, late.parts)])
            why: dict[str, int | str] = {"what": "withheld", "on": 3, "code": "m.unverified"}
            journal.append([Draft("coverage", NOON + DAY_MS, "G-7F3K", why)])
            journal.close(NOON + DAY_MS)
        keys.close()

    @staticmethod
    def sealed(code: str) -> Draft:
        return Draft("coverage", NOON, "G-7F3K", {"what": "undecryptable", "count": 1, "code": code})

    @pytest.mark.usefixtures("log")
    @pytest.mark.parametrize("until", [[], ["--until", "2026-11-25"]])
    def test_lists_unread_events_with_reasons(self, answerable: Answerable, until: list[str]) -> None:
        said = answerable("logs", "coverage", "--json", *until).json["unseen"]
        assert [(row["code"], row["count"], row["records"]) for row in said] == [
            ("m.unverified", 2, [3, 4]),
            ("org.odd", 1, [5]),
        ]
        assert answerable("logs", "coverage", *until).out.splitlines()[:2] == [
            "G-7F3K  2026-11-24 12:00  could not be decrypted (the sender's app gives keys to verified devices only): 2"
            "  (record 3)",
            "G-7F3K  2026-11-24 12:00  could not be decrypted (org.odd): 1  (record 5)",
        ]


def test_every_command_of_logs_has_help_with_an_example(answerable: Answerable) -> None:
    for name in ("show", "search", "verify", "proof", "export", "coverage", "rebuild-db"):
        result = answerable("logs", name, "--help")
        assert result.code == 0
        assert f"answerable logs {name}" in result.out
        assert "--json" in result.out
