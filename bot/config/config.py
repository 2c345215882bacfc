"""The settings of one deployment: `config.toml` and the secrets stored next to it, as one frozen value.

Rules kept here:
- Secrets come from the environment or from `.env` in the folder of the file, never from the file itself. The real
  environment wins.
- A value of the wrong type is refused, never guessed.
- All problems are reported at once, as one `ConfigError`.
- Nothing of the process's environment is changed.

Left to others: the numbers of the model (`moderation/policy/`), checks that concern several settings (`checks.py`),
saying what is wrong (`errors.py`), writing the file (`bot/cli/init/command.py`).
"""

import io
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError

from moderation.duty.hours import parse_zone
from moderation.policy import (
    CaseSettings,
    CommunitySettings,
    CreditSettings,
    DossierSettings,
    DutySettings,
    JoinSettings,
    ListSettings,
    MemberLimitSettings,
    NewcomerSettings,
    Policy,
    ReportSettings,
    RoomSettings,
    RuleSettings,
    StandingSettings,
    StrictSettings,
    SweepSettings,
    TierSettings,
    VerificationSettings,
)
from moderation.values.durations import DAY_MS, Duration
from moderation.values.errors import Invalid, Refused
from moderation.values.ids import UserId, is_user_id, server_of
from storage.database.place import DatabasePlace

from .alerts import ALERTS_SECRET, AlertSettings
from .antispam import ANTISPAM_TOKEN, AntispamSettings
from .checks import problems_across
from .database import DATABASE_URL, DatabaseSettings, database_url
from .errors import ConfigError, ConfigProblem, decode, explain, syntax_problem, unreadable
from .lists import with_lists
from .oidc import SECRET_PREFIX, CallbackSettings, ConsoleSettings, OidcSettings, is_loopback, listen_address
from .plugins import PluginSettings
from .policy_server import PolicyServerSettings
from .renamed import as_written, old_names, with_new_names
from .shards import ShardSettings, of_shard, variable_of
from .verification import ChallengeSettings, EmailSettings
from .zones import near_zones

PASSWORD = "ANSWERABLE_PASSWORD"  # noqa: S105 - the name of a variable
ACCESS_TOKEN = "ANSWERABLE_ACCESS_TOKEN"  # noqa: S105 - likewise
DEVICE_ID = "ANSWERABLE_DEVICE_ID"
EMAIL_PASSWORD = "ANSWERABLE_EMAIL_PASSWORD"  # noqa: S105 - likewise
ADMIN_TOKEN = "ANSWERABLE_ADMIN_TOKEN"  # noqa: S105 - likewise
ENV_FILE = ".env"

# Commands begin with a prefix. A letter would turn words into commands, and
# most clients keep "/" for themselves.
_PREFIX = re.compile(r"[^\w\s/]{1,3}\Z")
_TIME_OF_DAY = re.compile(r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9])?\Z")
_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?\Z")
_INVITER = re.compile(r"[@*?\[][^\s]*\Z")
# A key name of the signed-note format: no space, no plus sign.
_ORIGIN = re.compile(r"[^\s+\x00-\x1f]{1,255}\Z")
_NOT_IN_ORIGIN = re.compile(r"[^A-Za-z0-9._~:/=-]+")


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


def _watch(text: str) -> str:
    try:
        host, port = listen_address(text)
    except ValueError:
        raise PydanticCustomError("watch", "not an address to listen on") from None
    if not is_loopback(host) or not 0 < port < 65_536:
        raise PydanticCustomError("watch", "not on this machine, or no port")
    return text


class WatchSettings(StrictSettings):
    """The address that answers how the bot is: ``/health`` and ``/metrics``."""

    listen: Annotated[str, AfterValidator(_watch)] | None = None  # None: nowhere


class FileSettings(StrictSettings):
    """`config.toml`, table by table."""

    homeserver: HomeserverSettings
    bot: BotSettings = BotSettings()
    database: DatabaseSettings = DatabaseSettings()
    records: RecordSettings = RecordSettings()
    anchors: AnchorSettings = AnchorSettings()
    identity: IdentitySettings = IdentitySettings()
    credit: CreditSettings = CreditSettings()
    standing: StandingSettings = StandingSettings()
    tiers: TierSettings = TierSettings()
    cases: CaseSettings = CaseSettings()
    duty: DutySettings = DutySettings()
    groups: RoomSettings = RoomSettings()
    communities: CommunitySettings = CommunitySettings()
    member_limits: MemberLimitSettings = MemberLimitSettings()
    reports: ReportSettings = ReportSettings()
    newcomers: NewcomerSettings = NewcomerSettings()
    sweep: SweepSettings = SweepSettings()
    joins: JoinSettings = JoinSettings()
    dossiers: DossierSettings = DossierSettings()
    verification: VerificationSettings = VerificationSettings()
    lists: ListSettings = ListSettings()
    challenges: ChallengeSettings = ChallengeSettings()
    email: EmailSettings = EmailSettings()
    member_list: MemberListSettings = MemberListSettings()
    oidc: tuple[OidcSettings, ...] = ()
    callback: CallbackSettings = CallbackSettings()
    console: ConsoleSettings = ConsoleSettings()
    policy_server: PolicyServerSettings = PolicyServerSettings()
    watch: WatchSettings = WatchSettings()
    alerts: AlertSettings = AlertSettings()
    antispam: AntispamSettings = AntispamSettings()
    plugins: tuple[PluginSettings, ...] = ()
    shards: tuple[ShardSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()


class Secrets(StrictSettings):
    """Secrets from the environment or from `.env`, shown by nothing, not even `repr`."""

    password: SecretStr | None = None
    access_token: SecretStr | None = None
    device_id: str | None = None
    email_password: SecretStr | None = None
    admin_token: SecretStr | None = None
    alerts: SecretStr | None = None
    antispam: SecretStr | None = None
    database: SecretStr | None = None
    oidc: dict[str, SecretStr] = Field(default_factory=dict)  # variable -> secret


class Config(FileSettings):
    """All settings of one deployment. Made by `load_config`."""

    file: Path  # absolute
    secrets: Secrets = Field(default=Secrets(), repr=False)
    old_names: tuple[str, ...] = ()  # of tables that have a new one (`renamed.py`)
    shard: str = ""  # the one whose settings these are; "": of the whole deployment

    @property
    def data_dir(self) -> Path:
        """The folder in which the bot keeps everything, as an absolute path."""
        return self.file.parent / self.bot.data_dir

    @property
    def place(self) -> DatabasePlace:
        """The place of the state database."""
        return DatabasePlace(self.data_dir, database_url(self.database, self.secrets.database), self.shard)

    @property
    def env_file(self) -> Path:
        """The file in which the session is stored."""
        return self.file.parent / (f"{ENV_FILE}.{self.shard}" if self.shard else ENV_FILE)

    @property
    def identity_key_file(self) -> Path | None:
        """The file with the key of the identity store, as an absolute path; None if it is not set."""
        return self.file.parent / self.identity.key_file if self.identity.key_file else None

    @property
    def user(self) -> UserId:
        """The bot's own account."""
        return UserId(self.homeserver.user)

    @property
    def server(self) -> str:
        """Return the name of the deployment's own server."""
        return server_of(self.user)

    @property
    def origin(self) -> str:
        """The name under which checkpoints are signed: `[records] origin`, or server/localpart."""
        return self.records.origin or default_origin(self.user)

    @property
    def policy(self) -> Policy:
        """The settings that judgement depends on."""
        return Policy(
            rules=self.rules,
            credit=self.credit,
            standing=self.standing,
            tiers=self.tiers,
            cases=self.cases,
            duty=self.duty,
            groups=self.groups,
            communities=self.communities,
            member_limits=self.member_limits,
            reports=self.reports,
            newcomers=self.newcomers,
            sweep=self.sweep,
            joins=self.joins,
            dossiers=self.dossiers,
            verification=self.verification,
            lists=self.lists,
            operators=self.bot.operators,
        )


def default_origin(user: UserId) -> str:
    """Return ``example.org/answerable`` for ``@answerable:example.org``."""
    localpart = user.partition(":")[0].removeprefix("@")
    return _NOT_IN_ORIGIN.sub("-", f"{server_of(user)}/{localpart}")


def load_config(
    path: Path, environ: Mapping[str, str] = os.environ, *, with_secrets: bool = True, shard: str = ""
) -> Config:
    """Return the settings in the file at `path`, of one shard if there are several.

    Without `with_secrets`, only the database's is read. Raises `ConfigError`, which lists every problem of the file, or
    `Invalid` if there is no such shard.
    """
    file = path.expanduser().absolute()
    settings = parse_config(file, decode(file, _read(file)), environ, with_secrets=with_secrets, shard=shard)
    return of_shard(settings, shard)


def load_policy(path: Path, config: Config) -> Policy:
    """Return the policy of another file: a whole configuration, or one of rules alone that hold without any others.

    Rules alone are read next to the settings of `config`. Raises `ConfigError`.
    """
    file = path.expanduser().absolute()
    text = decode(file, _read(file))
    data = _toml(file, text)
    if not data.keys() <= {"rules"}:
        return parse_config(file, text, with_secrets=False).policy
    around = _toml(config.file, decode(config.file, _read(config.file)))
    settings = _validated(file, text, {**around, "rules": data.get("rules", [])})
    alone = config.policy.model_copy(update={"rules": settings.rules})
    return alone.model_copy(update={"groups": alone.groups.model_copy(update={"own_rules": 0})})


def _toml(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # Python raises those about numbers and depth, not tomllib
        raise ConfigError(file, [syntax_problem(error)]) from None


def parse_config(
    file: Path, text: str, environ: Mapping[str, str] = os.environ, *, with_secrets: bool = True, shard: str = ""
) -> Config:
    """Do as `load_config` for a `text` that will stand, or stands, in `file`."""
    data = _toml(file, text)
    settings = _validated(file, text, data)
    env_file = file.parent / ENV_FILE
    secrets = read_secrets(env_file, environ, shard) if with_secrets else _database_secret(env_file, environ)
    return Config(**dict(settings), file=file, secrets=secrets, old_names=old_names(data))


def read_secrets(env_file: Path, environ: Mapping[str, str] = os.environ, shard: str = "") -> Secrets:
    """Return the secrets; an empty value counts as missing. Those of an account are the shard's own."""
    stored = _stored(env_file)
    of_account = _stored(env_file.with_name(f"{env_file.name}.{shard}")) if shard else stored

    def value(name: str) -> Any:
        return environ.get(name) or stored.get(name) or None

    def own(name: str) -> Any:
        return environ.get(variable_of(name, shard)) or of_account.get(name) or None

    oidc = {name: value(name) for name in (*environ, *stored) if name.startswith(SECRET_PREFIX) and value(name)}
    return Secrets(
        password=own(PASSWORD),
        access_token=own(ACCESS_TOKEN),
        device_id=own(DEVICE_ID),
        email_password=value(EMAIL_PASSWORD),
        admin_token=value(ADMIN_TOKEN),
        alerts=value(ALERTS_SECRET),
        antispam=value(ANTISPAM_TOKEN),
        database=value(DATABASE_URL),
        oidc=oidc,
    )


def _stored(env_file: Path) -> dict[str, str | None]:
    try:
        # No interpolation: a password may hold a dollar sign.
        return dotenv_values(env_file, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(env_file, error) from None


def _database_secret(env_file: Path, environ: Mapping[str, str]) -> Secrets:
    """Return the address of the database, from its own line alone; of a file that only the bot may read, nothing."""
    found: object = environ.get(DATABASE_URL) or None
    if found is None and os.access(env_file, os.R_OK):
        lines = [line for line in _read(env_file).splitlines() if DATABASE_URL.encode() in line]
        stream = io.StringIO(b"\n".join(lines).decode("utf-8", "replace"))
        found = dotenv_values(stream=stream, interpolate=False).get(DATABASE_URL) or None
    return Secrets(database=found)  # type: ignore[arg-type]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None


def _validated(file: Path, text: str, data: dict[str, Any]) -> FileSettings:
    problems: list[ConfigProblem] = []
    settings: FileSettings | None = None
    written, data = data, with_new_names(data)
    data, unread = with_lists(data, file.parent)
    problems += unread
    try:
        settings = FileSettings.model_validate_json(_as_json(data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += explain(FileSettings, error, data)
    problems += problems_across(FileSettings, data, problems)
    if problems or settings is None:
        raise ConfigError(file, [as_written(problem, written) for problem in problems], text)
    return settings


def _as_json(data: dict[str, Any]) -> str:
    """Write TOML as JSON: only there does pydantic's strict mode take a list for a tuple, a text for a path.

    No setting is a date. A date becomes null, which is refused everywhere.
    """
    return json.dumps(data, default=lambda _date: None)
