"""COMMANDS: every command by its names. Data to read; nothing registers itself by being imported."""

from . import adopt, approve, cases, credit, dismiss_reports, duty, measures, report, room, rule, set, verify
from . import info as about
from . import personal_data as own
from . import vouch as people
from .invocation import Command


def _table() -> dict[str, Command]:
    table: dict[str, Command] = {}
    rows = (
        *about.COMMANDS,
        *credit.COMMANDS,
        *cases.COMMANDS,
        *people.COMMANDS,
        *duty.COMMANDS,
        *report.COMMANDS,
        *dismiss_reports.COMMANDS,
        *own.COMMANDS,
        *verify.COMMANDS,
        *measures.COMMANDS,
        *room.COMMANDS,
        *rule.COMMANDS,
        *set.COMMANDS,
        *adopt.COMMANDS,
        *approve.COMMANDS,
    )
    for command in (about.help_with(table), *rows):
        for name in (command.name, *command.aliases):
            table[name] = command
    return table


COMMANDS = _table()
