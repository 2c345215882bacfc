"""The bot of the soak: `answerable run` with a faster clock.

    python -m bench.soak_bot run --config FILE ...      `SOAK_PACE` in the environment: simulated seconds in a real one

Rule kept here: only the clock that `bot.app.serve` uses is changed.
"""

import os
from functools import partial

from bot import app
from bot.cli.main import run
from bot.runtime.clock import wall_clock

_BEGAN = wall_clock()
_PACE = float(os.environ.get("SOAK_PACE", "1"))


def fast_clock() -> int:
    """Return the time (ms), which runs from the start of this process at the pace of the soak."""
    return _BEGAN + int((wall_clock() - _BEGAN) * _PACE)


if __name__ == "__main__":
    app.serve = partial(app.serve, clock=fast_clock)
    run()
