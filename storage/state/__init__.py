"""Small tables that are not made from records: how far something got, and what somebody chose."""
