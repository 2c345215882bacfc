"""`answerable approver`: the keys with which operators sign approvals of files on people.

``--json``: `new`: `approver`, `account`, `key`, `record`, `file`; `remove`: `approver`, `account`, `key`; `list`:
objects with `approver`, `account`, `key`, `at`, `by`, `ended` (null: in force).

Rules kept here:
- A private key is made here, once, into a file of mode 0600 that is sealed with a passphrase. Only its public half
  reaches the records.
- Neither key nor passphrase is an argument or shown.
- The file is an ordinary encrypted PKCS #8 key, so it needs no program of ours.

Left to others: what is recorded (`bot/admin/dossiers.py`), what is signed (`storage/export/approved.py`).
"""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from moderation.values.errors import Invalid, Refused
from moderation.values.notices import Who

from .access.access_reason import Reason, check_reason, user
from .access.admin_client import perform
from .access.lookup import read
from .access.operator import AS, operator_of
from .terminal.ask import asked_secret, secret_from_stdin
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, Wide, new_app, read_config
from .terminal.output import say_done, text
from .terminal.tables import Look, list_rows

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

app = new_app("cli.approver.help")

STDIN = "--passphrase-stdin"
SHORTEST = 8  # characters of a passphrase
Name = Annotated[str, typer.Argument(metavar="NAME", help=text("cli.approver.name"))]
PassphraseStdin = Annotated[bool, typer.Option(STDIN, help=text("cli.approver.passphrase_stdin"))]


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """A private key; `repr` does not show it."""

    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def read(cls, path: Path, secret: str) -> "ApproverKey":
        """Read the key in a file. Raises `Refused`, saying what is wrong with the file or the passphrase."""
        try:
            sealed = path.read_bytes()
        except OSError as error:
            raise Refused("cli.approver.unreadable", file=path, why=error.strerror or error) from None
        try:
            private = serialization.load_pem_private_key(sealed, secret.encode())
        except (ValueError, TypeError):
            raise Refused("cli.approver.not_opened", file=path) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise Refused("cli.approver.not_opened", file=path)
        return cls(private)

    @property
    def public(self) -> str:
        """Return the public half in base64."""
        return base64.b64encode(self.private.public_key().public_bytes_raw()).decode()

    def write(self, path: Path, secret: str) -> None:
        """Write the key, sealed, to a file that does not exist yet. Raises `Refused`."""
        from storage.journal import disk

        sealed = self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(secret.encode()),
        )
        try:
            disk.create_once(path, sealed, disk.SECRET_MODE)
            disk.sync_directory(path.parent)
        except FileExistsError:
            raise Refused("export.exists", out=path) from None
        except OSError as error:
            raise Refused("cli.approver.unwritten", file=path, why=error.strerror or error) from None

    def sign(self, words: str) -> dict[str, str]:
        """Sign; return key and signature as the records have them."""
        return {"key": self.public, "signature": base64.b64encode(self.private.sign(words.encode())).decode()}


@app.command(help=text("cli.approver.new_help"), epilog=text("cli.approver.new_epilog"))
def new(
    name: Name,
    to: Annotated[Path, typer.Option("--to", "-o", metavar="FILE", help=text("cli.approver.to"))],
    reason: Reason,
    named: Annotated[str | None, typer.Option(AS, metavar="@USER:SERVER", help=text("cli.approver.account"))] = None,
    passphrase_stdin: PassphraseStdin = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make a key and register its public half."""
    config = read_config(config_file)
    account, why = operator_of(config, named), check_reason(reason)
    if not name.isprintable() or not 0 < len(name.strip()) <= 60:
        raise Invalid(text("cli.approver.bad_name"))
    key = ApproverKey(Ed25519PrivateKey.generate())
    key.write(to, passphrase(stdin=passphrase_stdin, new=True))
    try:
        done = perform(
            config, "approver-new", name=name.strip(), account=account, key=key.public, reason=why, reader=user()
        )
    except Refused:
        to.unlink(missing_ok=True)  # a key that is not registered is of no use
        raise
    done["file"] = str(to)
    say_done(done, "cli.approver.made", json=json, name=name, who=Who(account), file=to, public=done["key"])


@app.command(help=text("cli.approver.remove_help"), epilog=text("cli.approver.remove_epilog"))
def remove(name: Name, reason: Reason, json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Withdraw a key."""
    asked = {"name": name.strip(), "reason": check_reason(reason), "reader": user()}
    done = perform(read_config(config_file), "approver-remove", **asked)
    say_done(done, "cli.approver.removed", json=json, name=done["approver"], who=Who(done["account"]))


@app.command("list", help=text("cli.approver.list_help"))
def list_(json: AsJson = False, wide: Wide = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """List all keys."""
    config = read_config(config_file)
    columns, look = ("approver", "account", "at", "by", "ended", "key"), Look(wide, config.server)
    list_rows(read(config, _approvers), columns, json=json, none="cli.approver.none", look=look)


async def _approvers(db: "AsyncConnection") -> list[dict[str, Any]]:
    from storage import queries

    return [
        {
            "approver": each.name,
            "account": each.account,
            "key": each.key,
            "at": each.at,
            "by": each.reader,
            "ended": each.ended or None,
        }
        for each in await queries.all_approvers(db)
    ]


def passphrase(*, stdin: bool, new: bool = False) -> str:
    """Ask for a passphrase, twice for a `new` key. Raises `Invalid`."""
    secret = secret_from_stdin(STDIN) if stdin else asked_secret("passphrase", STDIN)
    if not new:
        return secret
    if len(secret) < SHORTEST:
        raise Invalid(text("cli.approver.short", least=SHORTEST))
    if not stdin and asked_secret("passphrase_again", STDIN) != secret:
        raise Invalid(text("cli.approver.differ"))
    return secret
