"""Settings of the policy server: what is meant by none, and what is refused."""

from pathlib import Path

import pytest

from bot.config.config import Config, parse_config
from bot.config.errors import ConfigError

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n[policy_server]\n'


def config(text: str) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, {})


def test_without_a_name_there_is_none() -> None:
    assert config("").policy_server.server_name is None


def test_times_are_written_in_milliseconds_or_as_everywhere() -> None:
    assert config("").policy_server.within == 1_500
    assert config('within = "250ms"').policy_server.within == 250
    assert config('within = "2s"').policy_server.within == 2_000


def test_its_user_is_of_its_own_server() -> None:
    assert config('server_name = "policy.example.org:8448"').policy_server.user == "@answerable:policy.example.org:8448"


@pytest.mark.parametrize(
    ("text", "key"),
    (
        ('server_name = "example.org"', "policy_own_name"),
        ('server_name = "Example.org"', "policy_own_name"),
        ('server_name = "https://policy.example.org"', "expected.policy_name"),
        ('server_name = ""', "expected.policy_name"),
        ('within = "99ms"', "expected.policy_within"),
        ('within = "11s"', "expected.policy_within"),
        ('within = "soon"', "expected.policy_within"),
        ("within = 1500", "expected.policy_within"),
        ('when_down = "9s"', "expected.policy_when_down"),
        ('refuse = ["notice"]', "expected.one_of"),
        ("refuse = []", "expected.more_entries"),
        ('listen = "0.0.0.0:8421"', "expected.listen"),
    ),
)
def test_what_is_refused(text: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(text)
    assert [problem.key for problem in error.value.problems] == [key]


def test_a_rule_can_hold_messages_back_only_where_somebody_asks_beforehand() -> None:
    rule = '[[rules]]\nname = "a"\nkind = "terms"\nterms = ["b"]\ndecide = "manager"\ninterim = "hold"\n'
    assert config('server_name = "policy.example.org"\n' + rule).policy.rules[0].interim == "hold"
    assert config(f'[antispam]\nlisten = "127.0.0.1:8422"\n{rule}').policy.rules[0].interim == "hold"
    with pytest.raises(ConfigError) as error:
        config(rule)
    assert [problem.key for problem in error.value.problems] == ["hold_without_asking"]
