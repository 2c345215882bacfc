"""Checking the whole log, in the background: who asked for it, how far it is, and what was found."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.console.visit import Route, Visit
from storage import queries

_DO = "verify"
_LONGEST = 10_000  # of a checkpoint that somebody kept
REFRESH_S = 2


async def verify(visit: Visit) -> web.Response:
    """Show the newest check."""
    job = next(iter(visit.site.jobs.of_kind(_DO)), None)
    result: Mapping[str, Any] = job.result if job is not None else {}
    return visit.page(
        "verify.html",
        section="records",
        job=job,
        refresh=REFRESH_S if job is not None and job.state == "running" else 0,
        problems=[_problem(each) for each in result.get("problems", ())],
        json=result or {"state": job.state if job is not None else "none"},
    )


def _problem(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return one finding: the key of its text, the fields, and where it is."""
    fields = {name: str(value) for name, value in found.items() if name not in ("code", "line")}
    place = {name: found[name] for name in ("file", "line", "index")}
    return {"key": f"cli.logs.problem.{found['code']}", "fields": fields, **place}


async def begin(visit: Visit) -> web.Response:
    """Begin a check, and show it."""
    config = visit.site.config
    asked = {
        "records": str(visit.site.data_dir / "records"),
        "witnesses": list(config.anchors.witness_vkey),
        "against": _as_posted(visit.said("against")[:_LONGEST]),
        "applied": int(await queries.get_meta(visit.db, "applied") or 0),
    }
    against = bool(asked["against"])
    visit.site.jobs.begin(_DO, asked, by=visit.visitor.by, now_ms=visit.now_ms, against=against)
    return visit.see_other("/verify")


def _as_posted(copied: str) -> str:
    """Return a checkpoint as it was signed: a form sends other line ends, and trims the last."""
    text = copied.replace("\r\n", "\n").strip().strip("`").strip()
    return f"{text}\n" if text else ""


async def stop(visit: Visit) -> web.Response:
    """End the check."""
    for job in visit.site.jobs.of_kind(_DO):
        await visit.site.jobs.stop(job)
    return visit.see_other("/verify")


ROUTES = (
    Route("GET", "/verify", verify, who="operator"),
    Route("POST", "/verify", begin, who="operator"),
    Route("POST", "/verify/stop", stop, who="operator"),
)
