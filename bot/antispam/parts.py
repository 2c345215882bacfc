"""The parts that answer the antispam module of the homeserver, made and connected."""

import structlog

from bot.config.antispam import token_of
from bot.config.config import Config
from bot.config.oidc import listen_address
from bot.outbox.handler import Services
from bot.pipeline.beforehand import Beforehand
from bot.texts.catalog import Catalog
from moderation.values.errors import Refused

from .answers import Antispam
from .door import Doorkeeper
from .front_process import FrontProcess, FrontSettings
from .messages import MessageJudge

log = structlog.get_logger()


def make_front(services: Services, config: Config, texts: Catalog) -> FrontProcess | None:
    """Return the process that the antispam module of the homeserver asks, if the settings ask for it."""
    settings = config.antispam
    if settings.listen is None:
        return None
    try:
        token = token_of(config.secrets.antispam)
    except Refused as error:
        log.error("antispam_not_listening", why=error.key)
        return None
    door = Doorkeeper(services.pipeline, services.database, services.clock)
    beforehand = Beforehand(services.pipeline, settings.measures, "antispam")
    messages = MessageJudge(beforehand, config.server, services.clock)
    antispam = Antispam(door, messages, texts, services.speech, config.policy)
    return FrontProcess(FrontSettings(*listen_address(settings.listen), token, settings.within), antispam.answer)
