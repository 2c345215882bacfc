"""The checks of the homeserver: the connection, clock, account, rate limit, power.

Rules kept here:
- It only asks, and logs nobody in.
- A step that depends on a failed one is left out.
"""

import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from bot.cli.session import present_token, stored_session
from bot.cli.terminal.output import why_of, word
from bot.crypto.errors import WrongKey
from bot.matrix.client import Homeserver
from bot.matrix.errors import Forbidden, HomeserverError, LoggedOut
from bot.matrix.known_limit import known_limit
from bot.matrix.synapse_admin import SynapseAdmin
from bot.outside.http import http_session
from moderation.values.errors import AnswerableError, Broken, Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Moment, Span, Who
from moderation.values.power_levels import POWER_LEVELS, Power

from .communities import spaces
from .encryption_keys import keys
from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TIMEOUT = aiohttp.ClientTimeout(total=15)
DRIFT_MS, FAR_MS = 5_000, 60_000  # clock difference: above the first a warning, above the second a problem


async def homeserver_findings(
    config: "Config", admin_token: str = "", skip: frozenset[str] = frozenset()
) -> list[Finding]:
    """Return all findings about the homeserver. Rooms in `skip` are no groups, so power matters little there."""
    findings = [finding async for finding in _server(config)]
    if any(finding.state == "problem" and finding.check == "server" for finding in findings):
        return findings
    return findings + [finding async for finding in _account(config, admin_token, skip)]


async def _server(config: "Config") -> AsyncIterator[Finding]:
    parts = urlsplit(config.homeserver.url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        yield warning("server", "plain_http", url=config.homeserver.url)
    sent = time.time()
    try:
        async with (
            http_session(timeout=_TIMEOUT) as http,
            http.get(f"{config.homeserver.url.rstrip('/')}/_matrix/client/versions") as response,
        ):
            date = response.headers.get("Date")
            answer = await response.json(content_type=None)
            known = isinstance(answer, dict) and isinstance(answer.get("versions"), list)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        yield problem("server", "unreachable", url=config.homeserver.url, why=str(error) or type(error).__name__)
        return
    if not known:
        yield problem("server", "not_matrix", url=config.homeserver.url)
        return
    yield ok("server", "reachable", url=config.homeserver.url)
    if date:
        yield _clock(date, (sent + time.time()) / 2)


def _clock(date: str, here_s: float) -> Finding:
    """Compare the clocks. The header has whole seconds, so half a second is the best guess of what it cut off."""
    try:
        there_s = parsedate_to_datetime(date).timestamp() + 0.5
    except ValueError:
        return note("clock", "clock_unknown")
    apart = Span(int(abs(here_s - there_s) * 1000))
    if apart.ms > FAR_MS:
        return problem("clock", "clock_far", apart=apart)
    return warning("clock", "clock_off", apart=apart) if apart.ms > DRIFT_MS else ok("clock", "clock")


async def _account(config: "Config", admin_token: str, skip: frozenset[str]) -> AsyncIterator[Finding]:
    try:
        token = await present_token(config)
    except (Broken, WrongKey) as error:  # the key that opens it is missing, or another one
        yield problem("login", "login_sealed", why=why_of(error))
        return
    except (AnswerableError, OSError) as error:
        yield problem("login", "login_failed", why=why_of(error))
        return
    if token is None:
        has_password = config.secrets.password is not None
        yield (note("login", "login_later") if has_password else problem("login", "login_none"))
        return
    try:
        session = await stored_session(config, token)
    except LoggedOut:
        yield problem("login", "logged_out", user=Who(config.user))
        return
    except (Refused, HomeserverError) as error:
        yield problem("login", "login_failed", why=why_of(error))
        return
    yield ok("login", "login", user=Who(session.user), device=session.device)
    homeserver = Homeserver(session)
    try:
        yield await keys(config, session)
        yield await _rate_limit(config, homeserver, admin_token)
        joined = await homeserver.joined_rooms()
        async for finding in spaces(config, homeserver, joined):
            yield finding
        named = {space for each in config.communities.named for space in each.space}
        async for finding in _rooms(homeserver, [room for room in joined if room not in skip | named]):
            yield finding
    except HomeserverError as error:
        yield problem("server", "failed", why=error)
    finally:
        await homeserver.close()


async def _rate_limit(config: "Config", homeserver: Homeserver, admin_token: str) -> Finding:
    """Report whether the homeserver slows the bot down: by an admin's token, else by what was found out last."""
    user = Who(homeserver.user)
    kept = config.secrets.admin_token
    token = admin_token or (kept.get_secret_value() if kept is not None else "")
    if not token:
        return _known_limit(config, user)
    try:
        lifted = await SynapseAdmin(homeserver.wire, token).is_unlimited(homeserver.user)
    except (Forbidden, LoggedOut):
        return note("rate_limit", "rate_limit_no_admin")
    return ok("rate_limit", "rate_limit") if lifted else problem("rate_limit", "rate_limited", user=user)


def _known_limit(config: "Config", user: Who) -> Finding:
    known = known_limit(config.data_dir)
    if known is None:
        return note("rate_limit", "rate_limit_unknown", user=user)
    at = Moment(known.at)
    if known.limit == "limited":
        return warning("rate_limit", "rate_limit_default", user=user, at=at)
    return ok("rate_limit", "rate_limit_known", at=at)


async def _rooms(homeserver: Homeserver, rooms: list[RoomId]) -> AsyncIterator[Finding]:
    if not rooms:
        yield note("rooms", "rooms_none", user=Who(homeserver.user))
    for room in rooms:
        try:
            state = await homeserver.state(room)
        except Forbidden:  # we left, or were removed, a moment ago
            continue
        for finding in _power(room, homeserver.user, state):
            yield finding


def _power(room: RoomId, bot: UserId, state: list[dict[str, Any]]) -> list[Finding]:
    events = {event.get("type"): event for event in state if event.get("state_key") == ""}
    create = events.get("m.room.create", {})
    levels = events.get(POWER_LEVELS, {}).get("content")
    power = Power.of(create, levels, bot=bot)
    name = f"{events.get('m.room.name', {}).get('content', {}).get('name') or ''} {room}".strip()
    here = {UserId(str(e.get("state_key"))) for e in state if _joined(e)}
    findings: list[Finding] = []
    if missing := power.missing_for(bot):
        rights = ", ".join(f"{word('right', lack.right)} ({lack.level})" for lack in missing)
        need = max(lack.level for lack in missing)
        findings.append(problem("rooms", "power_missing", room=name, rights=rights, need=str(need), bot=Who(bot)))
    people = (power.owners() | power.managers()) & here
    if beyond := sorted(power.cannot_demote(bot, people)):
        findings.append(warning("rooms", "power_equal", room=name, users=", ".join(beyond)))
    return findings or [ok("rooms", "power", room=name)]


def _joined(event: dict[str, Any]) -> bool:
    content = event.get("content")
    return event.get("type") == "m.room.member" and isinstance(content, dict) and content.get("membership") == "join"
