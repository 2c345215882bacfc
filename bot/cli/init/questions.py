"""The questions of `init` about the deployment, each asked again until its answer works.

Rules kept here:
- An answer given by an option is not asked for. If it does not work, it is asked for where somebody is there.
- With ``--yes``, or without a terminal, nothing is asked.

Left to others: the account's password and what the homeserver answers to it (`bot/cli/logging_in.py`).
"""

import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.cli.terminal.ask import asked, given
from bot.cli.terminal.output import tell, text
from bot.matrix.find_homeserver import HomeserverFinder, NoHomeserver
from bot.texts.catalog import LANGUAGES, cli_language
from moderation.values.errors import Invalid, Refused
from moderation.values.ids import is_user_id, server_of

from .config_file import has_rules
from .first_rules import OFFERED, WORDS, ChosenRules, chosen

_INVITER = re.compile(r"[@*?\[][^\s]*\Z")  # as `[bot] allow_invites` wants it


def must_be_usable(
    user: str,
    operators: Sequence[str],
    inviters: Sequence[str],
    language: str,
    rules: Sequence[str],
    words: Sequence[str],
) -> None:
    """Raise `Invalid`, naming the option, for an answer given by an option that cannot be one."""
    given("user", "--user", user, is_user_id)
    given("language", "--language", language, _is_language)
    for each in operators:
        given("operators", "--operator", each, is_user_id)
    for each in inviters:
        given("allow_invites", "--allow-invites", each, _are_inviters)
    for each in rules:
        given("rules", "--rule", each, OFFERED.__contains__)
    if WORDS in rules and not words:
        raise Invalid(f"--rule {WORDS}: {text('cli.init.invalid.words')}")


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks, where somebody is there to answer."""

    yes: bool

    @property
    def can_ask(self) -> bool:
        """True if somebody is there to answer."""
        return not self.yes and sys.stdin.isatty()

    def user(self, given: str) -> str:
        """Return the bot's account."""
        return given or asked("user", "--user", valid=is_user_id)

    def homeserver(self, given: str, user: str) -> str:
        """Return the address of the homeserver, which answers there. Raises `Refused`, saying what was wrong."""
        typed = given or (server_of(user) if self.yes else self._homeserver(user))
        while True:
            if self.can_ask:
                tell("cli.init.looking", typed=typed)
            try:
                found = asyncio.run(HomeserverFinder().find(typed))
            except NoHomeserver as error:
                refused = _no_homeserver(error)
                if not self.can_ask:
                    raise refused from None
                tell(refused.key, **refused.fields)
                typed = self._homeserver(user)
                continue
            if found.named_by:
                tell("cli.init.found", url=found.url, named_by=found.named_by)
            return found.url

    def _homeserver(self, user: str) -> str:
        return asked("homeserver", "--homeserver", default=server_of(user))

    def language(self) -> str:
        """Return the language of the bot."""
        default = cli_language()
        return default if self.yes else asked("language", "--language", default=default, valid=_is_language)

    def operators(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return the operators."""
        return tuple(given) if given or self.yes else _words(asked("operators", "--operator", valid=_are_user_ids))

    def inviters(self, given: Sequence[str], operators: Sequence[str]) -> tuple[str, ...]:
        """Return who may bring the bot into rooms; by default the operators, and nobody else."""
        if given or self.yes:
            return tuple(given or operators)
        return _words(asked("allow_invites", "--allow-invites", default=" ".join(operators), valid=_are_inviters))

    def rules(self, there: str, given: Sequence[str], words: Sequence[str]) -> ChosenRules:
        """Return the rules to begin with. A configuration that has rules keeps its own."""
        if given or words or not self.can_ask or has_rules(there):
            names = dict.fromkeys((*given, *((WORDS,) if words else ())))
            return ChosenRules(tuple(names), tuple(words))
        tell("cli.init.rules")
        for number, name in enumerate(OFFERED, 1):
            tell(f"cli.init.rule.choice.{name}", number=number)
        answer = chosen(asked("rules", "--rule", default="1 2", valid=lambda typed: chosen(typed) is not None)) or ()
        named = asked("words", "--word", valid=lambda typed: bool(_terms(typed))) if WORDS in answer else ""
        return ChosenRules(answer, _terms(named))

    def identity_key(self, given: Path | None, data_dir: Path) -> str:
        """Return the path of the key of the identity store; "" for none."""
        if given is not None or not self.can_ask:
            return str(given.expanduser().absolute()) if given else ""
        tell("cli.init.about_identity", data_dir=data_dir)
        typed = asked("identity_key", "--identity-key", valid=lambda path: not path or _is_outside(path, data_dir))
        return str(Path(typed).expanduser().absolute()) if typed else ""

    def name(self, given: str) -> str:
        """Return the display name of the account; "" leaves it as it is."""
        return given if given or not self.can_ask else asked("name", "--name", default="Answerable")


def _no_homeserver(error: NoHomeserver) -> Refused:
    by = text("cli.init.named_by", named_by=error.named_by) if error.named_by else ""
    return Refused(f"cli.init.no_homeserver.{error.fault}", url=error.url, detail=error.detail, by=by)


def _is_language(answer: str) -> bool:
    return answer in LANGUAGES


def _are_user_ids(answer: str) -> bool:
    return bool(_words(answer)) and all(is_user_id(word) for word in _words(answer))


def _are_inviters(answer: str) -> bool:
    return all(_INVITER.match(word) for word in _words(answer))


def _is_outside(path: str, data_dir: Path) -> bool:
    from bot.config.identity_key import is_inside

    return not is_inside(Path(path).expanduser().absolute(), data_dir)


def _words(answer: str) -> tuple[str, ...]:
    return tuple(answer.replace(",", " ").split())


def _terms(answer: str) -> tuple[str, ...]:
    return tuple(term for each in answer.replace("，", ",").split(",") if (term := each.strip()))
