"""Logging in to a homeserver: a password or an access token gives a `Session`.

Rules kept here:
- The user id is the one that the server states, not what the operator typed.
- A session always has a device.
- The password is used once and stored nowhere.

Left to others: where a session is stored, and what is done with it (`client.py`).

Specification: Matrix client-server API v1.19, "Client Authentication", "Login".
"""

from dataclasses import dataclass, field

from moderation.values.errors import Invalid
from moderation.values.ids import UserId

from .http import Ask, Wire, text_in


@dataclass(frozen=True, slots=True)
class Session:
    """An account on a homeserver. The token is a secret: it is in no repr and in no error."""

    url: str
    user: UserId
    device: str
    token: str = field(repr=False)


async def log_in_with_password(
    url: str, user: str, password: str, device_name: str, device_id: str | None = None
) -> Session:
    """Log in with a password. Section "Login", `m.login.password`.

    `user` is a localpart or a whole user id. With its former `device_id`, the device keeps its encryption keys. Its old
    token may go on working (Synapse 1.163): log it out where that matters. Raises `Forbidden` for a wrong user or
    password, `RateLimited` after too many attempts.
    """
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "initial_device_display_name": device_name,
        **({"device_id": device_id} if device_id else {}),
    }
    async with Wire(url) as wire:
        ask = Ask(method="POST", segments=("login",), json=body, secrets=(password,))
        answer = await wire.ask(ask)
        return Session(
            wire.url,
            UserId(text_in(ask, answer, "user_id")),
            text_in(ask, answer, "device_id"),
            text_in(ask, answer, "access_token"),
        )


async def log_in_with_token(url: str, token: str) -> Session:
    """Use a token made elsewhere. Section "GET /account/whoami". Raises `LoggedOut` if it is not valid.

    Raises `Invalid` for a token without a device (of an application service, or made by an admin): without a device
    there is no encryption and no protection against sending twice.
    """
    async with Wire(url, token=token) as wire:
        ask = Ask(method="GET", segments=("account", "whoami"))
        answer = await wire.ask(ask)
        user = UserId(text_in(ask, answer, "user_id"))
        device = answer.get("device_id")
        if not isinstance(device, str) or not device:
            raise Invalid(f"this access token of {user} has no device: log in with the password instead")
        return Session(wire.url, user, device, token)
