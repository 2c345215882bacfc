"""Tables of the configuration with a new name: the old one is read, and named to the operator."""

import json
from pathlib import Path

import pytest

from bot.config.config import FileSettings, parse_config
from bot.config.errors import ConfigError
from bot.config.renamed import RENAMED
from moderation.policy import MemberLimitSettings, Policy

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n'
FILE = Path("/nowhere/config.toml")


def test_a_table_is_read_by_its_old_name_which_is_reported() -> None:
    old = parse_config(FILE, f'{HEAD}[caps]\nmembers = 7\n[roster]\nlasts = "9d"\n', {})
    new = parse_config(FILE, f'{HEAD}[member_limits]\nmembers = 7\n[member_list]\nlasts = "9d"\n', {})
    assert (old.policy, old.member_list) == (new.policy, new.member_list)
    assert (old.old_names, new.old_names) == (("caps", "roster"), ())


def test_a_problem_is_named_by_the_name_in_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, f"{HEAD}[caps]\nmembers = -1\n", {})
    assert [(p.place, p.key, p.line) for p in caught.value.problems] == [(("caps", "members"), "expected.at_least", 5)]


def test_a_file_with_both_names_has_an_unknown_table() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, f"{HEAD}[caps]\n[member_limits]\n", {})
    assert [p.place for p in caught.value.problems] == [("caps",)]


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_only_the_new_name_is_a_setting(old: str, new: str) -> None:
    assert old not in FileSettings.model_fields
    assert new in FileSettings.model_fields


def test_records_of_the_policy_keep_the_name_of_member_limits() -> None:
    policy = Policy(member_limits=MemberLimitSettings(members=7))
    written = policy.model_dump_json(by_alias=True)
    assert json.loads(written)["caps"]["members"] == 7
    assert Policy.model_validate_json(written) == policy
