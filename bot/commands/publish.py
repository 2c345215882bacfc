"""publish: put the person of a case on a policy list of our own, or take them off it.

Left to others: what an entry rests on and says (`moderation/lists/publishing.py`), writing it
(`bot/effects/publish_entry.py`).
"""

from moderation.lists.publishing import WORDS, require_grounds, require_publisher, state_key
from moderation.model.actions.lists import PublishEntry
from moderation.model.context import CaseView
from moderation.model.facts import ListPublished
from moderation.policy import PublishedList
from moderation.values.errors import Refused
from moderation.values.notices import Line, Who, line
from storage import queries
from storage.queries import PublishedEntry

from .find_case import find_case
from .invocation import Call, Command, Reply

_WITHDRAW = ("withdraw", "撤回")


async def publish(call: Call) -> Reply:
    """Put the person of a case on a list of ours; `withdraw` takes them off it."""
    wanted, word = _list(call), call.given.reason.lower()
    require_publisher(wanted, call.caller, call.group, call.policy)
    case = await find_case(call, call.given.case or 0)
    if case.is_about(call.caller):
        raise Refused("error.case.own", n=case.n)
    if word in _WITHDRAW:
        return await _withdraw(call, wanted, case)
    if word and word not in WORDS:
        raise Refused("error.publish.word", given=word[:60], words=", ".join(WORDS))
    return await _publish(call, wanted, case, word or "other")


def _list(call: Call) -> PublishedList:
    name, lists = call.given.word.lower(), {each.name: each for each in call.policy.lists.publish}
    if not lists:
        raise Refused("error.publish.nowhere")
    if name not in lists:
        raise Refused("error.publish.unknown", given=name[:60], lists=", ".join(lists))
    return lists[name]


async def _publish(call: Call, wanted: PublishedList, case: CaseView, word: str) -> Reply:
    require_grounds(wanted, case, await queries.sanctions_of_accounts(call.db, [case.subject]))
    key = state_key(case.subject)
    said = line("done.publish", who=Who(case.subject), list=wanted.name, n=case.n)
    known = await queries.published_entry(call.db, wanted.name, key)
    if known is not None and known.step == "published":
        if known.n != case.n:
            raise Refused("error.publish.already", list=wanted.name, n=known.n)
        return _again(known, said)
    fact = ListPublished(
        room=case.room,
        on=call.on,
        step="published",
        list=wanted.name,
        n=case.n,
        word=word,
        hashed=int(wanted.hashed),
        list_room=wanted.room,
        key=key,
        subject=case.subject,
        by=call.caller,
    )
    return Reply((said,), (fact,))


async def _withdraw(call: Call, wanted: PublishedList, case: CaseView) -> Reply:
    known = await queries.published_entry(call.db, wanted.name, state_key(case.subject))
    if known is None or known.n != case.n:
        raise Refused("error.publish.not", list=wanted.name, n=case.n)
    said = line("done.off-list", who=Who(case.subject), list=wanted.name, n=case.n)
    if known.step == "withdrawn":
        return _again(known, said)
    return Reply((said,), (known.withdrawal(on=call.on, by=call.caller),))


def _again(known: PublishedEntry, said: Line) -> Reply:
    """Write what was ordered already, and perhaps could not be written."""
    write = PublishEntry(room=known.room, list=known.list, list_room=known.list_room, key=known.key, n=known.n)
    return Reply((said,), actions=(write,))


SUBJECT = "cases"
COMMANDS = (Command("publish", "manager", "case word reason*", publish),)
