"""The process log says what went wrong, but contains no text of people and no secrets."""

import subprocess
import sys

import pytest

FAILING = """
import structlog
from bot.cli.terminal.logging_setup import set_up_logging

def fail(token):
    raise ValueError("what went wrong")

set_up_logging(as_json={as_json})
try:
    fail("syt_secret" + "_of_the_bot")
except ValueError:
    structlog.get_logger().exception("act_failed", record=7)
"""


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variables(as_json: bool) -> None:
    code = FAILING.format(as_json=as_json)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert "act_failed" in said
    assert "what went wrong" in said
    assert "syt_secret_of_the_bot" not in said
