"""The checks of communities: how far the decisions of a room's managers reach, and which spaces are followed."""

from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING

from .findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.client import Homeserver


def communities(config: "Config") -> Finding:
    """Report whose decisions reach which rooms."""
    settings = config.communities
    if settings.default == "deployment":
        return warning("communities", "communities_deployment")
    key = "communities_spaces" if any(each.space for each in settings.named) else "communities_room"
    return ok("communities", key, count=len(settings.named))


async def spaces(config: "Config", homeserver: "Homeserver", joined: Collection[str]) -> AsyncIterator[Finding]:
    """Report whether the bot sees which rooms the spaces list."""
    from moderation.rooms.spaces import is_space
    from moderation.values.notices import Who

    for community, space in ((each.name, space) for each in config.communities.named for space in each.space):
        fields = {"space": space, "community": community}
        if space not in joined:
            yield warning("communities", "space_not_joined", bot=Who(homeserver.user), **fields)
        elif is_space(await homeserver.state_event(space, "m.room.create")):
            yield ok("communities", "space_followed", **fields)
        else:
            yield problem("communities", "space_is_room", **fields)
