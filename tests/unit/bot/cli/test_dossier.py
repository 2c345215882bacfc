"""`answerable tasks` and `dossier` on a deployment whose bot does not run: two people, a file, and nothing sent."""

import ast
import asyncio
import hashlib
import io
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest

from bot.app import records_only
from bot.config.config import load_config
from moderation.model.facts import AccountsLinked, Appealed, CaseOpened, DossierStep, Fact, RoomEntered, SanctionStarted
from moderation.values.ids import GroupCode, RoomId, UserId
from storage.database.place import FILE
from storage.export import verify
from tests.unit.bot.cli.conftest import BEN, GARDEN, HEAD, Answerable, Result

ROOT = Path(__file__).parents[4]
OPERA, OLGA, PAUL = "@opera:example.org", "@olga:example.org", "@paul:example.org"
SECRET = "correct horse"
GROUP, HERE = RoomId(GARDEN), GroupCode("G-7F3K")


@pytest.fixture
def deployment(config_file: Path) -> Path:
    """Provide one group, in which Ben was muted once and then did something severe; the operator was asked."""
    config_file.write_text(f'{HEAD}[bot]\noperators = ["{OPERA}", "{OLGA}", "{PAUL}"]\n')

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


class Office:
    """Two operators at the command line, each with a key of their own."""

    def __init__(self, answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answerable, self._monkeypatch = answerable, monkeypatch

    def __call__(self, who: str, *arguments: str, secret: str = SECRET) -> Result:
        """Run a command as a user of the machine who types a passphrase if asked."""
        self._monkeypatch.setenv("SUDO_USER", who)
        self._monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
        return self._answerable(*arguments)

    def key(self, who: str, account: str, name: str = "") -> Path:
        """Make a key."""
        file = Path(f"{name or who}.key")
        made = self(
            who, "approver", "new", name or who, "--as", account, "--to", str(file), "--reason", "audit",
            "--passphrase-stdin",
        )  # fmt: skip
        assert made.code == 0, made.err
        return file

    def approve(self, who: str, number: str, key: str = "", secret: str = SECRET) -> Result:
        """Approve a file with somebody's key."""
        arguments = ("--key", key or f"{who}.key", "--reason", "I read it", "--passphrase-stdin", "--json")
        return self(who, "dossier", "approve", number, *arguments, secret=secret)

    def file(self, *approvers: str) -> str:
        """Begin a file and have it approved; its number."""
        number = str(self("olga", "dossier", "new", BEN, "--reason", "the board asked", "--json").json["dossier"])
        for name in approvers:
            if not Path(f"{name}.key").exists():
                self.key(name, f"@{name}:example.org")
            assert self.approve(name, number).code == 0
        return number


@pytest.fixture
def office(answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(answerable, monkeypatch)


async def add(config_file: Path, *facts: Fact) -> None:
    """Record something."""
    async with records_only(load_config(config_file)) as operations:
        await operations._pipeline.commit(facts)


class TestTasks:
    @pytest.mark.usefixtures("empty")
    def test_no_tasks_wait_at_first(self, answerable: Answerable) -> None:
        assert "Nothing waits" in answerable("tasks").out

    @pytest.mark.usefixtures("deployment")
    def test_are_listed_with_what_to_type(self, answerable: Answerable, office: Office) -> None:
        (task,) = answerable("tasks", "--json").json
        assert (task["kind"], task["case"], task["room"], task["person"]) == ("dossier", 1, "G-7F3K", BEN)
        assert f"answerable dossier new {BEN}" in task["next"]
        assert f"answerable dossier decline {task['task']}" in task["next"]
        number = office.file("olga")
        assert f"answerable dossier show {number}" in answerable("tasks", "--json").json[0]["next"]
        office.key("paul", PAUL)
        office.approve("paul", number)
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
    def test_does_not_invalidate_other_exports(self, answerable: Answerable, office: Office) -> None:
        office.file("olga", "paul")
        for more in ((), ("--unsigned",)):
            out = f"all{len(more)}.zip"
            made = answerable("logs", "export", "--out", out, "--reason", "audit", *more)
            assert (made.code, made.err, verify.check(Path(out)).problems) == (0, "", [])

    def test_covers_what_was_upheld_unless_cases_are_named(self, answerable: Answerable) -> None:
        assert answerable("dossier", "new", BEN, "--reason", "audit", "--json").json["cases"] == [1]
        refused = answerable("dossier", "new", BEN, "--case", "7", "--reason", "audit")
        assert (refused.code, "Case 7 is not a case about" in refused.err) == (1, True)
        nobody = answerable("dossier", "new", OPERA, "--reason", "audit")
        assert (nobody.code, "nothing to put into a file" in nobody.err) == (1, True)

    def test_is_approved_by_two_people_including_its_initiator(self, answerable: Answerable, office: Office) -> None:
        number = office.file("olga")
        again = office.approve("olga", number)
        assert (again.code, "second operator" in again.err) == (1, True)
        early = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "audit")
        assert (early.code, "1 of 2" in early.err, Path("ben.zip").exists()) == (1, True, False)
        office.key("paul", PAUL)
        digest = answerable("dossier", "show", number, "--json").json["digest"]
        assert office.approve("paul", number).json == {
            "dossier": int(number), "approved_by": [OLGA, PAUL], "needed": 2, "digest": digest
        }  # fmt: skip
        (file,) = answerable("dossier", "list", "--json").json
        assert (file["state"], file["by"], file["approved_by"]) == ("approved", "olga", [OLGA, PAUL])

    def test_two_names_or_accounts_of_one_person_count_once(self, office: Office, config_file: Path) -> None:
        number = office.file("olga")
        office.key("paul", OLGA, "other")
        second_key = office.approve("paul", number, "other.key")
        assert (second_key.code, "second operator" in second_key.err) == (1, True)
        office.key("paul", PAUL)
        asyncio.run(add(config_file, AccountsLinked(method="confirmed", subject=UserId(OLGA), target=UserId(PAUL))))
        second_account = office.approve("paul", number)
        assert (second_account.code, "second operator" in second_account.err) == (1, True)

    def test_a_name_of_the_machine_without_a_key_approves_nothing(
        self, answerable: Answerable, office: Office, config_file: Path
    ) -> None:
        """Approvals recorded by older versions are shown as such, and permit no export."""
        number = office.file()
        steps = [
            DossierStep(step="approved", start=int(number), subject=UserId(BEN), reader=who) for who in ("olga", "paul")
        ]
        asyncio.run(add(config_file, *steps))
        assert [each["how"] for each in answerable("dossier", "show", number, "--json").json["steps"]] == ["user"] * 2
        assert "older version" in answerable("dossier", "show", number).out
        early = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "audit")
        assert (early.code, "0 of 2" in early.err, Path("ben.zip").exists()) == (1, True, False)

    def test_the_approved_content_is_what_leaves(
        self, answerable: Answerable, office: Office, config_file: Path
    ) -> None:
        number = office.file("olga", "paul")
        before = answerable("dossier", "show", number, "--json").json["digest"]
        answerable("statement", "1", "--reason", "reading it changes nothing")
        assert answerable("dossier", "show", number, "--json").json["digest"] == before
        appealed = Appealed(
            room=GROUP, n=1, step="lodged", state="appealed", asked="managers", due=1, subject=UserId(BEN), words="no"
        )
        asyncio.run(add(config_file, appealed))
        changed = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "audit")
        assert (changed.code, "changed after it was approved" in changed.err) == (1, True)
        assert Path("ben.zip").exists() is False
        for name in ("olga", "paul"):
            assert office.approve(name, number).code == 0
        assert answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "audit").code == 0

    def test_an_operator_who_is_the_person_approves_nothing(self, office: Office, config_file: Path) -> None:
        number = office.file("olga")
        text = config_file.read_text().replace(f'"{PAUL}"', f'"{PAUL}", "{BEN}"')
        config_file.write_text(text)
        office.key("ben", BEN)
        own = office.approve("ben", number)
        assert (own.code, "cannot approve it" in own.err) == (1, True)

    def test_the_zip_says_who_approved_it_and_its_checker_believes_only_signatures(
        self, answerable: Answerable, office: Office
    ) -> None:
        number = office.file("olga", "paul")
        assert answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "police").code == 0
        checked = verify.check(Path("ben.zip"))
        assert checked.problems == []
        assert checked.approved is not None
        assert checked.approved.people == {OLGA, PAUL}
        assert OLGA in zipfile.ZipFile("ben.zip").read("statement.html").decode()
        for name, old, new, found in (
            ("approved.txt", b"", b"", "it is missing"),
            ("approved.txt", f"\n{number}\n".encode(), b"\n1\n", "0 of 2 different people"),
            ("records.jsonl", b'"signature":"', b'"signature":"A', "it is not what was recorded"),
            ("records.jsonl", b'"how":"key"', b'"how":"account"', "does not say so"),
            ("records.jsonl", b'"k":"case"', b'"k":"casf"', "is not as it was approved"),
        ):
            spoil(Path("ben.zip"), name, old, new)
            problems = verify.check(Path("spoilt.zip")).problems
            assert any(found in problem for problem in problems), (name, old, problems)

    def test_is_written_to_the_file_named_and_again_as_often_as_needed(
        self, answerable: Answerable, office: Office
    ) -> None:
        number = office.file("olga", "paul")
        first = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "police").out
        assert "The person is told" in first
        assert answerable("tasks", "--json").json == []
        barred = answerable("dossier", "export", number, "--to", "two.zip", "--reason", "court", "--bar", "sec. 12").out
        assert "the legal ground is recorded" in barred
        shown = answerable("dossier", "show", number, "--json").json
        assert (shown["state"], [(s["step"], s["by"], s["reason"], s["bar"]) for s in shown["steps"]]) == (
            "exported",
            [
                ("approved", OLGA, "I read it", None),
                ("approved", PAUL, "I read it", None),
                ("exported", "paul", "police", None),
                ("exported", "paul", "court", "sec. 12"),
            ],
        )
        taken = answerable("dossier", "export", number, "--to", "ben.zip", "--reason", "audit")
        assert (taken.code, "already exists" in taken.err) == (1, True)
        assert "exported" in answerable("dossier", "show", number).out

    def test_says_in_plain_words_what_happened_and_names_nobody_else(
        self, answerable: Answerable, office: Office
    ) -> None:
        number = office.file("olga", "paul")
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

    def test_can_be_declined_and_then_goes_nowhere(self, answerable: Answerable, office: Office) -> None:
        number = office.file("olga", "paul")
        assert answerable("dossier", "decline", number, "--reason", "settled").code == 0
        assert answerable("tasks", "--json").json == []
        for command in (
            ["approve", number, "--key", "olga.key"],
            ["export", number, "--to", "x.zip"],
            ["decline", number],
        ):
            arguments = ("--passphrase-stdin",) if command[0] == "approve" else ()
            result = office("olga", "dossier", *command, "--reason", "audit", *arguments)
            assert (result.code, "was declined" in result.err) == (1, True)
        assert answerable("dossier", "list", "--json").json[0]["state"] == "declined"

    def test_a_missing_dossier_is_reported(self, answerable: Answerable) -> None:
        assert "There are no files" in answerable("dossier", "list").out
        for command in (
            ["show", "9"],
            ["approve", "9", "--key", "x", "--reason", "audit"],
            ["decline", "9", "--reason", "audit"],
        ):
            assert "There is no file 9" in answerable("dossier", *command).err


def spoil(source: Path, name: str, old: bytes, new: bytes) -> None:
    """Make spoilt.zip: `old` is replaced in one file of it, which is left out if `old` is empty; the sums fit."""
    with zipfile.ZipFile(source) as data:
        files = {each: data.read(each) for each in data.namelist()}
    assert old in files[name]
    files[name] = files[name].replace(old, new)
    if not old:
        del files[name]
    del files["SHA256SUMS"]
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {each}\n" for each, content in sorted(files.items()))
    with zipfile.ZipFile("spoilt.zip", "w") as data:
        for each, content in {**files, "SHA256SUMS": sums.encode()}.items():
            data.writestr(each, content)


@pytest.mark.usefixtures("deployment")
class TestApprover:
    def test_a_key_is_for_its_owner_alone_and_opens_with_its_passphrase_only(
        self, answerable: Answerable, office: Office
    ) -> None:
        number, key = office.file(), office.key("olga", OLGA)
        assert (key.stat().st_mode & 0o777, key.read_bytes().startswith(b"-----BEGIN ENCRYPTED")) == (0o600, True)
        wrong = office.approve("olga", number, secret="something else")
        assert (wrong.code, "passphrase is wrong" in wrong.err) == (1, True)
        missing = office.approve("olga", number, "nowhere.key")
        assert (missing.code, "Cannot read nowhere.key" in missing.err) == (1, True)
        (listed,) = answerable("approver", "list", "--json").json
        assert (listed["approver"], listed["account"], listed["by"], listed["ended"]) == ("olga", OLGA, "olga", None)

    def test_is_an_operator_with_a_unique_name(self, office: Office) -> None:
        office.key("olga", OLGA)
        for arguments, said in (
            (("olga", "--as", PAUL, "--to", "two.key"), "already"),
            (("ben", "--as", BEN, "--to", "two.key"), "not an operator"),
            (("new", "--as", OLGA, "--to", "olga.key"), "already exists"),
        ):
            refused = office("olga", "approver", "new", *arguments, "--reason", "audit", "--passphrase-stdin")
            assert (refused.code, said in refused.err, Path("two.key").exists()) == (1, True, False), refused.err
        short = ("paul", "--as", PAUL, "--to", "two.key", "--reason", "audit", "--passphrase-stdin")
        refused = office("olga", "approver", "new", *short, secret="short")
        assert (refused.code, "too short" in refused.err, Path("two.key").exists()) == (2, True, False)

    def test_a_withdrawn_key_approves_nothing_more(self, answerable: Answerable, office: Office) -> None:
        number = office.file("olga")
        office.key("paul", PAUL)
        assert answerable("approver", "remove", "paul", "--reason", "lost").code == 0
        late = office.approve("paul", number)
        assert (late.code, "not registered" in late.err) == (1, True)
        again = answerable("approver", "remove", "paul", "--reason", "lost")
        assert (again.code, "no key called paul" in again.err) == (1, True)
        assert office.approve("olga", number).code == 1  # still counted

    def test_all_operators_are_told_of_keys_and_of_approvals(self, office: Office, deployment: Path) -> None:
        office.file("olga")
        with sqlite3.connect(deployment / FILE) as database:
            waiting = [json.loads(row[0]) for row in database.execute("SELECT action FROM outbox")]
        told = [(each["subject"], each["lines"][0]["key"]) for each in waiting if each["do"] == "tell"]
        expected = ("approver.added", "dossier.approved-above.key")
        assert {(who, key) for who in (OPERA, OLGA, PAUL) for key in expected} <= set(told)


NETWORK = {
    "aiohttp", "aiosmtplib", "email", "ftplib", "http", "httpx", "nio", "requests", "smtplib", "socket", "ssl", "urllib"
}  # fmt: skip
OF_DOSSIERS = (
    "bot/cli/approver.py",
    "bot/cli/dossier.py",
    "bot/commands/approve.py",
    "bot/admin/dossier_text.py",
    "bot/pipeline/dossier_tasks.py",
    "bot/admin/dossiers.py",
    "moderation/cases/dossiers.py",
    "moderation/model/facts/dossiers.py",
    "storage/queries/dossiers.py",
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
