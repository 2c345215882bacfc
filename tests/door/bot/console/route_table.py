"""The answers of the console to each role at each address.

`nobody` is not in; `operator` came by a link from the terminal; the others came by a link from a chat: a manager of the
room, one of another room, a member, a manager who was demoted since, and one who was banned. A page that is missing
here fails a test.

Without a column of its own, a manager is answered like the operator, where the page is not for operators alone; those
who do not manage this room find nothing at an address that names something, and an empty page elsewhere.
"""

import re
from typing import Literal, NamedTuple

Role = Literal["nobody", "operator", "manager", "elsewhere", "member", "demoted", "banned"]


class Row(NamedTuple):
    """The status that each role gets, and what is posted."""

    nobody: int
    operator: int
    form: dict[str, str] | None = None
    manager: int = 0  # 0: as said above
    others: int = 0

    def status(self, role: Role, path: str, *, is_for_operators: bool) -> int:
        """Return what a role is answered at this address."""
        if role == "nobody":
            return self.nobody
        if role == "operator":
            return self.operator
        manager = self.manager or (404 if is_for_operators else self.operator)
        return manager if role == "manager" else self.others or (404 if "{" in path else manager)


ROUTES: dict[tuple[str, str], Row] = {
    ("GET", "/"): Row(403, 200),
    ("GET", "/barred"): Row(403, 200),
    ("POST", "/barred"): Row(403, 403, {"person": "@anna:example.org", "until": "2027-03-01", "reason": "threats"}),
    ("POST", "/barred/remove"): Row(403, 403, {"person": "@anna:example.org", "reason": "talked it over"}),
    ("GET", "/cases"): Row(403, 200),
    ("GET", "/cases/{n}"): Row(403, 200),
    ("POST", "/cases/{n}/read"): Row(403, 303, {"reason": "Anna asked me to look"}),
    ("POST", "/cases/{n}/decide"): Row(403, 400, {"what": "uphold", "reason": "a word", "seen": "1"}, manager=409),
    ("POST", "/cases/{n}/do"): Row(403, 400, {"do": "note", "words": "look here"}, manager=303),
    ("GET", "/dossiers"): Row(403, 200),
    ("POST", "/dossiers"): Row(403, 403, {"person": "@anna:example.org", "reason": "asked for by the board"}),
    ("GET", "/dossiers/{n}"): Row(403, 404),
    ("POST", "/dossiers/{n}/decline"): Row(403, 404, {"reason": "it was settled"}),
    ("GET", "/duty"): Row(403, 200),
    ("GET", "/duty/{code}"): Row(403, 200),
    ("GET", "/figures"): Row(403, 200),
    ("GET", "/figures.csv"): Row(403, 200),
    ("GET", "/settings"): Row(403, 200),
    ("GET", "/standing"): Row(403, 200),
    ("GET", "/tasks"): Row(403, 200),
    ("POST", "/tasks/{n}/decline"): Row(403, 404, {"reason": "it was settled"}),
    ("GET", "/people"): Row(403, 200),
    ("GET", "/people/{user}"): Row(403, 200),
    ("GET", "/rooms"): Row(403, 200),
    ("GET", "/rooms/{code}"): Row(403, 200),
    ("GET", "/records"): Row(403, 200),
    ("POST", "/records/read"): Row(403, 303, {"reason": "Anna asked me to look"}),
    ("POST", "/records/stop"): Row(403, 204),
    ("GET", "/records/{index}"): Row(403, 200),
    ("POST", "/records/{index}/read"): Row(403, 303, {"reason": "Anna asked me to look"}),
    ("GET", "/records/{index}/proof"): Row(403, 200, manager=404),  # of no case
    ("GET", "/records/{index}/proof.txt"): Row(403, 200, manager=404),
    ("GET", "/verify"): Row(403, 200),
    ("POST", "/verify"): Row(403, 303),
    ("POST", "/verify/stop"): Row(403, 303),
    ("GET", "/coverage"): Row(403, 200),
    ("GET", "/reads"): Row(403, 200),
    ("GET", "/exports"): Row(403, 200),
    ("POST", "/exports"): Row(403, 303, {"reason": "Anna asked for it", "cases": "1"}),
    ("GET", "/exports/{id}"): Row(403, 404),
    ("POST", "/exports/{id}/delete"): Row(403, 404),
}
EXAMPLES = {
    "n": "1",
    "user": "@anna:example.org",
    "code": "G-7F3K",
    "index": "1",
    "id": "0123456789abcdef",
}  # what stands for the parts of an address


def example(path: str) -> str:
    """Return an address of a route, as somebody would type it."""
    return re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], path)
