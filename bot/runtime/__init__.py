"""The clock, wake-ups, budgets, and resources that are closed at the end."""
