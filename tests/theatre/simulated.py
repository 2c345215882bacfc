"""The accounts of a simulated homeserver, as a stage wants them."""

from bot.demo.synapse import SynapseAccount
from moderation.values.ids import UserId
from tests.fakes.homeserver import SimulatedHomeserver


class SimulatedAccounts:
    """Registers accounts on a simulated homeserver, whose users have the same names as Synapse's in other tests."""

    def __init__(self, homeserver: SimulatedHomeserver) -> None:
        self.homeserver = homeserver
        self.url = homeserver.url

    async def register(self, localpart: str, password: str, *, admin: bool = False) -> SynapseAccount:  # noqa: ARG002
        """Create an account with one device, by which it is used: nobody logs in with the password."""
        assert not admin, "the simulation has no administrators"
        user, token, device = self.homeserver.account(localpart)
        return SynapseAccount(UserId(user), device, token)
