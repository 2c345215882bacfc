"""The answers of a bot without a homeserver to the antispam module."""

from bot.antispam.answers import Antispam
from bot.antispam.door import Doorkeeper
from bot.antispam.messages import MessageJudge
from bot.pipeline.beforehand import Beforehand
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.values.ids import server_of
from tests.door.offline import Offline


def antispam_of(bot: Offline) -> Antispam:
    """Return what answers the module for a bot."""
    config, catalog = bot.config, Catalog.load()
    door = Doorkeeper(bot.pipeline, bot.stores.database, bot.time)
    beforehand = Beforehand(bot.pipeline, config.antispam.measures, "antispam")
    messages = MessageJudge(beforehand, server_of(config.user), bot.time)
    return Antispam(door, messages, catalog, Speech(catalog, config.policy, "en"), config.policy)
