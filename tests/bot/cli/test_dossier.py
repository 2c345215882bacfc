"""`answerable tasks` and `dossier` on a deployment whose bot does not run: two people, a file, and nothing sent."""

import ast
import asyncio
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest

from bot.config import load_config
from bot.wiring import records_only
from moderation.facts import CaseOpened, RoomEntered, SanctionStarted
from moderation.ids import GroupCode, RoomId, UserId
from storage.database import FILE

from .conftest import BEN, GARDEN, HEAD, Answerable

ROOT = Path(__file__).parents[3]
OPERA = "@opera:example.org"
GROUP, HERE = RoomId(GARDEN), GroupCode("G-7F3K")


@pytest.fixture
def deployment(config_file: Path) -> Path:
    """One group, in which Ben was muted once and then did something severe; the operator was asked."""
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{OPERA}"]\n')

    async def write() -> None:
        async with records_only(load_config(config_file)) as operations:
            ben = UserId(BEN)
            await operations._pipeline.commit((RoomEntered(code=HERE, purpose="group", room_id=GARDEN),))
            mute = SanctionStarted(room=GROUP, kind="mute", basis="command", subject=ben, by=UserId(OPERA))
            await operations._pipeline.commit((mute,))
            case = CaseOpened(
                room=GROUP, n=1, rule="calm", grade="severe", decide="auto", state="decided", due=0, subject=ben,
                excerpt="<b>I know where you live</b>",
            )  # fmt: skip
            await operations._pipeline.commit((case,))

    (config_file.parent / "data").mkdir(mode=0o700)
    asyncio.run(write())
    return config_file.parent / "data"


def approve(answerable: Answerable, monkeypatch: pytest.MonkeyPatch, *people: str) -> str:
    """A file, begun by the first and approved by all of them; its number."""
    monkeypatch.setenv("SUDO_USER", people[0])
    number = str(answerable("dossier", "new", BEN, "--reason", "the board asked", "--json").json["dossier"])
    for name in people:
        monkeypatch.setenv("SUDO_USER", name)
        assert answerable("dossier", "approve", number, "--reason", "I read it").code == 0
    return number


class TestTasks:
    @pytest.mark.usefixtures("empty")
    def test_none_wait_at_first(self, answerable: Answerable) -> None:
        assert "Nothing waits" in answerable("tasks").out

    @pytest.mark.usefixtures("deployment")
    def test_are_listed_with_what_to_type(self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
        (task,) = answerable("tasks", "--json").json
        assert (task["kind"], task["case"], task["room"], task["person"]) == ("dossier", 1, "G-7F3K", BEN)
        assert f"answerable dossier new {BEN}" in task["next"]
        assert f"answerable dossier decline {task['task']}" in task["next"]
        number = approve(answerable, monkeypatch, "olga")
        assert f"answerable dossier approve {number}" in answerable("tasks", "--json").json[0]["next"]
        monkeypatch.setenv("SUDO_USER", "paul")
        answerable("dossier", "approve", number, "--reason", "x")
        assert f"answerable dossier export {number}" in answerable("tasks").out

    def test_of_every_kind_have_a_next_step(self, answerable: Answerable, deployment: Path) -> None:
        with sqlite3.connect(deployment / FILE) as database:
            for record, kind in enumerate(("case", "last-manager", "room"), 900):
                row = (record, kind, 1, GARDEN, BEN, 1, 0, "", "")
                database.execute("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        assert [
            " ".join(each["next"].split(",")[0].split()[:4]) for each in answerable("tasks", "--json").json[1:]
        ] == [
            "answerable cases 1 to",
            "answerable members G-7F3K",
            "answerable rooms close G-7F3K",
        ]


@pytest.mark.usefixtures("deployment")
class TestDossier:
    def test_covers_what_was_upheld_unless_cases_are_named(self, answerable: Answerable) -> None:
        assert answerable("dossier", "new", BEN, "--reason", "x", "--json").json["cases"] == [1]
        refused = answerable("dossier", "new", BEN, "--case", "7", "--reason", "x")
        assert (refused.code, "Case 7 is not an upheld case" in refused.err) == (1, True)
        nobody = answerable("dossier", "new", OPERA, "--reason", "x")
        assert (nobody.code, "nothing to put into a file" in nobody.err) == (1, True)

    def test_is_approved_by_two_different_people_of_whom_one_may_have_begun_it(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = approve(answerable, monkeypatch, "olga")
        again = answerable("dossier", "approve", number, "--reason", "x")
        assert (again.code, "a second person" in again.err) == (1, True)
        early = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "x")
        assert (early.code, "1 of 2" in early.err, Path("ben.zip").exists()) == (1, True, False)
        monkeypatch.setenv("SUDO_USER", "paul")
        assert answerable("dossier", "approve", number, "--reason", "x", "--json").json == {
            "dossier": int(number), "approved_by": ["olga", "paul"], "needed": 2
        }  # fmt: skip
        (file,) = answerable("dossier", "list", "--json").json
        assert (file["state"], file["by"], file["approved_by"]) == ("approved", "olga", ["olga", "paul"])

    def test_is_written_to_the_file_named_and_again_as_often_as_needed(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = approve(answerable, monkeypatch, "olga", "paul")
        first = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "police").out
        assert "The person is told" in first
        assert answerable("tasks", "--json").json == []
        barred = answerable("dossier", "export", number, "--to", "two.zip", "--reason", "court", "--bar", "sec. 12").out
        assert "the legal ground is recorded" in barred
        shown = answerable("dossier", "show", number, "--json").json
        assert (shown["state"], [(s["step"], s["by"], s["reason"], s["bar"]) for s in shown["steps"]]) == (
            "exported",
            [
                ("approved", "olga", "I read it", None),
                ("approved", "paul", "I read it", None),
                ("exported", "paul", "police", None),
                ("exported", "paul", "court", "sec. 12"),
            ],
        )
        taken = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "x")
        assert (taken.code, "is there already" in taken.err) == (1, True)
        assert "taken out" in answerable("dossier", "show", number).out

    def test_says_in_plain_words_what_happened_and_names_nobody_else(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = approve(answerable, monkeypatch, "olga", "paul")
        for language, said in (("en", "Case 1 was opened in G-7F3K"), ("zh", "在 G-7F3K 立案")):
            out = Path(f"{language}.zip")
            answerable("dossier", "export", number, "--to", str(out), "--reason", "police", "--lang", language)
            with zipfile.ZipFile(out) as data:
                page = data.read("statement.html").decode()
                asked = json.loads(data.read("export.json"))["asked"]
            assert said in page
            assert "&lt;b&gt;I know where you live&lt;/b&gt;" in page
            assert (BEN in page, OPERA in page, f'lang="{language}"' in page) == (True, False, True)
            assert asked == {"persons": [BEN], "cases": [1]}

    def test_can_be_declined_and_then_goes_nowhere(
        self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = approve(answerable, monkeypatch, "olga", "paul")
        assert answerable("dossier", "decline", number, "--reason", "settled").code == 0
        assert answerable("tasks", "--json").json == []
        for command in (["approve", number], ["export", number, "--to", "x.zip"], ["decline", number]):
            result = answerable("dossier", *command, "--reason", "x")
            assert (result.code, "was declined" in result.err) == (1, True)
        assert answerable("dossier", "list", "--json").json[0]["state"] == "declined"

    def test_what_is_not_there_is_said(self, answerable: Answerable) -> None:
        assert "There are no files" in answerable("dossier", "list").out
        for command in (["show", "9"], ["approve", "9", "--reason", "x"], ["decline", "9", "--reason", "x"]):
            assert "There is no file 9" in answerable("dossier", *command).err


NETWORK = {
    "aiohttp", "aiosmtplib", "email", "ftplib", "http", "httpx", "nio", "requests", "smtplib", "socket", "ssl", "urllib"
}  # fmt: skip
OF_DOSSIERS = (
    "bot/cli/dossier.py",
    "bot/dossier_file.py",
    "bot/dossier_tasks.py",
    "bot/operations_dossiers.py",
    "moderation/dossiers.py",
    "moderation/facts/dossiers.py",
    "storage/views/dossiers.py",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "storage/export").glob("*.py"))),
)


@pytest.mark.parametrize("file", OF_DOSSIERS)
def test_no_code_that_makes_a_file_can_send_it(file: str) -> None:
    names = {name for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) for name in _imported(node)}
    assert {name for name in names if name.split(".")[0] in NETWORK or "homeserver" in name} == set()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(each.name for each in node.names)]
    return []
