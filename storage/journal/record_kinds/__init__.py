"""The kinds of records and what each may contain, a file a subject.

`table.py` has them all, `check.py` holds records against them, and `docs/records.md` is made from them by
``python -m storage.journal.record_kinds``.
Left to others: how a record is written (`line_format.py`), what it means (`moderation/`, `storage/`).
"""
