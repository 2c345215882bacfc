"""`--shard`: every command that reads the configuration can be told which shard it is for."""

from pathlib import Path

import pytest

from bot.cli.main import COMMANDS, _load
from tests.unit.bot.cli.conftest import HEAD, Answerable

SHARDS = (
    '[[shards]]\nname = "one"\naccount = "@one:example.org"\n[[shards]]\nname = "two"\naccount = "@two:example.org"\n'
)


@pytest.fixture
def sharded(config_file: Path) -> Path:
    config_file.write_text(HEAD + SHARDS)
    return config_file


@pytest.mark.usefixtures("sharded")
def test_a_command_that_names_none_is_told_which_there_are(answerable: Answerable) -> None:
    refused = answerable("logs", "verify")
    assert refused.code and "one, two" in refused.err


@pytest.mark.usefixtures("sharded")
def test_a_shard_is_named_by_option_or_environment(answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(Path("data") / "one") in answerable("logs", "verify", "--shard", "one").err
    monkeypatch.setenv("ANSWERABLE_SHARD", "two")
    assert str(Path("data") / "two") in answerable("logs", "verify").err


@pytest.mark.usefixtures("sharded")
def test_a_shard_does_not_run_without_a_database_that_all_share(answerable: Answerable) -> None:
    assert "PostgreSQL" in answerable("run", "--shard", "one").err


@pytest.mark.parametrize("lazy", COMMANDS, ids=lambda lazy: lazy.name)
def test_every_command_with_a_configuration_takes_it(lazy: object) -> None:
    assert _without(_load(lazy.module, lazy.name)) == []  # type: ignore[attr-defined]


def _without(command: object) -> list[str]:
    """Return the commands that read the configuration and do not take the option."""
    below = getattr(command, "commands", {}).values()
    names = {parameter.name for parameter in command.params}  # type: ignore[attr-defined]
    own = [str(command.name)] if "config_file" in names and "shard" not in names else []  # type: ignore[attr-defined]
    return [*own, *(name for each in below for name in _without(each))]
