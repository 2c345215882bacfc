"""KINDS: all kinds of rules by name. They are found, not listed: each file of this folder that defines one has it here.

Left to others: the texts of a kind (`tests/unit/test_registries.py` finds missing ones).
"""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import get_args

from pydantic.fields import FieldInfo

from moderation.values.errors import Broken

from . import __name__ as folder
from . import __path__ as places
from .base import RuleBase


def find_kinds() -> Mapping[str, type[RuleBase]]:
    """Return the kinds by name, in the order of their files. Raises `Broken`, which says what one lacks."""
    found: dict[str, type[RuleBase]] = {}
    for each in pkgutil.iter_modules(places):
        for cls in _defined_in(import_module(f"{folder}.{each.name}")):
            name = _name_of(cls)
            if name in found:
                raise Broken(f"{cls.__module__}: the kind {name!r} is that of {found[name].__module__}, too")
            found[name] = cls
    return found


def _defined_in(module: ModuleType) -> Iterator[type[RuleBase]]:
    for value in vars(module).values():
        if isinstance(value, type) and RuleBase in value.__mro__[1:] and value.__module__ == module.__name__:
            yield value


def _name_of(cls: type[RuleBase]) -> str:
    """Return the name of a kind. Raises `Broken`, which says what its class lacks."""
    where = f"{cls.__module__}.{cls.__name__}"
    named = get_args(cls.model_fields["kind"].annotation) if "kind" in cls.model_fields else ()
    if len(named) != 1:
        raise Broken(f'{where} lacks its name, such as kind: Literal["terms"]')
    if cls.compiled is RuleBase.compiled:
        raise Broken(f"{where} lacks its method compiled, which returns the check")
    unknown = [
        name
        for name in ((*cls.IN_CHAT.lists, *cls.IN_CHAT.values) if cls.IN_CHAT else ())
        if name not in cls.model_fields
    ]
    if unknown:
        raise Broken(f"{where} lacks the settings that IN_CHAT names: {', '.join(unknown)}")
    for name, info in own_settings(cls):
        if info.description is None or (info.is_required() and not info.examples):
            raise Broken(f"{where}: the setting {name} lacks its description, or an example")
    return str(named[0])


def own_settings(cls: type[RuleBase]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the settings that only rules of this kind have, by the name that they have in the configuration."""
    for name, info in cls.model_fields.items():
        if name not in RuleBase.model_fields and name != "kind":
            yield info.alias or name, info


KINDS = find_kinds()
