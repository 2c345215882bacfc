"""Names of servers."""

import pytest

from bot.federation.server_names import ServerAddress, is_server_name, parse_server_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("matrix.org", ("matrix.org", None, False)),
        ("matrix.org:8888", ("matrix.org", 8888, False)),
        ("1.2.3.4", ("1.2.3.4", None, True)),
        ("1.2.3.4:1234", ("1.2.3.4", 1234, True)),
        ("[1234:5678::abcd]", ("1234:5678::abcd", None, True)),
        ("[1234:5678::abcd]:5678", ("1234:5678::abcd", 5678, True)),
        ("localhost:8448", ("localhost", 8448, False)),
    ],
)
def test_a_name_has_parts(name: str, parts: tuple[str, int | None, bool]) -> None:
    assert parse_server_name(name) == ServerAddress(*parts)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":8448",
        "a.example:0",
        "a.example:65536",
        "a.example:",
        "a..example",
        ".example",
        "a.example.",
        "a_b.example",
        "a.example/path",
        "user@a.example",
        "a.example\n",
        "a.example?",
        "ä.example",
        "1.2.3",
        "1.2.3.256",
        "[::1",
        "[::g]",
        "[1.2.3.4]",
        "::1",
        "x" * 231,
        "a.example:٣",
        5,
        None,
    ],
)
def test_anything_else_is_no_name(name: object) -> None:
    assert not is_server_name(name)
