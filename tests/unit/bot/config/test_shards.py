"""Shards in the configuration: what each has of its own, and what the settings of all must not contradict."""

from pathlib import Path
from typing import Any

import pytest

from bot.config.config import load_config
from bot.config.errors import ConfigError
from moderation.values.errors import Invalid

HEAD = """
[homeserver]
url = "https://example.org"
user = "@answerable:example.org"
[bot]
allow_invites = ["@*:example.org"]
"""
SHARDS = """
[[shards]]
name = "one"
account = "@one:example.org"
rooms = ["!a*"]
[[shards]]
name = "two"
account = "@two:example.org"
inviters = ["@olga:example.org"]
"""


def loaded(folder: Path, text: str, shard: str = "", **environ: str) -> Any:
    (folder / "config.toml").write_text(text)
    return load_config(folder / "config.toml", environ, shard=shard)


def test_a_shard_has_a_folder_an_account_a_log_and_tables_of_its_own(tmp_path: Path) -> None:
    one = loaded(tmp_path, HEAD + SHARDS, "one")
    assert (one.shard, one.data_dir, one.user, one.origin, one.place.schema, one.env_file.name) == (
        "one",
        tmp_path / "data" / "one",
        "@one:example.org",
        "example.org/answerable/one",
        "answerable_one",
        ".env.one",
    )
    assert one.bot.allow_invites == ("@*:example.org",)
    assert loaded(tmp_path, HEAD + SHARDS, "two").bot.allow_invites == ("@olga:example.org",)


def test_a_shard_may_have_pages_for_monitoring_at_an_address_of_its_own(tmp_path: Path) -> None:
    """Two shards on one machine could not both listen at that of all."""
    shards = SHARDS.replace('name = "two"', 'name = "two"\nwatch = "127.0.0.1:8431"')
    text = f'{HEAD}[watch]\nlisten = "127.0.0.1:8430"\n{shards}'
    assert [loaded(tmp_path, text, name).watch.listen for name in ("one", "two")] == [
        "127.0.0.1:8430",
        "127.0.0.1:8431",
    ]


def test_without_shards_nothing_changes(tmp_path: Path) -> None:
    alone = loaded(tmp_path, HEAD)
    assert (alone.shard, alone.data_dir, alone.origin, alone.env_file.name) == (
        "",
        tmp_path / "data",
        "example.org/answerable",
        ".env",
    )


def test_the_secrets_of_another_account_are_never_taken(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ANSWERABLE_ACCESS_TOKEN=theirs\nANSWERABLE_EMAIL_PASSWORD=mail\n")
    (tmp_path / ".env.two").write_text("ANSWERABLE_ACCESS_TOKEN=of-two\n")
    environ = {"ANSWERABLE_ONE_PASSWORD": "p", "ANSWERABLE_PASSWORD": "q"}
    one = loaded(tmp_path, HEAD + SHARDS, "one", **environ).secrets
    assert (one.access_token, one.password.get_secret_value()) == (None, "p")
    assert one.email_password.get_secret_value() == "mail"
    two = loaded(tmp_path, HEAD + SHARDS, "two", **environ).secrets
    assert (two.access_token.get_secret_value(), two.password) == ("of-two", None)


@pytest.mark.parametrize(("text", "shard"), [(HEAD + SHARDS, ""), (HEAD + SHARDS, "three"), (HEAD, "one")])
def test_a_shard_must_be_named_where_there_are_some_and_only_there(tmp_path: Path, text: str, shard: str) -> None:
    with pytest.raises(Invalid):
        loaded(tmp_path, text, shard)


WRONG = {
    "shard_name_twice": SHARDS.replace('"two"', '"one"'),
    "shard_account_twice": SHARDS.replace("@two:", "@one:"),
    "shard_community": SHARDS.replace('inviters = ["@olga:example.org"]', 'rooms = ["!b*"]')
    + '[[communities.named]]\nname = "garden"\nrooms = ["!abc", "!bcd"]\n',
    "shard_origin": SHARDS + f'[records]\norigin = "{"o" * 62}"\n',
    "expected.shard_name": SHARDS.replace('"two"', '"shared"'),
    "expected.watch": SHARDS.replace("rooms =", 'watch = "0.0.0.0:8420"\nrooms ='),
    "expected.log_vkey": SHARDS.replace("rooms =", 'vkey = "no key"\nrooms ='),
}


@pytest.mark.parametrize("key", WRONG)
def test_what_cannot_be_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, HEAD + WRONG[key], "one")
    assert key in {problem.key for problem in caught.value.problems}


def test_a_community_in_one_shard_is_fine(tmp_path: Path) -> None:
    community = '[[communities.named]]\nname = "garden"\nrooms = ["!abc", "!ade", "!zzz"]\n'
    assert loaded(tmp_path, HEAD + SHARDS + community, "one").shard == "one"
