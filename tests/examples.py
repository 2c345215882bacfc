"""The share of examples that a property test tries: an eighth, or all of them with EXAMPLES=all.

`make test` tries an eighth. `make test-long` runs every property test again, with all, and every other test that has
the mark `examples`.
"""

import os

ALL = os.environ.get("EXAMPLES") == "all"
SMALL = 6  # a number that is not reduced
STRIDE = 1 if ALL else 4  # from one place at which something is killed to the next


def tried(examples: int) -> int:
    """Return how many of this number of examples this run tries."""
    return examples if ALL else max(examples // 8, min(examples, SMALL))
