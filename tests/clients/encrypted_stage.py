"""A stage whose people use current clients, so that their rooms are encrypted; for a test or a whole `Theatre`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from bot.demo.synapse import Synapse
from bot.matrix.client import Homeserver
from moderation.values.ids import RoomId
from tests.clients.js_client import Isolation, JsClient
from tests.clients.js_process import JsProcess
from tests.people.client import Client
from tests.theatre.stage import PASSWORD, Stage, unique


class EncryptedStage(Stage):
    """Creates and closes what a test needs on `synapse`; logs go to `folder`, and are shown if the test fails."""

    def __init__(self, synapse: Synapse, folder: Path) -> None:
        super().__init__(synapse)
        self.folder = folder
        self._clients: list[JsClient] = []
        self._signed: list[JsClient] = []
        self._processes: list[JsProcess] = []
        self._shared: JsProcess | None = None
        self._starting = asyncio.Lock()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(client.stop() for client in self._clients))
        for process in self._processes:
            print(f"--- clients\n{process.log()}")
        await super().__aexit__(kind, error, trace)

    async def person(
        self,
        name: str,
        *,
        admin: bool = False,
        signed: bool = True,
        isolation: Isolation = "signed",
        apart: bool = False,
    ) -> JsClient:
        """Create a user with a current client, whose device is cross-signed if `signed`.

        `apart`: in a process of its own.
        """
        account = await self.server.register(unique(name), PASSWORD, admin=admin)
        client = JsClient(self.server.url, account.user, account.token, account.device)
        return await self._start(client, apart=apart, name=name, signed=signed, isolation=isolation)

    async def again(self, person: JsClient, *, signed: bool = True) -> JsClient:
        """Log in another device of the same user; `signed`: with their keys from secret storage."""
        client = await JsClient.log_in(self.server.url, person.user, PASSWORD)
        return await self._start(client, signed=False, recovery_key=person.recovery_key if signed else "")

    async def people(self, *names: str) -> list[JsClient]:
        """Create several users at once."""
        return list(await asyncio.gather(*(self.person(name) for name in names)))

    async def room(
        self,
        owner: Client,
        *members: Client | Homeserver,
        power: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> RoomId:
        """Create a room as on every stage, and wait until each client knows the signed devices of the others.

        Before that, a client reads no messages from them and does not retry (`isolation="signed"`), and drops their
        requests.
        """
        room = await super().room(owner, *members, power=power, version=version)
        clients = [each for each in (owner, *members) if isinstance(each, JsClient)]
        for client in clients:
            for other in clients:
                if other in self._signed:
                    await client.wait_devices(other.user, lambda found: any(d.signed for d in found), what="signed")
        return room

    async def _process(self, *, apart: bool) -> JsProcess:
        """Return the process for a client: that of the others, if it runs."""
        async with self._starting:
            if not apart and self._shared is not None and self._shared.is_running:
                return self._shared
            process = await JsProcess.start(self.folder / f"clients-{len(self._processes)}.log")
            self._processes.append(process)
            self._shared = self._shared if apart else process
            return process

    async def _start(self, client: JsClient, *, apart: bool = False, **how: Any) -> JsClient:
        self._open.append(client)
        self._clients.append(client)
        if how["signed"] or how.get("recovery_key"):
            self._signed.append(client)
        return await client.start(await self._process(apart=apart), PASSWORD, **how)
