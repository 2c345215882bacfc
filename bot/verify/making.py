"""Puts verification together, as the configuration has it."""

from moderation.ids import UserId
from moderation.levels import Method as MethodName
from storage import views
from storage.database import Database
from storage.identity_dialogue import DialogueKey
from storage.identity_roster import Roster
from storage.identity_store import IdentityStore, Locked

from ..clock import Clock
from ..config import Config
from ..messages.catalog import Catalog
from ..pipeline import Pipeline
from .asking import Asking
from .email import EmailMethod
from .flow import Offered, Verifier
from .hush import Hush
from .linking import Linking
from .mailer import Mailer
from .oidc import Oidc
from .roster import RosterMethod


def asking_of(config: Config, store: IdentityStore) -> Asking:
    """What the command needs. While the store is locked, no method of ours is offered."""
    key = DialogueKey(store)
    try:
        key.mark("ready")
    except Locked:
        return Asking(Hush(config.bot.prefix), key)
    offered: list[MethodName] = ["email"] if config.email.host else []
    offered += ["roster", "oidc"] if config.oidc else ["roster"]
    return Asking(Hush(config.bot.prefix), key, tuple(offered))


def make_verifier(
    config: Config,
    store: IdentityStore,
    asking: Asking,
    database: Database,
    pipeline: Pipeline,
    clock: Clock,
    linking: Linking | None = None,
    oidc: Oidc | None = None,
) -> Verifier:
    """The handler of `Verify`."""

    async def language_of(user: UserId) -> str:
        async with database.read() as db:
            return await views.language_of(db, user) or config.bot.language

    methods = {"roster": Offered(RosterMethod(Roster(store), config.roster.lasts), config.roster.lasts)}
    if config.email.host:
        mailer = Mailer(config.email, config.secrets.email_password, config.file.parent)
        own = config.email
        email = EmailMethod(mailer, own.sender, own.domains, asking.key, Catalog.load(), language_of)
        methods["email"] = Offered(email, own.lasts)
    if oidc is not None:
        methods["oidc"] = Offered(oidc, max(each.lasts for each in config.oidc))  # each proof says it itself
    return Verifier(methods, store, asking.key, database, pipeline, asking.hush, config.challenges, clock, linking)
