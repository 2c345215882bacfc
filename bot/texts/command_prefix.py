"""The spellings of the prefix that commands begin with."""

import re


def spellings(prefix: str) -> tuple[str, ...]:
    """Return the prefix as configured, and as Chinese and Japanese keyboards write it: ``!`` and ``！``."""
    wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in prefix)
    return tuple(dict.fromkeys((prefix, wide)))


def prefix_pattern(prefix: str) -> str:
    """Return the regular expression of all spellings of a prefix."""
    return f"(?:{'|'.join(map(re.escape, spellings(prefix)))})"
