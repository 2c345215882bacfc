"""list preview, watch, end: the choice of policy lists for a room.

Rules kept here:
- A list is shown first. What is confirmed is the state that was shown under this number, within a day.
- It is talked about in the desk or alone with the bot: what a list says of people does not belong in the group.
- Lists of the configuration are the operator's.

Left to others: who may choose what (`moderation/lists/choosing.py`), reading the list and watching it
(`bot/effects/choose_list.py`), the command itself (`lists.py`).
"""

import re
from urllib.parse import unquote

from moderation.duty.responsibility import is_operator
from moderation.lists import choosing
from moderation.model.actions.lists import ChooseList, MatchAgain, PreviewList
from moderation.model.facts import ListChosen, ListPreviewed
from moderation.policy import LIST_NAME, Trust
from moderation.values.errors import Refused
from moderation.values.ids import is_room_id
from moderation.values.notices import Line, line
from storage import queries
from storage.queries import ChosenList

from .invocation import Call, Reply, said_under
from .parse import case_number
from .rights import may_read_here

LONGEST_ALIAS = 255  # bytes (appendices, "Identifier grammar")
MOST_SERVERS = 3  # that a link says the room can be entered by
TRUSTS: dict[str, Trust] = {
    "look": "look", "查看": "look", "propose": "propose", "建议": "propose",
    "agree": "agree", "一致": "agree", "apply": "apply", "执行": "apply",
}  # fmt: skip
_LINK = re.compile(r"<?https://matrix\.to/#/(?P<room>(?:[!#]|%21|%23)[^?/>]+)(?:\?(?P<query>[^>]*))?>?", re.IGNORECASE)
_ALIAS = re.compile(r"#[^\s:\0]+:[A-Za-z0-9.\-\[\]:]+")
_SERVER = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,230}")


def list_room(word: str) -> tuple[str, tuple[str, ...]]:
    """Return the room that a word names, as an id or an alias, and servers to enter by; ("", ()) if it names none."""
    text, via = word, tuple[str, ...]()
    if link := _LINK.fullmatch(word):
        text = unquote(link["room"])
        servers = re.findall(r"(?:^|&)via=([^&]+)", link["query"] or "")
        via = tuple(each for each in map(unquote, servers) if _SERVER.fullmatch(each))[:MOST_SERVERS]
    named = is_room_id(text) or _ALIAS.fullmatch(text) is not None
    return (text, via) if named and len(text.encode(errors="replace")) <= LONGEST_ALIAS else ("", ())


async def preview(call: Call) -> Reply:
    """Have a list read and shown."""
    choosing.require_chooser(call.caller, call.group, call.policy)
    _must_be_apart(call)
    target, via = list_room(call.given.reason)
    if not target:
        raise Refused("error.list.room")
    since = call.now_ms - choosing.PREVIEWS_WITHIN_MS
    theirs, here = await queries.previews_asked(call.db, since, call.group.room, call.caller)
    spent = theirs >= choosing.MOST_PREVIEWS or here >= choosing.MOST_PREVIEWS_OF_ROOM
    if spent and not is_operator(call.caller, call.policy):
        raise Refused("error.list.spent")
    asked = ListPreviewed(room=call.group.room, on=call.on, step="asked", number=call.on, by=call.caller)
    said, thread = said_under(call)
    look = PreviewList(
        room=call.group.room,
        target=target,
        via=" ".join(via),
        number=call.on,
        subject=call.caller,
        operates=is_operator(call.caller, call.policy),
        where=call.here.room,
        alone=await _alone(call),
        reply_to=said,
        thread=thread,
        language=_language(call),
    )
    return Reply(_soon(call), (asked,), (look,))


async def watch(call: Call) -> Reply:
    """Have a list watched as it was shown."""
    choosing.require_chooser(call.caller, call.group, call.policy)
    _must_be_apart(call)
    name, trust, number, reason = _choice(call)
    choosing.require_trust(trust, call.caller, call.group, call.policy)
    shown = await queries.list_preview(call.db, number)
    since = call.now_ms - choosing.CONFIRM_WITHIN_MS
    if shown is None or shown.room != call.group.room or shown.at < since:
        raise Refused("error.list.number", n=number)
    known = await queries.known_lists(call.db)
    choosing.require_place(name, shown.list_room, call.group, known, call.setup.configured)
    said, thread = said_under(call)
    choose = ChooseList(
        room=call.group.room,
        list=name,
        trust=trust,
        number=number,
        reason=reason,
        subject=call.caller,
        operates=is_operator(call.caller, call.policy),
        where=call.here.room,
        alone=await _alone(call),
        reply_to=said,
        thread=thread,
        language=_language(call),
    )
    return Reply(_soon(call), actions=(choose,))


def _choice(call: Call) -> tuple[str, Trust, int, str]:
    """Return the name, the trust, the number of the preview, and the reason. Raises `Refused`."""
    words = call.given.reason.split()
    if len(words) < 3:
        raise Refused("error.list.watch-form")
    name, trust, number = words[0].lower(), TRUSTS.get(words[1].lower()), case_number(words[2])
    if re.fullmatch(LIST_NAME, name) is None:
        raise Refused("error.list.name", given=name[:60])
    if trust is None:
        raise Refused("error.list.trust", given=words[1][:60])
    if number is None:
        raise Refused("error.list.watch-form")
    return name, trust, number, " ".join(words[3:])


async def end(call: Call) -> Reply:
    """End a list that people chose."""
    name, _, reason = call.given.reason.partition(" ")
    name = name.lower()
    if not name:
        raise Refused("error.list.end-form")
    chosen = {each.list: each for each in await queries.chosen_lists(call.db)}
    listed: ChosenList | None = chosen.get(name)
    configured = name in {each.name for each in call.setup.configured.lists.watch}
    if configured or (listed is not None and not listed.in_chat):
        choosing.require_chooser(call.caller, call.group, call.policy)
        raise Refused("error.list.configured", list=name[:60])
    watched = listed.watch(call.setup.configured.lists) if listed is not None else None
    reach = listed.reach if listed is not None else ""
    choosing.require_ending(name, watched, reach, call.caller, call.group, call.policy)
    assert listed is not None, "the check above refused"
    ended = ListChosen(
        room=call.group.room,
        on=call.on,
        step="ended",
        list=name,
        trust=listed.trust,
        reach=listed.reach,
        list_room=listed.list_room,
        by=call.caller,
        reason=reason,
    )
    again = MatchAgain(room=call.group.room)
    return Reply((line("policy-list.ended", list=name),), (ended,), (again,))


def _must_be_apart(call: Call) -> None:
    if call.here.purpose == "group":
        raise Refused("error.list.here", room=call.group.room)


async def _alone(call: Call) -> bool:
    """Tell whether others who read where this was said may not read of the room it is about."""
    return call.here.purpose == "desk" and not await may_read_here(call, call.group.room)


def _language(call: Call) -> str:
    """Return the language of the answer: in a desk that of its group; "": the caller's."""
    return (call.group.language or call.setup.language) if call.here.purpose == "desk" else ""


def _soon(call: Call) -> tuple[Line, ...]:
    """Say where the answer will be, if nothing else shows that the command was taken."""
    return (line("policy-list.soon"),) if call.event is None else ()
