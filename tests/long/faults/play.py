"""A story while it is played: what people do in it, until it is over.

Rules kept here:
- Everybody acts as soon as they see what they wait for, however often the bot dies.
- The story is over when everything in it has happened and the bot has nothing left to send.
"""

from collections.abc import Sequence

from tests.long.faults.group import Group, Said


class Play(Group):
    """A story in progress. Each story defines `act`, what people do, and `is_at_its_end`."""

    def before(self, meanwhile: Sequence[Said]) -> None:
        """Send the messages from the time when the bot was away."""
        for name, type, content, called in meanwhile:
            self.send(self.room, name, type, content, called)
        self.people.skip()

    async def until_over(self) -> None:
        """Let everybody act until there is nothing left to do."""
        await self.running.until(self._is_over, "the end of the story")

    async def _is_over(self) -> bool:
        await self.people.listen()
        self.accept()
        await self.act()
        return self.is_at_its_end() and self.running.is_idle()

    async def act(self) -> None:
        """Do what people do in the present situation."""
        raise NotImplementedError

    def is_at_its_end(self) -> bool:
        """Tell whether everything in the story has happened."""
        raise NotImplementedError

    def wrong(self) -> dict[str, object]:
        """Return violations of this story's own rules, beyond equality with the undisturbed run."""
        return {}
