"""`[communities]` in `config.toml`: the operator alone says whose decisions count in which rooms."""

from pathlib import Path

import pytest

from bot.cli.check.communities import communities
from bot.config.config import Config, parse_config
from bot.config.errors import ConfigError
from moderation.model.reach import community_of
from moderation.policy import CommunitySettings

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n[communities]\n'
SPACE = '[[communities.named]]\nname = "estate"\nspace = "!estate:example.org"\n'
CLUB = '[[communities.named]]\nname = "club"\nrooms = ["G-7F3K", "!kitchen*"]\n'


def read(text: str) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, {})


def test_a_room_is_a_community_of_its_own_by_default() -> None:
    assert read("").communities == CommunitySettings(default="room", named=())
    assert community_of(CommunitySettings(), "!garden:example.org", "G-7F3K") == "G-7F3K"


@pytest.mark.parametrize(
    ("room", "code", "community"),
    [
        ("!garden:example.org", "G-7F3K", "club"),
        ("!kitchen:example.org", "G-CU5K", "club"),
        ("!cellar:example.org", "G-DE5K", "G-DE5K"),
    ],
)
def test_rooms_are_named_by_code_or_id(room: str, code: str, community: str) -> None:
    assert community_of(read(CLUB).communities, room, code) == community


def test_the_first_that_matches_counts_and_the_others_follow_the_default() -> None:
    found = read('default = "deployment"\n' + CLUB + CLUB.replace("club", "more").replace("G-7F3K", "*")).communities
    assert community_of(found, "!garden:example.org", "G-7F3K") == "club"
    assert community_of(found, "!cellar:example.org", "G-DE5K") == "more"
    assert community_of(read('default = "deployment"\n').communities, "!cellar:example.org", "G-DE5K") == ""


def test_a_community_has_named_rooms_and_rooms_listed_by_its_space() -> None:
    both = read(SPACE + 'rooms = ["G-DE5K"]\n').communities
    assert community_of(both, "!garden:example.org", "G-7F3K", spaces={"!estate:example.org"}) == "estate"
    assert community_of(both, "!garden:example.org", "G-7F3K", spaces={"!other:example.org"}) == "G-7F3K"
    assert community_of(both, "!cellar:example.org", "G-DE5K") == "estate"


def test_a_community_can_have_several_spaces() -> None:
    both = read(SPACE.replace('"!estate:example.org"', '["!estate:example.org", "!inner"]')).communities
    assert community_of(both, "!garden:example.org", "G-7F3K", spaces={"!inner"}) == "estate"
    assert CommunitySettings.model_validate_json(both.model_dump_json()) == both
    recorded = '{"named": [{"name": "estate", "space": "!estate"}, {"name": "club", "rooms": ["*"], "space": null}]}'
    assert [each.space for each in CommunitySettings.model_validate_json(recorded).named] == [("!estate",), ()]


@pytest.mark.parametrize(("text", "community"), [(CLUB + SPACE, "club"), (SPACE + CLUB, "estate")])
def test_the_first_matching_community_counts_by_room_or_by_space(text: str, community: str) -> None:
    found = community_of(read(text).communities, "!garden:example.org", "G-7F3K", spaces={"!estate:example.org"})
    assert found == community


@pytest.mark.parametrize(
    ("text", "place", "key"),
    [
        ('default = "server"\n', ("default",), "expected.one_of"),
        (CLUB.replace("club", "Our Club"), ("named", 0, "name"), "expected.community_name"),
        (CLUB.replace("G-7F3K", "#garden:example.org"), ("named", 0, "rooms", 0), "expected.community_room"),
        (CLUB.replace("G-7F3K", "garden"), ("named", 0, "rooms", 0), "expected.community_room"),
        (CLUB + CLUB, ("named", 1, "name"), "community_twice"),
        ('[[communities.named]]\nname = "club"\nrooms = []\n', ("named", 0), "expected.community_of_nothing"),
        (CLUB + 'adopt = "ask"\n', ("named", 0, "adopt"), "not_alone"),
        ('[[communities.named]]\nname = "club"\n', ("named", 0), "expected.community_of_nothing"),
        (SPACE.replace("!estate", "#estate"), ("named", 0, "space"), "expected.community_space"),
        (SPACE.replace("!estate:example.org", "estate"), ("named", 0, "space"), "expected.community_space"),
        (SPACE.replace('"!estate:example.org"', '["!a", "#b:c"]'), ("named", 0, "space"), "expected.community_space"),
    ],
)
def test_wrong_settings_are_reported(text: str, place: tuple[str | int, ...], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert [(p.place, p.key) for p in caught.value.problems] == [(("communities", *place), key)]


def test_the_check_says_what_trusting_everybody_means() -> None:
    assert (communities(read(CLUB)).state, communities(read(CLUB)).remedy) == ("ok", "")
    trusting = communities(read('default = "deployment"\n'))
    assert trusting.state == "warning"
    assert "allow_invites" in trusting.words
    assert trusting.words.count(".") == 2, "two sentences"


def test_the_check_says_that_people_who_run_a_space_are_trusted() -> None:
    found = communities(read(CLUB + SPACE))
    assert (found.state, found.key) == ("ok", "communities_spaces")
    assert found.words.count(".") == 3, "two sentences, and the name of the setting"
