"""Exports: made in the background as `logs export` does, and taken by the one who asked for them.

Rules kept here:
- The file is made only if the bot has recorded who takes what out, and why.
- It lies in the data directory for a day, readable by the bot's account alone. Nobody but its maker can take it, so
  that everybody who has it is on record.
"""

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from bot.console.jobs import Job
from bot.console.sessions import make_folder
from bot.console.visit import Bad, NoPage, Route, Visit, is_number
from moderation.values.access_reasons import says_why
from moderation.values.errors import Refused
from moderation.values.ids import is_group_code, is_user_id
from storage import queries
from storage.export.waiting import remove_waiting
from storage.journal.access import new_name
from storage.journal.record_kinds.table import KINDS

from .records import TOPICS, day_of_form

_DO = "export"
_ID = re.compile(r"[0-9a-f]{16}")
_MOST_NAMED = 100
REFRESH_S = 2


async def exports(visit: Visit) -> web.Response:
    """Show one's exports."""
    running = _running(visit)
    jobs = [each for each in visit.site.jobs.of_kind(_DO) if each.by == visit.visitor.by]
    made = await asyncio.to_thread(_made, visit.site.data_dir, visit.visitor.by, visit.now_ms)
    return visit.page(
        "exports.html",
        section="records",
        job=running or next((each for each in jobs if each.state != "done"), None),
        made=made,
        labels=[each for each in await queries.room_labels(visit.db) if is_group_code(each.code)],
        topics=TOPICS,
        refresh=REFRESH_S if running else 0,
        json=made,
    )


def _running(visit: Visit) -> Job | None:
    jobs = visit.site.jobs.of_kind(_DO)
    return next((each for each in jobs if each.state == "running" and each.by == visit.visitor.by), None)


async def begin(visit: Visit) -> web.Response:
    """Begin an export, and show it."""
    reason = visit.said("reason")
    if not says_why(reason):
        raise Refused("console.reason.none")
    if any(each.state == "running" for each in visit.site.jobs.of_kind(_DO)):
        raise Bad("console.exports.busy", 409)
    asked = _asked(visit)
    folder = await asyncio.to_thread(make_folder, visit.site.data_dir, "exports")
    id_ = new_name()
    asked |= {
        "data_dir": str(visit.site.data_dir),
        "out": str(folder / f"{id_}.zip"),
        "at_ms": visit.now_ms,
        "by": visit.visitor.by,
        "reason": reason,
        "language": visit.language,
        "id": id_,
    }
    visit.site.jobs.begin(_DO, asked, by=visit.visitor.by, now_ms=visit.now_ms, id=id_, reason=reason)
    return visit.see_other("/exports")


def _asked(visit: Visit) -> dict[str, Any]:
    """Return what the form asks for. Raises `Bad`."""
    rooms = [each for each in visit.form.getall("room", []) if each]
    persons, cases = visit.said("persons").split(), visit.said("cases").split()
    kind, everything = visit.said("kind"), bool(visit.said("everything"))
    kinds = sorted(TOPICS.get(kind, (kind,) if kind else ()))
    days = {"since": visit.said("since"), "until": visit.said("until")}
    if (
        not all(map(is_group_code, rooms))
        or not all(map(is_user_id, persons))
        or not all(map(is_number, cases))
        or not KINDS.keys() >= {*kinds}
        or len(rooms) + len(persons) + len(cases) > _MOST_NAMED
    ):
        raise Bad("console.records.bad_filter")
    given = {"room": rooms, "person": persons, "case": [*map(int, cases)], "kind": kinds, **days}
    noted = {name: value for name, value in given.items() if value}
    if not noted:
        raise Bad("console.exports.nothing_asked")
    return {
        "groups": rooms,
        "persons": persons,
        "cases": [*map(int, cases)],
        "kinds": kinds,
        "since_ms": day_of_form(days["since"]) if days["since"] else None,
        "until_ms": day_of_form(days["until"], 1) if days["until"] else None,
        "everything": everything,
        "noted": {"what": "export", "file": "console", **noted, **({"all_parts": True} if everything else {})},
    }


async def take(visit: Visit) -> web.StreamResponse:
    """Hand over the file."""
    path = await _own(visit)
    name = f'attachment; filename="export-{path.stem}.zip"'
    return web.FileResponse(path, headers={"Content-Type": "application/zip", "Content-Disposition": name})


async def delete(visit: Visit) -> web.Response:
    """Delete the file here."""
    path = await _own(visit)
    await asyncio.to_thread(_remove, path)
    return visit.see_other("/exports")


async def _own(visit: Visit) -> Path:
    """Return the file of an export of the visitor's. Raises `NoPage`."""
    id_ = visit.request.match_info["id"]
    made = await asyncio.to_thread(_made, visit.site.data_dir, visit.visitor.by, visit.now_ms)
    if not _ID.fullmatch(id_) or id_ not in {each["id"] for each in made}:
        raise NoPage
    return make_folder(visit.site.data_dir, "exports") / f"{id_}.zip"


def _made(data_dir: Path, by: str, now_ms: int) -> list[dict[str, Any]]:
    """Return the exports of somebody, newest first; remove those of anybody that are older than a day."""
    remove_waiting(data_dir, now_ms)
    folder = make_folder(data_dir, "exports")
    kept = [orjson.loads(path.read_bytes()) for path in folder.glob("*.json") if path.with_suffix(".zip").exists()]
    return sorted((each for each in kept if each["by"] == by), key=lambda each: -int(each["at"]))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


ROUTES = (
    Route("GET", "/exports", exports, who="operator"),
    Route("POST", "/exports", begin, who="operator"),
    Route("GET", "/exports/{id}", take, who="operator"),
    Route("POST", "/exports/{id}/delete", delete, who="operator"),
)
