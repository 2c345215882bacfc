"""A story while it is played: what people do in it, until it is over.

Rules kept here: everybody acts as soon as they see what they wait for, however often the bot dies; the story is over
when all that was to happen has happened and the bot has nothing left to say.
"""

from collections.abc import Sequence

from tests.faults.group import Group, Said


class Play(Group):
    """What people do. Each story says what, in `act`, and when it `is_at_its_end`."""

    def before(self, meanwhile: Sequence[Said]) -> None:
        """What happened while the bot was away."""
        for name, type, content, called in meanwhile:
            self.send(self.room, name, type, content, called)
        self.people.skip()

    async def until_over(self) -> None:
        """Everybody acts until there is nothing left to do."""
        await self.running.until(self._is_over, "the end of the story")

    async def _is_over(self) -> bool:
        await self.people.listen()
        self.accept()
        await self.act()
        return self.is_at_its_end() and self.running.is_idle()

    async def act(self) -> None:
        """Do what is to be done as it stands."""
        raise NotImplementedError

    def is_at_its_end(self) -> bool:
        """Whether all that was to happen has happened."""
        raise NotImplementedError

    def wrong(self) -> dict[str, object]:
        """What this story asks for beyond being as if nothing had befallen the bot, and is not so."""
        return {}
