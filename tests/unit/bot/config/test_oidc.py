"""`[[oidc]]` and `[callback]` in `config.toml`: accepted values, and errors for others."""

from pathlib import Path

import pytest

from bot.config.config import Config, parse_config
from bot.config.errors import ConfigError
from bot.config.oidc import CallbackSettings, OidcSettings, is_safe, listen_address
from bot.texts.catalog import LANGUAGES

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n'
NAME, ISSUER, CLIENT = 'name = "club"\n', 'issuer = "https://login.example.org/realms/club"\n', 'client_id = "bot"\n'
ONE = "[[oidc]]\n" + NAME + ISSUER + CLIENT
CONSOLE = '[console]\npublic_url = "https://console.example.org"\n'
PUBLIC = '[callback]\npublic_url = "https://bot.example.org"\n'


def read(text: str, environ: dict[str, str] | None = None) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, environ or {})


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [(".".join(map(str, p.place)), p.key) for p in caught.value.problems]


def test_nobody_logs_in_anywhere_by_default_and_nothing_listens() -> None:
    config = read("")
    assert (config.oidc, config.callback) == ((), CallbackSettings(public_url=None, listen="127.0.0.1:8419"))


def test_all_of_it_is_read() -> None:
    more = 'title = "The club"\nscopes = ["openid", "phone"]\nflow = "code"\nclaims = ["phone"]\nlasts = "30d"\n'
    config = read(ONE + more + PUBLIC.replace(".org", ".org/x/") + 'listen = "[::1]:9000"\n')
    assert config.oidc == (
        OidcSettings(
            name="club",
            title="The club",
            issuer="https://login.example.org/realms/club",
            client_id="bot",
            scopes=("openid", "phone"),
            flow="code",
            claims=("phone",),
            lasts=30 * 86_400_000,
        ),
    )
    assert config.callback == CallbackSettings(public_url="https://bot.example.org/x", listen="[::1]:9000")
    assert listen_address(config.callback.listen) == ("::1", 9000)


def test_the_secret_comes_from_the_environment_and_is_shown_by_nothing() -> None:
    text = ONE.replace('"club"', '"the-club"')
    config = read(text, {"ANSWERABLE_OIDC_SECRET_THE_CLUB": "hush", "ANSWERABLE_OIDC_SECRET_EMPTY": ""})
    assert config.oidc[0].secret_variable == "ANSWERABLE_OIDC_SECRET_THE_CLUB"
    assert config.secrets.oidc[config.oidc[0].secret_variable].get_secret_value() == "hush"
    assert list(config.secrets.oidc) == ["ANSWERABLE_OIDC_SECRET_THE_CLUB"]
    assert "hush" not in repr(config) + repr(config.secrets)


def test_the_secret_may_come_from_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ANSWERABLE_OIDC_SECRET_CLUB='a $ecret'\n")
    config = parse_config(tmp_path / "config.toml", HEAD + ONE, {})
    assert config.secrets.oidc["ANSWERABLE_OIDC_SECRET_CLUB"].get_secret_value() == "a $ecret"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[[oidc]]\n" + ISSUER + CLIENT, [("oidc.0.name", "missing")]),
        ("[[oidc]]\n" + NAME + CLIENT, [("oidc.0.issuer", "missing")]),
        ("[[oidc]]\n" + NAME + ISSUER, [("oidc.0.client_id", "missing")]),
        (ONE.replace('"club"', '"The Club"'), [("oidc.0.name", "expected.oidc_name")]),
        (ONE.replace("https:", "http:"), [("oidc.0.issuer", "expected.issuer")]),
        (ONE.replace("https://", ""), [("oidc.0.issuer", "expected.issuer")]),
        (ONE.replace("/realms/club", "?x=1"), [("oidc.0.issuer", "expected.issuer")]),
        (ONE.replace("login.", "me:word@login."), [("oidc.0.issuer", "expected.issuer")]),
        (ONE + 'scopes = ["profile"]\n', [("oidc.0.scopes", "oidc_openid")]),
        (
            ONE + 'scopes = ["openid profile"]\n',
            [("oidc.0.scopes.0", "expected.scope"), ("oidc.0.scopes", "oidc_openid")],
        ),
        (ONE + 'flow = "cod"\n', [("oidc.0.flow", "expected.one_of_near")]),
        (ONE + 'flow = "code"\n', [("oidc.0.flow", "oidc_code")]),
        (ONE + 'claims = ["nam"]\n', [("oidc.0.claims.0", "expected.one_of_near")]),
        (ONE + "lasts = 90\n", [("oidc.0.lasts", "expected.duration")]),
        (ONE + 'client_secret = "x"\n', [("oidc.0.client_secret", "unknown.oidc_secret")]),
        (ONE + 'isuer = "x"\n', [("oidc.0.isuer", "unknown.near")]),
        (ONE + 'public_url = "https://x.example"\n', [("oidc.0.public_url", "unknown.elsewhere")]),
        (ONE + ONE, [("oidc.1.name", "oidc_twice")]),
        (ONE + CONSOLE + 'operators_need = "clob"\n', [("console.operators_need", "console_issuer")]),
        (ONE + '[console]\noperators_need = "club"\n', [("console.operators_need", "console_address")]),
        ("oidc = 3\n", [("oidc", "expected.list")]),
        ("[oidc]\n" + NAME + ISSUER + CLIENT, [("oidc", "expected.list")]),
        (PUBLIC.replace("https", "http"), [("callback.public_url", "expected.public_url")]),
        (PUBLIC.replace("bot.example.org", "bot.example.org/?x"), [("callback.public_url", "expected.public_url")]),
        *(
            (f'[callback]\nlisten = "{listen}"\n', [("callback.listen", "expected.listen")])
            for listen in ("8419", "0.0.0.0:8419", "[::]:8419", "8.8.8.8:8419", "127.0.0.1:0", "127.0.0.1:99999", "a:1")
        ),
    ],
)
def test_wrong_settings_are_reported(text: str, found: list[tuple[str, str]]) -> None:
    if text.startswith("oidc ="):
        with pytest.raises(ConfigError) as caught:
            parse_config(Path("/nowhere/config.toml"), text + HEAD, {})
        assert [(".".join(map(str, p.place)), p.key) for p in caught.value.problems] == found
    else:
        assert problems(text) == found


def test_operators_can_need_a_login() -> None:
    assert read(ONE + CONSOLE + 'operators_need = "club"\n').console.operators_need == "club"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_is_said_in_words_and_names_the_field(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    for text, place in (
        (ONE.replace("https:", "http:"), "oidc[1].issuer"),
        (ONE.replace('"club"', '"The Club"'), "oidc[1].name"),
        (ONE + 'scopes = ["a b", "openid"]\n', "oidc[1].scopes[1]"),
        (ONE + 'flow = "code"\n', "oidc[1].flow"),
        (ONE + 'client_secret = "x"\n', "oidc[1].client_secret"),
        (ONE + ONE, "oidc[2].name"),
        (PUBLIC.replace("https", "http"), "callback.public_url"),
        ('[callback]\nlisten = "0.0.0.0:1"\n', "callback.listen"),
    ):
        with pytest.raises(ConfigError) as caught:
            read(text)
        said = str(caught.value)
        assert (place in said, "{" in said) == (True, False), said


@pytest.mark.parametrize(
    ("url", "safe", "safe_here"),
    [
        ("https://example.org/x?y#z", True, True),
        ("http://127.0.0.1:8080/x", False, True),
        ("http://[::1]/x", False, True),
        ("http://localhost/", False, True),
        ("http://localhost.example.org/", False, False),
        ("http://127.0.0.1@example.org/", False, False),
        ("http://example.org/", False, False),
        ("https://example.org\\@127.0.0.1/\n", False, False),
        ("https://exa mple.org/", False, False),
        ("https://example.org:99999/", False, False),
        ("https:///x", False, False),
        ("javascript:alert(1)", False, False),
        ("file:///etc/passwd", False, False),
        ("https://[::1/", False, False),
        ("", False, False),
    ],
)
def test_only_https_is_asked_and_what_is_on_this_machine(url: str, safe: bool, safe_here: bool) -> None:
    assert (is_safe(url, loopback=False), is_safe(url, loopback=True)) == (safe, safe_here)
