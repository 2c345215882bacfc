"""A stage whose people use current clients, so that their rooms are encrypted: for a test, or a whole `Theatre`."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any

from bot.demo.synapse import Synapse
from tests.homeserver.stage import PASSWORD, Stage, unique

from .js_client import Isolation, JsClient


class EncryptedStage(Stage):
    """Makes what a test needs on `synapse`, and closes it; logs go to `folder`, and are shown when the test fails."""

    def __init__(self, synapse: Synapse, folder: Path) -> None:
        super().__init__(synapse)
        self.folder = folder
        self._clients: list[JsClient] = []

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(client.stop() for client in self._clients))
        for client in self._clients:
            print(f"--- {client.user} {client.device}\n{client.log()}")
        await super().__aexit__(kind, error, trace)

    async def person(
        self, name: str, *, admin: bool = False, signed: bool = True, isolation: Isolation = "signed"
    ) -> JsClient:
        """A new user with a current client; `signed`: their device is."""
        account = await self.synapse.register(unique(name), PASSWORD, admin=admin)
        client = JsClient(self.synapse.url, account.user, account.token, account.device)
        return await self._start(client, name=name, signed=signed, isolation=isolation)

    async def again(self, person: JsClient, *, signed: bool = True) -> JsClient:
        """Another device of the same user; `signed`: with their keys from secret storage."""
        client = await JsClient.log_in(self.synapse.url, person.user, PASSWORD)
        return await self._start(client, signed=False, recovery_key=person.recovery_key if signed else "")

    async def people(self, *names: str) -> list[JsClient]:
        """Several at once."""
        return list(await asyncio.gather(*(self.person(name) for name in names)))

    async def acquaint(self, *clients: JsClient) -> None:
        """Wait until each knows the signed devices of the others: a client drops a request of a device it does not."""
        for client in clients:
            for other in clients:
                await client.wait_devices(other.user, lambda found: any(d.signed for d in found), what="signed")

    async def _start(self, client: JsClient, **how: Any) -> JsClient:
        self._open.append(client)
        self._clients.append(client)
        return await client.start(self.folder, PASSWORD, **how)
