"""The removal of messages with a ban by an entry that asks for it: where the operator lets the list."""

import pytest

from moderation.cases.manager_orders import SweepRange
from moderation.cases.takedowns import is_ban_by_entry, removal, removes_messages
from moderation.lists.book import ListedEntry
from moderation.lists.entries import Advice
from moderation.lists.matching import Watch
from moderation.model.facts import SanctionKind, SanctionStarted
from moderation.policy import Takedown
from moderation.values.ids import RoomId, UserId
from tests.unit.moderation.builders import ANNA, MARK, NOON, policy
from tests.unit.moderation.lists.made import made

ROOM = RoomId("!there:example.org")


def ban(kind: SanctionKind = "ban", rule: str = "policy_list", by: UserId = MARK) -> SanctionStarted:
    return SanctionStarted(room=None, on=7, kind=kind, until=0, n=4, basis="list", rule=rule, subject=ANNA, by=by)


@pytest.mark.parametrize(
    ("takedown", "advice", "removes"),
    [("redact", "takedown", True), ("redact", "ban", False), ("ban", "takedown", False)],
)
def test_an_entry_removes_if_it_asks_and_the_list_may(takedown: Takedown, advice: Advice, removes: bool) -> None:
    watch = Watch("one", RoomId("!list"), "apply", takedown=takedown)
    assert watch.removes(ListedEntry("one", made("user", ANNA, advice=advice))) is removes


def test_lists_remove_nothing_unless_the_operator_says_so() -> None:
    named = [{"name": "mild", "room": "!a:x"}, {"name": "full", "room": "!b:x", "takedown": "redact"}]
    settings = policy(lists={"watch": named}).lists
    assert settings.watch[0].takedown == "ban"
    assert not removes_messages(["mild", "chosen-in-chat"], settings)
    assert removes_messages(["mild", "full"], settings)


def test_only_bans_by_entries_remove() -> None:
    assert is_ban_by_entry(ban())
    assert not is_ban_by_entry(ban("mute"))
    assert not is_ban_by_entry(ban(rule="by_order"))


def test_a_removal_belongs_to_the_case_of_the_ban() -> None:
    fact = removal(ban(), SweepRange(ROOM, since=1, count=3, oldest=2), NOON)
    assert (fact.room, fact.on, fact.n, fact.rule) == (ROOM, 7, 4, "policy_list")
    assert (fact.since, fact.until, fact.oldest, fact.count) == (1, NOON, 2, 3)
    assert (fact.subject, fact.by) == (ANNA, MARK)
