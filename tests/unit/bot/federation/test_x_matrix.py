"""Requests of servers: the header is that of the specification, and nothing forged passes."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.crypto.signing import SigningKey
from bot.federation.errors import Unauthorized
from bot.federation.x_matrix import RequestAuthorization, authorization, header_of, origin_of, parse_authorization
from tests.unit.bot.federation.events import KEY, KEY_ID

OURS, ORIGIN, TARGET = "policy.example.org", "a.example.org:8448", "/_matrix/policy/v1/sign?a=%2F"
CONTENT: dict[str, Any] = {"type": "m.room.message", "content": {"body": "日本"}}
UNSIGNED = RequestAuthorization(ORIGIN, OURS, KEY_ID, "")
PLAIN = f'origin="{ORIGIN}",destination="{OURS}",key="{KEY_ID}",sig="c2ln"'
READ = RequestAuthorization(ORIGIN, OURS, KEY_ID, "c2ln")


class Keys:
    """The keys of servers: only ORIGIN has one."""

    async def for_request(self, server: str, key_id: str) -> str | None:
        return KEY.public if (server, key_id) == (ORIGIN, KEY_ID) else None


def signed(
    asked: RequestAuthorization = UNSIGNED, method: str = "POST", target: str = TARGET, content: Any = CONTENT
) -> str:
    """Return the header of a request."""
    return header_of(authorization(asked, method, target, content, KEY))


async def origin(
    headers: Sequence[str], method: str = "POST", target: str = TARGET, content: Any = CONTENT, ours: str = OURS
) -> str:
    """Return the origin of a request that came in."""
    return await origin_of(headers, method, target, content, ours=ours, keys=Keys())


@pytest.mark.parametrize("content", [CONTENT, {}, None])
async def test_a_request_has_the_origin_that_signed_it(content: Any) -> None:
    assert await origin([signed(content=content)], content=content) == ORIGIN


def test_a_signature_is_that_of_the_specification() -> None:
    """The value was made by signedjson, the specification's own reference."""
    asked = RequestAuthorization("origin.hs.example.com", "destination.hs.example.com", "ed25519:1", "")
    assert authorization(asked, "GET", "/target", None, KEY).signature == (
        "msWmnVeDHFVb38b+FkYy4uHnZsnECDw6BRWOkS+HIn/pAVy3lgEUdWjwp3fR+sBb7TL/vMB4+uO2ilhl/6awCw"
    )


async def test_a_request_proves_nothing_if_anything_in_it_was_changed() -> None:
    header = signed()
    for change in (
        {"method": "PUT"},
        {"target": TARGET + "&"},
        {"target": TARGET.replace("%2F", "/")},
        {"content": {**CONTENT, "type": "other"}},
        {"content": None},
        {"content": {"a": "\ud800"}},
    ):
        with pytest.raises(Unauthorized):
            await origin([header], **change)


async def test_a_request_for_another_server_is_refused() -> None:
    with pytest.raises(Unauthorized, match="another server"):
        await origin([signed()], ours="other.example.org")
    with pytest.raises(Unauthorized, match="another server"):
        await origin([signed(UNSIGNED._replace(destination="other.example.org"))])
    with pytest.raises(Unauthorized, match="destination"):
        await origin([signed().replace(f'destination="{OURS}",', "")])


async def test_keys_of_others_and_unknown_keys_prove_nothing() -> None:
    other = header_of(authorization(UNSIGNED, "POST", TARGET, CONTENT, SigningKey.new()))
    for header in (
        other,
        signed(UNSIGNED._replace(origin="b.example.org")),
        signed(UNSIGNED._replace(key_id="ed25519:2")),
        header_of(UNSIGNED._replace(signature="AAAA")),
        header_of(UNSIGNED._replace(signature="!")),
    ):
        with pytest.raises(Unauthorized):
            await origin([header])


async def test_one_valid_key_of_several_is_enough_but_there_is_one_origin() -> None:
    unknown = signed(UNSIGNED._replace(key_id="ed25519:new"))
    assert await origin([unknown, signed()]) == ORIGIN
    with pytest.raises(Unauthorized, match="several origins"):
        await origin([signed(UNSIGNED._replace(origin="b.example.org")), signed()])
    with pytest.raises(Unauthorized):
        await origin([])
    with pytest.raises(Unauthorized):
        await origin([unknown] * 4 + [signed()])


@pytest.mark.parametrize(
    "header",
    [
        f"X-Matrix {PLAIN}",
        f"x-matrix   {PLAIN}",
        "X-Matrix " + PLAIN.replace(",", " \t, "),
        f"X-Matrix {PLAIN}  ",
        f"X-Matrix ORIGIN={ORIGIN},Destination={OURS},kEy={KEY_ID},sig=c2ln",
        f'X-Matrix sig="c2ln",key="{KEY_ID}",destination="{OURS}",origin="{ORIGIN}"',
        f'X-Matrix {PLAIN},new="a, \\"b\\" = c"',
        "X-Matrix " + PLAIN.replace("a.example", "\\a.e\\xample"),
    ],
)
def test_a_header_is_read_as_the_specification_says(header: str) -> None:
    assert parse_authorization(header) == READ


@pytest.mark.parametrize(
    "header",
    [
        "",
        "X-Matrix",
        "X-Matrix ",
        f"X-Matrix{PLAIN}",
        f"Bearer {PLAIN}",
        f" X-Matrix {PLAIN}",
        f"X-Matrix {PLAIN},",
        f"X-Matrix ,{PLAIN}",
        f"X-Matrix {PLAIN.replace(',', ' ')}",
        f'X-Matrix {PLAIN},origin="other"',
        f'X-Matrix {PLAIN},ORIGIN="{ORIGIN}"',
        f"X-Matrix {PLAIN}\r\nX-Other: 1",
        f'X-Matrix {PLAIN},new="\n"',
        f'X-Matrix {PLAIN},new="\x00"',
        f'X-Matrix {PLAIN},new="\\\n"',
        f'X-Matrix {PLAIN},new="open',
        f"X-Matrix {PLAIN},new=a/b",
        f"X-Matrix {PLAIN},new=",
        f"X-Matrix {PLAIN.replace(ORIGIN, '')}",
        f"X-Matrix {PLAIN.replace(ORIGIN, 'a.example/../b')}",
        f"X-Matrix {PLAIN.replace(ORIGIN, 'a.example ')}",
        f"X-Matrix {PLAIN.replace(KEY_ID, 'rsa:1')}",
        f"X-Matrix {PLAIN.replace(KEY_ID, 'ed25519:')}",
        f"X-Matrix {PLAIN.replace(',sig=', ',signature=')}",
        f'X-Matrix {PLAIN},new="{"x" * 2048}"',
    ],
)
def test_any_other_header_is_refused(header: str) -> None:
    with pytest.raises(Unauthorized):
        parse_authorization(header)


@given(header=st.text(max_size=60) | st.from_regex(r'X-Matrix [origin=",kedst\\ ]{0,60}'))
def test_no_header_does_anything_else_than_being_read_or_refused(header: str) -> None:
    with contextlib.suppress(Unauthorized):
        assert parse_authorization(header).origin
