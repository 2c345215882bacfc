"""Settings of the issuers that members can log in at (OpenID Connect), and of the page where they come back.

  [[oidc]]     one for each issuer; its secret is ANSWERABLE_OIDC_SECRET_<NAME> in the environment or in `.env`
  [callback]   the address that browsers reach, and where we listen behind a proxy that has it

Rules kept here:
- An issuer is asked by https, or on this machine.
- A page without https, or one that listens to the whole world, is refused.
- No secret stands in the file.

Left to others: what an issuer says of itself (`bot/identity/oidc_discovery.py`), whether that fits
(`bot/cli/check/oidc.py`).
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from moderation.policy import StrictSettings
from moderation.values.durations import DAY_MS, Duration
from moderation.values.notices import Code

from .errors import ConfigProblem, shown

SECRET_PREFIX = "ANSWERABLE_OIDC_SECRET_"  # noqa: S105 - the beginning of a variable's name

Flow = Literal["auto", "code", "device"]
ClaimName = Literal["name", "email", "phone", "subject"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}\Z")  # RFC 6749, 3.3
_LISTEN = re.compile(r"(?:\[([0-9a-fA-F:]{2,39})\]|([0-9.]{7,15}|localhost)):([0-9]{1,5})\Z")
_PRINTED = re.compile(r"[\x21-\x7e]+\Z")


def is_loopback(host: str | None) -> bool:
    """Tell whether this names the machine we run on."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_safe(url: str, *, loopback: bool) -> bool:
    """Tell whether this is an https address without a login in it; `loopback`: or an http one on this machine."""
    if not _PRINTED.match(url) or len(url) > 2_000:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and is_loopback(parts.hostname))


def _issuer(text: str) -> str:
    if not is_safe(text, loopback=True) or "?" in text or "#" in text:
        raise PydanticCustomError("issuer", "not the address of an issuer")
    return text


def _public_url(text: str) -> str:
    if not is_safe(text, loopback=True) or "?" in text or "#" in text:
        raise PydanticCustomError("public_url", "not an address that browsers reach safely")
    return text.rstrip("/")


def _oidc_name(text: str) -> str:
    if not _NAME.match(text):
        raise PydanticCustomError("oidc_name", "not a name")
    return text


def _scope(text: str) -> str:
    if not _SCOPE.match(text):
        raise PydanticCustomError("scope", "not a scope")
    return text


def _listen(text: str) -> str:
    try:
        host, port = listen_address(text)
    except ValueError:
        raise PydanticCustomError("listen", "not an address to listen on") from None
    if not is_loopback(host) and not ip_address(host).is_private:
        raise PydanticCustomError("listen", "open to the world")
    if ip_address("127.0.0.1" if host == "localhost" else host).is_unspecified or not 0 < port < 65_536:
        raise PydanticCustomError("listen", "open to the world, or no port")
    return text


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of ``127.0.0.1:8419``. Raises `ValueError`."""
    found = _LISTEN.match(text)
    if found is None:
        raise ValueError(text)
    host = found[1] or found[2]
    if host != "localhost":
        ip_address(host)
    return host, int(found[3])


LoopbackOrPrivate = Annotated[str, AfterValidator(_listen)]  # where a proxy hands on what comes from outside


class OidcSettings(StrictSettings):
    """One issuer, and what is asked of it."""

    name: Annotated[str, AfterValidator(_oidc_name)]  # typed by people, and in the name of the secret's variable
    title: Annotated[str, Field(max_length=100)] = ""  # shown to people; "": the name
    issuer: Annotated[str, AfterValidator(_issuer)]  # exactly as the issuer writes it
    client_id: Annotated[str, Field(min_length=1, max_length=500)]
    scopes: tuple[Annotated[str, AfterValidator(_scope)], ...] = ("openid", "profile", "email")
    flow: Flow = "auto"
    claims: tuple[ClaimName, ...] = ("name", "email", "subject")  # what is kept, sealed
    lasts: Duration = 365 * DAY_MS  # from the login on

    @property
    def shown(self) -> str:
        """The name that people read."""
        return self.title or self.name

    @property
    def secret_variable(self) -> str:
        """The variable that holds the client's secret, if the issuer gave it one."""
        return SECRET_PREFIX + self.name.upper().replace("-", "_")


class CallbackSettings(StrictSettings):
    """The page to which browsers return after a login at an issuer. Without a public address nothing listens."""

    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    listen: LoopbackOrPrivate = "127.0.0.1:8419"


class ConsoleSettings(StrictSettings):
    """The pages of the web console: the address that browsers reach, and where its process listens."""

    public_url: Annotated[str, AfterValidator(_public_url)] | None = None  # None: on this machine alone
    listen: LoopbackOrPrivate = "127.0.0.1:8470"
    operators_need: str | None = None  # the issuer at which operators also log in; None: the link is enough


def console_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what is missing for operators to log in at the issuer that they need."""
    console, issuers = data.get("console"), data.get("oidc")
    if not isinstance(console, Mapping) or (need := console.get("operators_need")) is None:
        return
    place = ("console", "operators_need")
    names = [each.get("name") for each in (issuers if isinstance(issuers, list) else ()) if isinstance(each, Mapping)]
    if need not in names:
        known = Code(", ".join(str(name) for name in names if name) or "[]")
        yield ConfigProblem(place, "console_issuer", {"stood": shown(need), "known": known})
    if not console.get("public_url"):
        yield ConfigProblem(place, "console_address", {"setting": Code("public_url")})


def oidc_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what is wrong with several settings together."""
    issuers, callback = data.get("oidc"), data.get("callback")
    has_page = isinstance(callback, Mapping) and "public_url" in callback
    first: dict[str, int] = {}
    for index, issuer in enumerate(issuers if isinstance(issuers, list) else ()):
        if not isinstance(issuer, Mapping):
            continue
        name, scopes = issuer.get("name"), issuer.get("scopes")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield ConfigProblem(("oidc", index, "name"), "oidc_twice", {"name": Code(name), "first": first[name] + 1})
        if issuer.get("flow") == "code" and not has_page:
            yield ConfigProblem(("oidc", index, "flow"), "oidc_code", {"setting": Code("callback.public_url")})
        if isinstance(scopes, list) and "openid" not in scopes:
            yield ConfigProblem(("oidc", index, "scopes"), "oidc_openid", {"scope": Code('"openid"')})
