"""list: the policy lists that count in a room, what they say about somebody, whom they no longer touch, and the choice.

Rules kept here:
- People learn of entries of the lists that count in their room, and of cases of their own community.
- Only of people who are or were in the room are managers told what a list says: a list may be closed, or hashed.
- To spare somebody takes the right to end a ban, and counts as far as the word of the person who spares reaches. What
  people here decided themselves it leaves alone.

Left to others: what an entry brings (`moderation/lists/matching.py`), looking again (`bot/sync/policy_lists.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from bot.texts.list_lines import chosen_line, own_list_line, own_lists
from moderation.cases.manager_orders import Order
from moderation.duty.responsibility import is_operator, require_over
from moderation.lists import choosing
from moderation.lists.book import ListedEntry, entries_with
from moderation.lists.matching import Watch, verdict
from moderation.lists.server_entries import denials_of
from moderation.model.actions.lists import MatchAgain
from moderation.model.builtin_rules import LISTED
from moderation.model.context import Context
from moderation.model.facts import Fact, ListSpared, SanctionEnded
from moderation.model.reach import DEPLOYMENT, reach_of
from moderation.values.errors import Refused
from moderation.values.ids import PersonId, UserId, server_of
from moderation.values.notices import Code, Line, Moment, Quoted, RoomName, Who, line
from storage import queries

from . import choose_list, spare_servers
from .invocation import Call, Command, Reply
from .rights import must_be_known_here
from .spare_servers import server_named

MOST_SHOWN = 10  # entries
SHORTEST = 3  # characters that are searched for

MATCH, SEARCH = ("match", "查人"), ("search", "搜索")
SPARE, UNSPARE = ("spare", "豁免"), ("unspare", "取消豁免")
PREVIEW, WATCH, END = ("preview", "预览"), ("watch", "采用"), ("end", "停用")
LIST = ("", "list", "列表")


async def list_(call: Call) -> Reply:
    """Show the lists that count here, or do what the first word says."""
    word = call.given.word.lower()
    if word in LIST and not (call.given.user or call.given.reason):
        return await _shown(call)
    for names, run in _DO.items():
        if word in names:
            return await run(call)
    raise Refused("error.list.word", given=call.given.word[:60])


def _here(call: Call) -> Mapping[str, Watch]:
    """Return the lists that count in the room, by name."""
    watches = call.setup.lists.watches
    return {name: watch for name, watch in sorted(watches.items()) if watch.holds_in(call.group)}


def _some_here(call: Call) -> Mapping[str, Watch]:
    if not (here := _here(call)):
        raise Refused("error.list.none", room=call.group.room)
    return here


async def _shown(call: Call) -> Reply:
    here, room, own = _here(call), RoomName(call.group.room), await _own(call)
    chooses = choosing.most_trusted(call.caller, call.group, call.policy) != "none"
    how = (line("policy-list.choose"),) if chooses else ()
    if not here:
        return Reply((line("policy-list.none", room=room), *own, *how), private=True)
    figures = await queries.list_figures(call.db, call.group)
    chosen = {each.list: each for each in await queries.chosen_lists(call.db)}
    shown = [
        said
        for name, watch in here.items()
        for said in chosen_line(watch, figures.get(name, queries.ListFigures()), chosen.get(name))
    ]
    return Reply((line("policy-list.head", room=room), *shown, *own, line("policy-list.how"), *how), private=True)


async def _own(call: Call) -> tuple[Line, ...]:
    """Say which lists of our own there are for cases of the room, and how many people of them stand there."""
    own = own_lists(call.policy, call.group)
    counted = await queries.published_counts(call.db, call.group) if own else {}
    return tuple(own_list_line(each, counted.get(each.name, 0)) for each in own)


async def _match(call: Call) -> Reply:
    """Show what the lists say about somebody, and what follows from it here."""
    user = _named(call)
    await must_be_known_here(call, user)
    here, book = _some_here(call), call.setup.lists.book
    listed = [each for each in book.match(user) if each.list in here] if book is not None else []
    if not listed:
        return Reply((line("policy-list.unnamed", who=Who(user), lists=", ".join(here)),), private=True)
    shown = (_entry(each) for each in listed[:MOST_SHOWN])
    lines = (line("policy-list.named", who=Who(user)), *shown, *_more(len(listed)), *await _follows(call, user, listed))
    return Reply(lines, private=True)


async def _follows(call: Call, user: UserId, listed: list[ListedEntry]) -> tuple[Line, ...]:
    """Say what follows from entries: from which lists the person is spared, and else what the bot would do."""
    context = await call.context(user)
    here = call.setup.lists.watches
    spared, named = await _spared_here(call, context.subject.person), {each.list for each in listed}
    said = tuple(_spared(name, each) for name, each in sorted(spared.items()) if name in named)
    of_server = list(denials_of(listed, server_of(user), here, room=call.group, bot=context.bot, policy=call.policy))
    said += tuple(line("policy-list.of-server", server=Code(each.pattern), list=each.listed.list) for each in of_server)
    means = [each for each in listed if each not in [of.listed for of in of_server]]
    found = verdict(means, here, context, call.policy, frozenset(spared))
    if found is None:
        return said or (line("policy-list.follows.nothing"),)
    return (*said, line(f"policy-list.follows.{found.step}", list=found.watch.name))


def _spared(name: str, by: queries.Spared) -> Line:
    key = "policy-list.spared-by-case" if by.n else "policy-list.spared-by-command"
    return line(key, list=name, n=by.n)


async def _search(call: Call) -> Reply:
    """Show the entries that have a word in them."""
    word, here, book = call.given.user or call.given.reason, _some_here(call), call.setup.lists.book
    if len(word) < SHORTEST:
        raise Refused("error.list.search", least=SHORTEST)
    lists = [each for each in book.lists if each.name in here] if book is not None else []
    found = await asyncio.to_thread(lambda: list(entries_with(word, lists)))
    if not found:
        return Reply((line("policy-list.nothing", word=Quoted(word[:60])),), private=True)
    head = line("policy-list.found", word=Quoted(word[:60]), count=len(found))
    return Reply((head, *map(_entry, islice(found, MOST_SHOWN)), *_more(len(found))), private=True)


def _entry(listed: ListedEntry) -> Line:
    entry = listed.entry
    return line(
        f"policy-list.entry.{entry.advice}",
        list=listed.list,
        entity=Code(entry.shown),
        reason=Quoted(entry.reason or "-"),
        by=Code(entry.sender),
        at=Moment(entry.at_ms),
    )


def _more(count: int) -> Iterator[Line]:
    if count > MOST_SHOWN:
        yield line("policy-list.more", count=count - MOST_SHOWN)


async def _spare(call: Call) -> Reply:
    """Spare somebody from the lists that count here, and end the bans that rest on such lists alone; or a server."""
    if server := server_named(call):
        return await spare_servers.spare(call, server, _some_here(call).values())
    user, context = await _must_spare(call)
    if not call.given.reason:
        raise Refused("error.list.reason")
    here, known = _some_here(call), await _spared_here(call, context.subject.person)
    holding = [each for each in context.subject.in_force if each.kind == "ban" and each.covers(call.group)]
    ends = [each.end("command", on=call.on, by=call.caller) for each in holding if each.basis == "list"]
    facts = (*_facts(call, user, [name for name in here if name not in known], "spared"), *ends)
    if not facts:
        raise Refused("error.list.spared", who=user)
    return Reply((spared_line(call, user), *await _left(call, context)), facts)


def spared_line(call: Call, user: UserId) -> Line:
    """Say which lists no longer touch somebody."""
    return line("policy-list.spared", who=Who(user), lists=", ".join(_here(call)))


async def spared_too(call: Call, order: Order, ends: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return the facts that spare somebody whose ban by a list is lifted; else the list would bring it again."""
    ended = {each.start for each in ends if isinstance(each, SanctionEnded)}
    if not any(each.record in ended and each.basis == "list" for each in order.context.subject.in_force):
        return ()
    known = await _spared_here(call, order.context.subject.person)
    return _facts(call, order.target, [name for name in _here(call) if name not in known], "spared")


async def _left(call: Call, context: Context) -> tuple[Line, ...]:
    """Say which cases about entries of lists stay as they are: those that wait, and what people decided."""
    lines: list[Line] = []
    for n in sorted({match.n for match in await queries.list_matches(call.db, person=context.subject.person)}):
        case = await queries.case_view(call.db, n)
        if case is None or case.rule != LISTED or case.room != call.group.room:
            continue
        if case.waits:
            lines.append(line("policy-list.waits", n=n, dismiss=Code(f"{call.setup.prefix}dismiss {n}")))
        elif any(each.n == n and each.kind == "ban" and each.basis != "list" for each in context.subject.in_force):
            lines.append(
                line("policy-list.decided", n=n, unban=Code(f"{call.setup.prefix}unban {context.subject.user}"))
            )
    return tuple(lines)


async def _unspare(call: Call) -> Reply:
    """Let the lists touch somebody, or a server, again whom a command or the decision of a case spared."""
    if server := server_named(call):
        return await spare_servers.unspare(call, server)
    user, context = await _must_spare(call)
    known = await _spared_here(call, context.subject.person)
    above = not is_operator(call.caller, call.policy) and call.group.community != DEPLOYMENT
    mine = [name for name, each in known.items() if each.reach != DEPLOYMENT or not above]
    if known and not mine:
        raise Refused("error.list.operators", who=user)
    facts = _facts(call, user, mine, "unspared")
    if not facts:
        raise Refused("error.list.not-spared", who=user)
    return Reply((line("policy-list.unspared", who=Who(user)),), facts, (MatchAgain(room=call.group.room),))


def _named(call: Call) -> UserId:
    if call.given.user is not None:
        return call.given.user
    if call.given.reason:
        raise Refused("error.user.form", given=call.given.reason.split()[0][:60])
    raise Refused("error.missing.user")


async def _must_spare(call: Call) -> tuple[UserId, Context]:
    """Return the person named and their context. Raises `Refused` unless the caller could end a ban of theirs."""
    user = _named(call)
    context = await call.context(user)
    require_over("unban", call.caller, context.subject, call.group, call.policy, call.setup.bot)
    return user, context


async def _spared_here(call: Call, person: PersonId) -> dict[str, queries.Spared]:
    return await queries.spared_by_list(call.db, person, call.group)


def _facts(call: Call, user: UserId, names: Iterable[str], step: Literal["spared", "unspared"]) -> tuple[Fact, ...]:
    reach = reach_of(call.caller, LISTED, call.group.community, call.policy)
    return tuple(
        ListSpared(
            room=call.group.room,
            on=call.on,
            step=step,
            list=name,
            reach=reach,
            subject=user,
            by=call.caller,
            reason=call.given.reason,
        )
        for name in names
    )


_DO: dict[tuple[str, ...], Callable[[Call], Awaitable[Reply]]] = {
    MATCH: _match,
    SEARCH: _search,
    SPARE: _spare,
    UNSPARE: _unspare,
    PREVIEW: choose_list.preview,
    WATCH: choose_list.watch,
    END: choose_list.end,
}

SUBJECT = "room"
COMMANDS = (Command("list", "manager", "word? person? reason*", list_, wording=("error.list.word", "error.missing")),)
