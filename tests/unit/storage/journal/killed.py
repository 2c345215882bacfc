"""A child process that is killed at its n-th call to the file system."""

import os
import sys
from collections.abc import Callable

KILLED = 77
CALLS = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.rmtree"}


def killed_at(call: int, work: Callable[[Callable[[], None]], None]) -> int:
    """Let a child process do `work` until its n-th call to the file system. Returns its exit status.

    `work` is given a function that begins to count.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    made = 0

    def count(event: str, _arguments: object) -> None:
        nonlocal made
        made += event in CALLS
        if made == call and event in CALLS:
            os._exit(KILLED)

    try:
        work(lambda: sys.addaudithook(count))
        os._exit(0)
    finally:
        os._exit(1)
