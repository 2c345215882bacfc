"""The bot's side of end-to-end encryption: keys, late events, comparing emoji."""
