"""A program that waits until it is ended: `python -m tests.theatre.waiting WORD`."""

import os
import signal
import sys

if __name__ == "__main__":
    print(os.getpid(), "in", os.getcwd(), "waits", *sys.argv[1:], flush=True)  # noqa: PTH109 - as told by the system
    signal.pause()
