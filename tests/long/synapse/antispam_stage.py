"""A Synapse that asks the bot before it delivers: with `synapse-http-antispam`, set up as `answerable check` says.

Synapse takes the address of the bot at its start, so all bots of a worker listen at one port, one after the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml  # type: ignore[import-untyped]  # it comes with Synapse
from pydantic import SecretStr

from bot.antispam.module_config import module_config
from bot.config.antispam import ANTISPAM_TOKEN, AntispamSettings
from bot.demo.synapse import Synapse
from tests.fakes.ports import free_port
from tests.theatre.scene import Theatre
from tests.theatre.served import RULES, ServedBot
from tests.theatre.shared_synapse import running

PATIENCE_MS = 100_000
TOKEN = "a-token-of-forty-letters-for-these-tests"


@dataclass(frozen=True)
class Asking:
    """The homeserver, and the address at which it asks."""

    synapse: Synapse
    listen: str

    @property
    def rules(self) -> str:
        """Return the settings of a bot that is asked."""
        return f'{RULES}[antispam]\nlisten = "{self.listen}"\n'

    async def bot(self, theatre: Theatre, rules: str = "", *, token: str = TOKEN, start: bool = True) -> ServedBot:
        """Create a bot that is asked. It has as long to answer as the slowest machine may need."""
        bot = await theatre.bot(self.rules + rules, start=False)
        secrets = bot.config.secrets.model_copy(update={"antispam": SecretStr(token)})
        patient = bot.config.antispam.model_copy(update={"within": PATIENCE_MS})
        bot.config = bot.config.model_copy(update={"secrets": secrets, "antispam": patient})
        if start:
            bot.start()
            await theatre.until_logged("antispam_listening")
        return bot


def module(listen: str, token_file: Path, **more: Any) -> Mapping[str, Any]:
    """Return the settings of Synapse that the bot's operator is shown; `more` is set in those of the module."""
    token_file.write_text(f"{TOKEN}\n")
    settings: dict[str, Any] = yaml.safe_load(module_config(AntispamSettings(listen=listen), str(token_file)))
    settings["modules"][0]["config"] |= more
    return settings


def asking() -> Iterator[Asking]:
    """Run a homeserver that asks."""
    listen = f"127.0.0.1:{free_port()}"
    with TemporaryDirectory(prefix="answerable-antispam-") as folder:
        for synapse in running("off", **module(listen, Path(folder) / "token")):
            yield Asking(synapse, listen)


__all__ = ["ANTISPAM_TOKEN", "TOKEN", "Asking", "asking", "module"]
