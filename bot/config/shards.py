"""Shards: the parts of one deployment, each with an account, a log and rooms of its own (docs/decisions/0060).

Rules kept here:
- A shard keeps everything in a folder of its name in `data_dir`, and signs as the deployment's origin with its name.
- Its account's secrets have its name (`ANSWERABLE_ONE_ACCESS_TOKEN`), or stand in a file of its own (`.env.one`); those
  of another account are never taken.
- A community never spans two shards, as far as the settings tell.

Left to others: which rooms a community has at run time (`bot/exchange/communities.py`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from moderation.policy import StrictSettings
from moderation.values.errors import Invalid
from moderation.values.notices import Code

from .deployment import UserIdSetting, watch_address
from .errors import ConfigProblem

if TYPE_CHECKING:
    from .config import Config

MOST_ORIGIN = 64  # characters, as any word of a skeleton
_NAME = re.compile(r"[a-z][a-z0-9]{0,19}\Z")
_RESERVED = ("shared",)  # the schema of what all shards share


def _name(text: str) -> str:
    if not _NAME.match(text) or text in _RESERVED:
        raise PydanticCustomError("shard_name", "not the name of a shard")
    return text


def _vkey(text: str) -> str:
    from storage.journal.transparency.signed_note import NoteVerifier  # cryptography is slow to load

    try:
        NoteVerifier.parse(text)
    except Invalid:
        raise PydanticCustomError("log_vkey", "not the key of a log") from None
    return text


class ShardSettings(StrictSettings):
    """One shard."""

    name: Annotated[str, AfterValidator(_name)]
    account: UserIdSetting
    rooms: tuple[str, ...] = ()  # globs over room ids; with none, those of no other shard
    inviters: tuple[str, ...] = ()  # globs over user ids, in place of `[bot] allow_invites`
    watch: Annotated[str, AfterValidator(watch_address)] | None = None  # of its pages, in place of `[watch] listen`
    vkey: Annotated[str, AfterValidator(_vkey)] | None = None  # of its log, for the others; None: as first seen


def of_shard(config: "Config", name: str) -> "Config":
    """Return the settings of one shard. Raises `Invalid` if there is no such shard, or if it must be named."""
    from bot.texts.catalog import Catalog, cli_language

    shard = next((each for each in config.shards if each.name == name), None)
    if shard is None:
        if not config.shards and not name:
            return config
        key = "which" if not name else "unknown" if config.shards else "none"
        names = ", ".join(each.name for each in config.shards)
        raise Invalid(Catalog.load().text(cli_language(), f"config.shard.{key}", name=name, names=names))
    bot = {"data_dir": config.bot.data_dir / name}
    if shard.inviters:
        bot["allow_invites"] = shard.inviters  # type: ignore[assignment]
    return config.model_copy(
        update={
            "shard": name,
            "homeserver": config.homeserver.model_copy(update={"user": shard.account}),
            "bot": config.bot.model_copy(update=bot),
            "records": config.records.model_copy(update={"origin": origin_of(config, name)}),
            "watch": config.watch.model_copy(update={"listen": shard.watch or config.watch.listen}),
        }
    )


def origin_of(config: "Config", name: str) -> str:
    """Return the name of a shard's log; `config` is that of the whole deployment."""
    return f"{config.origin}/{name}"


def variable_of(name: str, shard: str) -> str:
    """Return the variable of a secret of a shard's account: ``ANSWERABLE_ONE_PASSWORD``."""
    return name.replace("ANSWERABLE_", f"ANSWERABLE_{shard.upper()}_", 1) if shard else name


def shard_of_room(shards: Sequence[ShardSettings], room: str) -> str | None:
    """Return the shard whose globs match a room; None if there is none."""
    return next((each.name for each in shards if any(fnmatchcase(room, glob) for glob in each.rooms)), None)


def shard_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Yield what no type can state: two shards of one name or account, and communities that span several."""
    shards = _tables(data.get("shards"))
    for field, twice in (("name", "shard_name_twice"), ("account", "shard_account_twice")):
        first: dict[str, int] = {}
        for index, each in enumerate(shards):
            value = each.get(field)
            if isinstance(value, str) and first.setdefault(value, index) != index:
                fields = {"value": Code(value), "first": first[value] + 1}
                yield ConfigProblem(("shards", index, field), twice, fields)
    yield from _origins(data, shards)
    communities = data.get("communities")
    named = _tables(communities.get("named")) if isinstance(communities, Mapping) else []
    for index, community in enumerate(named):
        owners = dict.fromkeys(owner for each in _texts(community.get("rooms")) if (owner := _owner(shards, each)))
        if len(owners) > 1:
            fields = {"shards": Code(", ".join(owners))}
            yield ConfigProblem(("communities", "named", index, "rooms"), "shard_community", fields)


def _origins(data: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> Iterator[ConfigProblem]:
    records, homeserver = data.get("records"), data.get("homeserver")
    origin = records.get("origin") if isinstance(records, Mapping) else None
    user = homeserver.get("user") if isinstance(homeserver, Mapping) else None
    base = origin if isinstance(origin, str) else str(user or "")
    for index, each in enumerate(shards):
        whole = f"{base}/{each.get('name')}"
        if len(whole) > MOST_ORIGIN or not whole.isascii():
            yield ConfigProblem(("shards", index, "name"), "shard_origin", {"most": MOST_ORIGIN})


def _owner(shards: Sequence[Mapping[str, Any]], pattern: str) -> str | None:
    """Return the shard in whose rooms those of a pattern are, as far as the two patterns tell."""
    for each in shards:
        if any(fnmatchcase(pattern, glob) for glob in _texts(each.get("rooms"))):
            return str(each.get("name"))
    return None


def _texts(listed: object) -> list[str]:
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def _tables(listed: object) -> list[Mapping[str, Any]]:
    return [each if isinstance(each, Mapping) else {} for each in listed] if isinstance(listed, list) else []
