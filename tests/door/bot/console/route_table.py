"""What each role is answered at each address of the console.

`nobody` is not in; `operator` came by a link from the terminal. A page that is missing here fails a test.
"""

from typing import Literal, NamedTuple

Role = Literal["nobody", "operator"]


class Row(NamedTuple):
    """The status that each role gets, and what is posted."""

    nobody: int
    operator: int
    form: dict[str, str] | None = None


ROUTES: dict[tuple[str, str], Row] = {
    ("GET", "/"): Row(403, 303),
    ("GET", "/cases"): Row(403, 200),
    ("GET", "/cases/{n}"): Row(403, 200),
    ("POST", "/cases/{n}/read"): Row(403, 303, {"reason": "Anna asked me to look"}),
}
EXAMPLES = {"n": "1"}  # what stands for the parts of an address
