"""Settings of the callbacks by which one's own Synapse asks before it delivers (module `synapse-http-antispam`).

  [antispam]   where the module reaches the bot, and how long it may wait; the token that it sends is
               ANSWERABLE_ANTISPAM_TOKEN in the environment or in `.env`

Rules kept here:
- Without an address nothing listens. Without a token that cannot be guessed nothing listens, either: anybody who has it
  can have words recorded that nobody wrote.
- The address is of this machine or a private network, since the token is sent in clear.

Left to others: listening (`bot/antispam/`), what is refused (`moderation/judge/beforehand.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from moderation.policy import StrictSettings
from moderation.rules.base import Against, Measure
from moderation.values.durations import Duration, parse_duration
from moderation.values.errors import Refused
from moderation.values.notices import Code

from .errors import ConfigProblem, shown
from .oidc import LoopbackOrPrivate

ANTISPAM_TOKEN = "ANSWERABLE_ANTISPAM_TOKEN"  # noqa: S105 - the name of a variable
SHORTEST = 32  # letters of a token
LONGEST_MS = 5_000  # the module lets people wait a minute
Removing = Literal["redact", Against]


class AntispamSettings(StrictSettings):
    """The address at which the module asks; None: it cannot."""

    listen: LoopbackOrPrivate | None = None
    within: Duration = 1_000  # what is not answered by then goes through
    refuse: Annotated[tuple[Removing, ...], Field(min_length=1)] = ("redact", "mute", "kick", "ban")  # of which rules

    @property
    def measures(self) -> frozenset[Measure]:
        """The measures of rules whose messages are refused."""
        return frozenset(self.refuse)


def antispam_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what no type can state: a wait that would hold up everybody on the homeserver."""
    antispam = data.get("antispam")
    within = antispam.get("within") if isinstance(antispam, Mapping) else None
    with suppress(ValueError):
        if isinstance(within, str) and parse_duration(within) > LONGEST_MS:
            yield ConfigProblem(("antispam", "within"), "expected.antispam_within", {"stood": shown(within)})


def token_of(secret: SecretStr | None) -> str:
    """Return the token that the module sends. Raises `Refused` if it is missing or could be guessed."""
    if secret is None:
        raise Refused("antispam.no-token", variable=Code(ANTISPAM_TOKEN))
    token = secret.get_secret_value()
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise Refused("antispam.bad-token", variable=Code(ANTISPAM_TOKEN), letters=SHORTEST)
    return token
