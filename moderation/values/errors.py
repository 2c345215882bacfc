"""A small tree of errors, split by whose fault they are.

`Refused` and its children are answers to a person, carried as a message key and fields: they are shown, never logged as
a fault. `Invalid` is bad input from outside. `Broken` is our own fault.
"""

from collections.abc import Mapping


class AnswerableError(Exception):
    """The root of all errors that this project raises on purpose."""


class Refused(AnswerableError):
    """A person asked for something they may not have, or that makes no sense now.

    `key` names a text of the message files, `fields` fill it.
    """

    def __init__(self, key: str, **fields: object) -> None:
        super().__init__(key)
        self.key = key
        self.fields: Mapping[str, object] = fields


class IllegalStep(Refused):
    """A case was asked to take a step its state does not have; nothing has changed."""


class Invalid(AnswerableError):
    """Input from outside that cannot be right; the message says what, where and what to do."""


class Broken(AnswerableError):
    """Something this program promised does not hold: a defect, or a damaged disk."""
