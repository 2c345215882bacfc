"""The bot's parts that deal with the policy server, as the settings ask for them.

Rules kept here:
- Refusals that were noted are recorded even if the policy server is no longer in the settings.
- A policy server that cannot be asked from outside counts as not reached: rooms that ask it stop after `when_down`.
"""

from functools import partial

import structlog

from bot.config.config import Config
from bot.config.policy_server import HEALTH_PATH
from bot.federation.connections import Connections, tls_context
from bot.outbox.handler import Services
from bot.sync.policy_watch import NoQuestion, OutsideLook, PolicyWatch, ReachQuestion, RefusalReader
from storage.policy_server.spool import PolicySpool, event_key

from .policy_state import AskedServer

log = structlog.get_logger()


def policy_parts(services: Services, config: Config) -> tuple[RefusalReader, AskedServer | None]:
    """Return what reads refusals and watches the policy server, and what rooms ask; None without one."""
    settings, folder = config.policy_server, config.data_dir
    notes = PolicySpool(folder)
    if settings.server_name is None:
        return RefusalReader(services, notes), None
    question, key = _question(config, settings.server_name), partial(event_key, folder)
    watch = PolicyWatch(services, notes, question, key, when_down_ms=settings.when_down)
    return watch, AskedServer(settings.server_name, settings.user, key, watch.reached)


def _question(config: Config, name: str) -> ReachQuestion:
    """Return the question to the policy server from outside; it reaches nobody if `ca_file` cannot be read."""
    ca_file = config.policy_server.ca_file
    try:
        tls = tls_context(config.file.parent / ca_file if ca_file else None)
    except OSError as error:
        log.error("policy_server_counts_as_down", why=str(error))
        return NoQuestion()
    # The name may lead to a private address here, though not outside.
    return OutsideLook(name, HEALTH_PATH, Connections(tls, may_ask=lambda _host: True))
