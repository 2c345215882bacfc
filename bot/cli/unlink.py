"""`answerable unlink @USER`: separate two accounts that do not belong to the same person after all.

``--json``: `person`, `other` (the account whose person it had joined). Left to others: what ends and what follows
(`bot/admin/people.py`).
"""

from .access.access_reason import Reason, check_reason, person_of, user
from .access.admin_client import perform
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, PersonArgument, new_app, read_config
from .terminal.output import say_done, text

app = new_app("cli.unlink.help")


@app.command(help=text("cli.unlink.help"), epilog=text("cli.unlink.epilog"))
def unlink(
    person: PersonArgument, reason: Reason, json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG
) -> None:
    """End the link by which an account joined a person."""
    asked = {"person": person_of(person), "reason": check_reason(reason), "reader": user()}
    done = perform(read_config(config_file), "unlink", **asked)
    say_done(done, "cli.unlink.done", json=json, who=done["person"], other=done["other"])
