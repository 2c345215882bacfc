"""The configuration of the demo's homeserver, as one mapping, which `synapse.py` uses.

Rules kept here:
- Loopback only, no federation, no telemetry, no key servers, no previews, so that nothing ever leaves the machine.
- Every key and secret is generated each time.
- JSON is written, which is YAML too, so that no YAML library is needed.

Two sets of limits. "off": nobody is ever told to slow down. "default": Synapse's own limits for events, redactions,
invites, uploads and new rooms, as a bot meets them on a server that was not prepared for it. Only registering, logging
in and joining stay free, so that a cast of people is set up at once.

For speed: the cheapest password hash, no federation, presence or previews. Push rules are evaluated, as on every real
server; nobody has a pusher, so nothing is sent.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

Limits = Literal["off", "default"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

SERVER_NAME = "localhost"  # reserved (RFC 6761): no lookup of it can ever leave this machine
LOG_FILE = "homeserver.log"
CONFIG_FILE = "homeserver.json"
NOTHING_MORE: Mapping[str, Any] = MappingProxyType({})

_FREE = {"per_second": 1_000_000, "burst_count": 1_000_000}
_FREE_TO_SET_UP: dict[str, Any] = {
    "rc_registration": _FREE,
    "rc_login": {"address": _FREE, "account": _FREE, "failed_attempts": _FREE},
    "rc_joins": {"local": _FREE, "remote": _FREE},
    "rc_joins_per_room": _FREE,
}
_FREE_TO_ACT: dict[str, Any] = {
    "rc_message": _FREE,
    "rc_invites": {"per_room": _FREE, "per_user": _FREE, "per_issuer": _FREE},
    "rc_room_creation": _FREE,
    "rc_media_create": _FREE,
    "rc_reports": _FREE,
    "rc_user_directory": _FREE,
    "rc_profile": _FREE,
    "rc_delayed_event_mgmt": _FREE,
    "rc_presence": {"per_user": _FREE},
}
_OFF_THE_NET: dict[str, Any] = {
    "federation_domain_whitelist": [],
    "trusted_key_servers": [],
    "suppress_key_server_warning": True,
    "report_stats": False,
    "enable_metrics": False,
    "url_preview_enabled": False,
    "allow_public_rooms_over_federation": False,
}


def write_config(
    folder: Path,
    *,
    port: int,
    registration_secret: str,
    limits: Limits,
    log_level: LogLevel,
    more: Mapping[str, Any] = NOTHING_MORE,
) -> Path:
    """Write configuration, logging and signing key into `folder`; return the path of the configuration.

    `more` has further settings of Synapse.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # its files hold keys, which other people on this machine must not read
    (folder / "signing.key").write_text(_signing_key(), encoding="ascii")
    log_config = folder / "log.json"
    log_config.write_text(json.dumps(_logging(folder, log_level), indent=1), encoding="utf-8")
    config: dict[str, Any] = {
        "server_name": SERVER_NAME,
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "signing_key_path": str(folder / "signing.key"),
        "log_config": str(log_config),
        "media_store_path": str(folder / "media"),
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "listeners": [_listener(port)],
        "registration_shared_secret": registration_secret,
        "macaroon_secret_key": secrets.token_hex(32),
        "form_secret": secrets.token_hex(32),
        "enable_registration": True,  # on loopback, and the whole folder is thrown away afterwards
        "enable_registration_without_verification": True,
        "bcrypt_rounds": 4,
        "presence": {"enabled": False},
        # Off by default in Synapse 1.163; nobody may rely on them. The first shows what a ban can do. Without the
        # second a client that asks for the state after the timeline gets the state before it, and takes a person who
        # came in while another spoke for still outside, until something else happens to them.
        "experimental_features": {"msc4293_enabled": True, "msc4222_enabled": True, "msc2815_enabled": True},
        **_OFF_THE_NET,
        **_FREE_TO_SET_UP,
        **(_FREE_TO_ACT if limits == "off" else {}),
        **more,
    }
    path = folder / CONFIG_FILE
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return path


def _listener(port: int) -> dict[str, Any]:
    resources = [{"names": ["client"], "compress": False}]
    return {
        "type": "http",
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "tls": False,
        "x_forwarded": False,
        "resources": resources,
    }


def _logging(folder: Path, level: LogLevel) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.FileHandler",
                "filename": str(folder / LOG_FILE),
                "encoding": "utf-8",
                "formatter": "plain",
            }
        },
        "root": {"level": level, "handlers": ["file"]},
        "disable_existing_loggers": False,
    }


def _signing_key() -> str:
    """Return an Ed25519 key in Synapse's file format: algorithm, version, unpadded base64 of the seed."""
    seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return f"ed25519 a_{secrets.token_hex(2)} {seed}\n"
