"""COMMANDS: all commands by name and alias. A plain table; nothing registers itself on import."""

from . import (
    adopt,
    approve,
    cases,
    credit,
    dismiss_reports,
    duty,
    info,
    measures,
    personal_data,
    report,
    room,
    rule,
    set,
    verify,
    vouch,
)
from .invocation import Command


def _table() -> dict[str, Command]:
    table: dict[str, Command] = {}
    rows = (
        *info.COMMANDS,
        *credit.COMMANDS,
        *cases.COMMANDS,
        *vouch.COMMANDS,
        *duty.COMMANDS,
        *report.COMMANDS,
        *dismiss_reports.COMMANDS,
        *personal_data.COMMANDS,
        *verify.COMMANDS,
        *measures.COMMANDS,
        *room.COMMANDS,
        *rule.COMMANDS,
        *set.COMMANDS,
        *adopt.COMMANDS,
        *approve.COMMANDS,
    )
    for command in (info.help_with(table), *rows):
        for name in (command.name, *command.aliases):
            table[name] = command
    return table


COMMANDS = _table()
