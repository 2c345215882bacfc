"""`answerable report`: turn a notice from outside into a case.

With ``--mail`` a mail is read from standard input, and the exit codes are those that mail servers know (sysexits): 65,
nobody can make a case of it, so the sender is told; 75, try again later. ``--json``: `n`, `room`. Left to others:
reading the mail (`mail_notice.py`), what follows (`bot/admin/reports.py`).
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from moderation.values.errors import AnswerableError, Refused

from .access.access_reason import user
from .access.admin_client import perform
from .access.lookup import find_code, read
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import report as told
from .terminal.output import say_done, text

EX_DATAERR, EX_TEMPFAIL = 65, 75
NO_CASE = ("cli.report.no_room", "cli.report.unreadable", "error.report.bot")

app = new_app("cli.report.help")


@app.command(help=text("cli.report.help"), epilog=text("cli.report.epilog"))
def report(
    words: Annotated[str, typer.Argument(metavar="WORDS", help=text("cli.report.words"))] = "",
    link: Annotated[str, typer.Option("--link", "-l", help=text("cli.report.link"))] = "",
    room: Annotated[str, typer.Option("--room", "-r", metavar="ROOM", help=text("cli.report.room"))] = "",
    contact: Annotated[str, typer.Option("--contact", help=text("cli.report.contact"))] = "",
    mail: Annotated[bool, typer.Option("--mail", help=text("cli.report.mail"))] = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Take in a notice."""
    if mail:
        done = _by_mail(config_file)
    elif words.strip():
        config = read_config(config_file)
        code = read(config, find_code, room) if room else ""
        done = perform(config, "report", reader=user(), words=words, link=link, room=code, contact=contact)
    else:
        raise Refused("cli.report.no_words")
    say_done(done, "cli.report.done", json=json, n=str(done["n"]), code=done["room"])


def _by_mail(config_file: Path) -> dict[str, Any]:
    from .mail_notice import MOST_BYTES, read_mail

    try:
        notice = read_mail(sys.stdin.buffer.read(MOST_BYTES))
        if notice is None:
            raise Refused("cli.report.unreadable")
        return perform(read_config(config_file), "report", reader=user(), **asdict(notice), mail=True)
    except AnswerableError as error:
        told(error)
        never = isinstance(error, Refused) and error.key in NO_CASE
        raise typer.Exit(EX_DATAERR if never else EX_TEMPFAIL) from None
