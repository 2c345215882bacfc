"""Assembles verification according to the configuration."""

from bot.config.config import Config
from bot.outbox.handler import Services
from bot.texts.catalog import Catalog
from moderation.values.ids import UserId
from moderation.values.levels import Method as MethodName
from storage import queries
from storage.identity.dialogue_key import DialogueKey
from storage.identity.roster import Roster
from storage.identity.store import IdentityStore, Locked

from .account_linking import Linking
from .asking import Asking
from .dialogue import IdentityDialogue, Offered
from .email import EmailMethod
from .mailer import Mailer
from .oidc import Oidc
from .redacted_input import Hush
from .roster import RosterMethod


def asking_of(config: Config, store: IdentityStore) -> Asking:
    """Return what the command `verify` needs. While the store is locked, no method of ours is offered."""
    key = DialogueKey(store)
    try:
        key.mark("ready")
    except Locked:
        return Asking(Hush(config.bot.prefix), key)
    offered: list[MethodName] = ["email"] if config.email.sends_codes else []
    offered += ["roster", "oidc"] if config.oidc else ["roster"]
    return Asking(Hush(config.bot.prefix), key, tuple(offered))


def make_verifier(
    services: Services, config: Config, store: IdentityStore, asking: Asking, linking: Linking, oidc: Oidc | None
) -> IdentityDialogue:
    """Return the handler of `Verify` actions."""

    async def language_of(user: UserId) -> str:
        return await services.database.fetch(queries.language_of, user) or config.bot.language

    methods = {"roster": Offered(RosterMethod(Roster(store), config.member_list.lasts), config.member_list.lasts)}
    if config.email.sends_codes:
        mailer = Mailer(config.email, config.secrets.email_password, config.file.parent)
        own = config.email
        email = EmailMethod(mailer, own.sender, own.domains, asking.key, Catalog.load(), language_of)
        methods["email"] = Offered(email, own.lasts)
    if oidc is not None:
        methods["oidc"] = Offered(oidc, max(each.lasts for each in config.oidc))  # each proof states its own end
    return IdentityDialogue(services, methods, store, asking, config.challenges, linking)
