"""Small tables that are not made from records: progress marks and choices."""
