"""Settings of the policy server: the process that homeservers ask before they deliver a message.

  [policy_server]   its name, where it listens, what it refuses, and what happens when it does not answer

Rules kept here:
- Without a name there is no policy server.
- Its name is its own: a homeserver never asks a policy server of its own name.
- The time for an answer is far below that after which homeservers give up.

Left to others: which rooms ask it (`!policy`), the process (`bot/policy_server/`).

Specification: server-server API v1.19, "Policy Servers"; appendices v1.19, "Server Name".
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from moderation.policy import StrictSettings
from moderation.rules.base import Against, Measure
from moderation.values.durations import MS_PER, Duration, parse_duration
from moderation.values.ids import UserId, server_of

from .errors import ConfigProblem, shown
from .oidc import LoopbackOrPrivate

METRICS_PATH = "/metrics"  # figures, for its own machine alone
HEALTH_PATH = "/_answerable/policy/health"  # asked for from outside: 200 if answers can be given
LOCALPART = "answerable"  # of the policy server's one user
SHORTEST_MS, LONGEST_MS = 100, 10_000  # for an answer; Synapse waits for 30 s
SHORTEST_DOWN_MS = 10 * MS_PER["s"]

Refused = Literal["redact", Against]

_NAME = re.compile(r"(?:[A-Za-z0-9.-]{1,230}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_MILLISECONDS = re.compile(r"([0-9]{1,6})ms\Z", re.ASCII)


def _server_name(text: str) -> str:
    if not _NAME.match(text):
        raise PydanticCustomError("policy_name", "not the name of a server")
    return text


def _within(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("policy_within", "not a length of time")
    exact = _MILLISECONDS.match(value.strip())
    try:
        ms = int(exact[1]) if exact else parse_duration(value)
    except ValueError:
        ms = 0
    if not SHORTEST_MS <= ms <= LONGEST_MS:
        raise PydanticCustomError("policy_within", "not a length of time within these bounds")
    return ms


class PolicyServerSettings(StrictSettings):
    """The policy server: its name, its address, and how it answers."""

    server_name: Annotated[str, AfterValidator(_server_name)] | None = None  # None: there is none
    listen: LoopbackOrPrivate = "127.0.0.1:8421"
    within: Annotated[int, BeforeValidator(_within)] = 1_500  # ms; what no rule has answered by then is signed
    refuse: Annotated[tuple[Refused, ...], Field(min_length=1)] = ("redact", *get_args(Against))
    when_down: Duration = 90 * MS_PER["s"]
    private_networks: bool = False  # whether servers there are asked for keys, and rooms are joined through them
    ca_file: Path | None = None  # of a private certificate authority of other servers; relative to the file

    @property
    def measures(self) -> frozenset[Measure]:
        """The measures of rules whose messages are refused."""
        return frozenset(self.refuse)

    @property
    def user(self) -> UserId:
        """The user that is joined where the policy server is asked. Only with a name."""
        assert self.server_name is not None
        return UserId(f"@{LOCALPART}:{self.server_name}")


def policy_server_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what no type can state: a name that is the homeserver's, and an absence that is noticed too soon."""
    own, homeserver = data.get("policy_server"), data.get("homeserver")
    if not isinstance(own, Mapping) or not isinstance(homeserver, Mapping):
        return
    when_down = own.get("when_down")
    with suppress(ValueError):
        if isinstance(when_down, str) and parse_duration(when_down) < SHORTEST_DOWN_MS:
            fields = {"stood": shown(when_down)}
            yield ConfigProblem(("policy_server", "when_down"), "expected.policy_when_down", fields)
    name, user = own.get("server_name"), homeserver.get("user")
    if isinstance(name, str) and isinstance(user, str) and name.lower() == server_of(UserId(user)).lower():
        yield ConfigProblem(("policy_server", "server_name"), "policy_own_name", {"stood": shown(name)})
