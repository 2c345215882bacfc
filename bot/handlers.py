"""The handler of every action, made and connected."""

from dataclasses import dataclass
from functools import partial

from moderation.rules.images import compare_pictures
from storage.journal.journal import Journal
from storage.journal.transparency.cosignature import Cosigner
from storage.journal.transparency.proof import Prover
from storage.journal.transparency.tiles import Tiles
from storage.policy_server.spool import event_key

from .admin.records import Operations
from .bot_rooms.direct_rooms import DirectRooms
from .config.config import Config
from .config.deployment import AnchorSettings
from .effects.adopt_room import Adopter
from .effects.alert import Alerter, AlertSender
from .effects.align_room import Reconciler
from .effects.anchor_day import Anchorer
from .effects.anchor_outside import OutsideAnchorer
from .effects.ask_desk import Asker
from .effects.ask_plugin import PluginAsker
from .effects.burst_card import BurstCards
from .effects.choose_list import ListChooser
from .effects.console_link import ConsoleLinks
from .effects.desk import Desk
from .effects.fetch_file import FileFetcher
from .effects.guide import Guider
from .effects.join_room import Joiner, recording_notice
from .effects.leave_room import Leaver
from .effects.lobby import Lobbies
from .effects.media_hash import MediaHasher
from .effects.missing_rooms import MissingRooms
from .effects.personal_data import DataEraser, OwnData
from .effects.policy_state import AskedServer, PolicyStates
from .effects.public_reasons import PublicReasons
from .effects.publish_entry import EntryPublisher
from .effects.quote_message import Quoter
from .effects.redact_and_kick import SimpleActs
from .effects.redact_everything import WholeRedactions
from .effects.send_notice import Notifier
from .effects.server_acl import ServerAcls
from .effects.show_power import PowerTeller
from .effects.sweep import Sweeper
from .effects.witness import WitnessClient
from .exchange.joint_days import JointDays
from .identity.background import VerificationUpkeep
from .identity.factory import make_verifier
from .identity.oidc import Oidc
from .outbox.handler import Handlers, Services, by_action
from .pipeline.message_text import message_of, said_at
from .plugins.plugins import Plugins
from .runtime.clock import Clock
from .startup import Stores
from .sync.backfill import Gaps
from .sync.policy_lists import PolicyLists
from .texts.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Partners:
    """The parts of the bot that handlers work with; some of them handle actions themselves."""

    operations: Operations
    direct: DirectRooms
    lists: PolicyLists
    gaps: Gaps
    upkeep: VerificationUpkeep
    policy_server: AskedServer | None
    joint: JointDays | None


def all_handlers(
    config: Config, services: Services, stores: Stores, texts: Catalog, oidc: Oidc | None, partners: Partners
) -> Handlers:
    """Return the handler of every action."""
    operations, direct, journal = partners.operations, partners.direct, stores.journal
    notice = recording_notice(config.records.content, config.records.retention, config.bot.prefix)
    closings, dialogue = journal.closings, (stores.identity, stores.asking)
    whole = WholeRedactions(services.homeserver, services.database)
    files = FileFetcher(services.homeserver, config.records.media_limit * 1_000_000)
    reasons = PublicReasons(services.speech, services.policy, config.bot.removal_reason)
    reconciler, acts = Reconciler(services, reasons, whole), SimpleActs(services, reasons, whole)
    servers = ServerAcls(services)
    policies = PolicyStates(services, partners.policy_server, partial(event_key, config.data_dir))
    return by_action(
        acts,
        Sweeper(services, acts.redact),
        direct,
        partners.lists,
        reconciler,
        servers,
        policies,
        EntryPublisher(services),
        ListChooser(services, partners.lists),
        Leaver(services, reconciler, servers, policies),
        Joiner(services, partners.gaps, notice),
        PowerTeller(services, journal.vkey, notice),
        Desk(services, partial(said_at, journal)),
        BurstCards(services),
        Lobbies(services),
        MissingRooms(services),
        Adopter(services),
        Asker(services),
        Quoter(services, partial(message_of, journal)),
        MediaHasher(files, pictures=compare_pictures(config.policy.rules)),
        PluginAsker(files, Plugins(config.plugins, config.file.parent), config.policy.rules, services.clock),
        OwnData(services, direct, Catalog.load(), config.data_dir, operations.identity),
        DataEraser(operations),
        operations.dossiers,
        Notifier(services, direct),
        Guider(services),
        ConsoleLinks(services, config.console.public_url),
        Anchorer(services, closings, partners.joint),
        Alerter(services.database, services.pipeline, AlertSender(config, services.clock), texts, config.bot.language),
        OutsideAnchorer(_witness(config.anchors, journal, services.clock), config.anchors.timestamp_url, closings),
        partners.upkeep.looked_at(make_verifier(services, config, *dialogue, partners.upkeep.linking, oidc)),
    )


def _witness(settings: AnchorSettings, journal: Journal, clock: Clock) -> WitnessClient | None:
    """Return the witness of the configuration, or None."""
    if settings.witness_url is None or not settings.witness_vkey:
        return None
    prove = Prover(Tiles(journal.folder / "tile")).consistency
    return WitnessClient(settings.witness_url, [Cosigner.parse(key) for key in settings.witness_vkey], prove, clock)
