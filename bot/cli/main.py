"""The command `answerable`: the list of its commands, and the handling of errors.

Rules kept here:
- `--help` needs only the list, so the module of a command is imported when it is called.
- Every expected error is one clear message on stderr and an exit code (1: it failed, 2: the command line or the
  configuration is wrong, 75: another process leads, 130: interrupted), never a traceback.

Left to others: what the commands do, one file a noun.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from moderation.values.errors import AnswerableError

from .terminal.options import choose_shard
from .terminal.output import INTERRUPTED, report, text


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command, and the module that has it as `app`."""

    name: str
    module: str


# In the order of a deployment's life, which the help keeps.
COMMANDS = (
    Lazy("init", "bot.cli.init.command"),
    Lazy("check", "bot.cli.check.command"),
    Lazy("run", "bot.cli.run"),
    Lazy("login", "bot.cli.login"),
    Lazy("rate-limit", "bot.cli.rate_limit"),
    Lazy("status", "bot.cli.status"),
    Lazy("alerts", "bot.cli.alerts"),
    Lazy("images", "bot.cli.images"),
    Lazy("lists", "bot.cli.lists"),
    Lazy("console", "bot.cli.console"),
    Lazy("policy", "bot.cli.policy"),
    Lazy("rooms", "bot.cli.rooms.command"),
    Lazy("rules", "bot.cli.rules.command"),
    Lazy("members", "bot.cli.members"),
    Lazy("unlink", "bot.cli.unlink"),
    Lazy("cases", "bot.cli.cases"),
    Lazy("credit", "bot.cli.credit"),
    Lazy("decide", "bot.cli.decide"),
    Lazy("statement", "bot.cli.statement"),
    Lazy("charge", "bot.cli.charge"),
    Lazy("report", "bot.cli.report"),
    Lazy("barred", "bot.cli.barred"),
    Lazy("tasks", "bot.cli.tasks"),
    Lazy("dossier", "bot.cli.dossier"),
    Lazy("approver", "bot.cli.approver"),
    Lazy("logs", "bot.cli.logs.command"),
    Lazy("keys", "bot.cli.keys.command"),
    Lazy("backup", "bot.cli.backup"),
    Lazy("restore", "bot.cli.restore"),
    Lazy("database", "bot.cli.database"),
    Lazy("upgrade-check", "bot.cli.check.upgrade"),
    Lazy("identity", "bot.cli.identity"),
    Lazy("roster", "bot.cli.roster"),
    Lazy("erase", "bot.cli.erase"),
    Lazy("demo", "bot.cli.demo.command"),
)


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and summary, and loads the real one when it is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for command in COMMANDS:
            summary = text(f"cli.summary.{command.name}")
            self.add_command(TyperCommand(command.name, help=summary, short_help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        module = next((lazy.module for lazy in COMMANDS if lazy.name == name), None)
        return (name, _load(module, str(name)), rest) if module else (name, command, rest)


@cache
def _load(module: str, name: str) -> Any:
    command = get_command(import_module(module).app)
    command.name = name
    _with_shard(command)
    return command


def _with_shard(command: Any) -> None:
    """Let each command that reads the configuration be told of which shard."""
    for each in getattr(command, "commands", {}).values():
        _with_shard(each)
    if any(parameter.name == "config_file" for parameter in command.params):
        command.params.append(_shard_option())


@cache
def _shard_option() -> Any:
    """Return the option, made as Typer makes those of a function."""
    made = typer.Typer()

    @made.command()
    def _holder(
        shard: Annotated[
            str | None,
            typer.Option(
                "--shard",
                metavar="NAME",
                envvar="ANSWERABLE_SHARD",
                help=text("cli.option.shard"),
                callback=choose_shard,
                expose_value=False,
            ),
        ] = None,
    ) -> None:
        """Hold the option."""

    return next(parameter for parameter in get_command(made).params if parameter.name == "shard")


app = typer.Typer(
    name="answerable",
    cls=LazyGroup,
    help=text("cli.help"),
    epilog=text("cli.epilog"),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"answerable {_installed_version()}")
        raise typer.Exit


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("answerable")
    except PackageNotFoundError:  # run from a clone that was not installed
        return "?"


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=text("cli.option.version"))
    ] = False,
) -> None:
    """Hold the options of `answerable` itself."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the console script. Always ends with `SystemExit`."""
    os.umask(0o077)  # files are readable only by their owner, until they share them
    try:
        app(args=arguments, prog_name="answerable")
    except AnswerableError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ExceptionGroup as group:  # of a task group: expected if all of it is
        expected, unexpected = group.split(AnswerableError)
        if expected is None or unexpected is not None:
            raise
        sys.exit(max(report(error) for error in _leaves(expected)))
    except Exception as error:
        from .terminal.disk_errors import disk_failure

        if (failure := disk_failure(error)) is None:
            raise
        sys.exit(report(failure))


def _leaves(group: ExceptionGroup[AnswerableError]) -> Iterator[AnswerableError]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    run()
