"""Every secret is only where it belongs, and no file is accessible to others, under the most careless umask.

The real bot and the real commands run with recognisable secrets, and other servers refuse these and repeat them; then
every byte that was printed, logged, written or given as an argument is examined.
"""

import asyncio
import os
import re
import socket
import stat
import zipfile
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from bot.config.config import parse_config
from tests.fakes.ports import free_port
from tests.theatre.by_command import Operator
from tests.theatre.scene import Theatre, direct_room
from tests.theatre.served import HEAD, RULES, ServedBot, until
from tests.theatre.stage import unique

PASSWORD, WRONG_PASSWORD = "planted-password-Zk9w", "planted-wrong-password-Hh3"
MAIL, OIDC = "planted-mail-Xq7Lw", "planted-oidc-Vb3Tn"
TOKEN, IN_CONFIG = "syt_planted_wrong_token_8Rf", "planted-in-config-4Jm"
RECOVERY = "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d"  # that of the specification
SETTINGS = """
[email]
host = "127.0.0.1"
port = {mail}
security = "none"
user = "bot"
from = "bot@example.org"
[verification]
methods = ["vouch", "email", "oidc"]
[[oidc]]
name = "club"
issuer = "http://127.0.0.1:9"
client_id = "answerable"
flow = "device"
[watch]
listen = "127.0.0.1:{watch}"
"""


async def test_no_secret_is_told_and_no_file_is_open_to_others(theatre: Theatre, tmp_path: Path) -> None:
    account = await theatre.stage.server.register(unique("bot"), PASSWORD)
    folder = tmp_path / "deployment"
    bot = ServedBot(account, theatre.stage.server.url, folder, HEAD.format(url="http://x", user=account.user, bot=""))
    bot.data_dir.rmdir()
    folder.rmdir()
    theatre.bots.append(bot)
    operator = Operator(folder, umask=0)
    watch = free_port()
    async with _mail_server_that_says_passwords_back() as mail:
        keys = await _set_up(operator, bot, SETTINGS.format(mail=mail, watch=watch))
        with _service_manager() as (address, heard):
            told = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "500000"}
            async with operator.running("--verbose", **told) as process:
                pages = await _live(theatre, operator, bot, watch)
                started_with, children = _seen_by_everybody(process.pid)
            assert (process.returncode, children) == (0, b"")
            states = await _until_stopping(heard)
    assert (states[0], states[-1], set(states[1:-1])) == ("READY=1", "STOPPING=1", {"WATCHDOG=1"})
    assert [line for line in operator.log.read_text().splitlines() if not line.startswith('{"timestamp": ')] == []
    made = (await operator.done("backup", str(tmp_path), "--json")).json["file"]
    keys |= _keys_made(bot.data_dir)
    before = (folder / ".env").read_bytes()
    await _fail(operator)

    assert not re.search(r"owner|ann-|!|G-", pages.replace("# HELP", ""))
    opened = [path for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert opened == []
    said = {
        "printed": "\n".join(ran.out + ran.err for ran in operator.ran).encode(),
        "logged": operator.log.read_bytes(),
        "pages": pages.encode(),
        "cmdline": started_with,
        "file .env": before,
        **{_file(path): path.read_bytes() for path in _files_below(folder)},
        **{f"backup {name}": content for name, content in _members(made)},
    }
    found = [(name, where) for where, content in said.items() for name in _in(keys, content) if not _home(name, where)]
    assert found == []
    # That it would be found: where each of them belongs, it is.
    assert sorted({name for content in said.values() for name in _in(keys, content)}) == sorted(
        ["token", "mail", "oidc", "log key", "crypto key", "wrong token", "in config"]
    )


async def _set_up(operator: Operator, bot: ServedBot, settings: str) -> dict[str, bytes]:
    """Set up a deployment with recognisable secrets, and return these."""
    outside = operator.folder.parent
    account = (
        "--homeserver",
        bot.session.url,
        "--user",
        bot.user,
        "--password-stdin",
        "--allow-invites",
        "*:localhost",
    )
    files = ("--recovery-key-out", str(outside / "recovery"), "--identity-key", str(outside / "identity"))
    await operator.done("init", *account, *files, "--yes", stdin=PASSWORD)
    with operator.config.open("a") as config:
        config.write(settings + RULES)
    env = operator.folder / ".env"
    with env.open("a") as secrets:
        secrets.write(f"ANSWERABLE_EMAIL_PASSWORD={MAIL}\nANSWERABLE_OIDC_SECRET_CLUB={OIDC}\n")
    parse_config(operator.config, operator.config.read_text())
    token = re.search(r"ANSWERABLE_ACCESS_TOKEN='?([^'\n]+)", env.read_text())
    assert token is not None
    return {
        "password": PASSWORD.encode(),
        "wrong password": WRONG_PASSWORD.encode(),
        "token": token[1].encode(),
        "mail": MAIL.encode(),
        "oidc": OIDC.encode(),
        "recovery": (outside / "recovery").read_bytes().strip(),
        "wrong recovery": RECOVERY.encode(),
        "identity": (outside / "identity").read_bytes().strip(),
        "wrong token": TOKEN.encode(),
        "in config": IN_CONFIG.encode(),
    }


async def _live(theatre: Theatre, operator: Operator, bot: ServedBot, watch: int) -> str:
    """Act as people and the operator, mostly without success. Returns the contents of the monitoring pages."""
    owner, ann = await theatre.people("owner", "ann")
    room = await theatre.room(bot, owner, [], [ann])
    await ann.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE purpose = 'direct'"), "a direct room")
    direct = await direct_room(ann, bot)
    await ann.send_text(direct, "!verify email ann@example.org")
    await until(_logged(operator, "the mail server answered"), "the mail server to refuse")
    await ann.send_text(direct, "!verify oidc club")
    await until(_logged(operator, "oidc_"), "the issuer to be away")
    checked = await operator.run("check")
    assert "mail" in checked.out
    assert (await operator.run("keys", "recover", "--recovery-key-stdin", stdin=RECOVERY)).code == 1
    assert (await operator.run("keys", "reset", "--yes", "--password-stdin", stdin=WRONG_PASSWORD)).code == 1
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://127.0.0.1:{watch}/health") as health:
            answers = [await health.text()]
        async with client.get(f"http://127.0.0.1:{watch}/metrics") as metrics:
            answers.append(await metrics.text())
    return "\n".join(answers)


async def _fail(operator: Operator) -> None:
    """Run commands that fail because of wrong settings."""
    env, config = operator.folder / ".env", operator.config.read_text()
    env.write_text(re.sub(r"(ANSWERABLE_ACCESS_TOKEN=).*", rf"\g<1>{TOKEN}", env.read_text()))
    refused = await operator.run("run")
    assert (refused.code, "ended" in refused.err) == (1, True)
    operator.config.write_text(config.replace("[email]\n", f'[email]\npassword = "{IN_CONFIG}"\n'))
    assert (await operator.run("check")).code == 2
    operator.config.write_text(config.replace("[email]\n", f'[email]\npassword = "{IN_CONFIG}\n'))
    assert (await operator.run("check")).code == 2


def _in(secrets: Mapping[str, bytes], content: bytes) -> Iterator[str]:
    """Yield the secrets that the content contains, as they are, without spaces, or in base64."""
    for name, secret in secrets.items():
        spellings = {secret, secret.replace(b" ", b""), b64encode(secret).rstrip(b"=")[:-1]}
        if any(each in content for each in spellings):
            yield name


def _home(name: str, where: str) -> bool:
    """Tell whether this secret belongs in that place."""
    homes = {
        "file .env": ("token", "mail", "oidc"),
        "file .env now": ("mail", "oidc", "wrong token"),
        "file config.toml": ("in config",),
        "file log.key": ("log key",),
        "backup keys/log.key": ("log key",),
        "file crypto.key": ("crypto key",),
    }
    return name in homes.get(where, ())


def _keys_made(data_dir: Path) -> dict[str, bytes]:
    """Return the keys that the bot generated."""
    log_key, crypto_key = (data_dir / "keys" / name for name in ("log.key", "crypto.key"))
    # PRIVATE+KEY+name+id+base64, which may have a "+" of its own: the text behind that one is found everywhere.
    secret = log_key.read_bytes().strip().split(b"+", 4)[4]
    return {"log key": secret, "crypto key": crypto_key.read_bytes().strip()}


def _file(path: Path) -> str:
    return "file .env now" if path.name == ".env" else f"file {path.name}"


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _seen_by_everybody(pid: int) -> tuple[bytes, bytes]:
    """Return the arguments of a process and the ids of its children."""
    return Path(f"/proc/{pid}/cmdline").read_bytes(), Path(f"/proc/{pid}/task/{pid}/children").read_bytes()


def _members(backup: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(backup) as packed:
        yield from ((name, packed.read(name)) for name in packed.namelist())


def _logged(operator: Operator, word: str) -> Callable[[], Awaitable[bool]]:
    async def once() -> bool:
        return any(word in str(line) for line in operator.lines())

    return once


@asynccontextmanager
async def _mail_server_that_says_passwords_back() -> AsyncIterator[int]:
    """Run a mail server that refuses every login and repeats the password. Yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 careless\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "EHLO":
                writer.write(b"250-careless\r\n250 AUTH PLAIN\r\n")
            elif verb == "AUTH":
                writer.write(b"535 5.7.8 wrong: " + b64decode(line.split()[-1]).replace(b"\0", b" ") + b"\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def _service_manager() -> Iterator[tuple[str, list[str]]]:
    """Listen as systemd would, on a name in the abstract namespace. Yields the name and the received messages."""
    name, heard = f"answerable-test-{os.getpid()}-{unique('n')}", list[str]()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.setblocking(False)
        listening.bind(f"\0{name}")
        loop.add_reader(listening, lambda: heard.append(listening.recv(4096).decode()))
        yield f"@{name}", heard
        loop.remove_reader(listening)


async def _until_stopping(heard: list[str]) -> list[str]:
    """Wait until the bot has said that it stops, and return all messages."""

    async def once() -> bool:
        return heard[-1:] == ["STOPPING=1"]

    await until(once, "the bot to say that it stops")
    return heard
