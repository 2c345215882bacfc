"""The check of the policy server: whether it runs, and whether others find it under its name."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.federation.policy_server_seen import OutsideProblem


def policy_server(config: "Config") -> Iterator[Finding]:
    """Yield all findings about the policy server; none if none is configured."""
    from bot.cli.run import running_pid
    from storage.policy_server.spool import event_key
    from storage.policy_server.tables import FOLDER

    name = config.policy_server.server_name
    if name is None:
        return
    key = event_key(config.data_dir)
    if not key:
        yield warning("policy_server", "policy_never_run", name=name)
        return
    if running_pid(config.data_dir / FOLDER) is None:
        yield problem("policy_server", "policy_not_running", name=name)
        return
    if asyncio.run(_judges_otherwise(config)):
        yield warning("policy_server", "policy_other_rules", name=name)
    yield asyncio.run(_from_outside(config, name, key))


async def _judges_otherwise(config: "Config") -> bool:
    """Tell whether the policy server has read another policy than the bot at its last start."""
    from bot.config.policy_digest import policy_digest
    from storage import queries
    from storage.database.database import Database
    from storage.policy_server.spool import rules_digest

    database = await Database.open(config.place, read_only=True)
    try:
        text = await database.fetch(queries.get_meta, "policy")
    finally:
        await database.close()
    return bool(text) and rules_digest(config.data_dir) not in ("", policy_digest(str(text)))


async def _from_outside(config: "Config", name: str, key: str) -> Finding:
    from bot.config.policy_server import HEALTH_PATH, METRICS_PATH
    from bot.federation.connections import Connections, tls_context
    from bot.federation.policy_server_seen import look_from_outside

    settings = config.policy_server
    authority = config.file.parent / settings.ca_file if settings.ca_file else None
    try:
        tls = tls_context(authority)
    except OSError as error:
        return problem("policy_server", "policy_ca", file=authority, why=error.strerror or str(error))
    # The name may lead to a private address here, though not outside.
    connections = Connections(tls, may_ask=lambda _host: True)
    try:
        seen = await look_from_outside(name, HEALTH_PATH, METRICS_PATH, key, connections)
    finally:
        await connections.close()
    return _said(seen.problem, name, seen.why, settings.listen)


def _said(found: "OutsideProblem", name: str, why: str, listen: str) -> Finding:
    match found:
        case "":
            return ok("policy_server", "policy_server", name=name)
        case "unreachable":
            return problem("policy_server", "policy_unreachable", name=name, why=why, listen=listen)
        case "unwell":
            return problem("policy_server", "policy_unwell", name=name, why=why)
        case "wrong_page":
            return problem("policy_server", "policy_wrong_page", name=name, why=why, listen=listen)
        case "wrong_server":
            return problem("policy_server", "policy_wrong_server", name=name, why=why, listen=listen)
        case "no_key":
            return problem("policy_server", "policy_no_key", name=name, why=why, listen=listen)
        case "other_key":
            return problem("policy_server", "policy_other_key", name=name)
        case "open_figures":
            return warning("policy_server", "policy_open_figures", name=name)
