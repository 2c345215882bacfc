"""Fuzzes one target for a time, guided by coverage (atheris) if there is a wheel of it, else at random (hypothesis).

`python -m tests.fuzz.guided TARGET SECONDS FOUND` is a process of its own, since libFuzzer ends the process it runs in.
The last line it prints is JSON: the number of inputs, and the kinds of failures. One input of each kind is written
into the folder FOUND, ready for the corpus. The coverage is in the output of libFuzzer (`cov:`).
"""

import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

try:
    import atheris
except ImportError:  # no wheel for this Python or machine, or not asked for
    atheris = None

if atheris is not None:
    with atheris.instrument_imports(include=["bot", "moderation", "storage"], enable_loader_override=False):
        from tests.fuzz.target import Target
        from tests.fuzz.targets import TARGETS
else:
    from tests.fuzz.target import Target
    from tests.fuzz.targets import TARGETS

ROUND = 400  # inputs at random between two looks at the clock
AT_MOST_BYTES = 4096  # what hypothesis makes an input from


class Tried:
    """Counts the inputs, and keeps those that failed."""

    def __init__(self, target: Target, found: Path) -> None:
        self.inputs = 0
        self.failed: set[str] = set()
        self._target = target
        self._found = found

    def check(self, value: Any) -> None:
        """Try one input; write a failing one down, once for each kind of failure, and go on."""
        self.inputs += 1
        try:
            self._target.check(value)
        except Exception as error:
            self._note(value, error)

    def _note(self, value: Any, error: Exception) -> None:
        trace, last = error.__traceback__, "?"
        while trace is not None:
            last = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
            trace = trace.tb_next
        way = f"{type(error).__name__} at {last}"
        if way in self.failed:
            return
        self.failed.add(way)
        data = self._target.dump(value)
        self._found.mkdir(parents=True, exist_ok=True)
        (self._found / f"{self._target.name}-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)

    def told(self) -> str:
        """Return the last line of the output."""
        return json.dumps({"inputs": self.inputs, "failed": sorted(self.failed)})


def whatever(target: Target, tried: Tried, inputs: int) -> Callable[[], None]:
    """Return a search by hypothesis, with `fuzz_one_input` for another fuzzer to guide."""

    @settings(
        max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    @given(target.inputs)
    def one(value: Any) -> None:
        tried.check(value)

    return one


def at_random(target: Target, tried: Tried, seconds: float) -> None:
    """Search at random until the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seed(random.getrandbits(64))(whatever(target, tried, ROUND))()
    print(tried.told())


def steered(target: Target, tried: Tried, seconds: float) -> None:
    """Let libFuzzer choose the inputs. It would end the process silently, so we end it when the time is over."""
    one = whatever(target, tried, 1).hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    until = time.monotonic() + seconds

    def look(data: bytes) -> None:
        if time.monotonic() > until:
            print(tried.told(), flush=True)
            os._exit(0)
        one(data)

    with tempfile.TemporaryDirectory() as folder:
        limits = [f"-max_len={AT_MOST_BYTES}", "-timeout=30", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", folder], look)
        atheris.Fuzz()


def main() -> None:
    """Run the command line."""
    name, seconds, found = sys.argv[1:4]
    target, tried = TARGETS[name], Tried(TARGETS[name], Path(found))
    if atheris is None or os.environ.get("FUZZ_AT_RANDOM"):
        at_random(target, tried, float(seconds))
    else:
        steered(target, tried, float(seconds))


if __name__ == "__main__":
    main()
