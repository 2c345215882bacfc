"""Power levels compared with the authorization rules, which are written out naively here as the oracle."""

import copy
import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.ids import SAFE_INT, UserId
from moderation.values.power_levels import CREATOR_LEVEL, POWER_LEVELS, Lack, Power

ALICE, BOB, CAROL, DAVE, BOT = (UserId(f"@{name}:x.org") for name in ("alice", "bob", "carol", "dave", "bot"))
PEOPLE = (ALICE, BOB, CAROL, DAVE, BOT)
NOTHING: dict[str, Any] = {}


def create(sender: str = ALICE, version: str | None = "12", **content: object) -> dict[str, Any]:
    given = {} if version is None else {"room_version": version}
    return {"type": "m.room.create", "state_key": "", "sender": sender, "content": {**given, **content}}


def room(version: str = "12", bot: UserId | None = None, **levels: object) -> Power:
    """Return the power levels of a room that Alice created."""
    return Power.of(create(version=version), levels, bot=bot)


# The oracle: authorization rules of room version 12 as they stand in the specification; for older versions without
# rule 10.4 and with an ordinary level for the creator. It knows nothing of `Power`.


def rule_level(made: Mapping[str, Any], content: Mapping[str, Any] | None, user: str) -> float:
    lasting = made["content"]["room_version"] == "12"
    if lasting and user in [made["sender"], *made["content"].get("additional_creators", [])]:
        return float("inf")
    if content is None:
        return 100 if user == made["sender"] else 0
    return int(content.get("users", {}).get(user, content.get("users_default", 0)))


def rule_required(content: Mapping[str, Any] | None, kind: str, state: bool) -> int:
    content = content or {}
    default = content.get("state_default", 50) if state else content.get("events_default", 0)
    return int(content.get("events", {}).get(kind, default))


def rule_levels_event(made: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any], sender: str) -> bool:
    """Apply rules 8 and 10 to a change of `users` only, with a previous event."""
    own = rule_level(made, old, sender)
    if rule_required(old, "m.room.power_levels", True) > own:
        return False
    creators = [made["sender"], *made["content"].get("additional_creators", [])]
    if made["content"]["room_version"] == "12" and any(user in new["users"] for user in creators):  # 10.4
        return False
    was, will = old.get("users", {}), new["users"]
    for user in was:  # 10.9
        if user != sender and will.get(user) != was[user] and was[user] >= own:
            return False
    return not any(was.get(user) != will[user] and will[user] > own for user in will)  # 10.10


def rule_leave(
    made: Mapping[str, Any], content: Mapping[str, Any] | None, sender: str, target: str, banned: bool
) -> bool:
    """Apply rule 5.5 from its third item on: both joined, or the target banned."""
    own, theirs = rule_level(made, content, sender), rule_level(made, content, target)
    if banned and own < (content or {}).get("ban", 50):
        return False
    return own >= (content or {}).get("kick", 50) and theirs < own


def rule_ban(made: Mapping[str, Any], content: Mapping[str, Any] | None, sender: str, target: str) -> bool:
    """Apply rule 5.6."""
    own = rule_level(made, content, sender)
    return own >= (content or {}).get("ban", 50) and rule_level(made, content, target) < own


# Few different numbers, so that equal levels, the edge of every rule, are common.
numbers = st.sampled_from([-1, 0, 1, 49, 50, 51, 99, 100, 101, SAFE_INT])
people = st.sampled_from(PEOPLE)
kinds = st.sampled_from(["m.room.message", "m.room.power_levels", "m.room.redaction", "m.room.pinned_events"])
LEVEL_KEYS = ("users_default", "events_default", "state_default", "ban", "kick", "redact", "invite")


@st.composite
def rooms(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a create event and power levels that servers accept."""
    version = draw(st.sampled_from(["6", "11", "12"]))
    made = create(draw(people), version)
    if version == "12" and draw(st.booleans()):
        made["content"]["additional_creators"] = draw(st.lists(people, max_size=2))
    content: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(LEVEL_KEYS, numbers)))
    content["users"] = draw(st.dictionaries(people, numbers, max_size=4))
    content["events"] = draw(st.dictionaries(kinds, numbers, max_size=3))
    if version == "12":
        for user in (made["sender"], *made["content"].get("additional_creators", [])):
            content["users"].pop(user, None)
    return made, content


@given(rooms(), people, people, st.none() | numbers | st.integers())
def test_a_level_can_be_set_where_the_authorization_rules_allow_it(
    given_room: tuple[dict[str, Any], dict[str, Any]], actor: UserId, target: UserId, new: int | None
) -> None:
    made, content = given_room
    power = Power.of(made, content)
    after = copy.deepcopy(content)
    after["users"].pop(target, None)
    if new is not None:
        after["users"][target] = new
    allowed = rule_levels_event(made, content, after, actor) and (new is None or abs(new) <= SAFE_INT)
    if target in power.creators:
        allowed = False  # not even to remove an entry that cannot exist
    elif new is None and target in content["users"]:
        # Stricter on purpose: `users_default` must not lift the target above the actor.
        allowed = allowed and content.get("users_default", 0) <= rule_level(made, content, actor)
    assert power.can_set_level(actor, target, new) == allowed


@given(rooms(), st.none() | numbers)
def test_nobody_raises_anybody_above_themselves(
    given_room: tuple[dict[str, Any], dict[str, Any]], new: int | None
) -> None:
    made, content = given_room
    before = Power.of(made, content)
    for actor, target in product(PEOPLE, repeat=2):
        if before.can_set_level(actor, target, new):
            after = Power.of(made, before.with_levels(content, {target: new}))
            assert after.level(target) <= max(before.level(actor), before.level(target))
            assert after.level(target) == before.level(target) or after.level(target) <= before.level(actor)


@given(rooms(), people, people)
def test_kicks_bans_and_unbans_follow_the_authorization_rules(
    given_room: tuple[dict[str, Any], dict[str, Any]], actor: UserId, target: UserId
) -> None:
    made, content = given_room
    power = Power.of(made, content)
    assert power.can_kick(actor, target) == rule_leave(made, content, actor, target, banned=False)
    assert power.can_unban(actor, target) == rule_leave(made, content, actor, target, banned=True)
    assert power.can_ban(actor, target) == rule_ban(made, content, actor, target)


@given(rooms(), people, kinds, st.booleans())
def test_sending_follows_the_authorization_rules(
    given_room: tuple[dict[str, Any], dict[str, Any]], user: UserId, kind: str, state: bool
) -> None:
    made, content = given_room
    power = Power.of(made, content)
    assert power.required(kind, state=state) == rule_required(content, kind, state)
    assert power.can_send(user, kind, state=state) == (
        rule_level(made, content, user) >= rule_required(content, kind, state)
    )
    assert power.can_redact_others(user) == (
        rule_level(made, content, user)
        >= max(content.get("redact", 50), rule_required(content, "m.room.redaction", False))
    )


@pytest.mark.parametrize(
    ("actor", "target", "new", "allowed"),
    [
        (BOB, DAVE, 50, True),
        (BOB, DAVE, 51, False),
        (BOB, CAROL, 0, False),  # an equal
        (BOB, CAROL, None, False),
        (BOB, CAROL, 50, True),  # as it is already
        (BOB, BOB, 0, True),
        (BOB, BOB, None, True),
        (BOB, BOB, 51, False),
        (BOB, ALICE, 0, False),  # a creator
        (ALICE, CAROL, SAFE_INT, True),
        (ALICE, CAROL, SAFE_INT + 1, False),  # no creator is made by a number
        (ALICE, CAROL, -SAFE_INT, True),
        (ALICE, CAROL, -SAFE_INT - 1, False),
        (DAVE, DAVE, -1, False),  # no power to send power levels at all
    ],
)
def test_levels_that_people_may_give_each_other(actor: UserId, target: UserId, new: int | None, allowed: bool) -> None:
    assert room(users={BOB: 50, CAROL: 50}).can_set_level(actor, target, new) is allowed


def test_nobody_removes_an_entry_that_holds_somebody_down() -> None:
    power = room(users_default=60, users={BOB: 50, CAROL: -1})
    assert power.can_set_level(BOB, CAROL, 0)
    assert not power.can_set_level(BOB, CAROL, None)


def test_an_unban_takes_the_ban_level_and_the_kick_level() -> None:
    levels = {BOB: 50, CAROL: 40}
    assert room("11", users=levels).can_unban(BOB, DAVE)
    assert not room("11", users=levels, kick=40).can_unban(CAROL, DAVE)
    assert not room("11", users=levels, ban=40).can_unban(CAROL, DAVE)
    assert not room("11", users=levels).can_unban(BOB, BOB)


# Who the creators are.


def test_creators_of_version_12_stand_above_every_level() -> None:
    power = Power.of(create(additional_creators=[BOB]), {"users": {CAROL: SAFE_INT}})
    assert [power.level(user) for user in (ALICE, BOB, CAROL, DAVE)] == [CREATOR_LEVEL, CREATOR_LEVEL, SAFE_INT, 0]
    assert [power.is_creator(user) for user in (ALICE, BOB, CAROL)] == [True, True, False]
    assert not power.can_kick(CAROL, ALICE)
    assert not power.can_ban(ALICE, BOB)
    assert not power.can_set_level(ALICE, BOB, 0)


@pytest.mark.parametrize(
    ("version", "lasting"),
    [
        ("1", False),
        ("9", False),
        ("11", False),
        ("12", True),
        ("13", True),
        ("120", True),
        ("org.matrix.hydra.11", True),
        ("org.matrix.msc2176", False),
        ("²", False),
        ("9" * 5000, False),
        ("", False),
    ],
)
def test_from_version_12_on_creators_keep_their_rank(version: str, lasting: bool) -> None:
    assert Power.of(create(version=version), NOTHING).is_creator(ALICE) is lasting


@pytest.mark.parametrize(
    ("made", "creator"),
    [
        (create(version=None, creator=BOB), BOB),
        (create(version="10", creator=BOB), BOB),
        (create(version="10"), ALICE),
        (create(version="11", creator=BOB), ALICE),
    ],
)
def test_in_an_old_room_without_power_levels_its_creator_has_100(made: dict[str, Any], creator: UserId) -> None:
    power = Power.of(made, None)
    assert {user: power.level(user) for user in (ALICE, BOB)} == {ALICE: 0, BOB: 0} | {creator: 100}
    assert power.owners() == {creator}
    assert not power.is_creator(creator)


def test_in_an_old_room_with_power_levels_its_creator_has_what_they_say() -> None:
    assert room("11").level(ALICE) == 0


# What is missing or is junk.


@pytest.mark.parametrize("levels", [None, NOTHING, {"ban": None, "events": 7, "users": [ALICE]}])
def test_missing_levels_have_the_specified_defaults(levels: object) -> None:
    power = Power.of(None, levels)
    assert (power.ban, power.kick, power.redact, power.invite) == (50, 50, 50, 0)
    assert power.required("m.room.topic", state=True) == 50
    assert power.required("m.room.message", state=False) == 0
    assert power.level(ALICE) == 0
    assert power.owners() == power.managers() == frozenset()


@pytest.mark.parametrize(
    ("written", "level"),
    [
        (" +50 ", 50),
        ("-1", -1),
        ("0050", 50),
        (50.9, 50),
        (-0.5, 0),
        (2**60, SAFE_INT),
        (-(2**60), -SAFE_INT),
        ("9" * 400, SAFE_INT),
        # Not a level: `users_default` holds.
        ("9" * 5000, 7),
        ("5_0", 7),
        ("٥", 7),
        ("fifty", 7),
        ("", 7),
        (True, 7),
        (None, 7),
        (float("inf"), 7),
        (float("nan"), 7),
        ([50], 7),
    ],
)
def test_levels_are_read_as_old_rooms_write_them(written: object, level: int) -> None:
    power = Power.of(create(version="6"), {"users_default": "7", "users": {BOB: written}})
    assert power.level(BOB) == level


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(PEOPLE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | people, inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [*LEVEL_KEYS, "users", "events", "sender", "content", "room_version", "additional_creators", "creator"]
)
junk = json_values | st.dictionaries(names, json_values | st.dictionaries(names | people, json_values))


@given(junk, junk, st.text() | people, st.text() | people, st.none() | st.integers())
def test_no_power_levels_raise_and_answers_agree(
    made: object, levels: object, actor: str, target: str, new: int | None
) -> None:
    power = Power.of(made, levels, bot=BOT)
    assert -SAFE_INT <= power.level(actor) <= CREATOR_LEVEL
    assert (power.level(actor) == CREATOR_LEVEL) == power.is_creator(actor)
    assert not (power.can_kick(actor, target) and power.can_kick(target, actor))
    power.can_set_level(actor, target, new)
    power.missing_for(actor)
    assert hash(power) == hash(Power.of(made, levels, bot=BOT))
    owners, managers = power.owners(), power.managers()
    assert not owners & managers
    assert BOT not in owners | managers
    assert {power.role(user) for user in owners} <= {"owner"}
    assert {power.role(user) for user in managers} <= {"manager"}
    assert not any(power.is_muted(user) for user in owners | managers)
    assert json.dumps(power.with_levels(levels if isinstance(levels, dict) else None, {BOB: new}))


def test_half_a_letter_in_a_user_id_is_no_user() -> None:
    power = Power.of(create(sender="@\ud800:x.org"), {"users": {"@\udfff:x.org": 100, BOB: 50}})
    assert not power.owners()
    assert power.managers() == {BOB}


# Mutes.


@given(rooms())
def test_the_mute_level_silences_and_counts_as_muted(given_room: tuple[dict[str, Any], dict[str, Any]]) -> None:
    made, content = given_room
    before = Power.of(made, content)
    for user in PEOPLE:
        if not before.is_creator(user):
            after = Power.of(made, before.with_levels(content, {user: before.mute_level()}))
            assert after.is_muted(user)
            assert after.role(user) == "member"
            assert not any(after.can_send(user, kind) for kind in ("m.room.message", "m.reaction", "m.room.redaction"))
            assert after.level(user) < 0


def test_a_silent_room_is_not_a_room_of_muted_people() -> None:
    power = room(events_default=50, users={BOB: 50, CAROL: -1})
    assert {user: power.is_muted(user) for user in (BOB, CAROL, DAVE)} == {BOB: False, CAROL: True, DAVE: False}
    assert not power.can_send(DAVE, "m.room.message")


def test_the_mute_level_is_below_types_that_need_less_than_nothing() -> None:
    assert room().mute_level() == -1
    assert room(events={"m.room.message": -5}).mute_level() == -6
    assert room(users_default=-1).mute_level() == -2


# Roles.


def roles(power: Power) -> dict[str, str]:
    return {user: power.role(user) for user in PEOPLE if power.role(user) != "member"}


def test_where_there_are_creators_they_alone_are_owners() -> None:
    assert roles(room(users={BOB: 100, CAROL: 50, DAVE: 49})) == {ALICE: "owner", BOB: "manager", CAROL: "manager"}


def test_elsewhere_the_highest_level_owns_the_room_if_it_is_100() -> None:
    assert roles(room("11", users={BOB: 101, CAROL: 100})) == {BOB: "owner", CAROL: "manager"}
    assert roles(room("11", users={BOB: 100, CAROL: 100})) == {BOB: "owner", CAROL: "owner"}
    assert roles(room("11", users={BOB: 99})) == {BOB: "manager"}


def test_a_room_the_bot_made_belongs_to_the_highest_person_in_it() -> None:
    power = Power.of(create(BOT), {"users": {BOB: 100, CAROL: 50}}, bot=BOT)
    assert roles(power) == {BOB: "owner", CAROL: "manager"}
    assert power.level(BOT) == CREATOR_LEVEL


def test_a_level_of_the_bot_takes_nothing_from_the_owner() -> None:
    assert roles(room("11", bot=BOT, users={BOT: 101, BOB: 100})) == {BOB: "owner"}


def test_any_one_of_the_rights_makes_a_manager() -> None:
    assert roles(room("11", users={BOB: 10}, kick=10)) == {BOB: "manager"}
    assert roles(room("11", users={BOB: 10}, ban=10)) == {BOB: "manager"}
    assert roles(room("11", users={BOB: 10}, redact=10)) == {BOB: "manager"}
    assert roles(room("11", users={BOB: 10}, redact=10, events={"m.room.redaction": 50})) == {}


def test_a_right_that_everybody_has_makes_nobody_a_manager() -> None:
    assert roles(room("11", kick=0, users={BOB: 0, CAROL: 1})) == {CAROL: "manager"}
    assert roles(room("11", users_default=100, users={BOB: 100, CAROL: 50})) == {}


# The bot.


def test_missing_power_is_named_with_the_required_level() -> None:
    power = room("11", users={BOT: 50}, ban=60, events={POWER_LEVELS: 100}, invite=50)
    assert power.missing_for(BOT) == (Lack("ban", 60), Lack("levels", 100))
    assert power.missing_for(ALICE)[0] == Lack("redact", 50)
    assert Power.of(create(BOT), NOTHING).missing_for(BOT) == ()


def test_equals_and_creators_cannot_be_demoted() -> None:
    power = room(users={BOT: 100, BOB: 100, CAROL: 50})
    assert power.cannot_demote(BOT, PEOPLE) == {ALICE, BOB}


# Writing.


def test_only_the_levels_asked_for_change() -> None:
    content = {"ban": "50", "users": {BOB: 50, CAROL: 10}, "org.example": [1]}
    before = copy.deepcopy(content)
    assert Power.of(create(version="6"), content).with_levels(content, {BOB: None, CAROL: -1, DAVE: 5}) == {
        "ban": "50",
        "users": {CAROL: -1, DAVE: 5},
        "org.example": [1],
    }
    assert content == before


def test_creators_are_never_written_down() -> None:
    content = {"users": {ALICE: 100, BOB: 50}}
    assert Power.of(create(), content).with_levels(content, {ALICE: 0}) == {"users": {BOB: 50}}


def test_a_first_power_levels_event_keeps_the_creator_of_an_old_room_in_power() -> None:
    power = Power.of(create(version="11"), None)
    assert power.with_levels(None, {BOB: 50}) == {"users": {ALICE: 100, BOB: 50}}
    assert Power.of(create(version="12"), None).with_levels(None, {BOB: 50}) == {"users": {BOB: 50}}


def test_a_first_power_levels_event_is_held_to_the_usual_bounds() -> None:
    power = Power.of(create(version="11"), None)
    assert power.can_set_level(ALICE, BOB, 100)
    assert not power.can_set_level(ALICE, BOB, 101)
    assert not power.can_set_level(BOB, BOB, 0)


@pytest.mark.parametrize("level", [99.5, 49.5, 1e300, -1.5, 1e-320, 10**401, 5, "5"])
def test_a_level_read_from_the_records_is_the_one_that_holds(level: object) -> None:
    written = (
        repr(level) if isinstance(level, float) or level == 10**401 else level
    )  # `storage.records.canonical.plain`
    now = Power.of(None, {"users": {BOB: level}, "kick": level})
    later = Power.of(None, {"users": {BOB: written}, "kick": written})
    assert (now.level(BOB), now.kick) == (later.level(BOB), later.kick)
