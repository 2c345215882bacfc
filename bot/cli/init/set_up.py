"""The work of `init` after the log-in: keys, session, name and picture, the configuration, the rate limit.

Rules kept here:
- `config.toml` is written last of all that the bot needs, so that it stands for a complete set-up.
- A configuration that is there is kept as `config.toml.bak`, `config.toml.bak2` ...
- An admin's token is used once, and stored only if the operator wants it.

Left to others: the keys for encrypted rooms (`encryption_keys.py`), storing the session (`bot/cli/session.py`).
"""

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from bot.cli.access.lookup import now_ms
from bot.cli.run import make_data_dir
from bot.cli.terminal.ask import asked_secret_or_nothing, asked_yes
from bot.cli.terminal.output import say, tell
from moderation.values.errors import Refused
from moderation.values.notices import Who

from .encryption_keys import KeyChoice, make_keys
from .questions import Questions

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.client import Homeserver, Session
    from bot.matrix.rate_limit import Limit


@dataclass(frozen=True, slots=True)
class AdminToken:
    """The token of an admin of the homeserver, if one was given, and whether it is kept in `.env`."""

    token: str = field(default="", repr=False)
    keep: bool = False


@dataclass(frozen=True, slots=True)
class SettingUp:
    """A set-up for which the log-in has worked."""

    config: "Config"
    content: str
    session: "Session"
    questions: Questions

    async def run(self, password: str, keys: KeyChoice, admin: AdminToken, name: str) -> None:
        """Do it all."""
        from bot.cli.session import store_session

        config, who = self.config, Who(self.session.user)
        config.file.parent.mkdir(parents=True, exist_ok=True)
        self._make_identity_key()
        store_session(config.env_file, self.session)
        await make_keys(config, self.session, password, keys)
        self._write_config()
        say("cli.init.done", file=config.file, env=config.env_file, user=who)
        await self._meet_homeserver(admin, name)
        say("cli.init.next", user=who)

    async def _meet_homeserver(self, admin: AdminToken, name: str) -> None:
        from bot.matrix.client import Homeserver
        from bot.matrix.known_limit import remember_limit

        homeserver = Homeserver(self.session)
        try:
            if name:
                await self._introduce(homeserver, name)
            limit = await self._limit(homeserver, admin)
        finally:
            await homeserver.close()
        make_data_dir(self.config.data_dir)
        remember_limit(self.config.data_dir, limit, now_ms())

    async def _introduce(self, homeserver: "Homeserver", name: str) -> None:
        """Set the account's name and picture. A homeserver that does not let us stops nothing."""
        from bot.matrix.errors import HomeserverError
        from bot.matrix.profile import introduce

        try:
            await introduce(homeserver, name)
        except HomeserverError as error:
            tell("cli.init.no_profile", why=error.detail)
        else:
            say("cli.init.profile", name=name)

    async def _limit(self, homeserver: "Homeserver", admin: AdminToken) -> "Limit":
        """Find out whether the account is limited, and offer to lift that."""
        from bot.matrix.rate_limit import find_out

        tell("cli.init.trying_limit")
        limit = await find_out(homeserver, admin.token)
        self._say(limit)
        if self.questions.can_ask and limit != "lifted":
            tell("cli.init.about_admin_token")
            admin, limit = await self._lift(homeserver, limit)
        if limit == "lifted":
            self._keep(admin)
        return limit

    async def _lift(self, homeserver: "Homeserver", limit: "Limit") -> "tuple[AdminToken, Limit]":
        """Ask for an admin's token until one works or none is given. Returns the token and what came of it."""
        from bot.matrix.rate_limit import find_out

        typed = asked_secret_or_nothing("admin_token")
        while typed:
            limit = await find_out(homeserver, typed)
            self._say(limit)
            if limit == "lifted":
                break
            typed = asked_secret_or_nothing("admin_token")
        return AdminToken(typed), limit

    def _say(self, limit: "Limit") -> None:
        say(f"cli.init.limit.{limit}", user=Who(self.session.user), url=self.config.homeserver.url)

    def _keep(self, admin: AdminToken) -> None:
        from bot.cli.session import store_admin_token

        if admin.keep or (self.questions.can_ask and asked_yes("cli.init.keep_admin_token", env=self.config.env_file)):
            store_admin_token(self.config.env_file, admin.token)
            say("cli.init.admin_token_kept", env=self.config.env_file)

    def _make_identity_key(self) -> None:
        """Make the key of the identity store where it was asked for; use one that is there already."""
        from bot.cli.identity import make_key_outside
        from bot.config.identity_key import given_key

        path = self.config.identity_key_file
        if path is None:
            return
        if not path.exists():
            say("cli.init.identity_key", file=path, id=make_key_outside(path, self.config.data_dir))
        elif wrong := given_key(self.config, {}).wrong:
            raise Refused(f"cli.identity.wrong.{wrong}", file=path)

    def _write_config(self) -> None:
        from bot.cli.session import write_private

        file = self.config.file
        if file.exists():
            names = (file.with_name(f"{file.name}.bak{n if n > 1 else ''}") for n in count(1))
            kept = next(name for name in names if not name.exists())
            write_private(kept, file.read_text("utf-8"))
            say("cli.init.kept", file=kept)
        write_private(file, self.content)
