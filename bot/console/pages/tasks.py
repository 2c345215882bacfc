"""The tasks of the operator, and files on people: begun, declined, and approved by two.

A file is approved with an approver's own key, or from their own account in chat: the console holds no keys, so it says
how. A file leaves at the terminal.
"""

from aiohttp import web

from bot.console.asking import ask
from bot.console.ordering import order
from bot.console.visit import Bad, Route, Visit
from moderation.cases.dossiers import APPROVALS
from moderation.values.errors import Refused
from moderation.values.ids import is_user_id
from storage import queries
from storage.queries import Dossier


async def tasks(visit: Visit) -> web.Response:
    """List the open tasks, oldest first."""
    found = await queries.waiting_tasks(visit.db)
    text = visit.site.catalog.text
    nexts = [text(visit.language, f"cli.tasks.next.{each.next}", **each.next_fields) for each in found]
    json = [{**each.as_json(), "next": next_} for each, next_ in zip(found, nexts, strict=True)]
    return visit.page("tasks.html", section="tasks", tasks=list(zip(found, nexts, strict=True)), json=json)


async def decline_task(visit: Visit) -> web.Response:
    """Record why there will be no file."""
    task = visit.seen(await queries.open_task(visit.db, visit.number("n")))
    if task.task != "dossier":
        return visit.seen(None)
    await order(visit, "dossier-decline", dossier=task.record)
    return visit.see_other("/tasks")


async def files(visit: Visit) -> web.Response:
    """List all files."""
    found = [each.as_json() for each in await queries.all_dossiers(visit.db)]
    return visit.page("dossiers.html", section="tasks", files=found, person=visit.said("person"), json=found)


async def begin(visit: Visit) -> web.Response:
    """Begin a file on somebody."""
    person = visit.said("person")
    if not is_user_id(person):
        raise Bad("console.tasks.bad_person")
    done = await order(visit, "dossier-new", person=person, cases=[])
    return visit.see_other(f"/dossiers/{done['dossier']}")


async def file(visit: Visit) -> web.Response:
    """Show one file: what it covers, what is to be approved, and who did what."""
    found = await _found(visit)
    digest = await _digest(visit, found)
    row = {**found.as_json(), "digest": digest, "steps": found.steps_as_json()}
    return visit.page("dossier.html", section="tasks", file=row, needed=APPROVALS, json=row)


async def decline(visit: Visit) -> web.Response:
    """Decline a file, with a reason."""
    found = await _found(visit)
    await order(visit, "dossier-decline", dossier=found.record)
    return visit.see_other(f"/dossiers/{found.record}")


async def _found(visit: Visit) -> Dossier:
    return visit.seen(await queries.dossier_view(visit.db, visit.number("n")))


async def _digest(visit: Visit, found: Dossier) -> str:
    """Return the SHA-256 of what is to be approved; "" if the bot cannot say."""
    if found.state == "declined":
        return ""
    try:
        return str((await ask(visit.site, "dossier-digest", dossier=found.record))["digest"])
    except (Refused, Bad):
        return ""


ROUTES = (
    Route("GET", "/tasks", tasks, who="operator", menu="tasks"),
    Route("POST", "/tasks/{n}/decline", decline_task, who="operator"),
    Route("GET", "/dossiers", files, who="operator"),
    Route("POST", "/dossiers", begin, who="operator"),
    Route("GET", "/dossiers/{n}", file, who="operator"),
    Route("POST", "/dossiers/{n}/decline", decline, who="operator"),
)
