"""The first hour prints and says what was read and agreed to: every word is in `transcript.txt`.

After a change of words: `python -m tests.long.synapse.first_hour.script`, then read the difference as a new operator
would.
"""

from tests.long.synapse.first_hour.script import TRANSCRIPT, play


async def test_the_first_hour_says_what_its_transcript_says() -> None:
    assert (await play()).splitlines() == TRANSCRIPT.read_text().splitlines()
