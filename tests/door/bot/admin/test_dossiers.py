"""A file on a serious and continuing offender, from the task to the zip, with a real bot and the real command."""

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bot.cli.run import only_instance
from bot.demo.bot_process import Ran
from moderation.model.facts import DataGiven, DossierStep, RecordsExported, TaskDone, TaskOpened
from storage.export import verify
from tests.door.bot.commands.test_personal_data import file_sent
from tests.people.client import Client
from tests.theatre.forked_command import run_forked
from tests.theatre.scene import Scene, Theatre, ask, direct_room, told
from tests.theatre.served import RULES, ServedBot, like


class Terminal:
    """The command line, as different people use it while the bot runs."""

    def __init__(self, bot: ServedBot, folder: Path, *operators: Client) -> None:
        self.folder = folder
        self._config = folder / "config.toml"
        head = f'[homeserver]\nurl = "{bot.session.url}"\nuser = "{bot.user}"\n'
        who = f"operators = {json.dumps([each.user for each in operators])}\n"
        self._config.write_text(f'{head}[bot]\ndata_dir = "{bot.data_dir}"\n{who}{RULES}')

    async def __call__(self, who: str, *arguments: str, typed: str = "") -> Ran:
        environ = {"SUDO_USER": who, "PATH": "", "ANSWERABLE_LANG": "en"}
        return await run_forked(*arguments, "--config", str(self._config), environ=environ, stdin=typed)

    async def json(self, who: str, *arguments: str, typed: str = "") -> Any:
        """Run a command, and return its JSON output."""
        ran = await self(who, *arguments, "--json", typed=typed)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    async def make_key(self, who: str, account: str) -> str:
        """Make a key for an operator; its file."""
        file = str(self.folder / f"{who}.key")
        arguments = (who, "--as", account, "--to", file, "--reason", "approver", "--passphrase-stdin")
        await self.json(who, "approver", "new", *arguments, typed="correct horse\n")
        return file

    async def approve(self, who: str, file: str, key: str) -> Any:
        """Approve a file with a key."""
        arguments = ("dossier", "approve", file, "--key", key, "--reason", "I read it", "--passphrase-stdin")
        return await self.json(who, *arguments, typed="correct horse\n")


async def an_offender(theatre: Theatre) -> tuple[Scene, Client, list[Client]]:
    """Create somebody who was warned and then did something severe, and the two operators who are asked."""
    operators = await theatre.people("olga", "paul")
    scene = await theatre.scene(RULES, bot=f"operators = {json.dumps([each.user for each in operators])}")
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    await ask(manager, bot, scene.room, f"!warn {ann.user} please stay calm")
    await told(ann, bot, like("notice.command.warn"))
    await ann.send_text(scene.room, "a volcano of <b>words</b>")
    await bot.until(lambda: bot.rows("SELECT 1 FROM tasks"), "the task")  # which is in the records before
    return scene, ann, list(operators)


async def test_a_dossier_takes_two_approvers_and_leaves_as_a_valid_zip_with_notice(
    theatre: Theatre, tmp_path: Path
) -> None:
    scene, ann, (olga, paul) = await an_offender(theatre)
    bot, (manager,) = scene.bot, scene.managers
    (task,) = bot.facts(TaskOpened)
    assert (task.task, task.subject, task.room) == ("dossier", ann.user, scene.room)
    await told(paul, bot, like("task.dossier", who=ann.user))
    terminal, out = Terminal(bot, tmp_path, olga, paul), tmp_path / "ann.zip"
    here = await direct_room(paul, bot)
    with only_instance(bot.data_dir):
        (waits,) = await terminal.json("root", "tasks")
        assert (waits["kind"], waits["case"], waits["person"]) == ("dossier", task.n, ann.user)
        assert f"answerable dossier new {ann.user}" in waits["next"]
        begun = await terminal.json("olga", "dossier", "new", ann.user, "--reason", "asked for by the board")
        file, number = str(begun["dossier"]), waits["task"]
        assert begun["task"] == number
        key = await terminal.make_key("olga", olga.user)
        await told(paul, bot, like("approver.added", who=olga.user, by="olga"))
        first = await terminal.approve("olga", file, key)
        assert (first["approved_by"], first["needed"]) == ([olga.user], 2)
        await told(paul, bot, like("dossier.approved-above.key", who=olga.user, n=file))
        early = await terminal("olga", "dossier", "export", file, "--to", str(out), "--reason", "police")
        assert (early.code, out.exists(), bot.facts(RecordsExported)) == (1, False, [])
        await paul.send_text(here, f"!approve D-{file} {'0' * 64}")
        await told(paul, bot, like("error.approve.other", n=file))
        await olga.send_text(await direct_room(olga, bot), f"!approve D-{file} {first['digest']}")
        await told(olga, bot, like("cli.dossier.approved_already", user=olga.user))
        said_by = await paul.send_text(here, f"!approve D-{file} {first['digest']} I read it too")
        await told(paul, bot, like("dossier.approve.both", n=file))
        assert (await terminal.json("root", "dossier", "show", file))["approved_by"] == [olga.user, paul.user]
        said = await terminal.json("paul", "dossier", "export", file, "--to", str(out), "--reason", "police, 12/2026")
        assert (said["told"], said["problems"], said["sha256"]) == (
            True,
            [],
            hashlib.sha256(out.read_bytes()).hexdigest(),
        )
        assert await terminal.json("root", "tasks") == []
        everything = tmp_path / "everything.zip"
        whole = await terminal.json("olga", "logs", "export", "--out", str(everything), "--reason", "yearly review")
    assert await checker(everything) == (0, f"Record {whole['record']} of the log names these records and files")
    assert await checker(out) == (0, f"Record {said['record']} of the log names these records and files")
    word = await told(ann, bot, like("dossier.told"))
    assert like("dossier.told-approved").search(word.body) and like("dossier.told-object").search(word.body)
    steps = [(f.step, f.reader, f.digest, f.how, f.reason) for f in bot.facts(DossierStep)]
    assert steps == [
        ("opened", "olga", "-", "user", "asked for by the board"),
        ("approved", olga.user, first["digest"], "key", "I read it"),
        ("approved", paul.user, first["digest"], "account", "I read it too"),
        ("exported", "paul", said["sha256"], "user", "police, 12/2026"),
    ]
    with zipfile.ZipFile(out) as data:
        shown = [part for row in data.read("records.jsonl").splitlines() for part in json.loads(row)["x"] if part]
    assert [part["mxid"] for part in shown if part.get("ev") == said_by] == [paul.user]
    assert [(f.what, f.reader, f.reason, f.count) for f in bot.facts(RecordsExported)] == [
        ("dossier", "paul", "police, 12/2026", said["records"]),
        ("export", "olga", "yearly review", whole["records"]),
    ]
    assert [(f.start, f.result, f.reader) for f in bot.facts(TaskDone)] == [(number, "done", "paul")]
    await look_inside(out, tmp_path / "unpacked", ann, manager)


async def checker(out: Path) -> tuple[int, str]:
    """Check a zip. Returns the exit status, and what the output says about the log's record of it."""
    command = [sys.executable, "-I", "-S", verify.__file__, str(out)]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    (line,) = [line for line in ran.stdout.splitlines() if "names these" in line]
    return ran.returncode, line.partition(":")[0]


async def look_inside(out: Path, folder: Path, ann: Client, manager: Client) -> None:
    """Check what a reader without Matrix finds."""
    with zipfile.ZipFile(out) as data:
        data.extractall(folder)
        everything = b"".join(data.read(name) for name in data.namelist())
    page = (folder / "statement.html").read_text()
    assert ann.user in page
    assert "a volcano of &lt;b&gt;words&lt;/b&gt;" in page
    assert "Case" in page
    assert manager.user.encode() not in everything
    assert (folder / "README.txt").read_text().startswith("File ")
    checked = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-I", "-S", str(folder / "verify.py")], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert b"by these accounts:" in checked.stdout


@pytest.mark.long
async def test_a_legal_bar_is_recorded_and_keeps_the_file_from_the_person(theatre: Theatre, tmp_path: Path) -> None:
    scene, ann, operators = await an_offender(theatre)
    bot, terminal, out = scene.bot, Terminal(scene.bot, tmp_path, *operators), tmp_path / "ann.zip"
    with only_instance(bot.data_dir):
        begun = await terminal.json("olga", "dossier", "new", ann.user, "--reason", "asked for by the court")
        file = str(begun["dossier"])
        for who, operator in zip(("olga", "paul"), operators, strict=True):
            await terminal.approve(who, file, await terminal.make_key(who, operator.user))
        export = ("dossier", "export", file, "--to", str(out), "--reason", "court")
        assert (await terminal("paul", *export, "--bar", " ")).code == 2
        said = await terminal.json("paul", *export, "--bar", "sec. 12 of the act")
        assert said["told"] is False
        again = await terminal("paul", *export, "--bar", "sec. 12 of the act")
        assert (again.code, "already exists" in again.err) == (1, True)
    (exported,) = [f for f in bot.facts(DossierStep) if f.step == "exported"]
    assert exported.bar == "sec. 12 of the act"
    await ann.send_text(scene.room, "!mydata")
    readers = json.loads(await file_sent(theatre, ann, bot, "who-read-it.json"))
    data = zipfile.ZipFile(io.BytesIO(await file_sent(theatre, ann, bot, "my-data.zip")))
    kinds = {json.loads(line)["k"] for line in data.read("records.jsonl").splitlines()}
    assert (readers, kinds & {"dossier", "task"}, "case" in kinds) == ([], set(), True)
    await bot.until(lambda: bot.facts(DataGiven), "the giving recorded")
    heard = [seen.body for seen in ann.seen if seen.sender == bot.user]
    assert [body for body in heard if like("dossier.told").search(body)] == []


@pytest.mark.long
async def test_a_declined_dossier_task_returns_only_after_a_new_upheld_case(theatre: Theatre, tmp_path: Path) -> None:
    scene, ann, _ = await an_offender(theatre)
    bot, (manager,), terminal = scene.bot, scene.managers, Terminal(scene.bot, tmp_path)
    with only_instance(bot.data_dir):
        (waits,) = await terminal.json("root", "tasks")
        done = await terminal.json("olga", "dossier", "decline", str(waits["task"]), "--reason", "a first offence")
        assert done == {"task": waits["task"], "dossier": None}
        assert await terminal.json("root", "tasks") == []
    assert [(f.result, f.reader, f.reason) for f in bot.facts(TaskDone)] == [("declined", "olga", "a first offence")]
    await ann.send_text(scene.room, "forbidden 1")
    n = await bot.until(lambda: bot.rows("SELECT n FROM cases WHERE rule = 'tickets'"), "the case")
    await ask(manager, bot, scene.desk, f"!uphold {n[0][0]}")
    await bot.until(lambda: [f.task for f in bot.facts(TaskOpened)].count("dossier") == 2, "another task")
