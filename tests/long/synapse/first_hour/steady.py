"""A transcript without what differs from one run to the next: times, ports, codes, keys, ids, numbers of records."""

import re
from pathlib import Path

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_WORDS = (
    (r"\x1b\[[0-9;?]*[a-zA-Z]", ""),
    (r"(?m)^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S*", "<time>"),
    (r"(?:[A-Za-z0-9]{4} ){11}[A-Za-z0-9]{4}", "<recovery key>"),
    (r"localhost/guard\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", "<key of the log>"),
    (r"https://matrix\.to/#/\S+", "<link>"),
    (r"[!$][A-Za-z0-9_-]{43}(?::localhost)?", "<id>"),
    (r"![A-Za-z]{18}:localhost", "<id>"),
    (r"\bG-[A-Z0-9]{4,5}\b", "<code>"),
    (r"\b[A-Z]{10}\b", "<device>"),
    (rf"\d{{1,2}} {_MONTH}(?: \d{{4}})?, \d\d:\d\d(?: UTC)?", "<time>"),
    (rf"\d{{1,2}} {_MONTH}(?: \d{{4}})?", "<day>"),
    (r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?)?", "<time>"),
    (r"[\d,.]+ (MiB|MB|GB)\b", r"<size> \1"),
    (r"(pid|process)([= ]+)\d+", r"\1\2<pid>"),
    (r"\b\d+ records\b", "<number> records"),
    (r"^(Records +)\d+$", r"\1<number>"),
    (r"wait_s=[\d.]+", "wait_s=<seconds>"),
    (r"[ \t]+$", ""),
)


def steady(text: str, home: Path, url: str) -> str:
    """Return the text with these replaced by words in angle brackets."""
    for path, word in ((str(home), "~"), (url, "<url>")):
        text = text.replace(path, word)
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text.strip("\n") + "\n"
