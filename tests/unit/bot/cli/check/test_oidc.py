"""`answerable check` asks the issuers of `[[oidc]]` what they offer, and reports what does not fit."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.texts.catalog import LANGUAGES
from tests.fakes.hostile_issuer import WELL_KNOWN, HostileIssuer, Wrong
from tests.unit.bot.cli.conftest import HEAD, Answerable

PUBLIC = '[callback]\npublic_url = "https://bot.example.org"\n'


@pytest.fixture
async def issuer() -> AsyncIterator[HostileIssuer]:
    async with HostileIssuer() as issuer:
        yield issuer


async def found(answerable: Answerable, file: Path, issuer: str, more: str = "") -> dict[str, str]:
    """Return the findings about issuers, as key -> text."""
    await asyncio.to_thread(
        file.write_text, f'{HEAD}[[oidc]]\nname = "club"\nissuer = "{issuer}"\nclient_id = "bot"\n{more}'
    )
    result = await asyncio.to_thread(answerable, "check", "--json")
    return {each["key"]: each["text"] for each in result.json if each["check"] == "issuer"}


async def test_a_suitable_issuer_is_reported_with_the_address_to_register(
    answerable: Answerable, config_file: Path, issuer: HostileIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWERABLE_OIDC_SECRET_CLUB", "hush")
    by_link = await found(answerable, config_file, issuer.url, PUBLIC)
    assert list(by_link) == ["issuer_code"]
    assert "https://bot.example.org/oidc/club" in by_link["issuer_code"]
    assert list(await found(answerable, config_file, issuer.url)) == ["issuer_device"]
    assert issuer.paths() == [WELL_KNOWN, WELL_KNOWN]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("wrong", "key", "said"),
    [
        (Wrong(document={"issuer": "https://other.example"}), "issuer_wrong", "https://other.example"),
        (Wrong(document={"jwks_uri": "http://169.254.1.1/"}), "issuer_wrong", "jwks_uri: http://169.254.1.1/"),
        (Wrong(document={"id_token_signing_alg_values_supported": ["HS256"]}), "issuer_wrong", "HS256"),
        (Wrong(document={"device_authorization_endpoint": None}), "issuer_wrong", "code"),
        (Wrong(answers={WELL_KNOWN: "html"}), "issuer_wrong", "text/html"),
        (Wrong(answers={WELL_KNOWN: "redirect"}), "issuer_wrong", "302"),
        (Wrong(answers={WELL_KNOWN: "gone"}), "issuer_wrong", "404"),
        (Wrong(answers={WELL_KNOWN: "error"}), "issuer_unreachable", "503"),
    ],
)
async def test_an_unsuitable_issuer_is_a_problem(
    answerable: Answerable,
    config_file: Path,
    issuer: HostileIssuer,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    wrong: Wrong,
    key: str,
    said: str,
) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    issuer.wrong = wrong
    texts = await found(answerable, config_file, issuer.url)
    assert (key in texts, said in texts[key], "{" in texts[key]) == (True, True, False)


async def test_a_missing_or_unused_secret_is_reported(
    answerable: Answerable, config_file: Path, issuer: HostileIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWERABLE_OIDC_SECRET_CLUBB", "hush")
    texts: dict[str, Any] = await found(answerable, config_file, issuer.url)
    assert list(texts) == ["issuer_device", "issuer_public", "issuer_secret_unused"]
    assert "hush" not in str(texts)
