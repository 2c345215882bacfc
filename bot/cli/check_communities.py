"""Says for `answerable check` how far the word of those who run rooms reaches."""

from typing import TYPE_CHECKING

from .findings import Finding, ok, warning

if TYPE_CHECKING:
    from ..config import Config


def communities(config: "Config") -> Finding:
    """Whose word reaches which rooms."""
    if config.communities.default == "deployment":
        return warning("communities", "communities_deployment")
    return ok("communities", "communities_room", count=len(config.communities.named))
