"""All benchmarks, or some of them, in one run: this is what `make bench` calls.

    python -m bench [PART ...] [--json FILE]        PART: react catch_up neighbours ...

Each part also runs alone, with options of its own: `python -m bench.react --help`.
"""

import argparse
import importlib
import importlib.util
from pathlib import Path

from .figures import Figure, machine, told, write

# In the order in which they run: the first ones need the machine for themselves.
PARTS = (
    "react",
    "catch_up",
    "neighbours",
    "limited",
    "raid",
    "ingest",
    "scale",
    "everywhere",
    "kept",
    "many_rooms",
    "lists",
    "turn",
    "records",
    "rules",
    "cli",
    "console",
    "antispam",
    "policy",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}; all, if none is named")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    where = machine()
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    figures: list[Figure] = []
    for part in options.parts or [part for part in PARTS if importlib.util.find_spec(f"bench.{part}")]:
        print(f"\n{part}")
        module = importlib.import_module(f"bench.{part}")
        own = argparse.ArgumentParser()
        module.add_arguments(own)
        figures += told(module.run(own.parse_args([])))
    missed = [figure.name for figure in figures if figure.met is False]
    print(f"\nmissed: {', '.join(missed) or 'nothing'}")
    if missed:
        print("why, and what it would take: docs/performance.md, docs/performance-load.md")
    if options.json:
        write(options.json, figures, where)


if __name__ == "__main__":
    main()
