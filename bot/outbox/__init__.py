"""The outbox: queued actions are sent, the most urgent first."""
