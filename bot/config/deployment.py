"""Tables of `config.toml` about the deployment itself: the account, the bot's manners, the records, their anchors."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from moderation.duty.hours import parse_zone
from moderation.policy import StrictSettings
from moderation.values.durations import DAY_MS, Duration
from moderation.values.errors import Invalid, Refused
from moderation.values.ids import is_user_id

from .oidc import is_loopback, listen_address
from .zones import near_zones

# Commands begin with a prefix. A letter would turn words into commands, and
# most clients keep "/" for themselves.
_PREFIX = re.compile(r"[^\w\s/]{1,3}\Z")
_TIME_OF_DAY = re.compile(r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9])?\Z")
_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?\Z")
_INVITER = re.compile(r"[@*?\[][^\s]*\Z")
# A key name of the signed-note format: no space, no plus sign.
_ORIGIN = re.compile(r"[^\s+\x00-\x1f]{1,255}\Z")


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    """Refuse a text that does not match; `expected` is the key of the text that `errors.py` shows then."""

    def validate(text: str) -> str:
        if not pattern.match(text):
            raise PydanticCustomError(expected, "not of the form expected")
        return text

    return AfterValidator(validate)


def _user_id(text: str) -> str:
    if not is_user_id(text):
        raise PydanticCustomError("user_id", "not a Matrix user id")
    return text


def _one_or_more(given: object) -> object:
    """Return one text, or a list of texts, as pydantic's strict mode takes a tuple."""
    if isinstance(given, str):
        return (given,)
    return tuple(given) if isinstance(given, list) else given


def _witness_vkeys(keys: tuple[str, ...]) -> tuple[str, ...]:
    from storage.journal.transparency.cosignature import Cosigner  # cryptography is slow to load

    try:
        for key in keys:
            Cosigner.parse(key)
    except Invalid:
        raise PydanticCustomError("vkey", "not the key of a witness") from None
    return keys


def _timezone(name: str) -> str:
    try:
        return parse_zone(name)
    except Refused:
        near = near_zones(name)
    if near:
        raise PydanticCustomError("timezone_near", "not a time zone", {"near": ", ".join(near)})
    raise PydanticCustomError("timezone", "not a time zone")


def _path(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # "~nobody-we-know/data"
        raise PydanticCustomError("path", "no such home directory") from None


UserIdSetting = Annotated[str, AfterValidator(_user_id)]


class HomeserverSettings(StrictSettings):
    """The homeserver, and the bot's account there."""

    url: Annotated[str, _matching(_URL, "url")]
    user: UserIdSetting
    device_name: Annotated[str, Field(min_length=1, max_length=100)] = "Answerable"


RemovalReason = Literal["neutral", "rule", "none"]


class BotSettings(StrictSettings):
    """The bot's behaviour towards people."""

    data_dir: Annotated[Path, AfterValidator(_path)] = Path("data")  # relative to the file
    prefix: Annotated[str, _matching(_PREFIX, "prefix")] = "!"
    language: Literal["en", "zh"] = "en"
    log: Literal["auto", "json", "console"] = "auto"  # how log lines are written; auto: JSON unless at a terminal
    readers: Literal["all", "signed"] = "all"  # devices that can read what the bot says in encrypted rooms
    unreadable: Literal["tell", "remove"] = "tell"  # messages kept from the bot: tell the sender, or tell and remove
    removal_reason: RemovalReason = "neutral"  # the reason that the room sees when the bot removes a message
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"  # for times shown to people
    digest: Annotated[str, _matching(_TIME_OF_DAY, "time_of_day")] = "09:00"  # local time of the digest; "": never
    allow_invites: tuple[Annotated[str, _matching(_INVITER, "inviter")], ...] = ()  # globs over user ids
    operators: tuple[UserIdSetting, ...] = ()


class RecordSettings(StrictSettings):
    """The extent and duration of the records, and the name under which the log is signed."""

    content: Literal["full", "metadata"] = "full"
    media: Literal["hash", "none"] = "hash"  # files are fetched to note their hash and size, or left alone
    media_limit: Annotated[int, Field(ge=1, le=1_000)] = 50  # MB; larger files are noted as too large
    retention: Duration = 190 * DAY_MS
    origin: Annotated[str, _matching(_ORIGIN, "origin")] | None = None  # None: made from the bot's user id


class AnchorSettings(StrictSettings):
    """The places of each day's closing checkpoint, in addition to every desk."""

    rooms: tuple[str, ...] = ()  # as in a rule
    witness_url: Annotated[str, _matching(_URL, "address")] | None = None  # submission prefix (C2SP tlog-witness)
    # The keys of this one witness, of either kind (C2SP tlog-cosignature).
    witness_vkey: Annotated[tuple[str, ...], BeforeValidator(_one_or_more), AfterValidator(_witness_vkeys)] = ()
    timestamp_url: Annotated[str, _matching(_URL, "address")] | None = None  # of an RFC 3161 authority


class IdentitySettings(StrictSettings):
    """The place of the key that opens what verified members proved about themselves."""

    key_file: Annotated[Path, AfterValidator(_path)] | None = None  # relative to the file


class MemberListSettings(StrictSettings):
    """Verification by the operator's member list."""

    lasts: Duration = 365 * DAY_MS  # from the day the code was used; not longer than the entry's own end


def watch_address(text: str) -> str:
    """Return an address at which only this machine is answered. Raises `PydanticCustomError` if it is another."""
    try:
        host, port = listen_address(text)
    except ValueError:
        raise PydanticCustomError("watch", "not an address to listen on") from None
    if not is_loopback(host) or not 0 < port < 65_536:
        raise PydanticCustomError("watch", "not on this machine, or no port")
    return text


class WatchSettings(StrictSettings):
    """The address that answers how the bot is: ``/health`` and ``/metrics``."""

    listen: Annotated[str, AfterValidator(watch_address)] | None = None  # None: nowhere
