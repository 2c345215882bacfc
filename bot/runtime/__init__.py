"""The clock, wake-ups, budgets, mappings with a bound, and resources that are closed at the end."""
