"""`answerable demo` where it cannot be played."""

import sys

import pytest

from tests.unit.bot.cli.conftest import Answerable


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_a_homeserver_it_says_what_to_install(
    answerable: Answerable, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setitem(sys.modules, "synapse", None)  # what Python itself takes for "not installed"
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    result = answerable("demo")
    assert (result.code, result.out) == (1, "")
    assert "matrix-synapse" in result.err
    assert "pip install 'answerable[demo]'" in result.err
