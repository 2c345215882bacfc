"""The name and the picture by which people know the bot's account.

Rules kept here:
- A picture that the account has is never replaced.

Left to others: when they are set (`bot/cli/init/set_up.py`).
"""

from importlib import resources

from .client import Homeserver


async def introduce(homeserver: Homeserver, name: str) -> None:
    """Give the account this name, and our picture if it has none."""
    known = await homeserver.profile()
    if known.get("displayname") != name:
        await homeserver.set_profile("displayname", name)
    if not known.get("avatar_url"):
        picture = (resources.files(__package__) / "picture.png").read_bytes()
        await homeserver.set_profile("avatar_url", await homeserver.upload(picture, "image/png", "answerable.png"))
