"""``python -m storage.journal.record_kinds``: puts the table of kinds into `docs/records.md`."""

from .page import PAGE, render

if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
