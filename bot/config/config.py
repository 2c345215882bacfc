"""The settings of one deployment: `config.toml` and the secrets stored next to it, as one frozen value.

Rules kept here:
- Secrets never come from the file itself (`env_secrets.py`).
- A value of the wrong type is refused, never guessed.
- All problems are reported at once, as one `ConfigError`.
- Nothing of the process's environment is changed.

Left to others: the numbers of the model (`moderation/policy/`), checks that concern several settings (`checks.py`),
saying what is wrong (`errors.py`), writing the file (`bot/cli/init/command.py`).
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

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
from moderation.values.ids import UserId, server_of
from storage.database.place import DatabasePlace

from .alerts import AlertSettings
from .antispam import AntispamSettings
from .checks import problems_across
from .database import DatabaseSettings, database_url
from .deployment import (
    AnchorSettings,
    BotSettings,
    HomeserverSettings,
    IdentitySettings,
    MemberListSettings,
    RecordSettings,
    WatchSettings,
)
from .env_secrets import ENV_FILE, Secrets, database_secret, read_secrets
from .errors import ConfigError, ConfigProblem, decode, explain, read_file, syntax_problem
from .lists import with_lists
from .oidc import CallbackSettings, ConsoleSettings, OidcSettings
from .plugins import PluginSettings
from .policy_server import PolicyServerSettings
from .renamed import as_written, old_names, with_new_names
from .shards import ShardSettings, of_shard
from .verification import ChallengeSettings, EmailSettings

_NOT_IN_ORIGIN = re.compile(r"[^A-Za-z0-9._~:/=-]+")


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
    settings = parse_config(file, decode(file, read_file(file)), environ, with_secrets=with_secrets, shard=shard)
    return of_shard(settings, shard)


def load_policy(path: Path, config: Config) -> Policy:
    """Return the policy of another file: a whole configuration, or one of rules alone that hold without any others.

    Rules alone are read next to the settings of `config`. Raises `ConfigError`.
    """
    file = path.expanduser().absolute()
    text = decode(file, read_file(file))
    data = _toml(file, text)
    if not data.keys() <= {"rules"}:
        return parse_config(file, text, with_secrets=False).policy
    around = _toml(config.file, decode(config.file, read_file(config.file)))
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
    secrets = read_secrets(env_file, environ, shard) if with_secrets else database_secret(env_file, environ)
    return Config(**dict(settings), file=file, secrets=secrets, old_names=old_names(data))


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
