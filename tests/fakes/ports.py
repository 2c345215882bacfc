"""Ports for what a test starts at a number that it has to say beforehand, such as the console of a configuration.

They lie below those that Linux gives to connections and to servers that leave the choice to it: between the choice and
the start nobody else gets the same one, however many tests run at once.
"""

import itertools
import os
import socket

_PORTS = range(20_000, 32_000)
_EACH = 97  # ports that one process may use before it comes to the first one of the next process
_numbers = itertools.count(os.getpid() * _EACH)


def free_port() -> int:
    """Return a port of this machine that nobody listens at; each call returns another."""
    while True:
        port = _PORTS[next(_numbers) % len(_PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
