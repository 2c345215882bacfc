"""`answerable demo`: plays the story on a homeserver of its own, and tells how each step went.

``--json FILE``: an object with the key `steps`, a list of objects with the keys `name`, `expected`, `seen`, `ok`.

Rules kept here:
- Exit code 0 only if every step went as told.
- However it ends, by Ctrl-C too, everything that was started is ended and the temporary folder removed, unless
  ``--keep``.
- A folder with anything else than an earlier demo in it is left alone.
- The story is told in the language of the terminal.

Left to others: the story (`bot/demo/story.py`), its display (`report.py`).
"""

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.terminal.options import new_app
from bot.cli.terminal.output import FAILED, say, tell, text
from moderation.values.errors import Refused
from moderation.values.notices import Code

if TYPE_CHECKING:
    from bot.demo.stage import DemoStage
    from bot.demo.story import Story, StoryOutcome

MARKER = "demo.txt"
# What the bot leaves in its folder; anything else there belongs to somebody.
_OURS = ("*.sqlite3*", "*.log", "config.toml", ".env", "console", "keys", "lock", "policy", "records", "spool", MARKER)

app = new_app("cli.demo.help")


@app.command(help=text("cli.demo.help"), epilog=text("cli.demo.epilog"))
def demo(
    keep: Annotated[bool, typer.Option("--keep", help=text("cli.demo.keep"))] = False,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help=text("cli.demo.json"))] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help=text("cli.demo.data_dir"))] = None,
) -> None:
    """Play the story."""
    from bot.demo.synapse import is_installed

    if not is_installed():
        raise Refused("cli.demo.no_synapse")
    _write(json, None, ())  # fails now if it cannot be written, not after half a minute
    with _folder(keep=keep) as folder:
        bot_folder = _made(data_dir.expanduser().absolute() if data_dir else folder / "bot")
        outcomes = _run(folder / "homeserver", bot_folder, json, keep=keep)
        if data_dir is not None or keep:
            _say_where(bot_folder)
        else:
            say("cli.demo.gone", command=Code(_command()))
    if keep:
        tell("cli.demo.kept_folder", folder=folder)
    raise typer.Exit(0 if all(outcome.ok for outcome in outcomes) else FAILED)


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="answerable-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path) -> Path:
    """Make the bot's folder, or empty it of an earlier demo. Raises `Refused` if it holds anything else."""
    from bot.cli.run import running_pid

    try:
        there = sorted(folder.iterdir()) if folder.exists() else []
        strange = [item for item in there if not any(item.match(name) for name in _OURS)]
        if there and (strange or not (folder / MARKER).exists()):
            raise Refused("cli.demo.not_ours", folder=folder, what=(strange or there)[0].name)
        if pid := running_pid(folder):
            raise Refused("cli.demo.in_use", folder=folder, pid=Code(pid))
        for item in there:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / MARKER).write_text(text("cli.demo.marker") + "\n", encoding="utf-8")
    except OSError as error:
        raise Refused("cli.demo.not_writable", path=folder, why=error.strerror or str(error)) from None
    return folder


def _run(folder: Path, bot_folder: Path, json: Path | None, *, keep: bool) -> "list[StoryOutcome]":
    try:
        return asyncio.run(_play(folder, bot_folder, json, keep=keep))
    except asyncio.CancelledError:  # by SIGTERM, see below; Ctrl-C is a `KeyboardInterrupt`
        raise typer.Exit(128 + signal.SIGTERM) from None


async def _play(folder: Path, bot_folder: Path, json: Path | None, *, keep: bool) -> "list[StoryOutcome]":
    from bot.demo.bot_process import BotProcess
    from bot.demo.stage import DemoStage
    from bot.demo.story import STEPS, Story
    from bot.texts.catalog import cli_language

    from .report import Telling

    loop, task, language = asyncio.get_running_loop(), asyncio.current_task(), cli_language()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    stage = DemoStage(folder, BotProcess(bot_folder, language))
    story = Story(stage, language)
    outcomes: list[StoryOutcome] = []
    try:
        with Telling(story, len(STEPS)) as telling:
            async for outcome in story.play(telling.begins):
                telling.ended(outcome)
                outcomes.append(outcome)
                _write(json, story, outcomes)
        telling.summary(outcomes, stage.bot.log())
        if keep:
            await _until_ctrl_c(stage, loop)
    finally:
        await stage.close()
    return outcomes


async def _until_ctrl_c(stage: "DemoStage", loop: asyncio.AbstractEventLoop) -> None:
    """Say how to get in, and wait. Also ends when the bot does, saying so."""
    from bot.demo.bot_process import BotFailed
    from bot.demo.stage import NAMES, PASSWORD

    if stage.homeserver is None:  # it did not start
        return
    console = Code(f"{_command()} console --config {stage.bot.config}")
    say("cli.demo.kept", url=stage.homeserver.url, users=", ".join(NAMES), password=PASSWORD, console=console)
    say("cli.demo.stop")
    task = asyncio.ensure_future(stage.bot.watch())
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await task
    except BotFailed as error:
        tell("cli.value", value=error)
    except asyncio.CancelledError:
        if not task.cancelled():  # SIGTERM
            raise
    tell("cli.demo.stopping")


def _write(json: Path | None, story: "Story | None", outcomes: "Sequence[StoryOutcome]") -> None:
    """Write the steps so far, so that the file is there whatever happens next."""
    import orjson

    if json is None:
        return
    steps = [
        {"name": story.name(o.step), "expected": o.expected, "seen": o.seen, "ok": o.ok} for o in outcomes if story
    ]
    try:
        json.write_bytes(orjson.dumps({"steps": steps}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise Refused("cli.demo.not_writable", path=json, why=error.strerror or str(error)) from None


def _say_where(folder: Path) -> None:
    say("cli.demo.look", records=folder / "records", folder=folder, command=Code(_command()))


def _command() -> str:
    """Return how the reader calls this program, so that what is shown can be pasted."""
    called = Path(sys.argv[0])
    if called.name == "answerable":
        return "answerable" if shutil.which("answerable") else str(called)
    return f"{sys.executable} -m bot.cli.main"
