"""The settings of `synapse-http-antispam` that fit the bot's, as they stand in the homeserver's `homeserver.yaml`.

Rules kept here:
- Only callbacks that do good are named. If none is, the module takes all: Synapse itself does not know
  `accept_make_join` and does not start then, and whatever is answered to `check_username_for_spam`, nobody is found in
  the user directory any more. A federated invitation is asked about by `user_may_invite`, too.
- Whatever the bot does, the homeserver goes on: by default the module refuses every join that it gets no answer to.
- The token stands in a file of its own.
"""

from bot.config.antispam import AntispamSettings

TOKEN_FILE = "/etc/matrix-synapse/answerable-antispam.token"  # noqa: S105 - the name of a file
CALLBACKS = ("check_event_for_spam", "user_may_join_room", "user_may_invite")


def module_config(settings: AntispamSettings, token_file: str = TOKEN_FILE) -> str:
    """Return the settings of the module as YAML; only if the settings of the bot have an address."""
    assert settings.listen is not None
    return "\n".join(
        (
            "modules:",
            "  - module: synapse_http_antispam.HTTPAntispam",
            "    config:",
            f"      base_url: http://{settings.listen}",
            f"      authorization_path: {token_file}",
            "      do_ping: true",
            "      enabled_callbacks:",
            *(f"        - {name}" for name in CALLBACKS),
            "      fail_open:",
            *(f"        {name}: true" for name in CALLBACKS),
        )
    )
