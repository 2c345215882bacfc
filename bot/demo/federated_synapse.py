"""Homeservers that speak to other servers of this machine, with certificates of an authority of our own.

The name of each is `localhost:PORT`, its port for other servers. It listens on 127.0.0.1 only; clients use another
port, without TLS.
"""

import json
import secrets
from pathlib import Path
from typing import Any, Self

from .authority import TlsAuthority
from .synapse import Synapse, SynapseFailed, free_port
from .synapse_config import write_config

_PORTS_TRIED = 3
_STARTED_S = 500.0  # three seconds of a processor: minutes where many programs run


class FederatedSynapse(Synapse):
    """A homeserver that takes part in federation."""

    def __init__(self, folder: Path, config: Path, port: int, registration_secret: str, server_name: str) -> None:
        super().__init__(folder, config, port, registration_secret)
        self.server_name = server_name

    @classmethod
    async def start_federated(cls, folder: Path, authority: TlsAuthority) -> Self:
        """Make a homeserver in `folder` and wait until it answers. Raises `SynapseFailed`."""
        for _ in range(_PORTS_TRIED):
            port, servers_port, secret = free_port(), free_port(), secrets.token_hex(32)
            config = write_config(folder, port=port, registration_secret=secret, limits="off", log_level="WARNING")
            _open_to_servers(config, servers_port, authority, f"synapse-{servers_port}")
            server = cls(folder, config, port, secret, f"localhost:{servers_port}")
            try:
                await server._run(_STARTED_S)
            except SynapseFailed:
                if "Address already in use" not in server.log():
                    raise
            else:
                return server
        raise SynapseFailed(f"found no free ports in {_PORTS_TRIED} attempts")


def _open_to_servers(config: Path, port: int, authority: TlsAuthority, name: str) -> None:
    """Change a configuration, so that the homeserver speaks to others of this machine, and waits little for them."""
    settings: dict[str, Any] = json.loads(config.read_text("utf-8"))
    certificate = str(authority.certify(name, "localhost"))
    del settings["federation_domain_whitelist"]
    settings |= {
        "server_name": f"localhost:{port}",
        "tls_certificate_path": certificate,
        "tls_private_key_path": certificate,
        "federation_custom_ca_list": [str(authority.file)],
        "ip_range_blacklist": [],
        "federation": {
            "client_timeout": "20s",
            "max_short_retries": 1,
            "max_long_retries": 1,
            "destination_min_retry_interval": "1s",
            "destination_retry_multiplier": 1,
            "destination_max_retry_interval": "1s",
        },
        "rc_federation": {
            "window_size": 1_000,
            "sleep_limit": 1_000_000,
            "sleep_delay": 0,
            "reject_limit": 1_000_000,
            "concurrent": 100,
        },
    }
    settings["listeners"].append(
        {
            "type": "http",
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "tls": True,
            "resources": [{"names": ["federation"], "compress": False}],
        }
    )
    config.write_text(json.dumps(settings, indent=1), encoding="utf-8")
