"""The policy server in a process of its own, killed at a chosen step.

    python -m tests.long.faults.policy_victim ORDER  the order is JSON; it is forked (`tests/theatre/forked_command.py`)

Steps are each statement of a transaction of its store, the end of its commit, and the moment before an answer leaves.
"""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

from tests.long.faults.victim import Steps


class _Counted:
    """A connection whose statements are steps."""

    def __init__(self, connection: sqlite3.Connection, steps: Steps) -> None:
        self._connection = connection
        self._steps = steps

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        words = sql.split()
        self._steps.step(f"before {words[0]}")
        done = self._connection.execute(sql, *values)
        if words[0] == "COMMIT":
            self._steps.step("after COMMIT")
        return done

    def close(self) -> None:
        self._connection.close()


def beset(steps: Steps) -> None:
    """Count the steps of this process from now on."""
    from bot.policy_server import server
    from storage.policy_server import store, tables

    opened, made = tables.open_to_write, server.answer

    def counted(data_dir: Path, now_ms: int) -> Any:
        return _Counted(opened(data_dir, now_ms), steps)

    def answer(*args: Any, **more: Any) -> Any:
        steps.step("before an answer")
        return made(*args, **more)

    setattr(store, "open_to_write", counted)  # noqa: B010 - as the module itself finds it
    server.answer = answer


def main() -> None:
    """Be the policy server."""
    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    beset(Steps(folder / "steps", order["kill_at"], torn=False, fail="", fail_from=0))
    from bot.cli.main import run

    run(["policy", "run", "--config", str(folder / "config.toml")])


if __name__ == "__main__":
    main()
