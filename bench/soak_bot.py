"""The bot for the soak: `answerable run`, on a clock that goes faster.

    python -m bench.soak_bot run --config FILE ...      `SOAK_PACE` in the environment: simulated seconds in one

Rules kept here: nothing else is changed; the clock is what `bot.app.serve` takes for the time.
"""

import os
from functools import partial

from bot import app
from bot.cli.main import run
from bot.runtime.clock import wall_clock

_BEGAN = wall_clock()
_PACE = float(os.environ.get("SOAK_PACE", "1"))


def fast_clock() -> int:
    """The time, gone on from the start of this process at the pace of the soak."""
    return _BEGAN + int((wall_clock() - _BEGAN) * _PACE)


if __name__ == "__main__":
    app.serve = partial(app.serve, clock=fast_clock)
    run()
